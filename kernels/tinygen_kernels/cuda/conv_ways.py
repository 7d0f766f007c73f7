"""Which kernel serves which convolution on CUDA, how its work is cut, and why.

>>> from tinygen_kernels.geometry import Geometry
>>> print(explain(8, Geometry((4, 4), (3, 3), pads=((1, 1), (1, 1))), 512, 512))
forward: tile Medium 64 x 64, 16 blocks for 128 x 512 results, each in 17 shares of its 4608 depths
input:   tile Medium 64 x 64, 16 blocks for 128 x 512 results, each in 17 shares of its 4608 depths
weights: tile Medium 64 x 64, 576 blocks for 4608 x 512 results
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

from ..geometry import Geometry

TASKS = ("forward", "input", "weights")  # conv2d, conv2d_transpose, conv2d_weight_grad
PROCESSORS = 132  # of a large card; a smaller one has more blocks for each
FEW = 4  # channels that a group makes; up to here the tiles of products stay empty
PIXELS, THREADS = 4, 128  # of a thread and of a block of convolve_few
STEPS = 4  # of a lane of convolve_few, at least: adding lanes up costs about as much
# Fewer blocks of convolve_few than this, with such depths each, leave a card idle. Tiles, whose
# depth can be shared out, are faster then, however empty they are.
FEW_BLOCKS, DEEP = 32, 1024
LEAST_DEPTH = 128  # of a share: less is not worth a second launch
LEAST_PIXELS = 64  # of a share of weight_grad_few


class Tile(NamedTuple):
    """A tile of conv_simt.cu, by the name it has there."""

    name: str
    rows: int
    columns: int
    depth: int  # of a slice
    threads: int
    fours: bool  # only for groups with multiples of 4 channels on both sides
    rate: float  # multiply-adds in a given time, relative to Large; of a full tile


LARGE = Tile("Large", 128, 128, 8, 256, True, 1.0)
MEDIUM = Tile("Medium", 64, 64, 16, 128, False, 0.85)
TALL = Tile("Tall", 128, 32, 16, 128, False, 0.75)
WIDE = Tile("Wide", 32, 128, 16, 128, False, 0.75)
TILES = {
    "forward": (LARGE, MEDIUM, TALL),
    "input": (LARGE, MEDIUM, TALL),
    "weights": (LARGE, MEDIUM, TALL, WIDE),
}


class Way(NamedTuple):
    """A kernel and its grid, and why that one."""

    kernel: str  # "tiles" or "few"
    why: str
    blocks: int
    shares: int = 1  # into which the depth is cut; each adds up a result of its own
    tile: Tile = MEDIUM  # of "tiles"
    lanes: int = 1  # of convolve_few that share a result, a power of two,
    vector: int = 1  # and how many numbers each reads at a time


class Product(NamedTuple):
    """The product of matrices that a task is, for one group and one phase."""

    rows: int
    columns: int
    depth: int
    times: int  # how many there are: groups x phases


def product(task: str, n: int, geometry: Geometry, inputs: int, outputs: int) -> Product:
    """The largest of the phases' products for n images with so many channels in all."""
    reads, makes = inputs // geometry.groups, outputs // geometry.groups
    pixels = n * geometry.output_size[0] * geometry.output_size[1]
    if task == "forward":
        return Product(pixels, makes, geometry.taps * reads, geometry.groups)
    if task == "weights":
        return Product(geometry.taps * reads, makes, pixels, geometry.groups)
    rows, taps, phases = n, 1, 1  # see tg_conv.cuh
    for axis in (0, 1):
        size, stride = geometry.size[axis], geometry.stride[axis]
        every = stride // math.gcd(stride, geometry.dilation[axis])
        rows *= -(-size // stride)
        taps *= -(-geometry.kernel[axis] // every)
        phases *= min(stride, size)
    return Product(rows, reads, taps * makes, geometry.groups * phases)


@functools.lru_cache(maxsize=1024)
def way(
    task: str, n: int, geometry: Geometry, inputs: int, outputs: int, double: bool = False
) -> Way:
    """How to do one of TASKS for n images with so many channels on the convolution's sides."""
    of = product(task, n, geometry, inputs, outputs)
    if of.columns <= FEW:
        few = _few(task, of, geometry, outputs if task == "input" else inputs)
        if task == "weights" or few.blocks >= FEW_BLOCKS or of.depth < DEEP:
            return few
    tiles = (MEDIUM,) if double else TILES[task]
    fours = (inputs // geometry.groups) % 4 == 0 == (outputs // geometry.groups) % 4
    return min((_tiled(of, t) for t in tiles if fours or not t.fours), key=lambda pair: pair[0])[1]


def _tiled(of: Product, tile: Tile) -> tuple[float, Way]:
    """The product by this tile, and how long the busiest multiprocessor takes for it.

    Two blocks for each multiprocessor keep it busy; if there are fewer, the depth is shared out.
    """
    blocks = of.times * -(-of.rows // tile.rows) * -(-of.columns // tile.columns)
    shares = max(min(-(-2 * PROCESSORS // max(blocks, 1)), of.depth // LEAST_DEPTH), 1)
    slices = -(-of.depth // (tile.depth * shares))
    shares = max(-(-of.depth // (tile.depth * max(slices, 1))), 1)  # none is left without work
    rounds = -(-blocks * shares // PROCESSORS)
    time = rounds * tile.rows * tile.columns * slices * tile.depth / tile.rate
    why = (
        f"tile {tile.name} {tile.rows} x {tile.columns}, {blocks} blocks for "
        f"{of.rows} x {of.columns} results"
    )
    if of.times > 1:
        why += f" {of.times} times"
    if shares > 1:
        why += f", each in {shares} shares of its {of.depth} depths"
    return time, Way("tiles", why, blocks, shares, tile)


def _few(task: str, of: Product, geometry: Geometry, read: int) -> Way:
    channels = f"{of.columns} channel" + "s" * (of.columns != 1)
    made = f"only {channels} made" + " by each group" * (geometry.groups > 1)
    if task == "weights":
        blocks = -(-of.rows * geometry.groups // 32)
        shares = max(min(-(-8 * PROCESSORS // max(blocks, 1)), of.depth // LEAST_PIXELS), 1)
        return Way("few", f"{made}: a thread for each tap and input", blocks, shares)
    vector = 4 if read // geometry.groups % 4 == 0 else 1
    most = max(min(of.depth // (STEPS * vector), 32), 1)
    lanes = 1 << (most.bit_length() - 1)
    blocks = -(-(-(-of.rows // PIXELS) * geometry.groups) // (THREADS // lanes))
    blocks *= of.times // geometry.groups
    why = f"{made}: lanes along the {of.depth} depths, {lanes} for each result"
    return Way("few", why, blocks, lanes=lanes, vector=vector)


def explain(n: int, geometry: Geometry, inputs: int, outputs: int) -> str:
    """For each of the three tasks in float32 the kernel and the reason, as text."""
    ways = {task: way(task, n, geometry, inputs, outputs) for task in TASKS}
    return "\n".join(f"{task + ':':8} {w.why}" for task, w in ways.items())
