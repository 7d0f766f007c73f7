"""Recurrent layers: one call for all steps of a sequence, forward or backward.

The batch is cut into shares of rows. Each goes by itself through all that there is to do: threads
never wait for each other in between, and what a share has written, gates forward and gradients
backward, it reads again from its own caches. Only the gradients of the weights, a part from each
share, are added up at the end.

Forward, a step is x w and h u, added where the gates will be, and the gates, computed on rows that
the products have just left in the first-level cache: for a batch of 32 and an LSTM of 100 units 1.3
million multiply-adds and 160 KB of recurrent weights, which stay in the second-level cache. An
input that is the same at every step is multiplied once.

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

from ..lines import LINE
from ..reference import rnn as reference
from .cells import STEPS
from .gathered import GATHERED, gathered_rectangle
from .jit import Loop
from .memory import empty
from .pieces import call
from .reduce import add
from .shares import share
from .tile import PRODUCT, rectangle
from .turn import turn

Array = NDArray[Any]
Steps = tuple[Array, Array, Array]
Sequences = tuple[Array, int, int]  # rows, from step to step, from sample to sample

ROWS, LEAST = 16, 4  # the fewest rows in a share of a large batch, and of a small one
MOST = 16  # shares
ALONE = 1 << 20  # multiply-adds that are worth a thread
DEPTH = 192  # rows of gradients at a time: 48 columns of so many stay in the first cache


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
def _correlate(product, sequences, steps, top, bottom, grads, total):  # type: ignore[no-untyped-def]
    """total = the sum, over steps and some samples, of x^T times the rows of `grads`."""
    x, step, row = sequences
    columns = np.arange(x.shape[1])
    places = np.empty(len(grads), np.int64)
    for t in range(steps):
        for i in range(bottom - top):
            places[t * (bottom - top) + i] = (t * step + (top + i) * row) * x.shape[1]
    targets, flat = columns * total.shape[1], total.reshape(-1)
    for k in range(0, max(len(grads), 1), DEPTH):
        here = slice(k, min(k + DEPTH, len(grads)))
        gathered_rectangle(
            product, x.reshape(-1), columns, places[here], grads[here], flat, targets, k
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
    x: Sequences, w_turned: Array, u_turned: Array, gates: Array, states: Array, memory: Array,
    mask: Array, gy: Sequences, gh: Array, gm: Array, grads: Array, gx: Array, parts: Array,
    sums: Array, tiles: int, product: int, piece: int,
) -> None:  # fmt: skip
    steps, n, units = len(gates), gates.shape[1], u_turned.shape[1]
    count, sides, inputs = len(sums), len(grads), parts.shape[1] - units
    gz, gr = grads[0], grads[sides - 1]
    for part in prange(count):
        top, bottom = share(n, count, part)
        first, here = steps * top, bottom - top  # its rows of `grads` are neighbours
        for t in range(steps - 1, -1, -1):
            now = first + t * here
            for i in range(top, bottom):
                k = now + i - top
                if gy[0].size:
                    add(gh[i], gy[0][t * gy[1] + i * gy[2]])
                if mask.size and not mask[t, i]:
                    gz[k] = 0
                    gr[k] = 0
                else:
                    places = (
                        _row(gates, t, i), _row(states, t, i),
                        _row(memory, t, i), _row(memory, t + 1, i),
                        gh[i].ctypes.data, gm[i].ctypes.data,
                        gz[k].ctypes.data, gr[k].ctypes.data,
                    )  # fmt: skip
                    call(piece, (*places, units))
                    for side in range(sides):
                        add(sums[part, side], grads[side, k])
            if gx.size:
                rectangle(tiles, gz[now : now + here], w_turned, gx[t, top:bottom])
            rectangle(tiles, gr[now : now + here], u_turned, gh[top:bottom], 1)
        own = slice(first, first + steps * here)
        _correlate(product, x, steps, top, bottom, gz[own], parts[part, :inputs])
        before = states.reshape(-1, units), n, 1
        _correlate(product, before, steps, top, bottom, gr[own], parts[part, inputs:])
    for i in prange(inputs + units):
        for part in range(1, count):
            add(parts[0, i], parts[part, i])


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


def _turned(w: Array, dtype: Any) -> Array:
    """The transpose, since products by rows of w take a quarter longer, in every step.

    Its rows begin at cache lines: most vectors would else lie across two, another eighth.
    """
    lanes = LINE // dtype.itemsize
    turned = empty((w.shape[1], -(-len(w) // lanes) * lanes), dtype)[:, : len(w)]
    turn(np.ascontiguousarray(w, dtype)[None], turned[None])
    return turned


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
    count, sides = _shares(steps, n, u), 2 if cell == "gru" else 1
    w_turned, u_turned = _turned(w, dtype), _turned(u, dtype)
    grads = empty((sides, steps * n, width), dtype)
    gx = empty((steps, n, inputs) if needed[0] else (0, n, inputs), dtype)
    parts = empty((count, inputs + units, width), dtype)
    sums = np.zeros((count, sides, width))
    loop = _backward.shared if count > 1 else _backward.alone
    loop(
        seen, w_turned, u_turned, gates, states, memory, _as_array(mask), given, gh, gc, grads, gx,
        parts, sums, PRODUCT[dtype], GATHERED[dtype], STEPS[cell][1][dtype],
    )  # fmt: skip
    return (
        gx if needed[0] else None,
        parts[0, :inputs] if needed[1] else None,
        parts[0, inputs:] if needed[2] else None,
        sums.sum(axis=0).astype(dtype) if needed[3] else None,
        gh if needed[4] else None,
        gc if needed[5] else None,
    )
