"""Losses and their gradients in one pass, summed over fixed blocks in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange, types
from numba.extending import register_jitable
from numpy.typing import NDArray

from ..reference.loss import SLACK
from .activation import SCALARS
from .elementary import log_normal
from .jit import Loop, prefer_wide_vectors
from .memory import empty_like
from .pieces import Piece, call, vector

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
    moved = zero if missed == zero else x  # 0 times infinity is 0
    loss = _softplus(-abs(x), a) + moved * missed
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


def _each_piece(f: Any) -> Piece:
    """The loss of each element: the addresses of p, t and the result, how many, the parameter."""

    def make(number: Any) -> Any:
        def piece(p: int, t: int, out: int, size: int, parameter: float) -> None:
            prefer_wide_vectors()
            a = number(parameter)
            ps, ts = vector(p, size, number), vector(t, size, number)
            losses = vector(out, size, number)
            for i in range(size):
                losses[i] = f(ps[i], ts[i], a)

        return piece

    return Piece(make, *[types.int64] * 4, types.float64)


def _sum_piece(f: Any) -> Piece:
    """Their sum: the addresses of p, t and of a float64 for it, how many, the parameter."""

    def make(number: Any) -> Any:
        def piece(p: int, t: int, out: int, size: int, parameter: float) -> None:
            prefer_wide_vectors()
            a, part = number(parameter), number(0)
            ps, ts = vector(p, size, number), vector(t, size, number)
            for i in range(size):
                part += f(ps[i], ts[i], a)
            vector(out, 1, types.float64)[0] = part

        return piece

    return Piece(make, *[types.int64] * 4, types.float64)


def _grad_piece(df: Any) -> Piece:
    """The derivatives times g and a scale.

    It takes the addresses of p, t, g and the result, how many, the parameter and the scale.
    """

    def make(number: Any) -> Any:
        def piece(
            p: int, t: int, g: int, out: int, size: int, parameter: float, scale: float
        ) -> None:
            prefer_wide_vectors()
            a, s = number(parameter), number(scale)
            ps, ts, gs = vector(p, size, number), vector(t, size, number), vector(g, size, number)
            gradients = vector(out, size, number)
            for i in range(size):
                gradients[i] = s * gs[i] * df(ps[i], ts[i], a)

        return piece

    return Piece(make, *[types.int64] * 5, *[types.float64] * 2)


PIECES = {
    name: (_each_piece(f), _sum_piece(f), _grad_piece(df))
    for name, (f, df) in {
        "mse": (_mse, _mse_grad),
        "binary_cross_entropy": (_binary_cross_entropy, _binary_cross_entropy_grad),
        "binary_cross_entropy_with_logits": (_with_logits, _with_logits_grad),
        "huber": (_huber, _huber_grad),
        "hinge": (_hinge, _hinge_grad),
    }.items()
}


@Loop
def _each(p: Array, t: Array, out: Array, piece: int, parameter: float) -> None:
    for block in prange((p.size + BLOCK - 1) // BLOCK):
        start = block * BLOCK
        size, skip = min(BLOCK, p.size - start), start * p.itemsize
        places = p.ctypes.data + skip, t.ctypes.data + skip, out.ctypes.data + skip
        call(piece, (*places, size, parameter))


@Loop
def _sums(p: Array, t: Array, sums: Array, piece: int, parameter: float) -> None:
    for block in prange(sums.size):
        start = block * BLOCK
        size, skip = min(BLOCK, p.size - start), start * p.itemsize
        places = p.ctypes.data + skip, t.ctypes.data + skip, sums.ctypes.data + 8 * block
        call(piece, (*places, size, parameter))


@Loop
def _gradients(
    p: Array, t: Array, g: Array, out: Array, piece: int, parameter: float, scale: float
) -> None:
    for block in prange((p.size + BLOCK - 1) // BLOCK):
        start = block * BLOCK
        size, skip = min(BLOCK, p.size - start), start * p.itemsize
        each = skip if g.size == p.size else 0  # else one block of g serves all
        places = p.ctypes.data + skip, t.ctypes.data + skip, g.ctypes.data + each
        call(piece, (*places, out.ctypes.data + skip, size, parameter, scale))


def loss(p: Array, t: Array, name: str, parameter: float) -> Array:
    """The loss of each element."""
    out, piece = empty_like(p), PIECES[name][0][p.dtype]
    _each.over(p.size)(p.ravel(), _like(t, p), out.ravel(), piece, parameter)
    return out


def loss_sum(p: Array, t: Array, name: str, parameter: float) -> float:
    """The sum over all elements."""
    sums, piece = np.zeros((p.size + BLOCK - 1) // BLOCK), PIECES[name][1][p.dtype]
    _sums.over(p.size)(p.ravel(), _like(t, p), sums, piece, parameter)
    return float(sums.sum())


def loss_grad(p: Array, t: Array, g: Array, name: str, parameter: float, scale: float) -> Array:
    """scale g dl/dp; g has the shape of p, or none."""
    out, piece = empty_like(p), PIECES[name][2][p.dtype]
    given = _like(g, p) if g.size == p.size else np.full(min(BLOCK, p.size), g.item(), p.dtype)
    loop = _gradients.over(p.size)
    loop(p.ravel(), _like(t, p), given, out.ravel(), piece, parameter, scale)
    return out


def _like(x: Array, p: Array) -> Array:
    """All elements in a row, of the type of p."""
    return x.astype(p.dtype, copy=False).ravel()
