"""Convolutions with a third or a quarter of the multiplications: Winograd's F(4 x 4, 3 x 3).

A tile of 4 x 4 pixels of the result needs 6 x 6 of the input. Transformed,

    y = A^T [(G w G^T) (B^T x B)] A        element by element within the brackets

takes 36 multiplications for a pair of channels instead of 144. Over all channels and tiles each of
the 36 points is a matrix product. The gradient of w, the same read backwards, is in
winograd_weights.py.

Strides are several convolutions without (see phases.py), which share the transforms on the side of
the whole image: their channels are put side by side, and points that a phase has not are left out.

Work is shared out in one of two ways. By tiles: each thread transforms the weights for itself,
which takes less time than to read what another core wrote, and then takes its tiles through all
three stages. By channels, where there are few tiles or many channels: each thread has its own
channels of the result, and transforms their weights piece by piece in its own cache, since writing
all of them down would take longer than the products.

The price is accuracy: the entries of B and A are up to 8, and results err by about 1e-5 of their
size instead of 1e-6.

Source: Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks".
"""

from __future__ import annotations

import functools
from typing import Any

import numba
import numpy as np
from numba import prange
from numpy.typing import NDArray

from .activation import ACTIVATE
from .jit import Loop
from .sandwich import INPUT, OUTPUT, POINTS, WEIGHT, of_kinds
from .shares import share
from .tile import PRODUCT, rectangle
from .winograd_blocks import (
    BATCH,
    CACHED,
    COLUMNS,
    CROWDED,
    DEPTH,
    MANY_WEIGHTS,
    MOST_TILES,
    Planes,
    grid_of,
    planes_of,
    shared_out,
    workspaces,
)
from .winograd_plan import Plan
from .winograd_tiles import transform_back, transform_tiles, transform_weights, with_point

Array = NDArray[Any]
TILES, LEAST_TILES = 64, 16  # by tiles: at a time if their transforms are CACHED, and fewer if not


@Loop
def _convolve(
    x: Array, w: Array, b: Array, y: Array, u: Array, v: Array, m: Array, kernel_width: int,
    phases: Array, read: Array, made: Array, points_read: Array, points_made: Array,
    before: tuple[int, int], read_step: tuple[int, int], made_step: tuple[int, int],
    grid: tuple[int, ...], shares: int, width: int, depth: int,
    weight: int, product: int, forward: tuple[int, ...], backward: tuple[int, ...], f: int,
    parameter: float,
) -> None:  # fmt: skip
    count, batch = len(x) * grid[0] * grid[1], v.shape[2]
    inputs, outputs = x.shape[3], y.shape[3]
    blocks, tile_shares = (count + batch - 1) // batch, len(v) // shares
    once = width == outputs and depth == inputs
    for part in prange(len(v)):
        transformed, seen, sums = u[part], v[part], m[part]
        of_channels, of_tiles = part // tile_shares, part % tile_shares
        start, stop = share(outputs, shares, of_channels)
        top, bottom = share(blocks, tile_shares, of_tiles)
        for block in range(top, bottom):
            first = block * batch
            here = min(batch, count - first)
            for k in range(0, inputs, depth):
                chunk = seen[:, :, len(read) * k :]
                last = min(k + depth, inputs)
                transform_tiles(
                    forward, x, before, k, last, read, read_step, chunk, first, here, grid
                )
            for left in range(start, stop, width):
                right = min(left + width, stop)
                run = right - left
                for k in range(0, inputs, depth):
                    last = min(k + depth, inputs)
                    if not once or block == top:
                        transform_weights(
                            weight, w, kernel_width, phases, k, last, left, right, transformed,
                            len(made) > 1,
                        )  # fmt: skip
                    for p in range(POINTS):
                        i, j = points_read[p, 0] * (last - k), points_read[p, 1] * (last - k)
                        o, q = points_made[p, 0] * run, points_made[p, 1] * run
                        low, high = with_point(p, here, grid)
                        if o < q:
                            rectangle(
                                product,
                                seen[p, low:high, len(read) * k + i : len(read) * k + j],
                                transformed[p, i:j, o:q], sums[p, low:high, o:q], k,
                            )  # fmt: skip
                        if k == 0:
                            sums[p, low:high, :o] = 0
                            sums[p, low:high, q : len(made) * run] = 0
                for k in range(len(made)):
                    transform_back(
                        backward, f, sums, y, b, left, right, made[k], made_step, k * run,
                        first, here, grid, parameter,
                    )  # fmt: skip


def convolve(
    x: Array, w: Array, kernel_width: int, y: Array, b: Array | None, plan: Plan, name: str,
    parameter: float,
) -> Array:  # fmt: skip
    """y = f(x * w + b), or f of the transposed convolution, by tiles.

    Args:
        w: (taps, channels of x, channels of y).
        y: to be filled.
        b: (channels of y,) or None.
    """
    inputs, outputs = w.shape[1:]
    dtype, threads = x.dtype, numba.get_num_threads()
    shared_out, planes, pieces = _forward(plan, len(x), inputs, outputs, threads, dtype)
    f = 0 if b is None and name == "identity" else ACTIVATE[name][dtype]
    bias = np.zeros(outputs, dtype) if b is None else np.ascontiguousarray(b, dtype)
    _convolve.shared(
        x, w, bias, y, *workspaces(planes), kernel_width, plan.phases, plan.read, plan.made,
        plan.points_read, plan.points_made, plan.before, plan.read_step, plan.made_step,
        *shared_out, *pieces, f, parameter,
    )  # fmt: skip
    return y


@functools.lru_cache(maxsize=256)
def _forward(
    plan: Plan, n: int, inputs: int, outputs: int, threads: int, dtype: np.dtype[Any]
) -> tuple[tuple[Any, ...], Planes, tuple[Any, ...]]:
    """How work is shared out (grid, shares, width, depth), the planes for it, and the pieces."""
    n_read, n_made = len(plan.read), len(plan.made)
    count = n * plan.tiles[0] * plan.tiles[1]
    shares, width, depth = 1, outputs, inputs
    if shared_out("forward", count, inputs * n_read, outputs * n_made) == "channels":
        shares = threads = min(threads, max(outputs // COLUMNS, 1))
        width, depth = min(COLUMNS, outputs), min(DEPTH, inputs)
        grid, batch = grid_of(plan, n, MOST_TILES, 1)
    else:
        grid, batch = grid_of(plan, n, _batch(inputs * n_read, outputs * n_made), threads)
    planes = planes_of(
        threads, dtype, (depth * n_read, width * n_made), (batch, inputs * n_read),
        (batch, width * n_made),
    )  # fmt: skip
    small = grid[:2] != grid[2:4]
    kinds = of_kinds(INPUT, dtype, small), of_kinds(OUTPUT, dtype, small)
    return (grid, shares, width, depth), planes, (WEIGHT[dtype], PRODUCT[dtype], *kinds)


def _batch(inputs: int, outputs: int) -> int:
    """How many tiles to take at a time, by tiles."""
    weights = POINTS * inputs * outputs
    if weights > MANY_WEIGHTS:
        return BATCH
    if weights > CROWDED:
        return TILES
    fit = CACHED // (POINTS * (inputs + outputs))
    return min(max(fit // 8 * 8, LEAST_TILES), TILES)
