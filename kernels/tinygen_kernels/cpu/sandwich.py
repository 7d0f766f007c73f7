"""The transforms of Winograd's F(4 x 4, 3 x 3): Y = S X T^T for every channel, as LLVM vectors.

S and T are small matrices or their transposes. All the elements of X and Y stay in registers as far
as there are any; what is multiplied by 0 is left out, and by 1 only added.

A tile may also have only 3 rows or columns of the result. F(3, 3) takes 5 points where F(4, 3)
takes 6: the same without -2. Its input is scaled so that it goes with the same transformed weights.

Source of the matrices: Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks"; of
those for 3, the same construction: row p of B^T has the coefficients of M(x) / (x - p), with M the
product of all x - q, divided by M'(p) and multiplied with M'(p) of F(4, 3); its last row is M(x).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
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
BT_SMALL = (
    (4, -2, -4, 2, 0, 0),
    (0, -6, -3, 3, 0, 0),
    (0, 2, -3, 1, 0, 0),
    (0, -4, 0, 4, 0, 0),
    (0, 0, 0, 0, 0, 0),
    (0, 2, -1, -2, 1, 0),
)
AT_SMALL = (
    (1, 1, 1, 1, 0, 0),
    (0, 1, -1, 2, 0, 0),
    (0, 1, 1, 4, 0, 1),
)
TILE, TAPS, WINDOW = 4, 3, 6  # pixels of the result, taps, pixels of the input, along each side
POINTS = WINDOW * WINDOW
SMALL, LEFT_OUT = 3, 4  # pixels along the side of a smaller tile, and the point it does without
KINDS = ((TILE, SMALL), (TILE, TILE), (SMALL, TILE), (SMALL, SMALL))  # of tiles: rows, columns
WHOLE = KINDS.index((TILE, TILE))


def _turned(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))


# Of each transform S and T, and whether it may have to read beyond the edges of what there is.
TRANSFORMS: dict[str, tuple[Matrix, Matrix, bool]] = {
    "weight": (G, G, True),
    "weight_grad": (_turned(G), _turned(G), False),
}
for _m, _n in KINDS:
    _b, _a = {TILE: BT, SMALL: BT_SMALL}, {TILE: AT, SMALL: AT_SMALL}
    TRANSFORMS[f"input {_m} {_n}"] = _b[_m], _b[_n], True
    TRANSFORMS[f"output {_m} {_n}"] = _a[_m], _a[_n], False
    TRANSFORMS[f"output_grad {_m} {_n}"] = _turned(_a[_m]), _turned(_a[_n]), True


def _piece(name: str) -> Piece:
    """Y = S X T^T for a vector of channels at every place.

    It takes, all in elements: address of X, its strides down and across; address of Y, its strides
    down and across; how many channels; a part of X as top, bottom, left and right, outside of which
    it is taken as 0, if it reads beyond edges; and a part of Y: no more of it is stored.
    """

    def make(number: Any) -> Any:
        def piece(
            x: int, x_down: int, x_across: int, y: int, y_down: int, y_across: int, channels: int,
            x_top: int, x_bottom: int, x_left: int, x_right: int,
            y_top: int, y_bottom: int, y_left: int, y_right: int,
        ) -> None:  # fmt: skip
            sandwich(
                number, name, x, x_down, x_across, y, y_down, y_across, channels,
                x_top, x_bottom, x_left, x_right, y_top, y_bottom, y_left, y_right,
            )  # fmt: skip

        return piece

    return Piece(make, *[types.int64] * 15)


WEIGHT, WEIGHT_GRAD = _piece("weight"), _piece("weight_grad")
INPUT, OUTPUT, OUTPUT_GRAD = (
    [_piece(f"{name} {rows} {columns}") for rows, columns in KINDS]
    for name in ("input", "output", "output_grad")
)


def of_kinds(pieces: Sequence[Piece], dtype: Any, small: bool) -> tuple[int, ...]:
    """The addresses of INPUT, OUTPUT or OUTPUT_GRAD by kind of tile.

    Those of smaller tiles are compiled only if there are such.
    """
    return tuple((piece if small else pieces[WHOLE])[dtype] for piece in pieces)


@intrinsic(prefer_literal=True)
def sandwich(  # type: ignore[no-untyped-def]  # Numba reads the names
    context, number, name, x, x_down, x_across, y, y_down, y_across, channels,
    x_top, x_bottom, x_left, x_right, y_top, y_bottom, y_left, y_right,
):  # fmt: skip
    """The transform called `name`; see `_piece`."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emitter = _SandwichEmitter(number.dtype.bitwidth, builder)
        parts = arguments[9:13], arguments[13:]
        emitter.sandwich(*TRANSFORMS[name.literal_value], arguments[2:9], *parts)
        return context.get_dummy_value()

    return types.void(number, name, *[types.int64] * 15), emit


class _SandwichEmitter(Emitter):
    """Writes S X T^T."""

    def sandwich(
        self, s: Matrix, t: Matrix, edges: bool, operands: Sequence[Any], of_x: Sequence[Any],
        of_y: Sequence[Any],
    ) -> None:  # fmt: skip
        """All channels, as many at a time as a register holds."""
        x, x_down, x_across, y, y_down, y_across, channels = operands
        builder = self.builder
        x, y = self.pointer(x), self.pointer(y)
        x_top, x_bottom, x_left, x_right = of_x
        y_top, y_bottom, y_left, y_right = of_y
        whole = self.all_within(len(s), y_top, y_bottom)
        whole = self.all_within(len(t), y_left, y_right, whole)
        if edges:
            whole = self.all_within(len(s[0]), x_top, x_bottom, whole)
            whole = self.all_within(len(t[0]), x_left, x_right, whole)
        nothing = cgutils.alloca_once_value(builder, self.zero)

        def places(base: Any, down: Any, across: Any, k: Any) -> Callable[[int, int], Any]:
            def place(i: int, j: int) -> Any:
                offset = builder.add(builder.mul(down, INT64(i)), builder.mul(across, INT64(j)))
                return self.at(base, builder.add(offset, k), True)

            return place

        def transform(k: Any, load: Callable[..., Any], store: Callable[..., None]) -> None:
            place_x, place_y = places(x, x_down, x_across, k), places(y, y_down, y_across, k)
            across_x = [
                self.times(s, [load(place_x(i, j), i, j) for i in range(len(s[0]))])
                for j in range(len(t[0]))
            ]
            for i, row in enumerate(zip(*across_x, strict=True)):
                if any(s[i]):
                    values = enumerate(self.times(t, row))
                    store(i, [(j, value, place_y(i, j)) for j, value in values if any(t[j])])

        def inside(i: int, j: int) -> Any:
            return builder.and_(self.within(i, x_top, x_bottom), self.within(j, x_left, x_right))

        def load(place: Any, i: int, j: int) -> Any:
            return self.load(place, None)

        def load_inside(place: Any, i: int, j: int) -> Any:
            return self.load(builder.select(inside(i, j), place, nothing), None)

        def store(i: int, row: list[Any]) -> None:
            for _, value, place in row:
                self.store(value, place, None)

        def store_inside(mask: Any, i: int, row: list[Any]) -> None:
            with builder.if_then(self.within(i, y_top, y_bottom)):
                for j, value, place in row:
                    with builder.if_then(self.within(j, y_left, y_right)):
                        self.store(value, place, mask)

        with cgutils.for_range_slice(builder, INT64(0), channels, INT64(self.lanes)) as (k, _):
            left = builder.sub(channels, k)
            mask = self.mask(left)

            def load_masked(place: Any, i: int, j: int) -> Any:
                here = builder.select(inside(i, j), mask, ir.Constant(mask.type, None))
                return self.load(place, here if edges else mask)

            full = builder.icmp_signed(">=", left, INT64(self.lanes))
            with builder.if_else(full) as (all_lanes, some_lanes):
                with all_lanes, builder.if_else(whole) as (within, beyond):
                    with within:
                        transform(k, load, store)
                    with beyond:
                        store_part = functools.partial(store_inside, None)
                        transform(k, load_inside if edges else load, store_part)
                with some_lanes:
                    transform(k, load_masked, functools.partial(store_inside, mask))

    def all_within(self, count: int, start: Any, stop: Any, also: Any = None) -> Any:
        """Whether 0 to count - 1 are from `start` to `stop`, and something else holds."""
        builder = self.builder
        below = builder.icmp_signed("<=", start, INT64(0))
        both = builder.and_(below, builder.icmp_signed("<=", INT64(count), stop))
        return both if also is None else builder.and_(both, also)

    def within(self, i: int, start: Any, stop: Any) -> Any:
        """Whether start <= i < stop."""
        above = self.builder.icmp_signed("<=", start, INT64(i))
        return self.builder.and_(above, self.builder.icmp_signed("<", INT64(i), stop))

    def times(self, matrix: Matrix, vectors: Sequence[Any]) -> list[Any]:
        """The matrix times a column of vectors.

        Two columns, or rows, that differ in signs alone share their products: those with the sum
        and with the difference of two vectors are halves of such columns, and of such rows they are
        sum and difference.
        """
        columns, vectors = list(_turned(matrix)), list(vectors)
        for i, j in _twins(columns):
            columns[i], columns[j] = _halves(columns[i], columns[j])
            vectors[i], vectors[j] = self.sum_and_difference(vectors[i], vectors[j])
        rows = list(_turned(columns))
        twins = _twins(rows)
        for i, j in twins:
            rows[i], rows[j] = _halves(rows[i], rows[j])
        results = [self.combination(row, vectors) for row in rows]
        for i, j in twins:
            results[i], results[j] = self.sum_and_difference(results[i], results[j])
        return results

    def sum_and_difference(self, x: Any, y: Any) -> tuple[Any, Any]:
        """x + y and x - y."""
        return self.builder.fadd(x, y), self.builder.fsub(x, y)

    def combination(self, factors: Sequence[float], vectors: Sequence[Any]) -> Any:
        """The sum of factors times vectors; what is multiplied by 0 is left out."""
        total = None
        terms = [term for term in zip(factors, vectors, strict=True) if term[0]]
        for factor, vector in sorted(terms, key=lambda term: term[0] != 1):
            if total is None:
                total = vector if factor == 1 else self.builder.fmul(vector, self.constant(factor))
            elif factor == 1:
                total = self.builder.fadd(total, vector)
            elif factor == -1:
                total = self.builder.fsub(total, vector)
            else:
                total = self.call("fma", self.vector, [vector, self.constant(factor), total])
        return self.zero if total is None else total


def _twins(rows: Sequence[Sequence[float]]) -> list[tuple[int, int]]:
    """The pairs of rows that differ in signs alone, which in our matrices follow each other."""
    sizes = [[abs(x) for x in row] for row in rows]
    return [(i, i + 1) for i in range(len(rows) - 1) if sizes[i] == sizes[i + 1]]


def _halves(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    """Half the sum and half the difference."""
    pairs = list(zip(x, y, strict=True))
    return [(p + q) / 2 for p, q in pairs], [(p - q) / 2 for p, q in pairs]
