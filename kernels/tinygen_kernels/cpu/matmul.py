"""Products of small and middling matrices, by tiles in registers, shared among the threads.

A product of 32 x 784 by 784 x 100 is too small for BLAS, which first copies its operands into
panels and gains little from a second core. Here nothing is copied: A may have any strides, rows of
B have to be contiguous, and each thread takes whole tiles, so the bits of a result do not depend
on how many threads there are. Large products go to BLAS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from .activation import activation_grad, bias_activate
from .jit import Loop, jit
from .memory import empty
from .tile import ROWS, VECTOR_BYTES, VECTORS, tile

Array = NDArray[Any]
SMALL, LARGE = 1 << 12, 1 << 24  # multiply-adds; between them our own product is the faster one
ALONE = 1 << 18  # multiply-adds; up to here a second thread costs more than it saves


@Loop
def _product(a: Array, b: Array, c: Array, by_rows: bool) -> None:
    size = c.itemsize
    width = VECTOR_BYTES // size * VECTORS
    m, depth = a.shape
    n = b.shape[1]
    row_stride, k_stride = a.strides[0] // size, a.strides[1] // size
    b_stride, c_stride = b.strides[0] // size, c.strides[0] // size
    a_start, b_start, c_start = a.ctypes.data, b.ctypes.data, c.ctypes.data
    row_blocks, column_blocks = (m + ROWS - 1) // ROWS, (n + width - 1) // width
    for block in prange(row_blocks * column_blocks):
        if by_rows:
            i, j = block // column_blocks * ROWS, block % column_blocks * width
        else:
            i, j = block % row_blocks * ROWS, block // row_blocks * width
        stop = min(i + ROWS, m)
        while i < stop:
            i += tile(
                c,
                a_start + size * i * row_stride,
                row_stride,
                k_stride,
                b_start + size * j,
                b_stride,
                c_start + size * (i * c_stride + j),
                c_stride,
                depth,
                stop - i,
                min(width, n - j),
            )


def _shared(multiply_adds: int) -> Callable[..., Any]:
    """The loop for a product of this size: all threads, or only this one."""
    loop: Callable[..., Any] = _product.shared if multiply_adds > ALONE else _product.alone
    return loop


def matmul(x: Array, y: Array, by_rows: bool = False) -> Array:
    """x y over the last two axes; the axes before them broadcast.

    Each thread computes a share of the rows of the result if `by_rows`, else of the columns.
    """
    if x.ndim != 2 or y.ndim != 2 or x.dtype != y.dtype or x.dtype.char not in "fd":
        return _by_blas(x, y)
    m, depth = x.shape
    n = y.shape[1]
    if depth != len(y) or not SMALL < m * depth * n < LARGE:
        return _by_blas(x, y)
    if y.strides[1] == y.itemsize:
        z = empty((m, n), x.dtype)
        _shared(m * depth * n)(x, y, z, by_rows)
        return z
    # the rows of y are not contiguous, so compute (y^T x^T)^T, for which x has to be turned
    turned = empty((depth, m), x.dtype)
    turned[...] = x.T
    z = empty((n, m), x.dtype)
    _shared(m * depth * n)(y.T, turned, z, True)
    return np.ascontiguousarray(z.T)


def _by_blas(x: Array, y: Array) -> Array:
    z: Array = np.matmul(x, y)
    return z


def dense(x: Array, w: Array, b: Array | None, name: str, parameter: float) -> Array:
    """f(x w + b):  (n, i), (i, o), (o,) -> (n, o)."""
    return bias_activate(matmul(x, w), b, name, parameter)


@jit()
def _sum_rows(x: Array, total: Array) -> None:
    total[:] = 0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            total[j] += x[i, j]


def dense_grad(
    x: Array, w: Array, y: Array, gy: Array, name: str, parameter: float, needed: Sequence[Any]
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of x, w and b where `needed`; see the reference."""
    gz = gy if name == "identity" else activation_grad(y, gy, name, parameter)
    gx = matmul(gz, w.T) if needed[0] else None
    # by rows: the optimiser will find each share of the gradient in the cache of the right core
    gw = matmul(x.T, gz, by_rows=True) if needed[1] else None
    gb = None
    if needed[2]:
        gb = np.empty(gz.shape[1], gz.dtype)
        _sum_rows(gz, gb)
    return gx, gw, gb
