"""One step of a recurrent layer for one row of the batch, forward and backward, as pieces.

They go over the row in several short loops, since LLVM gives up on one that writes to many places
which may overlap. The loops that several need are functions, optimised before they go into a
piece: each asks for wide vectors itself.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import register_jitable

from .activation import SCALARS
from .jit import prefer_wide_vectors
from .pieces import Piece, vector
from .reduce import add

_sigmoid, _tanh = SCALARS["sigmoid"][0], SCALARS["tanh"][0]


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

    gates: x w + h u, which becomes the gates; for a GRU x w alone;
    product: h u of a GRU;
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
        add(z, vector(bias, units, number))
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
        add(z, vector(bias, 4 * units, number))
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
        add(vector(gates, 3 * units, number), vector(bias, 3 * units, number))
        r = vector(product, 3 * units, number)
        add(r, vector(bias + 3 * part, 3 * units, number))
        add(vector(gates, 2 * units, number), r)
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

    gates; before, now: h; m_before, m_now: the memory;
    gh: the gradient of h after the step, which becomes that of h before it, but for what goes
        through h u;
    gm: that of the memory, likewise;
    gz, gr: for the gradients on the side of x w and on that of h u, which may be one place;

    and the number of units.
    """
    return Piece(make, *[types.int64] * 10)


def _simple_grad(number: Any) -> Any:
    def piece(
        gates: int, before: int, now: int, m_before: int, m_now: int, gh: int, gm: int,
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
        gates: int, before: int, now: int, m_before: int, m_now: int, gh: int, gm: int,
        gz: int, gr: int, units: int,
    ) -> None:  # fmt: skip
        prefer_wide_vectors()
        part = size * units
        zero, one = number(0), number(1)
        i, f = vector(gates, units, number), vector(gates + part, units, number)
        g, o = vector(gates + 2 * part, units, number), vector(gates + 3 * part, units, number)
        gi, gf = vector(gz, units, number), vector(gz + part, units, number)
        gg, go = vector(gz + 2 * part, units, number), vector(gz + 3 * part, units, number)
        gradient, gc = vector(gh, units, number), vector(gm, units, number)
        h = vector(now, units, number)
        for j in range(units):  # tanh of the memory; where o is 0, so is all that it goes into
            go[j] = h[j] / o[j] if o[j] > zero else zero
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
        gates: int, before: int, now: int, m_before: int, m_now: int, gh: int, gm: int,
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


# For each kind of layer the step forward and the step backward.
STEPS = {
    "simple_rnn": (_step_piece(_simple_step), _grad_piece(_simple_grad)),
    "lstm": (_step_piece(_lstm_step), _grad_piece(_lstm_grad)),
    "gru": (_step_piece(_gru_step), _grad_piece(_gru_grad)),
}
