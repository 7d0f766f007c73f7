"""Sums over rows, in blocks that do not depend on the number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from ..reference import reduce as reference
from .jit import Loop, prefer_wide_vectors
from .shares import fold

Array = NDArray[Any]
ROWS = 64  # added up in their own type, before the sum goes on in float64
WIDE = 64  # columns; of narrower matrices several rows are read as one


@Loop
def _sum_rows(x: Array, parts: Array) -> None:
    for block in prange(len(parts)):
        prefer_wide_vectors()
        total = parts[block]
        total[:] = 0
        for i in range(block * ROWS, min((block + 1) * ROWS, len(x))):
            row = x[i]
            for j in range(row.size):
                total[j] += row[j]


def sum_rows(x: Array) -> Array:
    """The sums of the columns of a matrix, added up in float64: (n, c) -> (c,)."""
    if x.dtype.char not in "fd":
        return reference.sum_rows(x)
    n, columns = x.shape
    count = fold(n, columns, WIDE)
    wide = np.ascontiguousarray(x).reshape(n // count, columns * count)
    parts = np.empty((-(-len(wide) // ROWS), wide.shape[1]), x.dtype)
    _sum_rows.over(x.size)(wide, parts)
    total = parts.sum(axis=0, dtype=np.float64).reshape(count, columns)
    sums: Array = total.sum(axis=0).astype(x.dtype)
    return sums
