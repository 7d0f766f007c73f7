"""Sums over rows on CUDA; the twin of reference/reduce.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import blocks, c_type, contiguous, empty, for_both_types, module_of
from .columns import BLOCK, Columns, instances
from .launch import Source, launch

Array = NDArray[Any]

TOTAL_THREADS = 256  # of the block that adds all up

SOURCE = Source(
    "reduce.cu",
    (*instances("sum_rows_part"), *for_both_types("add_parts"), "add_all"),
)


def sum_rows(x: Array) -> Array:
    """The sums of the columns of a matrix, added up in float64: (n, c) -> (c,)."""
    if not x.size:
        zeros: Array = module_of(x).zeros(x.shape[1], x.dtype)
        return zeros
    x = contiguous(x)
    plan = Columns.of((1, *x.shape), x)
    part = plan.parts(1, x)
    kernel = SOURCE[plan.instance("sum_rows_part", x)]
    launch(kernel, plan.grid, BLOCK, (x, part, *plan.sizes))
    return add_parts(part.reshape(len(part), x.shape[1]), x.dtype)


def add_parts(part: Array, dtype: Any) -> Array:
    """The sum of the rows of a matrix of float64, in a fixed order: (shares, c) -> (c,)."""
    shares, columns = part.shape
    y = empty((columns,), dtype, part)
    kernel = SOURCE[f"add_parts<{c_type(y)}>"]
    grid = blocks(columns, BLOCK // 32)  # a warp adds the shares of one column
    launch(kernel, grid, BLOCK, (part, y, np.int32(shares), np.int32(columns)))
    return y


def add_all(x: Array) -> Array:
    """The sum of numbers of float64, of at most some thousands: (n,) -> ()."""
    y = empty((), np.float64, x)
    launch(SOURCE["add_all"], 1, TOTAL_THREADS, (x, y, np.int32(x.size)))
    return y
