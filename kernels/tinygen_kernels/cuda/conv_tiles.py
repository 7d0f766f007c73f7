"""How a convolution's matrix product is cut into tiles and parts for the tensor cores.

`plan(product)` is what the kernels use: the entry of conv_table.py for shapes like this one, or
else the cheapest of `candidates(product)` by the estimate of `cost`. A benchmark tries them all.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

from .conv_table import TABLE

DEPTH = 16  # of a stage, as in conv_mma.cuh
MULTIPROCESSORS = 132
MOST_PARTS = 1 << 26  # numbers in all parts of a split product together
SPLITS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)


class Tile(NamedTuple):
    """What a block and each of its warps make, and the stages of the ring; see conv_mma.cuh."""

    rows: int
    columns: int
    warp_rows: int
    warp_columns: int
    stages: int

    @property
    def type_name(self) -> str:
        """Its name in C++."""
        return f"Tile<{', '.join(map(str, self))}>"

    @property
    def threads(self) -> int:
        """Of a block."""
        return 32 * (self.rows // self.warp_rows) * (self.columns // self.warp_columns)

    @property
    def shared(self) -> int:
        """Bytes of shared memory: the ring, and a patch of 8 rows and their places for a warp."""
        ring = self.stages * (self.rows + self.columns) * DEPTH
        return 4 * (ring + self.threads // 32 * 8 * (self.warp_columns + 1))


TILES = {
    "128x128": Tile(128, 128, 64, 64, 4),
    "128x128/8": Tile(128, 128, 64, 32, 4),
    "128x64": Tile(128, 64, 64, 32, 4),
    "64x64": Tile(64, 64, 32, 32, 4),
    "128x32": Tile(128, 32, 32, 32, 4),
}


def tiles_for(precision: str) -> list[str]:
    """The tiles that there are kernels for.

    A large tile is best made by four warps, but in 3xtf32 these have too few registers: then by 8.
    """
    other = "128x128" if precision == "3xtf32" else "128x128/8"
    return [name for name in TILES if name != other]


class Product(NamedTuple):
    """A product (rows, depth) (depth, columns), `phases` times with other numbers."""

    kernel: str
    precision: str
    phases: int
    rows: int
    columns: int
    depth: int

    @property
    def shape_class(self) -> str:
        """Its key in the table: sizes rounded up to powers of two.

        >>> Product("conv_mma", "tf32", 1, 16 * 32 * 32, 512, 9 * 512).shape_class
        'conv_mma tf32 1 x 16384 x 512 x 8192'
        """
        sizes = (1 << max(n - 1, 0).bit_length() for n in (self.rows, self.columns, self.depth))
        return f"{self.kernel} {self.precision} {' x '.join(map(str, (self.phases, *sizes)))}"


class Plan(NamedTuple):
    """The name of a tile, and into how many parts the depth is cut."""

    tile: str
    splits: int


def candidates(product: Product) -> list[Plan]:
    """All plans that make sense: parts have four stages or more, and MOST_PARTS numbers in all."""
    size = product.phases * product.rows * product.columns
    deepest = max(_ceil(product.depth, DEPTH) // 4, 1)
    splits = [n for n in SPLITS if n == 1 or (n <= deepest and n * size <= MOST_PARTS)]
    return [Plan(tile, n) for tile in tiles_for(product.precision) for n in splits]


def cost(product: Product, plan: Plan) -> float:
    """An estimate of the time, in units of 16 multiply-adds of one multiprocessor (some 17 ps).

    A stage costs its multiply-adds, and its copies as much as 32 columns or rows more; a block has
    six stages of starting and ending; blocks are dealt out to the multiprocessors in turn, where
    one that is alone waits for its copies half as long again; parts are written, read again and
    added by one more launch.
    """
    tile = TILES[plan.tile]
    tiles = _ceil(product.rows, tile.rows) * _ceil(product.columns, tile.columns)
    turns = max(_ceil(product.phases * tiles * plan.splits, MULTIPROCESSORS), 1.5)
    stages = _ceil(_ceil(product.depth, DEPTH), plan.splits) + 6
    products = {"3xtf32": 3.0, "tf32": 1.0, "bf16": 0.5}[product.precision]
    stage = products * tile.rows * tile.columns + 32 * (tile.rows + tile.columns)
    size = product.phases * product.rows * product.columns
    adding = 200_000 + plan.splits * size / 8 if plan.splits > 1 else 0
    return turns * stages * stage + adding


def default(product: Product) -> Plan:
    """The candidate with the lowest estimate; the first of several."""
    return min(candidates(product), key=functools.partial(cost, product))


@functools.lru_cache(4096)
def plan(product: Product) -> Plan:
    """What to use: from the table, or by default."""
    entry = TABLE.get(product.shape_class)
    return default(product) if entry is None else Plan(*entry)


def _ceil(n: int, of: int) -> int:
    return -(-n // of)
