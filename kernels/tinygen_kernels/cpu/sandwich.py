"""The transforms of Winograd's F(4 x 4, 3 x 3): Y = T X T^T for every channel, as LLVM vectors.

T is one of three small matrices or their transposes. All the elements of X and Y stay in registers
as far as there are any; what is multiplied by 0 is left out, and by 1 only added.

Source of the matrices: Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .pieces import Piece
from .vectors import INT64, Emitter

Matrix = Sequence[Sequence[float]]

BT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
G = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
AT = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)
TILE, TAPS, WINDOW = 4, 3, 6  # pixels of the result, taps, pixels of the input, along each side
POINTS = WINDOW * WINDOW


def _sandwich_piece(matrix: Matrix, partly: bool = False) -> Piece:
    """Y = T X T^T for a vector of channels at every place.

    It takes, all in elements: address of X, its strides down and across; address of Y, its strides
    down and across; how many channels; and a part of Y as top, bottom, left and right: no more of
    it is stored. With `partly` that is a part of X instead, which is taken as 0 outside of it.
    """

    @intrinsic
    def sandwich(  # type: ignore[no-untyped-def]  # Numba reads the names
        context, number, x, x_down, x_across, y, y_down, y_across, channels,
        top, bottom, left, right,
    ):  # fmt: skip
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            emitter = _SandwichEmitter(number.dtype.bitwidth, builder)
            emitter.sandwich(matrix, partly, arguments[1:8], arguments[8:])
            return context.get_dummy_value()

        return types.void(number, *[types.int64] * 11), emit

    def make(number: Any) -> Any:
        def piece(
            x: int, x_down: int, x_across: int, y: int, y_down: int, y_across: int,
            channels: int, top: int, bottom: int, left: int, right: int,
        ) -> None:  # fmt: skip
            sandwich(
                number, x, x_down, x_across, y, y_down, y_across, channels,
                top, bottom, left, right,
            )  # fmt: skip

        return piece

    return Piece(make, *[types.int64] * 11)


class _SandwichEmitter(Emitter):
    """Writes T X T^T."""

    def sandwich(
        self, matrix: Matrix, partly: bool, operands: Sequence[Any], part: Sequence[Any]
    ) -> None:
        """All channels, as many at a time as a register holds."""
        x, x_down, x_across, y, y_down, y_across, channels = operands
        builder, size = self.builder, len(matrix[0])
        x, y = self.pointer(x), self.pointer(y)
        rows, columns = part[:2], part[2:]
        with cgutils.for_range_slice(builder, INT64(0), channels, INT64(self.lanes)) as (k, _):
            mask = self.mask(builder.sub(channels, k))

            def place(base: Any, down: Any, across: Any, i: int, j: int) -> Any:
                offset = builder.add(builder.mul(down, INT64(i)), builder.mul(across, INT64(j)))
                return self.at(base, builder.add(offset, k), True)

            def element(i: int, j: int) -> Any:
                here = mask
                if partly:
                    inside = builder.and_(self.within(i, *rows), self.within(j, *columns))
                    here = builder.select(inside, mask, ir.Constant(mask.type, None))
                return self.load(place(x, x_down, x_across, i, j), here)

            across_x = [
                self.times(matrix, [element(i, j) for i in range(size)]) for j in range(size)
            ]
            for i, row in enumerate(zip(*across_x, strict=True)):
                results = list(enumerate(self.times(matrix, row)))
                if partly:
                    for j, value in results:
                        self.store(value, place(y, y_down, y_across, i, j), mask)
                    continue
                with builder.if_then(self.within(i, *rows)):
                    for j, value in results:
                        with builder.if_then(self.within(j, *columns)):
                            self.store(value, place(y, y_down, y_across, i, j), mask)

    def within(self, i: int, start: Any, stop: Any) -> Any:
        """Whether start <= i < stop."""
        above = self.builder.icmp_signed("<=", start, INT64(i))
        return self.builder.and_(above, self.builder.icmp_signed("<", INT64(i), stop))

    def times(self, matrix: Matrix, vectors: Sequence[Any]) -> list[Any]:
        """The matrix times a column of vectors."""
        return [self.combination(row, vectors) for row in matrix]

    def combination(self, factors: Sequence[float], vectors: Sequence[Any]) -> Any:
        """The sum of factors times vectors; what is multiplied by 0 is left out."""
        total = None
        for factor, vector in zip(factors, vectors, strict=True):
            if factor == 0:
                continue
            if total is None:
                total = vector if factor == 1 else self.builder.fmul(vector, self.constant(factor))
            elif factor == 1:
                total = self.builder.fadd(total, vector)
            elif factor == -1:
                total = self.builder.fsub(total, vector)
            else:
                total = self.call("fma", self.vector, [vector, self.constant(factor), total])
        return self.zero if total is None else total


def _turned(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))


INPUT, WEIGHT, OUTPUT = _sandwich_piece(BT), _sandwich_piece(G, partly=True), _sandwich_piece(AT)
OUTPUT_GRAD, WEIGHT_GRAD = _sandwich_piece(_turned(AT)), _sandwich_piece(_turned(G))
