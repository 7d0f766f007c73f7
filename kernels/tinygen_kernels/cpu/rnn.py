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
from numba import prange, types
from numba.extending import register_jitable
from numpy.typing import NDArray

from ..reference import rnn as reference
from .activation import SCALARS
from .jit import Loop, prefer_wide_vectors
from .memory import empty
from .pieces import Piece, call, vector
from .product import product
from .shares import share
from .tile import PRODUCT, rectangle

Array = NDArray[Any]
Steps = tuple[Array, Array, Array]

ROWS, MOST = 16, 16  # the fewest rows in a share of a large batch; the most shares
ALONE = 1 << 20  # multiply-adds that are worth a thread
_sigmoid, _tanh = SCALARS["sigmoid"][0], SCALARS["tanh"][0]

# The pieces below do one row of the batch in one step. They go over it in several short loops,
# since LLVM gives up on one that writes to many places which may overlap. The loops that several
# need are functions, optimised before they go into a piece: each asks for wide vectors itself.


@register_jitable
def _sigmoids(x):  # type: ignore[no-untyped-def]
    prefer_wide_vectors()
    for j in range(x.size):
        x[j] = _sigmoid(x[j], x[j])


@register_jitable
def _tanhs(x):  # type: ignore[no-untyped-def]
    prefer_wide_vectors()
    for j in range(x.size):
        x[j] = _tanh(x[j], x[j])


@register_jitable
def _add(x, y):  # type: ignore[no-untyped-def]
    prefer_wide_vectors()
    for j in range(x.size):
        x[j] += y[j]


@register_jitable
def _slope(gz, gate):  # type: ignore[no-untyped-def]
    """gz times the derivative of the sigmoid whose output is `gate`."""
    prefer_wide_vectors()
    one = gz.dtype.type(1)
    for j in range(gz.size):
        gz[j] *= gate[j] * (one - gate[j])


@register_jitable
def _slope_of_tanh(gz, gate):  # type: ignore[no-untyped-def]
    prefer_wide_vectors()
    one = gz.dtype.type(1)
    for j in range(gz.size):
        gz[j] *= one - gate[j] * gate[j]


@register_jitable
def _multiply(z, x, y):  # type: ignore[no-untyped-def]
    prefer_wide_vectors()
    for j in range(z.size):
        z[j] = x[j] * y[j]


def _step_piece(make: Any) -> Piece:
    """A step forward. It takes the addresses of

    gates: x w, which becomes the gates;
    product: h u;
    bias;
    before, now: h;
    m_before, m_now: the memory;

    and the number of units.
    """
    return Piece(make, *[types.int64] * 8)


def _simple_step(number: Any) -> Any:
    def piece(
        gates: int, product: int, bias: int, before: int, now: int,
        m_before: int, m_now: int, units: int,
    ) -> None:  # fmt: skip
        prefer_wide_vectors()
        z, h = vector(gates, units, number), vector(now, units, number)
        _add(z, vector(product, units, number))
        _add(z, vector(bias, units, number))
        _tanhs(z)
        for j in range(units):
            h[j] = z[j]

    return piece


def _lstm_step(number: Any) -> Any:
    size = number.bitwidth // 8

    def piece(
        gates: int, product: int, bias: int, before: int, now: int,
        m_before: int, m_now: int, units: int,
    ) -> None:  # fmt: skip
        prefer_wide_vectors()
        part = size * units
        z = vector(gates, 4 * units, number)
        _add(z, vector(product, 4 * units, number))
        _add(z, vector(bias, 4 * units, number))
        _sigmoids(vector(gates, 2 * units, number))
        i, f = vector(gates, units, number), vector(gates + part, units, number)
        g, o = vector(gates + 2 * part, units, number), vector(gates + 3 * part, units, number)
        _tanhs(g)
        _sigmoids(o)
        old, new, h = (
            vector(m_before, units, number), vector(m_now, units, number),
            vector(now, units, number),
        )  # fmt: skip
        for j in range(units):
            new[j] = f[j] * old[j] + i[j] * g[j]
        for j in range(units):
            h[j] = o[j] * _tanh(new[j], new[j])

    return piece


def _gru_step(number: Any) -> Any:
    size = number.bitwidth // 8

    def piece(
        gates: int, product: int, bias: int, before: int, now: int,
        m_before: int, m_now: int, units: int,
    ) -> None:  # fmt: skip
        prefer_wide_vectors()
        part = size * units
        one = number(1)
        _add(vector(gates, 3 * units, number), vector(bias, 3 * units, number))
        r = vector(product, 3 * units, number)
        _add(r, vector(bias + 3 * part, 3 * units, number))
        _add(vector(gates, 2 * units, number), r)
        _sigmoids(vector(gates, 2 * units, number))
        z, k = vector(gates, units, number), vector(gates + part, units, number)
        g, m = vector(gates + 2 * part, units, number), vector(m_now, units, number)
        third = vector(product + 2 * part, units, number)
        for j in range(units):
            m[j] = third[j]
        for j in range(units):
            g[j] += k[j] * third[j]
        _tanhs(g)
        old, h = vector(before, units, number), vector(now, units, number)
        for j in range(units):
            h[j] = z[j] * old[j] + (one - z[j]) * g[j]

    return piece


def _grad_piece(make: Any) -> Piece:
    """A step backward. It takes the addresses of

    gates; before: h before the step; m_before, m_now: the memory;
    gh: the gradient of h after the step, which becomes that of h before it, but for what goes
        through h u;
    gm: that of the memory, likewise;
    gz, gr: for the gradients on the side of x w and on that of h u, which may be one place;

    and the number of units.
    """
    return Piece(make, *[types.int64] * 9)


def _simple_grad(number: Any) -> Any:
    def piece(
        gates: int, before: int, m_before: int, m_now: int, gh: int, gm: int,
        gz: int, gr: int, units: int,
    ) -> None:  # fmt: skip
        prefer_wide_vectors()
        gradient, into = vector(gh, units, number), vector(gz, units, number)
        for j in range(units):
            into[j] = gradient[j]
        _slope_of_tanh(into, vector(gates, units, number))
        gradient[:] = 0

    return piece


def _lstm_grad(number: Any) -> Any:
    size = number.bitwidth // 8

    def piece(
        gates: int, before: int, m_before: int, m_now: int, gh: int, gm: int,
        gz: int, gr: int, units: int,
    ) -> None:  # fmt: skip
        prefer_wide_vectors()
        part = size * units
        one = number(1)
        i, f = vector(gates, units, number), vector(gates + part, units, number)
        g, o = vector(gates + 2 * part, units, number), vector(gates + 3 * part, units, number)
        gi, gf = vector(gz, units, number), vector(gz + part, units, number)
        gg, go = vector(gz + 2 * part, units, number), vector(gz + 3 * part, units, number)
        gradient, gc = vector(gh, units, number), vector(gm, units, number)
        new = vector(m_now, units, number)
        for j in range(units):
            go[j] = _tanh(new[j], new[j])
        for j in range(units):
            gc[j] += gradient[j] * o[j] * (one - go[j] * go[j])
        for j in range(units):
            go[j] *= gradient[j]
        gradient[:] = 0
        _multiply(gi, gc, g)
        _multiply(gf, gc, vector(m_before, units, number))
        _multiply(gg, gc, i)
        _slope(gi, i)
        _slope(gf, f)
        _slope_of_tanh(gg, g)
        _slope(go, o)
        for j in range(units):
            gc[j] *= f[j]

    return piece


def _gru_grad(number: Any) -> Any:
    size = number.bitwidth // 8

    def piece(
        gates: int, before: int, m_before: int, m_now: int, gh: int, gm: int,
        gz: int, gr: int, units: int,
    ) -> None:  # fmt: skip
        prefer_wide_vectors()
        part = size * units
        one = number(1)
        z, k = vector(gates, units, number), vector(gates + part, units, number)
        g, h = vector(gates + 2 * part, units, number), vector(before, units, number)
        to_z, to_k = vector(gz, units, number), vector(gz + part, units, number)
        to_g, gradient = vector(gz + 2 * part, units, number), vector(gh, units, number)
        for j in range(units):
            to_z[j] = gradient[j] * (h[j] - g[j])
        for j in range(units):
            to_g[j] = gradient[j] * (one - z[j])
        for j in range(units):
            gradient[j] *= z[j]
        _slope(to_z, z)
        _slope_of_tanh(to_g, g)
        _multiply(to_k, to_g, vector(m_now, units, number))
        _slope(to_k, k)
        both, recurrent_side = vector(gz, 2 * units, number), vector(gr, 2 * units, number)
        for j in range(both.size):
            recurrent_side[j] = both[j]
        _multiply(vector(gr + 2 * part, units, number), to_g, k)

    return piece


STEPS = {
    "simple_rnn": (_step_piece(_simple_step), _grad_piece(_simple_grad)),
    "lstm": (_step_piece(_lstm_step), _grad_piece(_lstm_grad)),
    "gru": (_step_piece(_gru_step), _grad_piece(_gru_grad)),
}


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
                    _add(gh[i], gy[t, i])
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
                        _add(sums[part, side], grads[side, t, i])
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
    gates = product(_matrix(x), w).reshape(steps, n, w.shape[1])
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
        product(gz, w.T).reshape(x.shape) if needed[0] else None,
        product(_matrix(x).T, gz) if needed[1] else None,
        product(_matrix(states[:-1]).T, gr) if needed[2] else None,
        sums.sum(axis=0).astype(dtype) if needed[3] else None,
        gh if needed[4] else None,
        gc if needed[5] else None,
    )
