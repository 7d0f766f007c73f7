"""Resampling of images by a band for the rows and one for the columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bands import Band

Array = NDArray[Any]


def resample2d(x: Array, rows: Band, columns: Band) -> Array:
    """Every channel as (rows) (image) (columns)^T: (n, h, w, c) -> (n, h', w', c)."""
    return _along(2, _along(1, x, rows), columns)


def _along(axis: int, x: Array, band: Band) -> Array:
    """The band's matrix times x along one axis; what has no weight is not looked at."""
    x = np.moveaxis(x, axis, 0)
    y = np.zeros((band.outputs, *x.shape[1:]), x.dtype)
    weights = band.weights_as(x.dtype)
    for i, (first, count) in enumerate(zip(band.first, band.count, strict=True)):
        for t in range(count):
            y[i] += weights[i, t] * x[first + t]
    return np.moveaxis(y, 0, axis)
