"""Sums over rows on CUDA; the twin of reference/reduce.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import blocks, c_type, contiguous, empty
from .launch import Source, launch

Array = NDArray[Any]

COLUMNS, LINES = 32, 8  # of a block, as in reduce.cu
ROWS_OF_A_SHARE, MOST_SHARES = 256, 64
TOTAL_THREADS = 256  # of the block that adds all up

SOURCE = Source(
    "reduce.cu",
    (
        *(f"{name}<{T}>" for name in ("sum_rows_part", "add_parts") for T in ("float", "double")),
        "add_all",
    ),
)


def sum_rows(x: Array) -> Array:
    """The sums of the columns of a matrix, added up in float64: (n, c) -> (c,)."""
    rows, columns = x.shape
    shares = max(blocks(rows, ROWS_OF_A_SHARE, MOST_SHARES), 1)
    part = empty((shares, columns), np.float64, x)
    grid = blocks(columns, COLUMNS), shares
    kernel = SOURCE[f"sum_rows_part<{c_type(x)}>"]
    launch(kernel, grid, COLUMNS * LINES, (contiguous(x), part, np.int32(rows), np.int32(columns)))
    return add_parts(part, x.dtype)


def add_parts(part: Array, dtype: Any) -> Array:
    """The sum of the rows of a matrix of float64, one after the other: (shares, c) -> (c,)."""
    shares, columns = part.shape
    y = empty((columns,), dtype, part)
    kernel = SOURCE[f"add_parts<{c_type(y)}>"]
    launch(kernel, blocks(columns, 256), 256, (part, y, np.int32(shares), np.int32(columns)))
    return y


def add_all(x: Array) -> Array:
    """The sum of numbers of float64, of at most some thousands: (n,) -> ()."""
    y = empty((), np.float64, x)
    launch(SOURCE["add_all"], 1, TOTAL_THREADS, (x, y, np.int32(x.size)))
    return y
