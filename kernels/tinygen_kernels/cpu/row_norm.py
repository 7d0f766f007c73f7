"""Normalisation by rows; the reference says what each kernel computes.

What limits them is memory: a row stays in the nearest cache between the passes over it, so forward
moves 8 bytes a number in float32, backward 12. Moments are computed in float64. The gradients of
scale and shift are added up within blocks of few rows in their own type, and then, in order, in
float64; blocks depend on the shape alone, so the bits do not depend on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import prange, types
from numba.extending import register_jitable
from numpy.typing import NDArray

from ..reference import row_norm as reference
from ..reference.norm import Gradients
from .jit import Loop, prefer_wide_vectors
from .memory import empty
from .pieces import Piece, call, vector

Array = NDArray[Any]
ROWS, BLOCK = 64, 1 << 16  # how many rows, and numbers, a block has at most

double = types.float64


# The pieces take the addresses of some rows of x, of gy and of the result, of scale and
# shift, and of two rows of sums; then the number of rows and columns, and epsilon.


@register_jitable
def _row_moments(row, epsilon):  # type: ignore[no-untyped-def]
    """(mean, 1 / standard deviation) of a row."""
    total, squares = 0.0, 0.0
    for j in range(row.size):
        total += double(row[j])
    mean = total / row.size
    for j in range(row.size):
        d = double(row[j]) - mean
        squares += d * d
    return mean, 1.0 / math.sqrt(squares / row.size + epsilon)


def _layer_norm_piece(number: Any) -> Any:
    size = number.bitwidth // 8

    def piece(
        x: int, gy: int, out: int, scale: int, shift: int, sums: int, rows: int, columns: int,
        epsilon: float,
    ) -> None:  # fmt: skip
        prefer_wide_vectors()
        times, plus = vector(scale, columns, number), vector(shift, columns, number)
        for i in range(rows):
            skip = i * columns * size
            row, out_row = vector(x + skip, columns, number), vector(out + skip, columns, number)
            moments = _row_moments(row, epsilon)
            mean, inverse = number(moments[0]), number(moments[1])
            for j in range(columns):
                out_row[j] = (row[j] - mean) * inverse * times[j] + plus[j]

    return piece


def _layer_norm_grad_piece(number: Any) -> Any:
    size = number.bitwidth // 8

    def piece(
        x: int, gy: int, out: int, scale: int, shift: int, sums: int, rows: int, columns: int,
        epsilon: float,
    ) -> None:  # fmt: skip
        prefer_wide_vectors()
        times, step = vector(scale, columns, number), columns * size
        gscale, gshift = vector(sums, columns, number), vector(sums + step, columns, number)
        gscale[:] = 0
        gshift[:] = 0
        for i in range(rows):
            row, gy_row = (
                vector(x + i * step, columns, number),
                vector(gy + i * step, columns, number),
            )
            out_row = vector(out + i * step, columns, number)
            moments = _row_moments(row, epsilon)
            mean, s = number(moments[0]), number(moments[1])
            total, product = number(0), number(0)
            for j in range(columns):
                n = (row[j] - mean) * s
                gscale[j] += gy_row[j] * n
                gshift[j] += gy_row[j]
                total += gy_row[j] * times[j]
                product += gy_row[j] * times[j] * n
            a, b = total / number(columns), product / number(columns)
            for j in range(columns):
                out_row[j] = s * (gy_row[j] * times[j] - a - (row[j] - mean) * s * b)

    return piece


def _pixel_norm_piece(number: Any) -> Any:
    size = number.bitwidth // 8

    def piece(
        x: int, gy: int, out: int, scale: int, shift: int, sums: int, rows: int, columns: int,
        epsilon: float,
    ) -> None:  # fmt: skip
        prefer_wide_vectors()
        for i in range(rows):
            skip = i * columns * size
            row, out_row = vector(x + skip, columns, number), vector(out + skip, columns, number)
            squares = 0.0
            for j in range(columns):
                squares += double(row[j]) * double(row[j])
            inverse = number(1.0 / math.sqrt(squares / columns + epsilon))
            for j in range(columns):
                out_row[j] = row[j] * inverse

    return piece


def _pixel_norm_grad_piece(number: Any) -> Any:
    size = number.bitwidth // 8

    def piece(
        x: int, gy: int, out: int, scale: int, shift: int, sums: int, rows: int, columns: int,
        epsilon: float,
    ) -> None:  # fmt: skip
        prefer_wide_vectors()
        for i in range(rows):
            skip = i * columns * size
            row, gy_row = vector(x + skip, columns, number), vector(gy + skip, columns, number)
            out_row = vector(out + skip, columns, number)
            squares, product = 0.0, 0.0
            for j in range(columns):
                squares += double(row[j]) * double(row[j])
                product += double(row[j]) * double(gy_row[j])
            inverse = 1.0 / math.sqrt(squares / columns + epsilon)
            a, b = number(inverse), number(inverse**3 * product / columns)
            for j in range(columns):
                out_row[j] = gy_row[j] * a - row[j] * b

    return piece


ARGUMENTS = [*[types.int64] * 8, double]
LAYER_NORM = Piece(_layer_norm_piece, *ARGUMENTS)
LAYER_NORM_GRAD = Piece(_layer_norm_grad_piece, *ARGUMENTS)
PIXEL_NORM = Piece(_pixel_norm_piece, *ARGUMENTS)
PIXEL_NORM_GRAD = Piece(_pixel_norm_grad_piece, *ARGUMENTS)


@Loop
def _over_rows(
    piece: int, x: int, gy: int, out: int, scale: int, shift: int, sums: int,
    rows: int, columns: int, block: int, size: int, epsilon: float,
) -> None:  # fmt: skip
    for part in prange((rows + block - 1) // block):
        top = np.int64(part) * block
        skip = top * columns * size
        places = (
            x + skip,
            gy + skip,
            out + skip,
            scale,
            shift,
            sums + 2 * np.int64(part) * columns * size,
        )
        call(piece, (*places, min(block, rows - top), columns, epsilon))


def _by_rows(
    piece: Piece, x: Array, gy: Array, scale: Array, shift: Array, epsilon: float
) -> tuple[Array, Array]:
    """What a piece makes of the rows of x, and its two sums, if it has any."""
    dtype, (rows, columns) = x.dtype, x.shape
    x, gy, scale, shift = (np.ascontiguousarray(a, dtype) for a in (x, gy, scale, shift))
    block = max(1, min(ROWS, BLOCK // columns))
    out, sums = empty(x.shape, dtype), np.empty((-(-rows // block), 2, columns), dtype)
    places = [a.ctypes.data for a in (x, gy, out, scale, shift, sums)]
    _over_rows.over(x.size)(piece[dtype], *places, rows, columns, block, x.itemsize, epsilon)
    return out, sums


def layer_norm(x: Array, scale: Array, shift: Array, epsilon: float) -> Array:
    """Each row of x, (rows, features), with mean 0 and variance 1, times scale, plus shift."""
    if not x.size:
        return reference.layer_norm(x, scale, shift, epsilon)
    return _by_rows(LAYER_NORM, x, x, scale, shift, epsilon)[0]


def layer_norm_grad(
    x: Array, gy: Array, scale: Array, epsilon: float, needed: Sequence[Any]
) -> Gradients:
    """The gradients of x, scale and shift where `needed`; the last two in float64."""
    if not x.size:
        return reference.layer_norm_grad(x, gy, scale, epsilon, needed)
    gx, parts = _by_rows(LAYER_NORM_GRAD, x, gy, scale, scale, epsilon)
    gscale, gshift = parts.sum(axis=0, dtype=np.float64)
    return gx if needed[0] else None, gscale if needed[1] else None, gshift if needed[2] else None


def pixel_norm(x: Array, epsilon: float) -> Array:
    """y = x / sqrt(the mean of x^2 over its row + epsilon), for x of (rows, features)."""
    if not x.size:
        return reference.pixel_norm(x, epsilon)
    return _by_rows(PIXEL_NORM, x, x, x[0], x[0], epsilon)[0]


def pixel_norm_grad(x: Array, gy: Array, epsilon: float) -> Array:
    """The gradient of x; see the reference."""
    if not x.size:
        return reference.pixel_norm_grad(x, gy, epsilon)
    return _by_rows(PIXEL_NORM_GRAD, x, gy, x[0], x[0], epsilon)[0]
