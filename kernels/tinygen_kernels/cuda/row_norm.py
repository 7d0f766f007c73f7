"""Normalisation by rows on CUDA; the twin of reference/row_norm.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..reference.norm import Gradients
from .arrays import blocks, c_type, contiguous, empty, module_of, pack
from .columns import BLOCK, Columns, instances, power_of_two
from .launch import Source, launch
from .reduce import add_parts

Array = NDArray[Any]

PACKS_OF_A_LANE = 4
SHORT = PACKS_OF_A_LANE * 32  # packs that a warp takes; a longer row has a block to itself
LONG = 2 * PACKS_OF_A_LANE * BLOCK  # packs from which on the block is the largest
LONGEST = 1024  # threads of it

SOURCE = Source(
    "row_norm.cu",
    instances("layer_norm", "layer_norm_grad", "layer_norm_sums", "pixel_norm", "pixel_norm_grad"),
)


def _each_row(kernel: str, arrays: Sequence[Array], args: Sequence[Any], epsilon: float) -> None:
    """A launch whose threads share the rows of the first of `arrays`; `args` begin the kernel's."""
    rows, columns = arrays[0].shape
    n = pack(columns, *arrays)
    packs = columns // n
    if packs <= SHORT:  # some packs for each lane, but 32 bytes side by side if there are so many
        lanes = min(max(power_of_two(blocks(packs, PACKS_OF_A_LANE)), 2), power_of_two(packs))
    else:
        lanes = BLOCK if packs <= LONG else LONGEST
    threads = max(lanes, BLOCK)
    sizes = map(np.int32, (rows, columns, lanes))
    launch(
        SOURCE[f"{kernel}<{c_type(arrays[0])}, {n}>"],
        blocks(rows, threads // lanes),
        threads,
        (*args, *sizes, np.float64(1 / columns), np.float64(epsilon)),
    )


def layer_norm(x: Array, scale: Array, shift: Array, epsilon: float) -> Array:
    """Each row of x, (rows, features), with mean 0 and variance 1, times scale, plus shift."""
    y = empty(x.shape, x.dtype, x)
    if x.size:
        arrays = [contiguous(a, x.dtype) for a in (x, scale, shift)]
        _each_row("layer_norm", arrays, (*arrays, y), epsilon)
    return y


def layer_norm_grad(
    x: Array, gy: Array, scale: Array, epsilon: float, needed: Sequence[Any]
) -> Gradients:
    """The gradients of x, scale and shift where `needed`; the last two in float64."""
    if not any(needed):
        return None, None, None
    gx = empty(x.shape, x.dtype, x) if needed[0] else None
    rows, columns = x.shape
    sums: Any = None, None
    if x.size:
        x, gy, scale = (contiguous(a, x.dtype) for a in (x, gy, scale))
        moments = empty((2, rows), np.float64, x)
        _each_row("layer_norm_grad", (x, gy, scale), (x, gy, scale, gx, moments), epsilon)
    if needed[1] or needed[2]:
        sums = _weight_grads(x, gy, moments) if x.size else module_of(x).zeros((2, columns))
    return gx, sums[0] if needed[1] else None, sums[1] if needed[2] else None


def _weight_grads(x: Array, gy: Array, moments: Array) -> Array:
    """The gradients of scale and shift, from the mean and 1 / deviation of each row."""
    plan = Columns.of((1, *x.shape), x, gy)
    part = plan.parts(2, x)
    args = x, gy, moments, part, *plan.sizes
    launch(SOURCE[plan.instance("layer_norm_sums", x)], plan.grid, BLOCK, args)
    columns = x.shape[1]
    return add_parts(part.reshape(len(part), 2 * columns), np.float64).reshape(2, columns)


def pixel_norm(x: Array, epsilon: float) -> Array:
    """y = x / sqrt(the mean of x^2 over its row + epsilon), for x of (rows, features)."""
    y = empty(x.shape, x.dtype, x)
    if x.size:
        x = contiguous(x)
        _each_row("pixel_norm", (x,), (x, y), epsilon)
    return y


def pixel_norm_grad(x: Array, gy: Array, epsilon: float) -> Array:
    """The gradient of x; see the reference."""
    gx = empty(x.shape, x.dtype, x)
    if x.size:
        x, gy = contiguous(x), contiguous(gy, x.dtype)
        _each_row("pixel_norm_grad", (x, gy), (x, gy, gx), epsilon)
    return gx
