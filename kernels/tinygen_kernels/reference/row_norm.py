"""Normalisation by rows, each over its own features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .norm import Gradients

Array = NDArray[Any]


def layer_norm(x: Array, scale: Array, shift: Array, epsilon: float) -> Array:
    """Each row of x, (rows, features), with mean 0 and variance 1, times scale, plus shift."""
    y: Array = _standard(x, epsilon)[0] * scale + shift
    return y.astype(x.dtype, copy=False)


def layer_norm_grad(
    x: Array, gy: Array, scale: Array, epsilon: float, needed: Sequence[Any]
) -> Gradients:
    """The gradients of x, scale and shift where `needed`; the last two in float64.

    With n the normalised rows, s their deviations and g = gy scale:
    gx = (g - the mean of g - n the mean of g n) / s,  gscale = sum gy n,  gshift = sum gy.
    """
    n, inverse = _standard(x, epsilon)
    g = gy.astype(np.float64) * scale
    gx = inverse * (g - _row_mean(g) - n * _row_mean(g * n))
    return (
        gx.astype(x.dtype, copy=False) if needed[0] else None,
        (gy * n).sum(axis=0) if needed[1] else None,
        gy.sum(axis=0, dtype=np.float64) if needed[2] else None,
    )


def pixel_norm(x: Array, epsilon: float) -> Array:
    """y = x / sqrt(the mean of x^2 over its row + epsilon), for x of (rows, features)."""
    y: Array = x / np.sqrt(_row_mean(np.square(x, dtype=np.float64)) + epsilon)
    return y.astype(x.dtype, copy=False)


def pixel_norm_grad(x: Array, gy: Array, epsilon: float) -> Array:
    """With s the divisor of pixel_norm:  gx = gy / s - x / s^3 times the mean of gy x."""
    inverse = 1 / np.sqrt(_row_mean(np.square(x, dtype=np.float64)) + epsilon)
    gx: Array = inverse * gy - x * inverse**3 * _row_mean(gy.astype(np.float64) * x)
    return gx.astype(x.dtype, copy=False)


def _standard(x: Array, epsilon: float) -> tuple[Array, Array]:
    """The rows with mean 0 and variance 1 (but for epsilon), and 1 / their deviations."""
    centred = x - _row_mean(x.astype(np.float64))
    inverse = 1 / np.sqrt(_row_mean(centred * centred) + epsilon)
    return centred * inverse, inverse


def _row_mean(x: Array) -> Array:
    """The mean over each row, as a column."""
    mean: Array = x.sum(axis=1, keepdims=True) / max(x.shape[1], 1)
    return mean
