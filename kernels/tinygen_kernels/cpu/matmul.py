"""Products of small and middling matrices, by tiles in registers, shared among the threads.

A product of 32 x 784 by 784 x 100 is too small for BLAS, which first copies its operands into
panels and gains little from a second core. Here nothing is copied. Large products go to BLAS.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from .jit import Loop
from .memory import empty
from .shares import share
from .tile import PRODUCT, rectangle

Array = NDArray[Any]
SMALL, LARGE = 1 << 12, 1 << 24  # multiply-adds; between them our own product is the faster one
ALONE = 1 << 18  # multiply-adds that are worth a thread


@Loop
def _product(x: Array, y: Array, z: Array, count: int, product: int) -> None:
    rows, columns = z.shape
    for part in prange(count):
        if rows >= columns:
            start, stop = share(rows, count, part)
            rectangle(product, x[start:stop, :], y[:, :columns], z[start:stop, :columns])
        else:
            start, stop = share(columns, count, part)
            rectangle(product, x[:rows, :], y[:, start:stop], z[:rows, start:stop])


def matmul(x: Array, y: Array) -> Array:
    """x y over the last two axes; the axes before them broadcast."""
    fit = x.ndim == y.ndim == 2 and x.shape[1] == len(y) and x.dtype == y.dtype
    work = x.size * y.shape[-1]
    if not fit or not SMALL < work < LARGE or x.dtype.char not in "fd":
        result: Array = np.matmul(x, y)
        return result
    if not y.flags.c_contiguous:
        x = np.ascontiguousarray(x)
        if not y.flags.f_contiguous:
            y = np.ascontiguousarray(y)
    elif not x.flags.forc:
        x = np.ascontiguousarray(x)
    z = empty((len(x), y.shape[1]), x.dtype)
    count = min(max(work // ALONE, 1), max(z.shape) // 16 + 1, 16)
    loop = _product.shared if count > 1 else _product.alone
    loop(x, y, z, count, PRODUCT[x.dtype])
    return z
