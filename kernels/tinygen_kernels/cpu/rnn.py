"""Recurrent layers: one call for all steps of a sequence, forward or backward.

The batch is cut into shares of rows. Each goes by itself through all that there is to do: threads
never wait for each other in between, and what a share has written, it reads again from its own
caches. Only the gradients of the weights, a part from each share, are added up at the end.

Forward, a step is x w and h u, added where the gates will be, and the gates, computed on rows that
the products have just left in the first-level cache: for a batch of 32 and an LSTM of 100 units 1.3
million multiply-adds and 160 KB of recurrent weights, which stay in the second-level cache. An
input that is the same at every step is multiplied once.

Backward, the gradients of some steps, as many as make DEPTH rows, stay in the second-level cache
until both products for the gradients of the weights have taken them. A first state of zeros, and a
first state without a gradient, take no product.

Sequences may lie in memory with time or with the batch first: a sequence comes as the rows of a
matrix, with the number of rows from step to step, which is 0 if all steps are one, and from sample
to sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import prange
from numba.extending import register_jitable
from numpy.typing import NDArray

from ..reference import rnn as reference
from .cells import STEPS
from .gathered import GATHERED, gathered_rectangle
from .jit import Loop
from .memory import empty, scratch
from .pieces import call
from .reduce import add
from .shares import share
from .tile import PRODUCT, rectangle
from .turn import TURN, room_to_turn, turn_matrix

Array = NDArray[Any]
Steps = tuple[Array, Array, Array]
Sequences = tuple[Array, int, int]  # rows, from step to step, from sample to sample

ROWS, LEAST = 16, 4  # the fewest rows in a share of a large batch, and of a small one
MOST = 16  # shares
ALONE = 1 << 20  # multiply-adds that are worth a thread
DEPTH = 192  # rows of gradients at a time: 48 columns of so many stay in the first-level cache


@register_jitable
def _row(x, t, i):  # type: ignore[no-untyped-def]
    """The address of row i of step t."""
    return x.ctypes.data + t * x.strides[0] + i * x.strides[1]


@register_jitable
def _rows_of(sequences, t, top, bottom):  # type: ignore[no-untyped-def]
    """Rows `top` to `bottom` of step t."""
    rows, step, row = sequences
    return rows[t * step + top * row : t * step + (bottom - 1) * row + 1 : row]


@register_jitable
def _correlate(product, sequences, first, last, top, bottom, grads, total, adding):  # type: ignore[no-untyped-def]
    """The sum of x^T times the rows of `grads`, over steps `first` to `last` of some samples.

    It goes into `total`, or is added to it.
    """
    x, step, row = sequences
    columns = np.arange(x.shape[1])
    places = np.empty((last - first) * (bottom - top), np.int64)
    for t in range(first, last):
        for i in range(top, bottom):
            k = (t - first) * (bottom - top) + i - top
            places[k] = (t * step + i * row) * x.shape[1]
    targets, flat = columns * total.shape[1], total.reshape(-1)
    for k in range(0, max(places.size, 1), DEPTH):
        here = slice(k, min(k + DEPTH, places.size))
        gathered_rectangle(
            product, x.reshape(-1), columns, places[here], grads[here], flat, targets, k or adding
        )


@Loop
def _forward(
    x: Sequences, w: Array, u: Array, b: Array, gates: Array, states: Array, memory: Array,
    mask: Array, products: Array, count: int, tiles: int, piece: int,
) -> None:  # fmt: skip
    steps, units, bias = len(gates), len(u), b.ctypes.data
    apart, always = len(products) > 0, x[1] == 0
    for part in prange(count):
        top, bottom = share(gates.shape[1], count, part)
        last = gates[steps - 1, top:bottom]
        if always:
            rectangle(tiles, _rows_of(x, 0, top, bottom), w, last)
        for t in range(steps):
            z = gates[t, top:bottom]
            if not always:
                rectangle(tiles, _rows_of(x, t, top, bottom), w, z)
            elif t < steps - 1:
                z[:] = last
            r = products[top:bottom] if apart else z
            rectangle(tiles, states[t, top:bottom], u, r, not apart)
            for i in range(top, bottom):
                if mask.size and not mask[t, i]:
                    states[t + 1, i] = states[t, i]
                    memory[t + 1, i] = memory[t, i]
                else:
                    places = (
                        _row(gates, t, i), r[i - top].ctypes.data, bias,
                        _row(states, t, i), _row(states, t + 1, i),
                        _row(memory, t, i), _row(memory, t + 1, i),
                    )  # fmt: skip
                    call(piece, (*places, units))


@Loop
def _backward(
    x: Sequences, w: Array, u: Array, gates: Array, states: Array, memory: Array, mask: Array,
    gy: Sequences, gh: Array, gm: Array, grads: Array, gx: Array, gw: Array, gu: Array,
    parts: Array, sums: Array, room_w: Array, room_u: Array,
    started: bool, all_the_way: bool, held: int, tiles: int, product: int, turning: int, piece: int,
) -> None:  # fmt: skip
    (steps, n, width), (inputs, units) = gates.shape, (len(w), len(u))
    count, sides = grads.shape[:2]
    before = states.reshape(-1, units), n, 1
    always = x[1] == 0
    for part in prange(count):
        top, bottom = share(n, count, part)
        here = bottom - top
        gz, gr = grads[part, 0], grads[part, sides - 1]
        own_w = gw if part == 0 else parts[part - 1, :inputs]
        own_u = gu if part == 0 else parts[part - 1, inputs:]
        u_turned, w_turned = room_u[part, :, :units], room_w[part, :, :inputs]
        turn_matrix(turning, u, u_turned)
        if gx.size:
            turn_matrix(turning, w, w_turned)
        over_time = np.zeros((here if always else 0, width), gates.dtype)
        for last in range(steps, 0, -held):
            first = max(last - held, 0)
            for t in range(last - 1, first - 1, -1):
                now = (t - first) * here
                for i in range(top, bottom):
                    k = now + i - top
                    if gy[0].size:
                        add(gh[i], gy[0][t * gy[1] + i * gy[2]])
                    if mask.size and not mask[t, i]:
                        gz[k] = 0
                        gr[k] = 0
                    else:
                        places = (
                            _row(gates, t, i), _row(states, t, i), _row(states, t + 1, i),
                            _row(memory, t, i), _row(memory, t + 1, i),
                            gh[i].ctypes.data, gm[i].ctypes.data,
                            gz[k].ctypes.data, gr[k].ctypes.data,
                        )  # fmt: skip
                        call(piece, (*places, units))
                        for side in range(sides):
                            add(sums[part, side], grads[part, side, k])
                        if always:
                            add(over_time[i - top], gz[k])
                if gx.size:
                    rectangle(tiles, gz[now : now + here], w_turned, gx[t, top:bottom])
                if t or all_the_way:
                    rectangle(tiles, gr[now : now + here], u_turned, gh[top:bottom], 1)
            more = last < steps
            if not always:
                _correlate(product, x, first, last, top, bottom, gz, own_w, more)
            skipped = 0 if first or started else 1  # a step from a state of zeros
            _correlate(
                product, before, first + skipped, last, top, bottom, gr[skipped * here :],
                own_u, more,
            )  # fmt: skip
        if always:
            _correlate(product, x, 0, 1, top, bottom, over_time, own_w, False)
    for i in prange(inputs + units):
        total = gw[i] if i < inputs else gu[i - inputs]
        for part in range(count - 1):
            add(total, parts[part, i])


def _shares(steps: int, n: int, u: Array) -> int:
    """Into how many shares to cut the batch."""
    if steps * n * u.size < 2 * ALONE or n < 2 * LEAST:
        return 1
    count = 2
    while count < MOST and n >= 2 * ROWS * count:
        count *= 2
    return count


def _ordered(dtype: Any, *arrays: Array) -> list[Array]:
    """The arrays in that type and in C's order; those that are so already are not copied."""
    return [a if a.dtype == dtype and a.flags.c_contiguous else _copy(a, dtype) for a in arrays]


def _copy(a: Array, dtype: Any) -> Array:
    copied = empty(a.shape, dtype)
    copied[...] = a
    return copied


def _sequences(x: Array, dtype: Any) -> Sequences:
    """Where the rows of (steps, n, ...) are; they are copied only if nothing else helps."""
    steps, n, width = x.shape
    if x.strides[0] == 0 and steps > 1:
        return _copy(x[0], dtype), 0, 1
    if x.dtype == dtype and x.swapaxes(0, 1).flags.c_contiguous:
        return x.swapaxes(0, 1).reshape(n * steps, width), 1, steps
    (x,) = _ordered(dtype, x)
    return x.reshape(steps * n, width), n, 1


def _as_array(mask: Array | None) -> Array:
    """The mask as Numba wants it; of no size if there is none."""
    return np.empty((0, 0), np.bool_) if mask is None else np.ascontiguousarray(mask)


def recurrent(
    cell: str, x: Array, w: Array, u: Array, b: Array, h: Array, c: Array, mask: Array | None
) -> Steps:
    """Go through a sequence; see the reference."""
    dtype = np.result_type(x, w, u)
    if dtype.char not in "fd":
        return reference.recurrent(cell, x, w, u, b, h, c, mask)
    w, u, b = _ordered(dtype, w, u, b)
    steps, n, units = len(x), len(h), len(u)
    states = empty((steps + 1, n, units), dtype)
    memory = empty((steps + 1, n, 0 if cell == "simple_rnn" else units), dtype)
    states[0] = h
    memory[0] = c if cell == "lstm" else 0
    gates = empty((steps, n, u.shape[1]), dtype)
    products = empty((n if cell == "gru" else 0, u.shape[1]), dtype)  # apart from x w
    count = _shares(steps, n, u)
    loop = _forward.shared if count > 1 else _forward.alone
    loop(
        _sequences(x, dtype), w, u, b, gates, states, memory, _as_array(mask), products, count,
        PRODUCT[dtype], STEPS[cell][0][dtype],
    )  # fmt: skip
    return states, memory, gates


def recurrent_grad(
    cell: str, x: Array, w: Array, u: Array, mask: Array | None, after: Steps,
    gy: Array | None, gh: Array, gc: Array, needed: Sequence[Any],
) -> tuple[Array | None, ...]:  # fmt: skip
    """The gradients of x, w, u, b, h and c where `needed`; see the reference."""
    states, memory, gates = after
    dtype, (steps, n, width) = gates.dtype, gates.shape
    if dtype.char not in "fd":
        return reference.recurrent_grad(cell, x, w, u, mask, after, gy, gh, gc, needed)
    units, inputs = len(u), x.shape[2]
    seen = _sequences(x, dtype)
    given = (np.empty((0, units), dtype), 0, 0) if gy is None else _sequences(gy, dtype)
    gh, gc = _copy(gh, dtype), _copy(gc, dtype)  # the kernel changes them
    w, u = _ordered(dtype, w, u)
    count, sides = _shares(steps, n, u), 2 if cell == "gru" else 1
    most = max(-(-n // count), 1)  # rows of a share
    held = min(max(DEPTH // most, 1), steps)
    grads = scratch("grads", (count, sides, held * most, width), dtype)
    gx = empty((steps, n, inputs) if needed[0] else (0, n, inputs), dtype)
    gw, gu = empty(w.shape, dtype), empty(u.shape, dtype)
    parts = scratch("parts", (count - 1, inputs + units, width), dtype)
    sums = np.zeros((count, sides, width))
    # Products by rows of w take a quarter longer, so w and u are turned.
    of_w = room_to_turn(w, count if needed[0] else 0, "w turned")
    rooms = of_w, room_to_turn(u, count, "u turned")
    loop = _backward.shared if count > 1 else _backward.alone
    loop(
        seen, w, u, gates, states, memory, _as_array(mask), given, gh, gc, grads, gx, gw, gu,
        parts, sums, *rooms, bool(states[0].any()), bool(needed[4]), held,
        PRODUCT[dtype], GATHERED[dtype], TURN[dtype], STEPS[cell][1][dtype],
    )  # fmt: skip
    return (
        gx if needed[0] else None,
        gw if needed[1] else None,
        gu if needed[2] else None,
        sums.sum(axis=0).astype(dtype) if needed[3] else None,
        gh if needed[4] else None,
        gc if needed[5] else None,
    )
