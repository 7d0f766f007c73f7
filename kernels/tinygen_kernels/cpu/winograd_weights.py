"""The gradient of a kernel by Winograd's transforms, the convolution of winograd.py read backwards.

    gw = G^T [(B^T x B) (A gy A^T)] G      summed over the tiles

Each of the 36 points is a product of two matrices: a row for each tile, a column for each channel.
Work is shared out in one of three ways. By tiles: each thread adds up the products of its own, and
the sums are added at the end. By points, where these sums are larger than a core's cache, and tiles
not too many: threads transform tiles, then each multiplies the matrices of its points, waiting for
each other in between. By channels of the result, where there are few tiles or many channels.

Source: Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks".
"""

from __future__ import annotations

import functools
from typing import Any

import numba
import numpy as np
from numba import prange
from numba.extending import register_jitable
from numpy.typing import NDArray

from .jit import Loop
from .reduce import add
from .sandwich import INPUT, OUTPUT_GRAD, POINTS, WEIGHT_GRAD, of_kinds
from .shares import share
from .tile import PRODUCT, rectangle
from .winograd_blocks import (
    BATCH,
    CACHED,
    COLUMNS,
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
from .winograd_tiles import transform_tiles, transform_weights_back, with_point

Array = NDArray[Any]
TILES = 64  # by tiles: at a time
SHARES = 4  # by tiles: of all tiles; not as many as threads, since the bits depend on it
LEAST_TILES = 32  # by points: at a time, more if the transforms of two threads are CACHED
TRANSFORMED = 16  # by points: tiles that a thread transforms at a time
SUMMED = 8  # rows of the gradient at a time


@register_jitable
def _multiply(product, p, points, channels, seen, made, total, count, grid, add):  # type: ignore[no-untyped-def] # fmt: skip
    """total[p] = the sum over `count` tiles of point p of x times that of gy; += if `add`."""
    left, right = points[p, 0] * channels, points[p, 1] * channels
    low, high = with_point(p, count, grid)
    if left < right:
        rectangle(
            product, seen[p, low:high, left:right].T, made[p, low:high, :],
            total[p, left:right, :], add,
        )  # fmt: skip


@Loop
def _by_tiles(
    x: Array, gy: Array, v: Array, g: Array, parts: Array, phases: Array, whole: Array,
    points: Array, before: tuple[int, int], step: tuple[int, int], grid: tuple[int, ...],
    product: int, forward: tuple[int, ...], backward: tuple[int, ...],
) -> None:  # fmt: skip
    count, batch = len(x) * grid[0] * grid[1], v.shape[2]
    inputs, outputs = x.shape[3], gy.shape[3]
    blocks = (count + batch - 1) // batch
    for part in prange(len(parts)):
        seen, made, total = v[part], g[part], parts[part]
        start, stop = share(blocks, len(parts), part)
        for block in range(start, stop):
            first = block * batch
            here = min(batch, count - first)
            transform_tiles(forward, x, before, 0, inputs, phases, step, seen, first, here, grid)
            transform_tiles(
                backward, gy, (0, 0), 0, outputs, whole, (1, 1), made, first, here, grid
            )
            for p in range(POINTS):
                added = block - start
                _multiply(product, p, points, inputs, seen, made, total, here, grid, added)


@Loop
def _by_points(
    x: Array, gy: Array, v: Array, g: Array, sums: Array, phases: Array, whole: Array,
    points: Array, before: tuple[int, int], step: tuple[int, int], grid: tuple[int, ...],
    product: int, forward: tuple[int, ...], backward: tuple[int, ...],
) -> None:  # fmt: skip
    count, batch = len(x) * grid[0] * grid[1], v.shape[2]
    inputs, outputs = x.shape[3], gy.shape[3]
    seen, made, total = v[0], g[0], sums[0]
    for first in range(0, count, batch):
        here = min(batch, count - first)
        for job in prange((here + TRANSFORMED - 1) // TRANSFORMED):
            t = job * TRANSFORMED
            n = min(TRANSFORMED, here - t)
            transform_tiles(
                forward, x, before, 0, inputs, phases, step, seen[:, t:], first + t, n, grid
            )
            transform_tiles(
                backward, gy, (0, 0), 0, outputs, whole, (1, 1), made[:, t:], first + t, n, grid
            )
        for p in prange(POINTS):
            _multiply(product, p, points, inputs, seen, made, total, here, grid, first)


@Loop
def _add_up(
    parts: Array, flat: Array, gw: Array, kernel_width: int, phases: Array, points: Array,
    weight_grad: int,
) -> None:  # fmt: skip
    inputs, outputs = gw.shape[1:]
    blocks = (inputs + SUMMED - 1) // SUMMED
    for job in prange(len(phases) * blocks):
        k, block = divmod(np.int64(job), blocks)
        top, bottom = block * SUMMED, min((block + 1) * SUMMED, inputs)
        first, last = (k * inputs + top) * outputs, (k * inputs + bottom) * outputs
        for p in range(POINTS):
            if points[p, 0] <= k < points[p, 1]:
                for part in range(1, len(parts)):
                    add(flat[0, p, first:last], flat[part, p, first:last])
        transform_weights_back(
            weight_grad, parts[0], k * inputs + top, gw, kernel_width, phases[k], top, bottom, 0,
            outputs,
        )  # fmt: skip


@Loop
def _by_channels(
    x: Array, gy: Array, gw: Array, kernel_width: int, v: Array, g: Array, sums: Array,
    phases: Array, whole: Array, points: Array, before: tuple[int, int], step: tuple[int, int],
    grid: tuple[int, ...], product: int, forward: tuple[int, ...], backward: tuple[int, ...],
    weight_grad: int,
) -> None:  # fmt: skip
    count, inputs, outputs = len(x) * grid[0] * grid[1], x.shape[3], gy.shape[3]
    width, depth = g.shape[3], sums.shape[2] // len(phases)
    for part in prange(len(v)):
        seen, made, total = v[part], g[part], sums[part]
        start, stop = share(outputs, len(v), part)
        for left in range(start, stop, width):
            right = min(left + width, stop)
            here, sums_here = made[:, :, : right - left], total[:, :, : right - left]
            transform_tiles(backward, gy, (0, 0), left, right, whole, (1, 1), made, 0, count, grid)
            for k in range(0, inputs, depth):
                last = min(k + depth, inputs)
                chunk = seen[:, :, len(phases) * k :]
                if left == start:
                    transform_tiles(
                        forward, x, before, k, last, phases, step, chunk, 0, count, grid
                    )
                for p in range(POINTS):
                    _multiply(product, p, points, last - k, chunk, here, sums_here, count, grid, 0)
                for q in range(len(phases)):
                    skip = q * (last - k)
                    transform_weights_back(
                        weight_grad, total, skip, gw, kernel_width, phases[q], k, last, left, right
                    )


def weight_grad(x: Array, gy: Array, gw: Array, kernel_width: int, plan: Plan) -> Array:
    """The gradient of the kernel, (taps, i, o), by tiles.

    Args:
        gw: to be filled.
    """
    inputs, outputs, dtype = x.shape[3], gy.shape[3], x.dtype
    threads = numba.get_num_threads()
    shared, grid, planes, pieces = _backward(plan, len(gy), inputs, outputs, threads, dtype)
    tables = plan.read, plan.made, plan.points_read, plan.before, plan.read_step, grid
    v, g, sums = workspaces(planes)
    back = WEIGHT_GRAD[dtype]
    if shared == "channels":
        _by_channels.shared(x, gy, gw, kernel_width, v, g, sums, *tables, *pieces, back)
        return gw
    by = _by_points if shared == "points" else _by_tiles
    by.shared(x, gy, v, g, sums, *tables, *pieces)
    flat = sums.reshape(len(sums), POINTS, -1)
    _add_up.over(sums.size)(sums, flat, gw, kernel_width, plan.read, plan.points_read, back)
    return gw


@functools.lru_cache(maxsize=256)
def _backward(
    plan: Plan, n: int, inputs: int, outputs: int, threads: int, dtype: np.dtype[Any]
) -> tuple[str, tuple[int, ...], Planes, tuple[Any, ...]]:
    """What is shared out, the grid, the planes and the pieces for the weights' gradient."""
    phases, count = len(plan.read), n * plan.tiles[0] * plan.tiles[1]
    wide = inputs * phases
    shared = shared_out("weights", count, wide, outputs)
    if shared == "channels":
        grid, batch = grid_of(plan, n, MOST_TILES, 1)
        threads = min(threads, max(outputs // COLUMNS, 1))
        width, depth = min(COLUMNS, outputs), min(DEPTH, inputs) * phases
        planes = planes_of(threads, dtype, (batch, wide), (batch, width), (depth, width))
    else:
        parts, most = (SHARES if count >= SHARES * TILES else 2), TILES
        if shared == "points":
            parts, most = 1, max(2 * CACHED // (POINTS * (wide + outputs)), LEAST_TILES)
            most = BATCH if POINTS * wide * outputs > MANY_WEIGHTS else most
        grid, batch = grid_of(plan, n, most, parts)
        parts = min(parts, -(-count // batch))
        planes = planes_of(parts, dtype, (batch, wide), (batch, outputs), (wide, outputs))
    small = grid[:2] != grid[2:4]
    kinds = of_kinds(INPUT, dtype, small), of_kinds(OUTPUT_GRAD, dtype, small)
    return shared, grid, planes, (PRODUCT[dtype], *kinds)
