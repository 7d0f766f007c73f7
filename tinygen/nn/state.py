"""Checks of arrays that are loaded into parameters and buffers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..backend import Array, to_numpy
from ..core import Tensor


def array_for(t: Tensor, value: Any, where: str) -> Array:
    """Convert a value to a NumPy array of the type of `t`; ValueError for what does not fit."""
    array = np.asarray(to_numpy(value.data if isinstance(value, Tensor) else value))
    if array.shape != t.shape:
        raise ValueError(f"{where} has shape {t.shape}, the given one {array.shape}")
    if array.dtype.kind in "biuf":
        with np.errstate(all="ignore"):  # what becomes infinite is found by its value
            converted = array.astype(t.dtype, copy=False)
        if t.dtype.kind == "f" or (converted == array).all():  # floats may be rounded
            return converted
    raise ValueError(f"{where} is of type {t.dtype}, which cannot hold the given {array.dtype}")


def not_finite(arrays: Mapping[str, Array]) -> str:
    """Name the arrays that hold NaN or infinities, and count those; "" if none does."""
    counts = {
        name: array.size - np.count_nonzero(np.isfinite(array))
        for name, array in arrays.items()
        if array.dtype.kind in "fc"
    }
    found = [
        f"{count:,} of {arrays[name].size:,} in {name}" for name, count in counts.items() if count
    ]
    if not found:
        return ""
    rest = f" and {len(found) - 3:,} more arrays" if len(found) > 3 else ""
    return f"numbers are NaN or infinite: {', '.join(found[:3])}{rest}"
