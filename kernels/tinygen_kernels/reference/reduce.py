"""Sums over rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def sum_rows(x: Array) -> Array:
    """The sums of the columns of a matrix, added up in float64: (n, c) -> (c,)."""
    total: Array = x.sum(axis=0, dtype=np.float64).astype(x.dtype)
    return total
