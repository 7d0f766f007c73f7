"""The gradient of a table look-up."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def add_rows(x: Array, indices: Array, rows: int) -> Array:
    """Zeros of (rows, features), with row i of x, (n, features), added at indices[i]."""
    y = np.zeros((rows, x.shape[1]), x.dtype)
    np.add.at(y, indices, x)
    return y
