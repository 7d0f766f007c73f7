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
from .shares import share
from .tile import PRODUCT, ROWS, rectangle

Array = NDArray[Any]

LARGE = 1 << 27  # multiply-adds from which on BLAS does it
ALONE, MOST = 1 << 19, 16  # multiply-adds that are worth a thread; the most shares


@Loop
def _product(x: Array, turned: bool, y: Array, z: Array, count: int, product: int) -> None:
    """Z = X Y, or with the transpose of X, with the rows of Z shared out."""
    tiles = (len(z) + ROWS - 1) // ROWS
    for part in prange(count):
        first, last = share(tiles, count, part)
        top, bottom = first * ROWS, min(last * ROWS, len(z))
        if turned:
            rectangle(product, x.T[top:bottom], y, z[top:bottom])
        else:
            rectangle(product, x[top:bottom], y, z[top:bottom])


def product(x: Array, y: Array) -> Array:
    """x y, of two matrices."""
    rows, columns = len(x), y.shape[1]
    work = x.size * columns
    if not 0 < work < LARGE or x.dtype != y.dtype or x.dtype.char not in "fd":
        return matmul(x, y)
    turned = x.flags.f_contiguous
    x = np.ascontiguousarray(x.T if turned else x)
    y = np.ascontiguousarray(y)  # a product by its columns takes a quarter longer, the copy little
    z = empty((rows, columns), x.dtype)
    count = _shares(work, rows)
    loop = _product.shared if count > 1 else _product.alone
    loop(x, turned, y, z, count, PRODUCT[x.dtype])
    return z


def _shares(work: int, rows: int) -> int:
    """Into how many shares to cut the rows: 1, 2, 4, 8 or 16."""
    count = 1 if work < 2 * ALONE or rows < 2 * ROWS else 2
    while 1 < count < MOST and rows >= 12 * ROWS * count:
        count *= 2
    return count
