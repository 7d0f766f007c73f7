"""Normalisation by channels on CUDA; the twin of reference/norm.py.

Three launches forward and three back: sums of shares, what follows from them for each channel, and
the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..reference.norm import Gradients
from .arrays import blocks, c_type, contiguous, empty, for_both_types, module_of
from .columns import BLOCK, PACKS, Columns, instances
from .launch import Source, launch
from .reduce import add_parts

Array = NDArray[Any]

SOURCE = Source(
    "norm.cu",
    (
        *instances("channel_moments", "channel_products", "channel_gradient"),
        *for_both_types("finish_moments", "finish_products"),
        *(f"channel_affine<float, {n}, {T}>" for n in PACKS["float"] for T in ("float", "double")),
        *(f"channel_affine<double, {n}, double>" for n in PACKS["double"]),
    ),
)
A_WARP_EACH = BLOCK // 32  # columns of a block that finishes sums


def channel_norm(
    x: Array, scale: Array, shift: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    """y = scale (x - mean) / sqrt(variance + epsilon) + shift;  (y, mean, variance)."""
    if not x.size:
        mean, variance = _zeros(x, 2)
        return empty(x.shape, x.dtype, x), mean, variance
    groups, rows, channels = x.shape
    x, scale = contiguous(x), contiguous(scale, x.dtype)
    plan = Columns.of(x.shape, x)
    part = plan.parts(2, x)
    launch(SOURCE[plan.instance("channel_moments", x)], plan.grid, BLOCK, (x, part, *plan.sizes))
    lines = empty((3, groups, channels), np.float64, x)
    sizes = (len(part), rows, channels, groups * channels, scale.size)
    launch(
        SOURCE[f"finish_moments<{c_type(x)}>"],
        blocks(groups * channels, A_WARP_EACH),
        BLOCK,
        (part, x, scale, lines, *map(np.int32, sizes), np.float64(epsilon)),
    )
    mean, variance, slope = lines
    return _affine(plan, x, mean, slope, shift), mean, variance


def channel_affine(x: Array, mean: Array, scale: Array, shift: Array) -> Array:
    """y = scale (x - mean) + shift."""
    if not x.size:
        return empty(x.shape, x.dtype, x)
    x = contiguous(x)
    return _affine(Columns.of(x.shape, x), x, mean, scale, shift)


def _affine(plan: Columns, x: Array, mean: Array, scale: Array, shift: Array) -> Array:
    """channel_affine; mean and scale are taken as float64 unless both have the type of x."""
    y = empty(x.shape, x.dtype, x)
    dtype = x.dtype if mean.dtype == scale.dtype == x.dtype else np.dtype(np.float64)
    mean, scale, shift = (
        contiguous(mean, dtype),
        contiguous(scale, dtype),
        contiguous(shift, x.dtype),
    )
    kernel = SOURCE[f"channel_affine<{c_type(x)}, {plan.pack}, {c_type(mean)}>"]
    sizes = map(np.int32, (mean.size, scale.size, shift.size))
    launch(kernel, plan.grid, BLOCK, (x, mean, scale, shift, y, *plan.sizes, *sizes))
    return y


def channel_sums(x: Array, gy: Array, mean: Array) -> tuple[Array, Array]:
    """The sums over rows of gy and of gy (x - mean), in float64: (groups, channels) each."""
    groups, _, channels = x.shape
    if not x.size:
        sums, products = _zeros(x, 2)
        return sums, products
    _, part = _products(contiguous(x), contiguous(gy, x.dtype), mean)
    total = add_parts(part.reshape(len(part), 2 * groups * channels), np.float64)
    sums, products = total.reshape(2, groups, channels)
    return sums, products


def _products(x: Array, gy: Array, mean: Array) -> tuple[Columns, Array]:
    """The sums of shares of the rows; mean may have one line for all groups."""
    groups, _, channels = x.shape
    if len(mean) != groups:
        mean = module_of(x).broadcast_to(mean, (groups, channels))
    plan = Columns.of(x.shape, x, gy)
    part = plan.parts(2, x)
    args = x, gy, contiguous(mean, np.dtype(np.float64)), part, *plan.sizes
    launch(SOURCE[plan.instance("channel_products", x)], plan.grid, BLOCK, args)
    return plan, part


def channel_norm_grad(
    x: Array,
    gy: Array,
    scale: Array,
    mean: Array,
    variance: Array,
    epsilon: float,
    needed: Sequence[Any],
) -> Gradients:
    """The gradients of x, scale and shift where `needed`; see the reference."""
    if not any(needed):
        return None, None, None
    gx = empty(x.shape, x.dtype, x) if needed[0] else None
    if x.size:
        groups, rows, channels = x.shape
        x, gy, scale = contiguous(x), contiguous(gy, x.dtype), contiguous(scale, x.dtype)
        plan, part = _products(x, gy, mean)
        lines = empty((5, groups, channels), np.float64, x)
        sizes = map(np.int32, (len(part), rows, groups * channels, scale.size))
        launch(
            SOURCE[f"finish_products<{c_type(x)}>"],
            blocks(groups * channels, A_WARP_EACH),
            BLOCK,
            (part, contiguous(variance), scale, lines, *sizes, np.float64(epsilon)),
        )
        if needed[0]:
            args = x, gy, contiguous(mean), lines, gx, *plan.sizes
            launch(SOURCE[plan.instance("channel_gradient", x)], plan.grid, BLOCK, args)
    else:
        lines = _zeros(x, 2)
    return gx, lines[1] if needed[1] else None, lines[0] if needed[2] else None


def _zeros(x: Array, lines: int) -> Array:
    """The sums of no rows: (lines, groups, channels)."""
    zeros: Array = module_of(x).zeros((lines, x.shape[0], x.shape[2]))
    return zeros
