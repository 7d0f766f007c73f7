"""Tiles that find their operands through tables of places: the innermost loops of a convolution.

gathered:  C[i, :] += A[rows[i] + steps[k]] * B[k, :]      as an outer tile, see tile.py
dots:      C[i] = sum over k of A[rows[i] + steps[k]] w[k]  the lanes of a register along k
"""

from __future__ import annotations

import functools
from typing import Any

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from .pieces import Piece, call
from .tile import INNER_ROWS, TileEmitter, width_of_tile
from .vectors import INT32, INT64, VECTOR_BYTES

DOT_ROWS = 2 * INNER_ROWS  # chains of additions side by side: each waits for its last one


def _make_gathered(number: Any) -> Any:
    """See `gathered_rectangle`."""
    size = number.bitwidth // 8
    lanes = VECTOR_BYTES // size

    def piece(
        a: int, rows: int, steps: int, b: int, b_step: int, c: int, c_rows: int, depth: int,
        m: int, n: int, add: int,
    ) -> None:  # fmt: skip
        j = 0
        while j < n:
            columns, i = width_of_tile(n - j, lanes), 0
            while i < m:
                i += gathered(
                    number, a, rows + 8 * i, steps, b + size * j, b_step, c + size * j,
                    c_rows + 8 * i, depth, m - i, columns, add,
                )  # fmt: skip
            j += columns

    return piece


GATHERED = Piece(_make_gathered, *[types.int64] * 11)


@register_jitable
def gathered_rectangle(product, a, rows, steps, b, c, c_rows, add):  # type: ignore[no-untyped-def]
    """C = A B, or C += A B, where A[i, k] is a[rows[i] + steps[k]] and row i of C is at c_rows[i].

    Args:
        product: GATHERED of their type.
        a, c: flat arrays.
        rows, steps, c_rows: places in them, as int64; as many steps as B has rows.
        b: with contiguous rows, as long as those of C.
        add: not 0 to add to what is there.
    """
    call(
        product,
        (
            a.ctypes.data, rows.ctypes.data, steps.ctypes.data,
            b.ctypes.data, b.strides[0] // b.itemsize, c.ctypes.data, c_rows.ctypes.data,
            b.shape[0], rows.size, b.shape[1], add,
        ),
    )  # fmt: skip


def _make_dots(number: Any) -> Any:
    """See `gathered_dots`."""

    def piece(
        a: int, rows: int, taps: int, count: int, run: int, w: int, w_step: int,
        c: int, c_rows: int, m: int,
    ) -> None:  # fmt: skip
        for i in range(0, m, DOT_ROWS):
            dots(number, a, rows + 8 * i, taps, count, run, w, w_step, c, c_rows + 8 * i, m - i)

    return piece


DOTS = Piece(_make_dots, *[types.int64] * 10)


@register_jitable
def gathered_dots(product, a, rows, taps, w, c, c_rows):  # type: ignore[no-untyped-def]
    """C = A w as `gathered_rectangle`, for a single column w, where steps come in runs.

    Args:
        product: DOTS of their type.
        a, c: flat arrays.
        rows, c_rows: places in them.
        taps: where a run of neighbouring elements begins, from a row.
        w: (taps, length of a run), with contiguous runs.
    """
    run = w.shape[1]
    call(
        product,
        (
            a.ctypes.data, rows.ctypes.data, taps.ctypes.data, taps.size, run,
            w.ctypes.data, w.strides[0] // w.itemsize, c.ctypes.data, c_rows.ctypes.data, rows.size,
        ),
    )  # fmt: skip


@intrinsic
def dots(context, number, a, rows, taps, count, run, w, w_step, c, c_rows, left):  # type: ignore[no-untyped-def]  # Numba reads the names
    """DOT_ROWS elements of a single column, or what is left of it; see `gathered_dots`."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _GatheringEmitter(number.dtype.bitwidth, builder).dots(*arguments[1:])
        return context.get_dummy_value()

    return types.void(number, *[types.int64] * 10), emit


@intrinsic
def gathered(context, number, a, a_rows, a_steps, b, b_step, c, c_rows, depth, rows, columns, add):  # type: ignore[no-untyped-def]  # Numba reads the names
    """As `outer`, with the places of rows and steps in tables.

    Args:
        a_rows, a_steps, c_rows: addresses of tables of places, in elements from a or c.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        _, a, a_rows, a_steps, b, b_step, c, c_rows, depth, rows, columns, add = arguments
        emitter = _GatheringEmitter(number.dtype.bitwidth, builder)

        def looked_up(base: Any, table: Any, count: int) -> list[Any]:
            start = emitter.pointer(base)
            return [emitter.at(start, emitter.entry(table, INT64(i))) for i in range(count)]

        def tile(count: int, starts: list[Any], mask: Any) -> None:
            places = looked_up(a, a_rows, count), looked_up(c, c_rows, count)
            step = functools.partial(emitter.entry, a_steps)
            emitter.outer(places[0], step, b, b_step, places[1], depth, starts, mask, add)

        return emitter.largest_that_fits(rows, columns, tile)

    return types.int64(number, *[types.int64] * 11), emit


class _GatheringEmitter(TileEmitter):
    """Writes the code of tiles that look up their places."""

    def dots(
        self, a: Any, rows: Any, taps: Any, count: Any, run: Any, w: Any, w_step: Any,
        c: Any, c_rows: Any, left: Any,
    ) -> None:  # fmt: skip
        """Dot products of w and of what the taps of DOT_ROWS rows see."""
        builder = self.builder
        a, w, c = self.pointer(a), self.pointer(w), self.pointer(c)
        places = [self.nth(i, left) for i in range(DOT_ROWS)]
        starts = [self.at(a, self.entry(rows, i)) for i in places]
        (sums,) = self.accumulators(1, DOT_ROWS)
        rest = builder.urem(run, INT64(self.lanes))
        whole, mask = builder.sub(run, rest), self.mask(rest)
        some = builder.icmp_signed("!=", rest, INT64(0))
        with cgutils.for_range(builder, count) as loop:
            tap = self.entry(taps, loop.index)
            seen = [self.at(x, tap) for x in starts]
            weights = self.at(w, builder.mul(w_step, loop.index))

            def add(k: Any, mask: Any | None) -> None:
                factor = self.load(self.at(weights, k, True), mask)
                for x, total in zip(seen, sums, strict=True):
                    self.add_product(total, self.load(self.at(x, k, True), mask), factor)

            with cgutils.for_range_slice(builder, INT64(0), whole, INT64(self.lanes)) as (k, _):
                add(k, None)
            with builder.if_then(some):
                add(whole, mask)
        for first in range(0, DOT_ROWS, INNER_ROWS):
            here = slice(first, first + INNER_ROWS)
            totals = self.sums_of_lanes([builder.load(total) for total in sums[here]])
            for i, place in enumerate(places[here]):
                total = builder.extract_element(totals, INT32(i))
                builder.store(total, self.at(c, self.entry(c_rows, place)))

    def entry(self, table: Any, i: Any) -> Any:
        """Number i of a table of int64 at an address."""
        start = self.builder.inttoptr(table, INT64.as_pointer())
        return self.builder.load(self.builder.gep(start, [i]))
