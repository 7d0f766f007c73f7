"""Recurrent layers over whole sequences: a plain one, LSTM and GRU, and their gradients.

Time comes first here, so that the rows of a step lie together: x is (time, batch, inputs). With
units u and gates g (1, 4, 3), w is (inputs, g u), the recurrent weights u are (u, g u), and the
biases (sides, g u): the GRU has one on the side of the input and one on the recurrent side. In
every step z = x w + b[0] and r = h u + b[1], and then, with s for the sigmoid and h' for the new h:

    simple_rnn:  h' = tanh(z + r)
    lstm:        i, f, g, o = s(z + r), g with tanh;   c' = f c + i g;   h' = o tanh(c')
    gru:         z, k = s(z + r);   g = tanh(z + k r);   h' = z h + (1 - z) g

(Hochreiter & Schmidhuber 1997; Cho et al. 2014). Gates are in Keras's order, the GRU is its
`reset_after` form. Where the mask is false, a step leaves the state as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .activation import ACTIVATIONS

Array = NDArray[Any]
Steps = tuple[Array, Array, Array]  # what `recurrent` returns

GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}


def _sigmoid(x: Array) -> Array:
    return ACTIVATIONS["sigmoid"][0](x, 0.0)


def _step(cell: str, z: Array, r: Array, h: Array, m: Array) -> tuple[Array, Array, Array]:
    """The new h, the new memory, and the gates after their activations."""
    if cell == "simple_rnn":
        gates = np.tanh(z + r)
        return gates, m, gates
    if cell == "lstm":
        i, f, g, o = np.split(z + r, 4, axis=1)
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        m = f * m + i * g
        return o * np.tanh(m), m, np.concatenate([i, f, g, o], axis=1)
    (z, k, g), (rz, rk, m) = np.split(z, 3, axis=1), np.split(r, 3, axis=1)
    z, k = _sigmoid(z + rz), _sigmoid(k + rk)
    g = np.tanh(g + k * m)
    return z * h + (1 - z) * g, m, np.concatenate([z, k, g], axis=1)


def _step_grad(
    cell: str, gates: Array, h: Array, before: Array, m: Array, gh: Array, gm: Array
) -> tuple[Array, Array, Array, Array]:
    """The gradients of z and r, of h where it does not go through r, and of the memory before."""
    if cell == "simple_rnn":
        gz = gh * (1 - gates * gates)
        return gz, gz, np.zeros_like(gh), gm
    if cell == "lstm":
        i, f, g, o = np.split(gates, 4, axis=1)
        t = np.tanh(m)
        gm = gm + gh * o * (1 - t * t)
        parts = [gm * g * i * (1 - i), gm * before * f * (1 - f), gm * i * (1 - g * g)]
        gz = np.concatenate([*parts, gh * t * o * (1 - o)], axis=1)
        return gz, gz, np.zeros_like(gh), gm * f
    z, k, g = np.split(gates, 3, axis=1)
    gg = gh * (1 - z) * (1 - g * g)
    both = [gh * (h - g) * z * (1 - z), gg * m * k * (1 - k)]
    gz, gr = np.concatenate([*both, gg], axis=1), np.concatenate([*both, gg * k], axis=1)
    return gz, gr, gh * z, gm


def recurrent(
    cell: str, x: Array, w: Array, u: Array, b: Array, h: Array, c: Array, mask: Array | None
) -> Steps:
    """Go through a sequence from the state h (batch, u) and, for an LSTM, c; else c is empty.

    Returns:
        states: (time + 1, batch, u): h before the first and after every step.
        memory: (time + 1, batch, ...): c likewise; of a GRU the last third of r after every step.
        gates: (time, batch, g u), after their activations.
    """
    steps, n, units = len(x), len(h), len(u)
    dtype = np.result_type(x, w, u)
    states = np.empty((steps + 1, n, units), dtype)
    memory = np.zeros((steps + 1, n, 0 if cell == "simple_rnn" else units), dtype)
    gates = np.empty((steps, n, u.shape[1]), dtype)
    states[0] = h
    if cell == "lstm":
        memory[0] = c
    for t in range(steps):
        h, m = states[t], memory[t]
        r = h @ u + (b[1] if len(b) > 1 else 0)
        new_h, new_m, gates[t] = _step(cell, x[t] @ w + b[0], r, h, m)
        valid = True if mask is None else mask[t, :, None]
        states[t + 1], memory[t + 1] = np.where(valid, new_h, h), np.where(valid, new_m, m)
    return states, memory, gates


def recurrent_grad(
    cell: str, x: Array, w: Array, u: Array, mask: Array | None, after: Steps,
    gy: Array | None, gh: Array, gc: Array, needed: Sequence[Any],
) -> tuple[Array | None, ...]:  # fmt: skip
    """The gradients of x, w, u, b, h and c where `needed`, else None.

    Args:
        after: what `recurrent` returned.
        gy: the gradient of h after every step (time, batch, u), or None.
        gh, gc: the gradients of h and c after the last step.
    """
    states, memory, gates = after
    sides = 2 if cell == "gru" else 1
    grads = np.empty((sides, *gates.shape), gates.dtype)
    for t in reversed(range(len(x))):
        gh = gh if gy is None else gh + gy[t]
        gz, gr, rest, new_gc = _step_grad(
            cell, gates[t], states[t], memory[t], memory[t + 1], gh, gc
        )
        valid = True if mask is None else mask[t, :, None]
        grads[0, t], grads[-1, t] = np.where(valid, gz, 0), np.where(valid, gr, 0)
        gh = grads[-1, t] @ u.T + np.where(valid, rest, gh)
        gc = np.where(valid, new_gc, gc)
    return (
        grads[0] @ w.T if needed[0] else None,
        np.tensordot(x, grads[0], ((0, 1), (0, 1))) if needed[1] else None,
        np.tensordot(states[:-1], grads[-1], ((0, 1), (0, 1))) if needed[2] else None,
        grads.sum(axis=(1, 2)) if needed[3] else None,
        gh if needed[4] else None,
        gc if needed[5] else None,
    )
