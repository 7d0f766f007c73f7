"""Convolutions with a third or a quarter of the multiplications: Winograd's F(4 x 4, 3 x 3).

A tile of 4 x 4 pixels of the result needs 6 x 6 of the input. Transformed,

    y = A^T [(G w G^T) (B^T x B)] A        element by element within the brackets

takes 36 multiplications for a pair of channels instead of 144. Over all channels and tiles each of
the 36 points is a matrix product. The gradient of w is the same read backwards:

    gw = G^T [(B^T x B) (A gy A^T)] G      summed over the tiles

Strides are several convolutions without (see phases.py), which share the transforms on the side of
the whole image: their channels are put side by side, and points that a phase has not are left out.

Work is shared out in one of two ways. By tiles: each thread transforms the weights for itself,
which takes less time than to read what another core wrote, and then takes its tiles through all
three stages. By columns, where there are few tiles or many channels: each thread has its own
channels of the result, and transforms their weights piece by piece in its own cache, since writing
all of them down would take longer than the products.

The price is accuracy: the entries of B and A are up to 8, and results err by about 1e-5 of their
size instead of 1e-6.

Source: Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks".
"""

from __future__ import annotations

import functools
from typing import Any, TypeAlias

import numba
import numpy as np
from numba import prange
from numpy.typing import NDArray

from ..lines import LINE
from .activation import ACTIVATE
from .jit import Loop
from .memory import empty
from .reduce import add
from .sandwich import INPUT, OUTPUT, OUTPUT_GRAD, POINTS, WEIGHT, WEIGHT_GRAD, of_kinds
from .shares import share
from .tile import PRODUCT, rectangle
from .winograd_plan import Plan
from .winograd_tiles import (
    transform_back,
    transform_tiles,
    transform_weights,
    transform_weights_back,
    with_point,
)

Array = NDArray[Any]
# Of a workspace where it starts, its shape and its strides; the type, the bytes in all, and these.
Place: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...]]
Planes: TypeAlias = tuple[np.dtype[Any], int, list[Place]]
TILES, LEAST_TILES = 64, 16  # by tiles: at a time, if their transforms fit into CACHED elements,
CACHED = 1 << 18  # and fewer if not: the second cache of a core
MANY_WEIGHTS, BATCH = 1 << 21, 128  # of so many transformed weights, read each time: so many
COLUMNS, DEPTH = 48, 128  # by columns: of the transformed weights that a thread makes at a time
FEW_TILES, MOST_TILES = 64, 256  # by columns: for fewer tiles always; at a time
SUMMED = 8  # rows of the weights' gradient at a time
MANY = 8  # images from which on smaller tiles are used
LARGE = 1 << 22  # transformed weights that no cache of a core holds, nor its share of the next


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
        x, w, bias, y, *_made(planes), kernel_width, plan.phases, plan.read, plan.made,
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
    if by_columns(count, inputs * n_read, outputs * n_made):
        shares = threads = min(threads, max(outputs // COLUMNS, 1))
        width, depth = min(COLUMNS, outputs), min(DEPTH, inputs)
        grid, batch = _grid(plan, n, MOST_TILES, 1)
    else:
        grid, batch = _grid(plan, n, _batch(inputs * n_read, outputs * n_made), threads)
    planes = _planes(
        threads, dtype, (depth * n_read, width * n_made), (batch, inputs * n_read),
        (batch, width * n_made),
    )  # fmt: skip
    small = grid[:2] != grid[2:4]
    kinds = of_kinds(INPUT, dtype, small), of_kinds(OUTPUT, dtype, small)
    return (grid, shares, width, depth), planes, (WEIGHT[dtype], PRODUCT[dtype], *kinds)


@Loop
def _correlate(
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
                left, right = points[p, 0] * inputs, points[p, 1] * inputs
                low, high = with_point(p, here, grid)
                if left < right:
                    rectangle(
                        product, seen[p, low:high, left:right].T, made[p, low:high, :],
                        total[p, left:right, :], block - start,
                    )  # fmt: skip


@Loop
def _transform_sums(
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
def _correlate_columns(
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
            transform_tiles(backward, gy, (0, 0), left, right, whole, (1, 1), made, 0, count, grid)
            for k in range(0, inputs, depth):
                last = min(k + depth, inputs)
                chunk = seen[:, :, len(phases) * k :]
                if left == start:
                    transform_tiles(
                        forward, x, before, k, last, phases, step, chunk, 0, count, grid
                    )
                for p in range(POINTS):
                    i, j = points[p, 0] * (last - k), points[p, 1] * (last - k)
                    low, high = with_point(p, count, grid)
                    if i < j:
                        rectangle(
                            product, chunk[p, low:high, i:j].T, made[p, low:high, : right - left],
                            total[p, i:j, : right - left],
                        )  # fmt: skip
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
    columns, grid, planes, pieces = _backward(plan, len(gy), inputs, outputs, threads, dtype)
    tables = plan.read, plan.made, plan.points_read, plan.before, plan.read_step, grid
    v, g, sums = _made(planes)
    if columns:
        _correlate_columns.shared(
            x, gy, gw, kernel_width, v, g, sums, *tables, *pieces, WEIGHT_GRAD[dtype]
        )
        return gw
    _correlate.shared(x, gy, v, g, sums, *tables, *pieces)
    _transform_sums.over(gw.size)(
        sums, sums.reshape(len(sums), POINTS, -1), gw, kernel_width, plan.read, plan.points_read,
        WEIGHT_GRAD[dtype],
    )  # fmt: skip
    return gw


@functools.lru_cache(maxsize=256)
def _backward(
    plan: Plan, n: int, inputs: int, outputs: int, threads: int, dtype: np.dtype[Any]
) -> tuple[bool, tuple[int, ...], Planes, tuple[Any, ...]]:
    """Whether to go by columns, the grid, the planes and the pieces for the weights' gradient."""
    phases, count = len(plan.read), n * plan.tiles[0] * plan.tiles[1]
    wide = inputs * phases
    columns = count <= MOST_TILES and by_columns(count, wide, outputs)
    # Not as many as threads: the bits depend on it.
    shares = 4 if wide * outputs <= 1 << 13 and count >= 4 * TILES else 2
    most = BATCH if POINTS * wide * outputs > MANY_WEIGHTS else TILES
    grid, batch = _grid(plan, n, *((MOST_TILES, 1) if columns else (most, shares)))
    if columns:
        threads = min(threads, max(outputs // COLUMNS, 1))
        width, depth = min(COLUMNS, outputs), min(DEPTH, inputs) * phases
        planes = _planes(threads, dtype, (batch, wide), (batch, width), (depth, width))
    else:
        shares = min(shares, -(-count // batch))
        planes = _planes(shares, dtype, (batch, wide), (batch, outputs), (wide, outputs))
    small = grid[:2] != grid[2:4]
    kinds = of_kinds(INPUT, dtype, small), of_kinds(OUTPUT_GRAD, dtype, small)
    return columns, grid, planes, (PRODUCT[dtype], *kinds)


def by_columns(tiles: int, inputs: int, outputs: int) -> bool:
    """Whether threads share out the channels of the result, not the tiles."""
    few = tiles <= FEW_TILES and outputs >= 2 * COLUMNS
    return few or POINTS * inputs * outputs > LARGE


def _batch(inputs: int, outputs: int) -> int:
    """How many tiles to take at a time, by tiles."""
    if POINTS * inputs * outputs > MANY_WEIGHTS:
        return BATCH
    fit = CACHED // (POINTS * (inputs + outputs))
    return min(max(fit // 8 * 8, LEAST_TILES), TILES)


def _grid(plan: Plan, images: int, most: int, shares: int) -> tuple[tuple[int, ...], int]:
    """How images are covered, see winograd_tiles.py, and how many tiles to take at a time.

    Smaller tiles are used where several images go into that number, and there are enough of them,
    whatever the threads, to share out.
    """
    per_image = plan.tiles[0] * plan.tiles[1]
    if plan.large == plan.tiles or 2 * per_image > most or images < MANY:
        eights = -(-images * per_image // 8)
        return (*plan.tiles, *plan.tiles, 1), 8 * _evenly(eights, most // 8, shares)
    group = _evenly(images, most // per_image, shares)
    return (*plan.tiles, *plan.large, group), group * per_image


def _evenly(count: int, most: int, shares: int) -> int:
    """The size of blocks of `count` things with which the largest share has the fewest of them.

    At most `most`, and more than half of it where there are enough things.
    """
    most = max(min(most, -(-count // shares)), 1)

    def largest_share(size: int) -> int:
        blocks = -(-count // size)
        return -(-blocks // shares) * size

    return min(range(most, most // 2, -1), key=largest_share)


def _planes(count: int, dtype: np.dtype[Any], *sizes: tuple[int, int]) -> Planes:
    """Workspaces (count, POINTS, rows, columns), whose planes do not share sets of the caches.

    A transform writes to the same place of all planes. A power of two apart, these would push each
    other out of the caches; an odd number of cache lines apart, they lie side by side.
    """
    start = 0
    planes: list[Place] = []
    for rows, columns in sizes:
        plane = (-(-rows * columns * dtype.itemsize // LINE) | 1) * LINE
        strides = POINTS * plane, plane, columns * dtype.itemsize, dtype.itemsize
        planes.append((start, (count, POINTS, rows, columns), strides))
        start += count * POINTS * plane
    return dtype, start, planes


def _made(planes: Planes) -> list[Array]:
    """The workspaces themselves, in one block of memory."""
    dtype, size, parts = planes
    block = empty((size,), np.dtype(np.uint8))
    return [np.ndarray(shape, dtype, block, start, strides) for start, shape, strides in parts]
