"""Labels of samples: checks."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import Array, to_numpy
from ..core import data_of


def check_labels(label: Any, n: int, classes: int) -> Array:
    """Labels for n samples: one number for all, or one each.

    Raises ValueError, saying which, for what is no label from 0 to classes - 1.
    """
    given = np.asarray(to_numpy(data_of(label)))
    if given.dtype.kind not in "iu":
        raise ValueError(f"labels are whole numbers from 0 to {classes - 1}, not {given.dtype}")
    if given.shape not in ((), (n,)):
        raise ValueError(f"label is one number, or {n} of them, not an array {given.shape}")
    wrong = (given < 0) | (given >= classes)
    if wrong.any():
        raise ValueError(f"labels go from 0 to {classes - 1}; {given[wrong].flat[0]} is none")
    return np.broadcast_to(given, (n,)).astype(np.int64)
