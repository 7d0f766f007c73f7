"""The gradient of a table look-up: rows added where they came from.

What limits it is memory: 12 bytes for each number of x. It is done by one thread, since two might
meet at a row; a batch of 32 sequences of 100 letters and 64 features is 0.2 million additions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .jit import jit, prefer_wide_vectors

Array = NDArray[Any]


@jit()
def _add_rows(x: Array, indices: Array, y: Array) -> None:
    prefer_wide_vectors()
    for i in range(indices.size):
        row, total = x[i], y[indices[i]]
        for j in range(row.size):
            total[j] += row[j]


def add_rows(x: Array, indices: Array, rows: int) -> Array:
    """Zeros of (rows, features), with row i of x, (n, features), added at indices[i]."""
    y = np.zeros((rows, x.shape[1]), x.dtype)
    _add_rows(np.ascontiguousarray(x), np.ascontiguousarray(indices, np.int64), y)
    return y
