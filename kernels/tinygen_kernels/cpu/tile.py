"""The innermost product: a tile of C = A B held in registers, written as LLVM vectors.

Numba has no vector type, and a loop over a tile kept in memory spends its time on loads and stores.
So the tile is emitted directly, as accumulators in registers and one fused multiply-add for each of
them at every step along the depth k. There are two kinds:

    outer:  C[i, :] += A[i, k] * B[k, :]    rows of B are contiguous; : spans some registers
    inner:  C[i, j] += A[i, :] * B[:, j]    rows of A and columns of B are contiguous; the lanes of
                                            a register are added up at the end

With AVX-512 an outer tile of eight rows and three registers takes 24 accumulators of the 32; three
more hold the row of B, one the number from A: 24 multiply-adds for 11 loads. An inner tile of 4 x 6
takes 24 accumulators and 10 loads. With AVX2's 16 registers it is 12 accumulators for either, 6 x 2
and 2 x 6, and 8 loads.

A mask would take a register more, and some processors are slow to load with one. So where
the columns do not fill the last register of a tile, it begins earlier and does some columns of the
one before once more; only a single register that is not full has a mask.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from .pieces import Piece, call
from .vectors import INT32, INT64, REGISTERS, VECTOR_BYTES, Emitter

ROWS, VECTORS = (8, 3) if REGISTERS == 32 else (6, 2)  # an outer tile
WIDTH = VECTORS * VECTOR_BYTES // 4  # columns of an outer tile in float32
INNER_ROWS, INNER_COLUMNS = (4, 6) if REGISTERS == 32 else (2, 6)


@register_jitable
def width_of_tile(columns, lanes):  # type: ignore[no-untyped-def]
    """How many of these columns an outer tile takes: what is left is none or fills a register."""
    width = min(columns, VECTORS * lanes)
    return columns - lanes if width < columns < width + lanes else width


def _make_rectangle(number: Any) -> Any:
    """See `rectangle`; strides are in elements."""
    size = number.bitwidth // 8
    lanes = VECTOR_BYTES // size

    def piece(
        a: int, a_row: int, a_step: int, b: int, b_step: int, b_column: int, c: int, c_row: int,
        depth: int, m: int, n: int, add: int,
    ) -> None:  # fmt: skip
        if b_column == 1 or n == 1:
            j = 0
            while j < n:
                columns = width_of_tile(n - j, lanes)
                i = 0
                while i < m:
                    place, start = c + size * (i * c_row + j), a + size * i * a_row
                    i += outer(
                        number, start, a_row, a_step, b + size * j, b_step, place, c_row, depth,
                        m - i, columns, add,
                    )  # fmt: skip
                j += columns
        else:
            for j in range(0, n, INNER_COLUMNS):
                for i in range(0, m, INNER_ROWS):
                    place, start = c + size * (i * c_row + j), a + size * i * a_row
                    column = b + size * j * b_column
                    inner(
                        number, start, a_row, column, b_column, place, c_row, depth, m - i, n - j,
                        add,
                    )  # fmt: skip

    return piece


PRODUCT = Piece(_make_rectangle, *[types.int64] * 12)


@register_jitable
def rectangle(product, a, b, c, add=0):  # type: ignore[no-untyped-def]
    """C = A B by tiles, or C += A B if `add`, on the thread that calls it.

    Rows of C are contiguous, and either rows of B, or its columns together with rows of A.
    `product` is PRODUCT of their type.
    """
    size = c.itemsize
    call(
        product,
        (
            a.ctypes.data, a.strides[0] // size, a.strides[1] // size,
            b.ctypes.data, b.strides[0] // size, b.strides[1] // size,
            c.ctypes.data, c.strides[0] // size,
            a.shape[1], c.shape[0], c.shape[1], add,
        ),
    )  # fmt: skip


@intrinsic
def outer(context, number, a, a_row, a_step, b, b_step, c, c_row, depth, rows, columns, add):  # type: ignore[no-untyped-def]  # Numba reads the names
    """Compute a tile of C with 8, 4, 2 or 1 rows, as many as fit; returns how many.

    Args:
        number: the type of the operands.
        a, b, c: addresses of the first elements, as integers.
        a_row, c_row: from row to row, in elements.
        a_step, b_step: from one k to the next.
        depth: the length of the sums.
        rows: rows left to do.
        columns: columns to do, at most VECTORS registers wide.
        add: not 0 to add to what C holds.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, a, a_row, a_step, b, b_step, c, c_row, depth, rows, columns, add = arguments
        emitter = TileEmitter(number.dtype.bitwidth, builder)

        def strided(base: Any, stride: Any, count: int) -> list[Any]:
            start = emitter.pointer(base)
            return [emitter.at(start, builder.mul(stride, INT64(i))) for i in range(count)]

        def tile(count: int, starts: list[Any], mask: Any) -> None:
            a_rows, c_rows = strided(a, a_row, count), strided(c, c_row, count)
            step = functools.partial(builder.mul, a_step)
            emitter.outer(a_rows, step, b, b_step, c_rows, depth, starts, mask, add)

        return emitter.largest_that_fits(rows, columns, tile)

    return types.int64(number, *[types.int64] * 11), emit


@intrinsic
def inner(context, number, a, a_row, b, b_column, c, c_row, depth, rows, columns, add):  # type: ignore[no-untyped-def]  # Numba reads the names
    """Compute a tile of C with INNER_ROWS x INNER_COLUMNS, or what is left.

    Args:
        number: the type of the operands.
        a, b, c: addresses of the first elements, as integers.
        a_row, b_column, c_row: from row to row, or column to column, in elements.
        depth: the length of the sums.
        rows, columns: how many are left to do.
        add: not 0 to add to what C holds.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        TileEmitter(number.dtype.bitwidth, builder).inner(*arguments[1:])
        return context.get_dummy_value()

    return types.void(number, *[types.int64] * 10), emit


class TileEmitter(Emitter):
    """Writes the code of tiles of one type."""

    def largest_that_fits(self, rows: Any, columns: Any, tile: Callable[..., None]) -> Any:
        """Code that runs the largest tile with at most so many rows, and is how many those are."""
        builder = self.builder
        done = cgutils.alloca_once(builder, INT64)
        lanes = INT64(self.lanes)
        vectors_needed = builder.udiv(builder.add(columns, builder.sub(lanes, INT64(1))), lanes)
        last = builder.sub(columns, lanes)
        after = builder.append_basic_block("tile.after")

        def tiles(starts: list[Any], mask: Any) -> None:
            for count in (ROWS, 4, 2, 1):
                with builder.if_then(builder.icmp_signed(">=", rows, INT64(count))):
                    builder.store(INT64(count), done)
                    tile(count, starts, mask)
                    builder.branch(after)
                    builder.position_at_end(builder.append_basic_block("tile.unreachable"))

        with builder.if_then(builder.icmp_signed("<", columns, lanes)):
            tiles([INT64(0)], self.mask(columns))
        for vectors in range(1, VECTORS + 1):
            with builder.if_then(builder.icmp_signed("==", vectors_needed, INT64(vectors))):
                starts = [INT64(j * self.lanes) for j in range(vectors - 1)]
                tiles([*starts, last], None)
        builder.branch(after)
        builder.position_at_end(after)
        return builder.load(done)

    def outer(
        self, a_rows: list[Any], a_step: Callable[[Any], Any], b: Any, b_step: Any,
        c_rows: list[Any], depth: Any, starts: list[Any], mask: Any, add: Any,
    ) -> None:  # fmt: skip
        """A tile of these rows, with vectors from the columns `starts` on, which may overlap.

        `a_step(k)` is where k is. The tile is added to C if `add` is not 0: all of C is read before
        anything is written.
        """
        builder = self.builder
        b = self.pointer(b)
        sums = self.accumulators(len(a_rows), len(starts))
        places = [[self.at(row, start, True) for start in starts] for row in c_rows]
        with builder.if_then(builder.icmp_signed("!=", add, INT64(0))):
            for row, totals in zip(places, sums, strict=True):
                for place, total in zip(row, totals, strict=True):
                    builder.store(self.load(place, mask), total)
        with cgutils.for_range(builder, depth) as loop:
            row_of_b = self.at(b, builder.mul(loop.index, b_step))
            parts = [self.load(self.at(row_of_b, start, True), mask) for start in starts]
            step = a_step(loop.index)
            for row, totals in zip(a_rows, sums, strict=True):
                factor = self.spread(builder.load(self.at(row, step)), self.vector)
                for part, total in zip(parts, totals, strict=True):
                    self.add_product(total, factor, part)
        for row, totals in zip(places, sums, strict=True):
            for place, total in zip(row, totals, strict=True):
                self.store(builder.load(total), place, mask)

    def inner(
        self, a: Any, a_row: Any, b: Any, b_column: Any, c: Any, c_row: Any,
        depth: Any, rows: Any, columns: Any, add: Any,
    ) -> None:  # fmt: skip
        """A tile of INNER_ROWS x INNER_COLUMNS; where fewer are left, the last is done again."""
        builder = self.builder
        a, b, c = self.pointer(a), self.pointer(b), self.pointer(c)
        sums = self.accumulators(INNER_ROWS, INNER_COLUMNS)
        places = [self.nth(i, rows) for i in range(INNER_ROWS)]
        others = [self.nth(j, columns) for j in range(INNER_COLUMNS)]
        a_rows = [self.at(a, builder.mul(a_row, i)) for i in places]
        b_columns = [self.at(b, builder.mul(b_column, j)) for j in others]
        rest = builder.urem(depth, INT64(self.lanes))
        whole = builder.sub(depth, rest)

        def add_products(k: Any, mask: Any) -> None:
            factors = [self.load(self.at(row, k, True), mask) for row in a_rows]
            for j in range(INNER_COLUMNS):
                other = self.load(self.at(b_columns[j], k, True), mask)
                for i in range(INNER_ROWS):
                    self.add_product(sums[i][j], factors[i], other)

        with cgutils.for_range_slice(builder, INT64(0), whole, INT64(self.lanes)) as (k, _):
            add_products(k, None)
        with builder.if_then(builder.icmp_signed("!=", rest, INT64(0))):
            add_products(whole, self.mask(rest))
        rows_of_c = [self.at(c, builder.mul(c_row, i)) for i in places]
        results = [[self.at(row, j) for j in others] for row in rows_of_c]
        totals = [
            self.sums_of_lanes([builder.load(row[j]) for row in sums]) for j in range(len(others))
        ]
        with builder.if_else(builder.icmp_signed("!=", add, INT64(0))) as (adding, storing):
            with adding:  # read all before anything is written: some places are there twice
                before = [[builder.load(place) for place in row] for row in results]
                for i, row in enumerate(results):
                    for j, place in enumerate(row):
                        total = builder.extract_element(totals[j], INT32(i))
                        builder.store(builder.fadd(before[i][j], total), place)
            with storing:
                for i, row in enumerate(results):
                    for j, place in enumerate(row):
                        builder.store(builder.extract_element(totals[j], INT32(i)), place)

    def sums_of_lanes(self, vectors: list[Any]) -> Any:
        """For 2 or 4 vectors, a vector with the sum of the lanes of each.

        Two vectors become one by adding their first halves, interleaved, to their second halves,
        which takes fewer shuffles than to add up each by itself.
        """
        half = self.lanes // 2
        first = [lane for i in range(half) for lane in (i, i + self.lanes)]
        while len(vectors) > 1:
            others = vectors[len(vectors) // 2 :]
            vectors = [
                self.add_shuffled(x, y, first, half)
                for x, y in zip(vectors, others)  # noqa: B905
            ]
        total = vectors[0]
        while half >= INNER_ROWS:
            total = self.add_shuffled(total, total, list(range(half)), half)
            half //= 2
        return total

    def add_shuffled(self, x: Any, y: Any, lanes: list[int], step: int) -> Any:
        """The given lanes of x and y, plus those `step` further on."""
        mask = [
            ir.Constant(ir.VectorType(INT32, len(lanes)), [lane + k for lane in lanes])
            for k in (0, step)
        ]
        parts = [self.builder.shuffle_vector(x, y, m) for m in mask]
        return self.builder.fadd(*parts)

    def nth(self, i: int, count: Any) -> Any:
        """i, or the last one of `count`."""
        last = self.builder.sub(count, INT64(1))
        fits = self.builder.icmp_signed("<", INT64(i), count)
        return self.builder.select(fits, INT64(i), last)
