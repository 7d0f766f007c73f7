"""How Winograd's tiles are shared out, how many are taken at a time, and in what workspace."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..lines import LINE, last_cache
from .memory import scratch
from .sandwich import POINTS
from .winograd_plan import Plan

Array = NDArray[Any]
# Of a workspace where it starts, its shape and its strides; the type, the bytes in all, and these.
Place: TypeAlias = tuple[int, tuple[int, ...], tuple[int, ...]]
Planes: TypeAlias = tuple[np.dtype[Any], int, list[Place]]
# By channels: for fewer tiles always, or for more transformed weights than caches hold; so many
# tiles at a time, and such a piece of the transformed weights.
FEW_TILES, LARGE, MOST_TILES = 64, 1 << 22, 256
COLUMNS, DEPTH = 48, 128
CACHED = 1 << 18  # elements: the second cache of a core
PIXELS = 64  # by points: up to so many transformed pixels for each transformed weight
MANY_WEIGHTS, BATCH = 1 << 21, 128  # of so many transformed weights, read each time: so many tiles
CROWDED = last_cache() // 16  # transformed weights: twice as many fill half of the last cache
MANY = 8  # images from which on smaller tiles are used


def shared_out(task: str, tiles: int, inputs: int, outputs: int) -> str:
    """What threads share out, "channels" of the result, "points" or "tiles"; see winograd.py.

    Args:
        inputs, outputs: channels, those of the phases side by side.
    """
    few = tiles <= FEW_TILES and outputs >= 2 * COLUMNS
    weights, size = task == "weights", inputs * outputs
    if few or (POINTS * size > LARGE and (tiles <= MOST_TILES or not weights)):
        return "channels"
    if weights and POINTS * size > CACHED and tiles * (inputs + outputs) <= PIXELS * size:
        return "points"
    return "tiles"


def grid_of(plan: Plan, images: int, most: int, shares: int) -> tuple[tuple[int, ...], int]:
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


def planes_of(count: int, dtype: np.dtype[Any], *sizes: tuple[int, int]) -> Planes:
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


def workspaces(planes: Planes) -> list[Array]:
    """The workspaces themselves, in one block of memory."""
    dtype, size, parts = planes
    block = scratch("workspaces", (size,), np.dtype(np.uint8))
    return [np.ndarray(shape, dtype, block, start, strides) for start, shape, strides in parts]
