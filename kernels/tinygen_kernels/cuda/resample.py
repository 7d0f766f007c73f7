"""Resampling of images on CUDA; the twin of reference/resample.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..bands import Band
from .arrays import blocks, c_type, contiguous, empty, module_of, pack
from .columns import BLOCK, instances
from .launch import Source, launch

Array = NDArray[Any]

SOURCE = Source("resample.cu", instances("resample2d"))
SIZE = np.dtype(
    [(name, np.int32) for name in ("height", "width", "out_height", "out_width", "channels")]
)
MOST_PIXELS = 25  # that a thread weighs; a filter of more is done in two launches


def resample2d(x: Array, rows: Band, columns: Band) -> Array:
    """Every channel as (rows) (image) (columns)^T: (n, h, w, c) -> (n, h', w', c)."""
    x = contiguous(x)
    if rows.reach == 1 or columns.reach == 1 or rows.reach * columns.reach <= MOST_PIXELS:
        return _resample(x, rows, columns)
    if rows.outputs * columns.inputs <= rows.inputs * columns.outputs:  # the smaller in between
        return _resample(_resample(x, rows, None), None, columns)
    return _resample(_resample(x, None, columns), rows, None)


def _resample(x: Array, rows: Band | None, columns: Band | None) -> Array:
    """One launch; None is the identity."""
    images, height, width, channels = x.shape
    size = height, width, rows.outputs if rows else height, columns.outputs if columns else width
    y = empty((images, *size[2:], channels), x.dtype, x)
    xp, n = module_of(x), pack(channels, x, y)
    bands: list[Any] = []
    for band in rows, columns:
        tables = (None, None) if band is None else band.tables(xp, x.dtype)
        bands += *tables, np.int32(1 if band is None else band.reach)
    count = y.size // n
    launch(
        SOURCE[f"resample2d<{c_type(x)}, {n}>"],
        blocks(count, BLOCK),
        BLOCK,
        (x, y, np.array((*size, channels), SIZE), *bands, np.int32(count)),
    )
    return y
