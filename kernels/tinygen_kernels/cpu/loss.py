"""Losses and their gradients in one pass, summed over fixed blocks in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numba.extending import register_jitable
from numpy.typing import NDArray

from ..reference.loss import SLACK
from .activation import SCALARS
from .elementary import log_normal
from .jit import Loop, prefer_wide_vectors
from .memory import empty_like

Array = NDArray[Any]
BLOCK = 1024  # elements added up in their own type before the sum goes on in float64

_softplus, _sigmoid = SCALARS["softplus"][0], SCALARS["sigmoid"][0]


@register_jitable
def _mse(p, t, a):  # type: ignore[no-untyped-def]
    return (p - t) * (p - t)


@register_jitable
def _mse_grad(p, t, a):  # type: ignore[no-untyped-def]
    return (p - t) + (p - t)


@register_jitable
def _clipped(p, a):  # type: ignore[no-untyped-def]
    high = type(p)(1) - a
    p = a if p < a else p  # NaN stays: it fails both comparisons
    return high if p > high else p


@register_jitable
def _probability(p):  # type: ignore[no-untyped-def]
    return (p >= type(p)(-SLACK)) & (p <= type(p)(1 + SLACK))  # NaN is none


@register_jitable
def _binary_cross_entropy(p, t, a):  # type: ignore[no-untyped-def]
    q, one = _clipped(p, a), type(p)(1)
    loss = -(t * log_normal(q) + (one - t) * log_normal(one - q))
    return loss if _probability(p) & _probability(t) else type(p)(np.nan)


@register_jitable
def _binary_cross_entropy_grad(p, t, a):  # type: ignore[no-untyped-def]
    q = _clipped(p, a)
    g = (q - t) / (q * (type(p)(1) - q))
    return type(p)(0) if p < a or p > type(p)(1) - a else g


@register_jitable
def _with_logits(x, t, a):  # type: ignore[no-untyped-def]
    zero = type(x)(0)
    missed = type(x)(1) - t if x > zero else -t
    loss = _softplus(-abs(x), a) + (zero if missed == zero else x * missed)  # also 0 times infinity
    return loss if _probability(t) else type(x)(np.nan)


@register_jitable
def _with_logits_grad(x, t, a):  # type: ignore[no-untyped-def]
    return _sigmoid(x, a) - t


@register_jitable
def _huber(p, t, a):  # type: ignore[no-untyped-def]
    e, half = abs(p - t), type(p)(0.5)
    return half * e * e if e <= a else a * (e - half * a)


@register_jitable
def _huber_grad(p, t, a):  # type: ignore[no-untyped-def]
    return max(min(p - t, a), -a)


@register_jitable
def _hinge(p, t, a):  # type: ignore[no-untyped-def]
    return max(type(p)(1) - t * p, type(p)(0))


@register_jitable
def _hinge_grad(p, t, a):  # type: ignore[no-untyped-def]
    return -t if t * p < type(p)(1) else type(p)(0)


def _compile(f: Any, df: Any) -> tuple[Any, Any, Any]:
    """The three loops for a loss `f` of single elements and its derivative `df`."""

    @Loop
    def each(p: Array, t: Array, out: Array, parameter: float) -> None:
        a = p.dtype.type(parameter)
        for i in prange(p.size):
            prefer_wide_vectors()
            out[i] = f(p[i], t[i], a)

    @Loop
    def total(p: Array, t: Array, parameter: float) -> float:
        a = p.dtype.type(parameter)
        sums = np.zeros((p.size + BLOCK - 1) // BLOCK)
        for block in prange(sums.size):
            prefer_wide_vectors()
            part = type(a)(0)
            here = slice(block * BLOCK, min((block + 1) * BLOCK, p.size))
            ps, ts = p[here], t[here]
            for i in range(ps.size):  # an index that could be negative would not vectorise
                part += f(ps[i], ts[i], a)
            sums[block] = part
        result = 0.0
        for part in sums:
            result += part
        return result

    @Loop
    def gradient(p: Array, t: Array, g: Array, out: Array, parameter: float, scale: float) -> None:
        a, s = p.dtype.type(parameter), p.dtype.type(scale)
        if g.size == 1:
            only = s * g[0]
            for i in prange(p.size):
                prefer_wide_vectors()
                out[i] = only * df(p[i], t[i], a)
        else:
            for i in prange(p.size):
                prefer_wide_vectors()
                out[i] = s * g[i] * df(p[i], t[i], a)

    return each, total, gradient


LOOPS = {
    "mse": _compile(_mse, _mse_grad),
    "binary_cross_entropy": _compile(_binary_cross_entropy, _binary_cross_entropy_grad),
    "binary_cross_entropy_with_logits": _compile(_with_logits, _with_logits_grad),
    "huber": _compile(_huber, _huber_grad),
    "hinge": _compile(_hinge, _hinge_grad),
}


def loss(p: Array, t: Array, name: str, parameter: float) -> Array:
    """The loss of each element."""
    out = empty_like(p)
    LOOPS[name][0].over(p.size)(p.ravel(), t.ravel(), out.ravel(), parameter)
    return out


def loss_sum(p: Array, t: Array, name: str, parameter: float) -> float:
    """The sum over all elements."""
    total: float = LOOPS[name][1].over(p.size)(p.ravel(), t.ravel(), parameter)
    return total


def loss_grad(p: Array, t: Array, g: Array, name: str, parameter: float, scale: float) -> Array:
    """scale g dl/dp; g has the shape of p, or none."""
    out = empty_like(p)
    LOOPS[name][2].over(p.size)(p.ravel(), t.ravel(), g.ravel(), out.ravel(), parameter, scale)
    return out
