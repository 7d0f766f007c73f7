"""How work by columns is cut into blocks; tg_columns.cuh says what a block does."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .arrays import blocks, c_type, empty, pack

Array = NDArray[Any]

PACKS = {"float": (1, 4), "double": (1, 2)}  # numbers that a thread takes at a time
BLOCK = 256  # threads
WIDEST = 32  # lanes: 512 bytes side by side
ROWS_OF_A_THREAD = 8  # at least, if there are so many
BLOCKS = 132 * 4  # give every multiprocessor of a large card 1024 threads with 16 bytes each


class Columns(NamedTuple):
    """The grid for x of (groups, rows, columns); none of them is 0.

    A thread has `pack` columns, a line of threads `width` times as many, and each group is cut
    into `shares` of its rows.
    """

    shape: tuple[int, int, int]
    pack: int
    width: int
    grid: tuple[int, int]

    @classmethod
    def of(cls, shape: tuple[int, int, int], *arrays: Array) -> Columns:
        """For such arrays, which all lie by rows."""
        groups, rows, columns = shape
        n = pack(columns, *arrays)
        width = min(power_of_two(columns // n), WIDEST)
        across = groups * blocks(columns, n * width)
        shares = min(
            blocks(BLOCKS, across), blocks(rows, BLOCK // width * ROWS_OF_A_THREAD), 65_535
        )
        return cls(shape, n, width, (across, shares))

    @property
    def sizes(self) -> tuple[np.int32, np.int32, np.int32]:
        """(rows, columns, width), for the kernel."""
        return np.int32(self.shape[1]), np.int32(self.shape[2]), np.int32(self.width)

    def parts(self, sums: int, like: Array) -> Array:
        """Room for the sums of each share: (shares, sums, groups, columns)."""
        groups, _, columns = self.shape
        return empty((self.grid[1], sums, groups, columns), np.float64, like)

    def instance(self, kernel: str, x: Array) -> str:
        """The name of the kernel for this pack of the elements of x."""
        return f"{kernel}<{c_type(x)}, {self.pack}>"


def power_of_two(n: int) -> int:
    """The smallest that is not below n."""
    return 1 << max(n - 1, 0).bit_length()


def instances(*kernels: str) -> tuple[str, ...]:
    """The names of kernels for every pack of either type."""
    return tuple(
        f"{name}<{T}, {n}>" for name in kernels for T, packs in PACKS.items() for n in packs
    )
