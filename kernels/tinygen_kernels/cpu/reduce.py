"""Sums over rows, in blocks that do not depend on the number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numba.extending import register_jitable
from numpy.typing import NDArray

from ..reference import reduce as reference
from .jit import Loop, prefer_wide_vectors
from .shares import fold

Array = NDArray[Any]
ROWS = 64  # added up in their own type, before the sum goes on in float64
WIDE = 64  # columns; of narrower matrices several rows are read as one


@register_jitable
def add(x, y):  # type: ignore[no-untyped-def]
    """x += y."""
    prefer_wide_vectors()
    for j in range(x.size):
        x[j] += y[j]


@register_jitable
def add_up(x, total, top, bottom):  # type: ignore[no-untyped-def]
    """total = the sums of the columns of some rows of x, in their own type."""
    prefer_wide_vectors()
    total[:] = 0
    for i in range(top, bottom):
        row = x[i]
        for j in range(row.size):
            total[j] += row[j]


@register_jitable
def add_blocks(parts, total):  # type: ignore[no-untyped-def]
    """total = the sums over blocks, one in each row of `parts`, in float64 and then back.

    A row holds several rows of the matrix if it is longer than the total.
    """
    sums = np.zeros(parts.shape[1])
    for block in range(len(parts)):
        add(sums, parts[block])
    for first in range(total.size, sums.size, total.size):
        add(sums[: total.size], sums[first : first + total.size])
    for j in range(total.size):
        total[j] = sums[j]


@Loop
def _sum_rows(x: Array, parts: Array, total: Array) -> None:
    for block in prange(len(parts)):
        add_up(x, parts[block], block * ROWS, min((block + 1) * ROWS, len(x)))
    add_blocks(parts, total)


def sum_rows(x: Array) -> Array:
    """The sums of the columns of a matrix, added up in float64: (n, c) -> (c,)."""
    if x.dtype.char not in "fd":
        return reference.sum_rows(x)
    n, columns = x.shape
    count = fold(n, columns, WIDE)
    wide = np.ascontiguousarray(x).reshape(n // count, columns * count)
    parts = np.empty((-(-len(wide) // ROWS), wide.shape[1]), x.dtype)
    total = np.empty(columns, x.dtype)
    _sum_rows.over(x.size)(wide, parts, total)
    return total
