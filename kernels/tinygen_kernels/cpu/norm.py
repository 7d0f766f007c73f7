"""Normalisation by channels; the reference says what each kernel computes.

What limits them is memory: forward reads x twice and writes y, 12 bytes a number in float32;
backward reads x and gy twice and writes gx, 20.

x is cut into blocks of rows and columns whose size depends on the shape alone. A block leaves its
sums, in float64, in a place of their own, and these are added up in order: the bits do not depend
on the number of threads. Variances come from sums of deviations from a row of the group itself,
which takes one pass, and costs few digits: a sample is never further from the mean than
sqrt(rows) standard deviations, so the sum that is taken away is at most `rows` times the result.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import prange, types
from numpy.typing import NDArray

from ..reference import norm as reference
from ..reference.norm import Gradients
from .jit import Loop, prefer_wide_vectors
from .memory import empty
from .pieces import Piece, call, vector
from .shares import fold

Array = NDArray[Any]
BLOCK = 1 << 14  # numbers in a block
WIDEST = 512  # columns of a block: with its sums it stays in the nearest cache
NARROWEST = 64  # columns; where there are fewer, several rows are seen as one

double = types.float64


# The pieces take the addresses of a block of x, of gy and of the result, of a table
# with a few numbers for each column, and of two rows of sums; then the rows and columns of the
# block, and how many columns there are from one row to the next, in the arrays as in the tables.


def _moments_piece(number: Any) -> Any:
    """sums: d and d^2, where d = x - table[0]; two rows at a time, to touch the sums less often."""
    size = number.bitwidth // 8

    def piece(
        x: int, gy: int, out: int, table: int, sums: int, rows: int, width: int, columns: int
    ) -> None:
        prefer_wide_vectors()
        origin = vector(table, width, number)
        first, second = vector(sums, width, double), vector(sums + columns * 8, width, double)
        first[:] = 0.0
        second[:] = 0.0
        for i in range(0, rows, 2):
            row = vector(x + i * columns * size, width, number)
            after = vector(x + min(i + 1, rows - 1) * columns * size, width, number)
            both = double(1.0) if i + 1 < rows else double(0.0)
            for j in range(width):
                o = double(origin[j])
                d, e = double(row[j]) - o, (double(after[j]) - o) * both
                first[j] += d + e
                second[j] += d * d + e * e

    return piece


def _products_piece(number: Any) -> Any:
    """sums: gy and gy (x - table[0])."""
    size = number.bitwidth // 8

    def piece(
        x: int, gy: int, out: int, table: int, sums: int, rows: int, width: int, columns: int
    ) -> None:
        prefer_wide_vectors()
        mean = vector(table, width, number)
        first, second = vector(sums, width, double), vector(sums + columns * 8, width, double)
        first[:] = 0.0
        second[:] = 0.0
        for i in range(rows):
            x_row = vector(x + i * columns * size, width, number)
            gy_row = vector(gy + i * columns * size, width, number)
            for j in range(width):
                g = double(gy_row[j])
                first[j] += g
                second[j] += g * (double(x_row[j]) - double(mean[j]))

    return piece


def _affine_piece(number: Any) -> Any:
    """out = (x - table[0]) table[1] + table[2]."""
    size = number.bitwidth // 8

    def piece(
        x: int, gy: int, out: int, table: int, sums: int, rows: int, width: int, columns: int
    ) -> None:
        prefer_wide_vectors()
        step = columns * size
        mean, scale = vector(table, width, number), vector(table + step, width, number)
        shift = vector(table + 2 * step, width, number)
        for i in range(rows):
            x_row, out_row = (
                vector(x + i * step, width, number),
                vector(out + i * step, width, number),
            )
            for j in range(width):
                out_row[j] = (x_row[j] - mean[j]) * scale[j] + shift[j]

    return piece


def _gradient_piece(number: Any) -> Any:
    """out = gy table[1] + (x - table[0]) table[2] + table[3]."""
    size = number.bitwidth // 8

    def piece(
        x: int, gy: int, out: int, table: int, sums: int, rows: int, width: int, columns: int
    ) -> None:
        prefer_wide_vectors()
        step = columns * size
        mean, of_gy = vector(table, width, number), vector(table + step, width, number)
        of_x = vector(table + 2 * step, width, number)
        constant = vector(table + 3 * step, width, number)
        for i in range(rows):
            x_row, gy_row = (
                vector(x + i * step, width, number),
                vector(gy + i * step, width, number),
            )
            out_row = vector(out + i * step, width, number)
            for j in range(width):
                out_row[j] = gy_row[j] * of_gy[j] + ((x_row[j] - mean[j]) * of_x[j] + constant[j])

    return piece


ARGUMENTS = [types.int64] * 8
MOMENTS = Piece(_moments_piece, *ARGUMENTS)
PRODUCTS = Piece(_products_piece, *ARGUMENTS)
AFFINE = Piece(_affine_piece, *ARGUMENTS)
GRADIENT = Piece(_gradient_piece, *ARGUMENTS)


@Loop
def _over_blocks(
    piece: int, x: int, gy: int, out: int, table: int, sums: int,
    groups: int, rows: int, columns: int, block: int, size: int, table_rows: int,
) -> None:  # fmt: skip
    blocks, tiles = (rows + block - 1) // block, (columns + WIDEST - 1) // WIDEST
    for task in prange(groups * blocks * tiles):
        part, tile = divmod(np.int64(task), tiles)
        group, number = divmod(part, blocks)
        top, left = number * block, tile * WIDEST
        skip = ((group * rows + top) * columns + left) * size
        places = x + skip, gy + skip, out + skip
        its_table = table + (group * table_rows * columns + left) * size
        its_sums = sums + (part * 2 * columns + left) * 8
        sizes = min(block, rows - top), min(WIDEST, columns - left), columns
        call(piece, (*places, its_table, its_sums, *sizes))


class Blocks:
    """x, (groups, rows, channels), ready to be worked on by blocks; it must not be empty.

    Where there are few channels, several rows are seen as one, so that loops over columns are long
    enough for vectors; `fold` is how many.
    """

    def __init__(self, x: Array) -> None:
        self.groups, self.rows, self.channels = x.shape
        self.x, self.fold = np.ascontiguousarray(x), fold(self.rows, self.channels, NARROWEST)
        self.place = self.x.ctypes.data
        columns = self.fold * self.channels
        self.block = BLOCK // min(columns, WIDEST)
        self.shape = self.groups, self.rows // self.fold, columns

    def table(self, *lines: Array) -> Array:
        """(groups, lines, columns): numbers for each column, from (groups or 1, channels) each."""
        table = np.empty((self.groups, len(lines), self.fold, self.channels), self.x.dtype)
        for i, line in enumerate(lines):
            table[:, i] = line[:, None]
        return table

    def run(self, piece: Piece, table: Array, gy: Array | None = None, sums: bool = False) -> Array:
        """What a piece makes of x, or its two sums over rows: (2, groups, channels)."""
        groups, rows, columns = self.shape
        if sums:
            result = np.empty((groups, -(-rows // self.block), 2, columns))
        else:
            result = empty(self.x.shape, self.x.dtype)
        gy = self.x if gy is None else np.ascontiguousarray(gy, self.x.dtype)
        gy_place = self.place if gy is self.x else gy.ctypes.data
        place = result.ctypes.data  # where a piece puts its sums, or else numbers like x
        places = self.place, gy_place, place, table.ctypes.data, place
        sizes = *self.shape, self.block, self.x.itemsize, table.shape[1]
        _over_blocks.over(self.x.size)(piece[self.x.dtype], *places, *sizes)
        if not sums:
            return result
        total: Array = result.sum(axis=1) if result.shape[1] > 1 else result[:, 0]
        if self.fold > 1:
            total = total.reshape(groups, 2, self.fold, self.channels).sum(axis=2)
        return total.swapaxes(0, 1)


def channel_norm(
    x: Array, scale: Array, shift: Array, epsilon: float
) -> tuple[Array, Array, Array]:
    """y = scale (x - mean) / sqrt(variance + epsilon) + shift;  (y, mean, variance)."""
    if not x.size:
        return reference.channel_norm(x, scale, shift, epsilon)
    blocks = Blocks(x)
    origin = x[:, 0].astype(np.float64)
    sums, squares = blocks.run(MOMENTS, blocks.table(origin), sums=True) / blocks.rows
    mean, variance = origin + sums, np.maximum(squares - sums * sums, 0.0)
    return _affine(blocks, mean, scale / np.sqrt(variance + epsilon), shift), mean, variance


def channel_affine(x: Array, mean: Array, scale: Array, shift: Array) -> Array:
    """y = scale (x - mean) + shift."""
    if not x.size:
        return reference.channel_affine(x, mean, scale, shift)
    return _affine(Blocks(x), mean, scale, shift)


def _affine(blocks: Blocks, mean: Array, scale: Array, shift: Array) -> Array:
    """channel_affine, with what rounding the means takes away put into the shift."""
    rounded = mean.astype(blocks.x.dtype)
    return blocks.run(AFFINE, blocks.table(rounded, scale, shift + (rounded - mean) * scale))


def channel_sums(x: Array, gy: Array, mean: Array) -> tuple[Array, Array]:
    """The sums over rows of gy and of gy (x - mean), in float64: (groups, channels) each."""
    if not x.size:
        return reference.channel_sums(x, gy, mean)
    return _sums(Blocks(x), gy, mean)


def _sums(blocks: Blocks, gy: Array, mean: Array) -> tuple[Array, Array]:
    """channel_sums."""
    rounded = mean.astype(blocks.x.dtype)
    sums, products = blocks.run(PRODUCTS, blocks.table(rounded), gy, sums=True)
    return sums, products + (rounded - mean) * sums


def channel_norm_grad(
    x: Array,
    gy: Array,
    scale: Array,
    mean: Array,
    variance: Array,
    epsilon: float,
    needed: Sequence[Any],
) -> Gradients:
    """The gradients of x, scale and shift where `needed`; see the reference."""
    if not x.size:
        return reference.channel_norm_grad(x, gy, scale, mean, variance, epsilon, needed)
    blocks = Blocks(x)
    sums, products = _sums(blocks, gy, mean)
    inverse = 1 / np.sqrt(variance + epsilon)
    products = products * inverse
    gx = None
    if needed[0]:
        of_gy, rounded = scale * inverse, mean.astype(x.dtype)
        of_x = -of_gy * inverse * products / blocks.rows
        constant = (rounded - mean) * of_x - of_gy * sums / blocks.rows
        gx = blocks.run(GRADIENT, blocks.table(rounded, of_gy, of_x, constant), gy)
    return gx, products if needed[1] else None, sums if needed[2] else None
