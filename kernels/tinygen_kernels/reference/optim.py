"""The optimisers' updates. Each takes lists of arrays, one of each kind for every parameter, and
changes all but the gradients in place. What is changed has one axis, and what is only read may
have any shape of that size. `scale` multiplies the gradients first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Arrays = Sequence[Array]


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
    """v = momentum v + into_velocity g,  p += from_velocity v + from_gradient g.

    Without velocities:  p += from_gradient g.
    """
    for i, (p, g) in enumerate(zip(parameters, gradients, strict=True)):
        g = g.ravel() * p.dtype.type(scale)
        p += p.dtype.type(from_gradient) * g
        if velocities:
            v = velocities[i]
            v[...] = p.dtype.type(momentum) * v + p.dtype.type(into_velocity) * g
            p += p.dtype.type(from_velocity) * v


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
    """s = rho s + (1 - rho) g^2,  p -= rate g / (sqrt(s + inside) + outside)."""
    for p, g, s in zip(parameters, gradients, squares, strict=True):
        t = p.dtype.type
        g = g.ravel() * t(scale)
        s[...] = t(rho) * s + t(1 - rho) * g * g
        p -= t(rate) * g / (np.sqrt(s + t(inside)) + t(outside))


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
    """m = beta1 m + (1 - beta1) g,  s = beta2 s + (1 - beta2) g^2,
    p = keep p - (from_mean m + from_gradient g) / (root sqrt(s) + epsilon)."""
    for p, g, m, s in zip(parameters, gradients, means, squares, strict=True):
        t = p.dtype.type
        g = g.ravel() * t(scale)
        m[...] = t(beta1) * m + t(1 - beta1) * g
        s[...] = t(beta2) * s + t(1 - beta2) * g * g
        step = (t(from_mean) * m + t(from_gradient) * g) / (t(root) * np.sqrt(s) + t(epsilon))
        p[...] = t(keep) * p - step


def ema(averages: Arrays, parameters: Arrays, decay: float) -> None:
    """a = decay a + (1 - decay) p."""
    for a, p in zip(averages, parameters, strict=True):
        a += a.dtype.type(1 - decay) * (p.ravel() - a)


def sum_of_squares(arrays: Arrays) -> float:
    """The sum of the squares of all elements, added up in float64."""
    return float(sum(np.sum(np.square(a, dtype=np.float64)) for a in arrays))
