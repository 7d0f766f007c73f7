"""Products between other kernels, by tiles and on Numba's threads up to a larger size.

BLAS has threads of its own. Where a product stands between two parallel kernels, those of Numba
still spin when BLAS starts, and each core is asked to do two things at once; what BLAS gains by
packing its operands is less than that costs, until the product takes much longer than the wait.

Threads get rows of the result, in multiples of a tile: the strip of the right operand that a tile
reads stays in the cache for all rows of a share.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from .jit import Loop
from .matmul import matmul
from .memory import empty
from .pieces import call
from .shares import share
from .tile import PRODUCT, ROWS

Array = NDArray[Any]

LARGE = 1 << 27  # multiply-adds from which on BLAS does it
ALONE, MOST = 1 << 19, 16  # multiply-adds that are worth a thread; the most shares


@Loop
def _product(
    a: int, a_row: int, a_step: int, b: int, b_step: int, b_column: int, c: int, c_row: int,
    depth: int, rows: int, columns: int, size: int, count: int, product: int,
) -> None:  # fmt: skip
    """As the piece PRODUCT, with the rows shared out; a number has `size` bytes."""
    tiles = (rows + ROWS - 1) // ROWS
    for part in prange(count):
        first, last = share(tiles, count, part)
        top, bottom = first * ROWS, min(last * ROWS, rows)
        places = a + size * top * a_row, a_row, a_step, b, b_step, b_column
        call(
            product,
            (*places, c + size * top * c_row, c_row, depth, bottom - top, columns),
        )  # fmt: skip


def product(x: Array, y: Array) -> Array:
    """x y, of matrices that are C-ordered or transposes of such."""
    (rows, depth), columns = x.shape, y.shape[1]
    work = rows * depth * columns
    if not 0 < work < LARGE or x.dtype != y.dtype or x.dtype.char not in "fd":
        return matmul(x, y)
    if not y.flags.c_contiguous:
        x = np.ascontiguousarray(x)  # tiles multiply rows by columns, or anything by rows
    size, z = x.itemsize, empty((rows, columns), x.dtype)
    x_row, x_step, y_step, y_column = (s // size for s in (*x.strides, *y.strides))
    count = _shares(work, rows)
    loop = _product.shared if count > 1 else _product.alone
    loop(
        x.ctypes.data, x_row, x_step, y.ctypes.data, y_step, y_column, z.ctypes.data, columns,
        depth, rows, columns, size, count, PRODUCT[x.dtype],
    )  # fmt: skip
    return z


def _shares(work: int, rows: int) -> int:
    """Into how many shares to cut the rows: 1, 2, 4, 8 or 16."""
    count = 1 if work < 2 * ALONE or rows < 2 * ROWS else 2
    while 1 < count < MOST and rows >= 12 * ROWS * count:
        count *= 2
    return count
