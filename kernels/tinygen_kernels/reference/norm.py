"""Normalisation by channels, over the rows of a group.

A kernel sees x as (groups, rows, channels), so that one serves them all: batch norm has
a single group of all pixels of all samples, instance norm and AdaIN one group for each sample.
Scale and shift are (groups or 1, channels). Means and variances are float64, and the variance is
that of the population: it divides by the number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Gradients = tuple[Array | None, Array | None, Array | None]


def channel_norm(
    x: Array, scale: Array, shift: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    """y = scale (x - mean) / sqrt(variance + epsilon) + shift;  (y, mean, variance).

    Where there are no rows, mean and variance are 0.
    """
    rows = max(x.shape[1], 1)
    mean = x.sum(axis=1, dtype=np.float64) / rows
    variance = np.square(x - mean[:, None]).sum(axis=1) / rows
    return channel_affine(x, mean, scale / np.sqrt(variance + epsilon), shift), mean, variance


def channel_affine(x: Array, mean: Array, scale: Array, shift: Array) -> Array:
    """y = scale (x - mean) + shift."""
    y: Array = scale[:, None] * (x - mean[:, None]) + shift[:, None]
    return y.astype(x.dtype, copy=False)


def channel_sums(x: Array, gy: Array, mean: Array) -> tuple[Array, Array]:
    """The sums over rows of gy and of gy (x - mean), in float64: (groups, channels) each."""
    g = gy.astype(np.float64)
    return g.sum(axis=1), (g * (x - mean[:, None])).sum(axis=1)


def channel_norm_grad(
    x: Array,
    gy: Array,
    scale: Array,
    mean: Array,
    variance: Array,
    epsilon: float,
    needed: Sequence[Any],
) -> Gradients:
    """The gradients of x, scale and shift where `needed`; the last two for each group, in float64.

    With s the deviation and n = (x - mean) / s:
    gx = scale / s (gy - the mean of gy - n the mean of gy n),  gscale = sum gy n,  gshift = sum gy.
    """
    sums, products = channel_sums(x, gy, mean)
    inverse = 1 / np.sqrt(variance + epsilon)
    products *= inverse
    gx = None
    if needed[0]:
        n = (x - mean[:, None]) * inverse[:, None]
        rows = max(x.shape[1], 1)
        g = gy - (sums / rows)[:, None] - n * (products / rows)[:, None]
        gx = ((scale * inverse)[:, None] * g).astype(x.dtype, copy=False)
    return gx, products if needed[1] else None, sums if needed[2] else None
