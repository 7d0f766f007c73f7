"""Matrices turned, rows to columns, by squares that stay in registers.

Number by number, either what is read or what is written jumps from cache line to cache line. A
square with as many rows as a register has lanes is read by rows, turned in registers and written by
rows. Turned it is when every bit of a row's number has changed places with that bit of the lane's,
one after the other: 4 rounds for 16 rows, each of which mixes them in pairs.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic, register_jitable
from numpy.typing import NDArray

from ..lines import LINE
from .jit import Loop
from .memory import scratch
from .pieces import Piece, call, vector
from .vectors import INT32, INT64, VECTOR_BYTES, Emitter

Array = NDArray[Any]
STRIP = 64  # columns that a thread turns at a time


@intrinsic
def _square(context, number, x, x_row, y, y_row):  # type: ignore[no-untyped-def]  # Numba reads the names
    """y = x turned, for a square at these addresses; from row to row are so many elements."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emitter = Emitter(number.dtype.bitwidth, builder)
        x, x_row, y, y_row = arguments[1:]
        x, y, lanes = emitter.pointer(x), emitter.pointer(y), range(emitter.lanes)
        rows = [
            emitter.load(emitter.at(x, builder.mul(x_row, INT64(i)), True), None) for i in lanes
        ]

        def mixed(a: Any, b: Any, places: list[int]) -> Any:
            mask = ir.Constant(ir.VectorType(INT32, len(lanes)), places)
            return builder.shuffle_vector(a, b, mask)

        bit = 1
        while bit < len(lanes):
            for i in lanes:
                if i & bit:
                    continue
                a, b = rows[i], rows[i | bit]
                rows[i] = mixed(a, b, [j - bit + len(lanes) if j & bit else j for j in lanes])
                rows[i | bit] = mixed(a, b, [j + len(lanes) if j & bit else j + bit for j in lanes])
            bit *= 2
        for i in lanes:
            emitter.store(rows[i], emitter.at(y, builder.mul(y_row, INT64(i)), True), None)
        return context.get_dummy_value()

    return types.void(number, *[types.int64] * 4), emit


def _make_turn(number: Any) -> Any:
    size = number.bitwidth // 8
    side = VECTOR_BYTES // size

    def piece(x: int, x_row: int, y: int, y_row: int, rows: int, columns: int) -> None:
        whole, across = rows // side * side, columns // side * side
        for j in range(0, across, side):
            for i in range(0, whole, side):
                place = y + size * (j * y_row + i)
                _square(number, x + size * (i * x_row + j), x_row, place, y_row)
        for i in range(rows):
            for j in range(across if i < whole else 0, columns):
                one = vector(x + size * (i * x_row + j), 1, number)
                vector(y + size * (j * y_row + i), 1, number)[0] = one[0]

    return piece


TURN = Piece(_make_turn, *[types.int64] * 6)


@register_jitable
def turn_matrix(piece, x, turned):  # type: ignore[no-untyped-def]
    """turned = x^T, on the thread that calls it; rows of both are contiguous."""
    size = x.itemsize
    places = x.ctypes.data, x.strides[0] // size, turned.ctypes.data, turned.strides[0] // size
    call(piece, (*places, x.shape[0], x.shape[1]))


@Loop
def _turn(w: Array, turned: Array, piece: int) -> None:
    matrices, columns = len(w), w.shape[2]
    strips = (columns + STRIP - 1) // STRIP
    for job in prange(matrices * strips):
        k, left = job // strips, job % strips * STRIP
        turn_matrix(piece, w[k, :, left : left + STRIP], turned[k, left : left + STRIP])


def room_to_turn(w: Array, count: int, use: str) -> Array:
    """(count, o, i or more): scratch memory for `count` threads to turn w, (i, o), for a product.

    Rows begin at cache lines: most vectors would else lie across two, and take an eighth longer.
    """
    inputs, outputs = w.shape
    row = -(-inputs * w.itemsize // LINE) * LINE
    return scratch(use, (count, outputs, row // w.itemsize), w.dtype)


def turn(w: Array) -> Array:
    """Contiguous matrices (n, i, o), each turned, in scratch memory: (n, o, i)."""
    matrices, rows, columns = w.shape
    turned = scratch("turned", (matrices, columns, rows), w.dtype)
    _turn.over(w.size)(w, turned, TURN[w.dtype])
    return turned
