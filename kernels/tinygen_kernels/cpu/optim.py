"""The optimisers' updates, one pass over memory for each parameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from .jit import Loop, jit, prefer_wide_vectors

Array = NDArray[Any]
Arrays = Sequence[Array]


@Loop
def _sgd_plain(p: Array, g: Array, from_gradient: float) -> None:
    c = p.dtype.type(from_gradient)
    for i in prange(p.size):
        prefer_wide_vectors()
        p[i] += c * g[i]


@Loop
def _sgd(
    p: Array,
    g: Array,
    v: Array,
    momentum: float,
    into_velocity: float,
    from_velocity: float,
    from_gradient: float,
) -> None:
    t = p.dtype.type
    m, a, b, c = t(momentum), t(into_velocity), t(from_velocity), t(from_gradient)
    for i in prange(p.size):
        prefer_wide_vectors()
        v[i] = m * v[i] + a * g[i]
        p[i] += b * v[i] + c * g[i]


def sgd(
    parameters: Arrays,
    gradients: Arrays,
    velocities: Arrays,
    momentum: float,
    into_velocity: float,
    from_velocity: float,
    from_gradient: float,
    scale: float,
) -> None:
    """See the reference."""
    into_velocity, from_gradient = into_velocity * scale, from_gradient * scale
    if velocities:
        for p, g, v in zip(parameters, gradients, velocities, strict=True):
            _sgd.over(p.size)(
                p, g.ravel(), v, momentum, into_velocity, from_velocity, from_gradient
            )
    else:
        for p, g in zip(parameters, gradients, strict=True):
            _sgd_plain.over(p.size)(p, g.ravel(), from_gradient)


@Loop
def _rmsprop(
    p: Array,
    g: Array,
    s: Array,
    rate: float,
    rho: float,
    inside: float,
    outside: float,
    scale: float,
) -> None:
    t = p.dtype.type
    one_minus_rho, rate_, rho_ = t(1.0 - rho), t(rate), t(rho)
    inside_, outside_, scale_ = t(inside), t(outside), t(scale)
    for i in prange(p.size):
        prefer_wide_vectors()
        gradient = scale_ * g[i]
        s[i] = rho_ * s[i] + one_minus_rho * gradient * gradient
        p[i] -= rate_ * gradient / ((s[i] + inside_) ** t(0.5) + outside_)


def rmsprop(
    parameters: Arrays,
    gradients: Arrays,
    squares: Arrays,
    rate: float,
    rho: float,
    inside: float,
    outside: float,
    scale: float,
) -> None:
    """See the reference."""
    for p, g, s in zip(parameters, gradients, squares, strict=True):
        _rmsprop.over(p.size)(p, g.ravel(), s, rate, rho, inside, outside, scale)


@Loop
def _adam(
    p: Array,
    g: Array,
    m: Array,
    s: Array,
    beta1: float,
    beta2: float,
    from_mean: float,
    from_gradient: float,
    root: float,
    epsilon: float,
    keep: float,
    scale: float,
) -> None:
    t = p.dtype.type
    b1, b2, rest1, rest2 = t(beta1), t(beta2), t(1.0 - beta1), t(1.0 - beta2)
    c1, c2, r, e = t(from_mean), t(from_gradient), t(root), t(epsilon)
    keep_, scale_ = t(keep), t(scale)
    for i in prange(p.size):
        prefer_wide_vectors()
        gradient = scale_ * g[i]
        m[i] = b1 * m[i] + rest1 * gradient
        s[i] = b2 * s[i] + rest2 * gradient * gradient
        p[i] = keep_ * p[i] - (c1 * m[i] + c2 * gradient) / (r * s[i] ** t(0.5) + e)


def adam(
    parameters: Arrays,
    gradients: Arrays,
    means: Arrays,
    squares: Arrays,
    beta1: float,
    beta2: float,
    from_mean: float,
    from_gradient: float,
    root: float,
    epsilon: float,
    keep: float,
    scale: float,
) -> None:
    """See the reference."""
    for p, g, m, s in zip(parameters, gradients, means, squares, strict=True):
        _adam.over(p.size)(
            p, g.ravel(), m, s,
            beta1, beta2, from_mean, from_gradient, root, epsilon, keep, scale,
        )  # fmt: skip


@Loop
def _ema(a: Array, p: Array, decay: float) -> None:
    rest = a.dtype.type(1.0 - decay)
    for i in prange(a.size):
        prefer_wide_vectors()
        a[i] += rest * (p[i] - a[i])


def ema(averages: Arrays, parameters: Arrays, decay: float) -> None:
    """See the reference."""
    for a, p in zip(averages, parameters, strict=True):
        _ema.over(a.size)(a, p.ravel(), decay)


@jit()
def _sum_of_squares(x: Array) -> float:
    result = 0.0
    for i in range(x.size):
        result += np.float64(x[i]) * np.float64(x[i])
    return result


def sum_of_squares(arrays: Arrays) -> float:
    """The sum of the squares of all elements."""
    return float(sum(_sum_of_squares(a.ravel()) for a in arrays))
