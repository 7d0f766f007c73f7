"""Initial weights: functions of (shape, rng) that return float32 arrays of the CPU.

A kernel has its inputs on the axis before the last, its outputs on the last, and positions before
them; fan-in and fan-out count the connections of one output and of one input.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from ..backend import Array
from ..core import Parameter
from ..names import nearest
from ..ops.random import Random
from ..ranges import finite, not_negative
from .arguments import checked

Initializer: TypeAlias = Callable[[tuple[int, ...], Random], Array]


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """(fan-in, fan-out) of a kernel."""
    if len(shape) < 2:
        return shape[0] if shape else 1, shape[0] if shape else 1
    positions = math.prod(shape[:-2])
    return shape[-2] * positions, shape[-1] * positions


def _truncated_normal(shape: tuple[int, ...], std: float, rng: Random) -> Array:
    """Normal numbers redrawn until they are within two standard deviations, scaled to `std`."""
    x = rng.normal(shape)
    while (outside := np.abs(x) > 2).any():
        x = np.where(outside, rng.normal(shape), x)
    scaled: Array = x * np.float32(std / 0.87962566103423978)  # the deviation that is left
    return scaled


def zeros(shape: tuple[int, ...], rng: Random) -> Array:
    """All 0."""
    return rng.uniform(shape) * np.float32(0)


def ones(shape: tuple[int, ...], rng: Random) -> Array:
    """All 1."""
    return zeros(shape, rng) + np.float32(1)


def normal(std: float = 0.02, mean: float = 0.0) -> Initializer:
    """Gaussian with the given deviation, such as DCGAN's 0.02 (Radford et al. 2016)."""
    std, mean = not_negative("normal: std", std), finite("normal: mean", mean)
    return lambda shape, rng: rng.normal(shape, mean, std)


def glorot_uniform(shape: tuple[int, ...], rng: Random) -> Array:
    """Uniform in +-sqrt(6 / (fan-in + fan-out)) (Glorot & Bengio 2010); Keras's default."""
    limit = math.sqrt(6 / sum(_fans(shape)))
    return rng.uniform(shape, -limit, limit)


def glorot_normal(shape: tuple[int, ...], rng: Random) -> Array:
    """Truncated Gaussian of variance 2 / (fan-in + fan-out) (Glorot & Bengio 2010)."""
    return _truncated_normal(shape, math.sqrt(2 / sum(_fans(shape))), rng)


def he_uniform(shape: tuple[int, ...], rng: Random) -> Array:
    """Uniform in +-sqrt(6 / fan-in), for ReLU (He et al. 2015)."""
    limit = math.sqrt(6 / _fans(shape)[0])
    return rng.uniform(shape, -limit, limit)


def he_normal(shape: tuple[int, ...], rng: Random) -> Array:
    """Truncated Gaussian of variance 2 / fan-in, for ReLU (He et al. 2015)."""
    return _truncated_normal(shape, math.sqrt(2 / _fans(shape)[0]), rng)


def lecun_uniform(shape: tuple[int, ...], rng: Random) -> Array:
    """Uniform in +-sqrt(3 / fan-in) (LeCun et al. 1998)."""
    limit = math.sqrt(3 / _fans(shape)[0])
    return rng.uniform(shape, -limit, limit)


def lecun_normal(shape: tuple[int, ...], rng: Random) -> Array:
    """Truncated Gaussian of variance 1 / fan-in, for SELU (Klambauer et al. 2017)."""
    return _truncated_normal(shape, math.sqrt(1 / _fans(shape)[0]), rng)


def orthogonal(shape: tuple[int, ...], rng: Random) -> Array:
    """Orthonormal rows or columns, uniform over all such matrices (Saxe et al. 2014)."""
    rows, columns = math.prod(shape[:-1]), shape[-1]
    a = rng.normal((max(rows, columns), min(rows, columns)), dtype=np.float64)
    q, r = np.linalg.qr(a)
    q = q * np.sign(np.diagonal(r))
    matrix: Array = (q if rows >= columns else q.T).reshape(shape).astype(np.float32)
    return matrix


BY_NAME: dict[str, Initializer] = {
    f.__name__: f
    for f in (
        zeros,
        ones,
        glorot_uniform,
        glorot_normal,
        he_uniform,
        he_normal,
        lecun_uniform,
        lecun_normal,
        orthogonal,
    )
}


def get(initializer: str | Initializer) -> Initializer:
    """The initializer of that name; a function is passed through."""
    if callable(initializer):
        return initializer
    if initializer not in BY_NAME:
        raise ValueError(f"unknown initializer {initializer!r}{nearest(initializer, BY_NAME)}")
    return BY_NAME[initializer]


def draw(initializer: str | Initializer, shape: tuple[int, ...], rng: Random) -> Array:
    """Initial weights: modules are born on the CPU and in float32, whatever made the numbers."""
    drawn = np.asarray(get(initializer)(shape, rng.on("cpu")), np.float32)
    if drawn.shape != shape:
        raise ValueError(f"an initializer drew an array {drawn.shape} instead of {shape}")
    if not np.isfinite(drawn).all():
        raise ValueError("an initializer drew NaN or infinite numbers")
    return drawn


def parameter(
    layer: str,
    shape: tuple[int, ...],
    initializer: str | Initializer,
    rng: Random,
    argument: str = "initializer",
) -> Parameter:
    """Make a parameter with initial weights; errors name the layer and its argument."""
    return Parameter(checked(layer, argument, draw, initializer, shape, rng))
