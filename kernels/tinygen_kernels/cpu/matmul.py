"""Products of small and middling matrices, by tiles in registers, shared among the threads.

A product of 32 x 784 by 784 x 100 is too small for BLAS, which first copies its operands into
panels and gains little from a second core. Here nothing is copied that need not be.

BLAS has threads of its own. Where a product stands between two parallel kernels, those of Numba
still spin when BLAS starts, and each core is asked to do two things at once; what BLAS gains by
packing its operands is less than that costs, until the product takes much longer than the wait. So
only large products go to BLAS.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from .jit import Loop
from .memory import empty
from .shares import share
from .tile import PRODUCT, ROWS, WIDTH, rectangle

Array = NDArray[Any]
SMALL, LARGE = 1 << 12, 1 << 27  # multiply-adds; between them our own product is the faster one
WORTH, MOST = 1 << 19, 16  # multiply-adds that are worth a thread; the most shares
TALL = 256  # rows from which on it pays to copy a transposed right operand


@Loop
def _product(x: Array, turned: bool, y: Array, z: Array, count: int, product: int) -> None:
    """Z = X Y, or with the transpose of X, by shares of Z that are multiples of a tile."""
    rows, columns = z.shape
    unit, length = (ROWS, rows) if rows >= columns else (WIDTH, columns)
    for part in prange(count):
        first, last = share((length + unit - 1) // unit, count, part)
        start, stop = first * unit, min(last * unit, length)
        top, bottom = (start, stop) if rows >= columns else (0, rows)
        left, right = (0, columns) if rows >= columns else (start, stop)
        if turned:
            rectangle(product, x.T[top:bottom, :], y[:, left:right], z[top:bottom, left:right])
        else:
            rectangle(product, x[top:bottom, :], y[:, left:right], z[top:bottom, left:right])


def matmul(x: Array, y: Array) -> Array:
    """x y over the last two axes; the axes before them broadcast."""
    fit = x.ndim == y.ndim == 2 and x.shape[1] == len(y) and x.dtype == y.dtype
    work = x.size * y.shape[-1]
    if not fit or not SMALL < work < LARGE or x.dtype.char not in "fd":
        result: Array = np.matmul(x, y)
        return result
    by_columns = y.flags.f_contiguous and not y.flags.c_contiguous and len(x) < TALL
    if not by_columns:
        y = np.ascontiguousarray(y)
    turned = not by_columns and x.flags.f_contiguous and not x.flags.c_contiguous
    x = np.ascontiguousarray(x.T if turned else x)
    z = empty((x.shape[1] if turned else len(x), y.shape[1]), x.dtype)
    count = _shares(work, *z.shape)
    loop = _product.shared if count > 1 else _product.alone
    loop(x, turned, y, z, count, PRODUCT[x.dtype])
    return z


def _shares(work: int, rows: int, columns: int) -> int:
    """Into how many shares to cut the result: 1, 2, 4, 8 or 16."""
    tiles = max(rows // ROWS, columns // WIDTH)
    count = 1
    while count < MOST and work >= 2 * count * WORTH and tiles >= 2 * count:
        count *= 2
    return count
