"""Matrix products on CUDA; the twin of reference/matmul.py."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import cublas

Array = NDArray[Any]


def matmul(x: Array, y: Array) -> Array:
    """x y over the last two axes; the axes before them broadcast.

    By cuBLAS, in the precision of `precision.current()`, for float32 and float64 on a card; by the
    arrays' own library for other types, and for NumPy arrays, which tests give.
    """
    z: Array
    if isinstance(x, np.ndarray):
        z = np.matmul(x, y)
        return z
    if x.dtype != y.dtype:
        dtype = np.promote_types(x.dtype, y.dtype)
        x, y = x.astype(dtype, copy=False), y.astype(dtype, copy=False)
    if x.dtype.char not in "fd" or not _there_is_cublas():
        import cupy

        z = cupy.matmul(x, y)
        return z
    return cublas.product(cublas.handle(), x, y)


@functools.cache
def _there_is_cublas() -> bool:
    """Whether cuBLAS can be loaded; where not, a warning says so once."""
    try:
        cublas.library()
    except OSError as error:
        warnings.warn(
            f"matrix products go to CuPy's own binding, which captured steps cannot use: {error}",
            RuntimeWarning,
            stacklevel=3,
        )
        return False
    return True
