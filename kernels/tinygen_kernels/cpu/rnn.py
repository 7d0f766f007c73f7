"""Recurrent layers: one call for all steps of a sequence, forward or backward.

Of the products, that with the input is one for all steps, before the loop over time; those of the
gradients of all weights are one each, after it. Inside it remain h u, forward, and the gradient of
h, backward: for a batch of 32 and an LSTM of 100 units 1.3 million multiply-adds a step and
160 KB of weights, which stay in the second-level cache.

The batch is cut into shares of rows. Each goes through all steps by itself, so threads never wait
for each other inside the loop, and each step's gates are computed on rows that its product has
just left in the first-level cache.
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
from .jit import Loop
from .matmul import matmul
from .memory import empty
from .pieces import call
from .reduce import add
from .shares import share
from .tile import PRODUCT, rectangle

Array = NDArray[Any]
Steps = tuple[Array, Array, Array]

ROWS, MOST = 16, 16  # the fewest rows in a share of a large batch; the most shares
ALONE = 1 << 20  # multiply-adds that are worth a thread


@register_jitable
def _row(x, t, i):  # type: ignore[no-untyped-def]
    """The address of row i of step t."""
    return x.ctypes.data + t * x.strides[0] + i * x.strides[1]


@Loop
def _forward(
    gates: Array, u: Array, b: Array, states: Array, memory: Array, mask: Array, products: Array,
    count: int, tiles: int, step: int,
) -> None:  # fmt: skip
    units, bias = len(u), b.ctypes.data
    for part in prange(count):
        top, bottom = share(gates.shape[1], count, part)
        for t in range(len(gates)):
            rectangle(tiles, states[t, top:bottom], u, products[top:bottom])
            for i in range(top, bottom):
                if mask.size and not mask[t, i]:
                    states[t + 1, i] = states[t, i]
                    memory[t + 1, i] = memory[t, i]
                else:
                    places = (
                        _row(gates, t, i), products[i].ctypes.data, bias,
                        _row(states, t, i), _row(states, t + 1, i),
                        _row(memory, t, i), _row(memory, t + 1, i),
                    )  # fmt: skip
                    call(step, (*places, units))


@Loop
def _backward(
    gates: Array, turned: Array, states: Array, memory: Array, mask: Array,
    gy: Array, gh: Array, gm: Array, grads: Array, sums: Array, tiles: int, step: int,
) -> None:  # fmt: skip
    units, count, sides = turned.shape[1], len(sums), len(grads)
    gz, gr = grads[0], grads[sides - 1]
    for part in prange(count):
        top, bottom = share(gates.shape[1], count, part)
        for t in range(len(gates) - 1, -1, -1):
            for i in range(top, bottom):
                if gy.size:
                    add(gh[i], gy[t, i])
                if mask.size and not mask[t, i]:
                    gz[t, i] = 0
                    gr[t, i] = 0
                else:
                    places = (
                        _row(gates, t, i), _row(states, t, i),
                        _row(memory, t, i), _row(memory, t + 1, i),
                        gh[i].ctypes.data, gm[i].ctypes.data, _row(gz, t, i), _row(gr, t, i),
                    )  # fmt: skip
                    call(step, (*places, units))
                    for side in range(sides):
                        add(sums[part, side], grads[side, t, i])
            rectangle(tiles, gr[t, top:bottom], turned, gh[top:bottom], 1)


def _shares(steps: int, n: int, u: Array) -> int:
    """Into how many shares to cut the batch."""
    if steps * n * u.size < 2 * ALONE or n < ROWS:
        return 1
    count = 2  # even 8 rows fill a tile
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


def _matrix(x: Array) -> Array:
    """The rows of all steps, one after the other."""
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2])


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
    x, w, u, b = _ordered(dtype, x, w, u, b)
    steps, n, units = len(x), len(h), len(u)
    states = empty((steps + 1, n, units), dtype)
    memory = empty((steps + 1, n, 0 if cell == "simple_rnn" else units), dtype)
    states[0] = h
    memory[0] = c if cell == "lstm" else 0
    gates = matmul(_matrix(x), w).reshape(steps, n, w.shape[1])
    products = empty((n, w.shape[1]), dtype)
    count, step = _shares(steps, n, u), STEPS[cell][0][dtype]
    loop = _forward.shared if count > 1 else _forward.alone
    loop(
        gates, u, b, states, memory, _as_array(mask), products, count, PRODUCT[dtype], step
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
    x, w = _ordered(dtype, x, w)
    (gy,) = [np.empty((0, n, len(u)), dtype)] if gy is None else _ordered(dtype, gy)
    gh, gc = _copy(gh, dtype), _copy(gc, dtype)  # the kernel changes them
    count, sides = _shares(steps, n, u), 2 if cell == "gru" else 1
    turned = _copy(u.T, dtype)  # a product by rows of u takes a quarter longer, in every step
    grads = empty((sides, steps, n, width), dtype)
    sums = np.zeros((count, sides, width))
    loop = _backward.shared if count > 1 else _backward.alone
    loop(
        gates, turned, states, memory, _as_array(mask), gy, gh, gc, grads, sums,
        PRODUCT[dtype], STEPS[cell][1][dtype],
    )  # fmt: skip
    gz, gr = _matrix(grads[0]), _matrix(grads[-1])
    return (
        matmul(gz, w.T).reshape(x.shape) if needed[0] else None,
        matmul(_matrix(x).T, gz) if needed[1] else None,
        matmul(_matrix(states[:-1]).T, gr) if needed[2] else None,
        sums.sum(axis=0).astype(dtype) if needed[3] else None,
        gh if needed[4] else None,
        gc if needed[5] else None,
    )
