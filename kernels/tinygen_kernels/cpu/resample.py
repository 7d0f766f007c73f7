"""Resampling of images: a weighted sum of rows into a line that stays in cache, then of its pixels.

Both sums are one piece. A sum of rows runs over all pixels and channels of the line; where
neighbouring outputs have the same weights and neighbouring inputs, as in a blur, so does the other.
No zero is ever multiplied. What limits this is memory: an image is read and written once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange, types
from numpy.typing import NDArray

from ..bands import Band
from ..reference import resample as reference
from .jit import Loop, prefer_wide_vectors
from .memory import empty, scratch
from .pieces import Piece, call, vector

Array = NDArray[Any]

BLOCK = 1 << 14  # numbers of output that a thread computes at a time, in whole rows


def _weighted_sum(number: Any) -> Any:
    """y[k] = sum_t weights[t] x[k + t tap_step] for k < size; all of it `repeats` times.

    x, y and weights are addresses, steps are in bytes.
    """

    def piece(
        x: int, y: int, weights: int, taps: int, tap_step: int, size: int,
        repeats: int, x_step: int, y_step: int,
    ) -> None:  # fmt: skip
        prefer_wide_vectors()
        w = vector(weights, taps, number)
        for r in range(repeats):
            place = x + r * x_step
            out = vector(y + r * y_step, size, number)
            a = vector(place, size, number)
            b = vector(place + tap_step, size, number)
            c = vector(place + 2 * tap_step, size, number)
            d = vector(place + 3 * tap_step, size, number)
            if taps == 0:
                for k in range(size):
                    out[k] = number(0)
            elif taps == 1:
                w0 = w[0]
                for k in range(size):
                    out[k] = w0 * a[k]
            elif taps == 2:
                w0, w1 = w[0], w[1]
                for k in range(size):
                    out[k] = w0 * a[k] + w1 * b[k]
            elif taps == 3:
                w0, w1, w2 = w[0], w[1], w[2]
                for k in range(size):
                    out[k] = w0 * a[k] + w1 * b[k] + w2 * c[k]
            else:
                w0, w1, w2, w3 = w[0], w[1], w[2], w[3]
                for k in range(size):
                    out[k] = (w0 * a[k] + w1 * b[k]) + (w2 * c[k] + w3 * d[k])
            for t in range(4, taps):
                more = vector(place + t * tap_step, size, number)
                wt = w[t]
                for k in range(size):
                    out[k] += wt * more[k]

    return piece


WEIGHTED_SUM = Piece(_weighted_sum, *[types.int64] * 9)


@Loop
def _resample2d(
    x: Array, y: Array, lines: Array, block: int, piece: int,
    row_first: Array, row_count: Array, row_weights: Array,
    runs: Array, column_count: Array, column_weights: Array,
) -> None:  # fmt: skip
    height, blocks = y.shape[1], len(lines) // len(x)
    across, down = x.strides[2], x.strides[1]  # of an axis of length 1 it may be anything
    step = y.strides[2]
    channels, length = x.shape[3], x.shape[2] * x.shape[3]
    for part in prange(len(lines)):
        image, top = part // blocks, part % blocks * block
        for i in range(top, min(top + block, height)):
            line = x.ctypes.data + image * x.strides[0] + row_first[i] * down
            out = y.ctypes.data + image * y.strides[0] + i * y.strides[1]
            if row_count[i] != 1 or row_weights[i, 0] != 1:
                sums = lines.ctypes.data + part * lines.strides[0]
                w = row_weights.ctypes.data + i * row_weights.strides[0]
                call(piece, (line, sums, w, row_count[i], down, length, 1, 0, 0))
                line = sums
            for r in range(len(runs)):
                j, first, repeats, y_step, x_step = runs[r]
                w = column_weights.ctypes.data + j * column_weights.strides[0]
                places = line + first * across, out + j * step, w
                if x_step == 1 and y_step == 1:
                    size = repeats * channels
                    call(piece, (*places, column_count[j], across, size, 1, 0, 0))
                else:
                    steps = x_step * across, y_step * step
                    call(piece, (*places, column_count[j], across, channels, repeats, *steps))


def resample2d(x: Array, rows: Band, columns: Band) -> Array:
    """Every channel as (rows) (image) (columns)^T: (n, h, w, c) -> (n, h', w', c)."""
    n, _, width, channels = x.shape
    shape = n, rows.outputs, columns.outputs, channels
    if not x.size or x.dtype.char not in "fd":
        return reference.resample2d(x, rows, columns)
    x, y = np.ascontiguousarray(x), empty(shape, x.dtype)
    block = max(BLOCK // (columns.outputs * channels), 1)
    lines = scratch("lines", (n * -(-rows.outputs // block), width * channels), x.dtype)
    _resample2d.over(max(x.size, y.size))(
        x, y, lines, block, WEIGHTED_SUM[x.dtype],
        rows.first, rows.count, rows.weights_as(x.dtype),
        columns.runs, columns.count, columns.weights_as(x.dtype),
    )  # fmt: skip
    return y
