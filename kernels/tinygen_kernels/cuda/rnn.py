"""Recurrent layers on CUDA; the twin of reference/rnn.py.

There are two ways. In float32, layers of up to 100 units keep their recurrent weights in registers
and are one launch for the whole sequence (rnn_sequence.cu). Others are a launch for each step
(rnn.cu), one more backward: in a CUDA graph these follow each other within about a microsecond;
outside of one, Python takes longer for a launch than a card for a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..reference.rnn import GATES
from .arrays import MOST, blocks, c_type, contiguous, empty, module_of
from .launch import Kernel, Source, launch
from .matmul import matmul
from .reduce import sum_rows

Array = NDArray[Any]
Steps = tuple[Array, Array, Array]

CELLS = {name: np.int32(i) for i, name in enumerate(GATES)}  # rnn.cu counts alike
THREADS, UNITS = 256, 8  # of a block, as in rnn.cu
FILLED = 100  # so many blocks keep a large card busy
UNITS_IN_REGISTERS = 100  # DEEP in rnn_sequence.cu

SOURCE = Source(
    "rnn.cu",
    tuple(
        f"{kernel}<{T}, {rows}>"
        for kernel in ("recurrent_step", "recurrent_step_grad")
        for T, rows in (("float", 8), ("float", 16), ("double", 8))
    ),
)
SEQUENCE = Source("rnn_sequence.cu", ("recurrent_sequence", "recurrent_sequence_grad"))


def in_registers(states: Array) -> bool:
    """Whether a block's registers hold the recurrent weights of layers with such states."""
    return states.shape[2] <= UNITS_IN_REGISTERS and states.dtype == np.float32


def _sequence(name: str, gates: Array, *args: Any) -> None:
    """One launch for all steps, with a block for each row and a thread for each gate of a unit."""
    _, n, width = gates.shape
    launch(SEQUENCE[name], n, 32 * blocks(width, 32), (gates, *args))


def _cut(name: str, states: Array) -> tuple[Kernel, tuple[int, int]]:
    """The instance of a kernel, and its grid: 16 rows to a block if those are blocks enough."""
    _, n, units = states.shape
    tiles, T = blocks(units, UNITS), c_type(states)
    rows = 16 if T == "float" and tiles * blocks(n, 16) >= FILLED else 8
    return SOURCE[f"{name}<{T}, {rows}>"], (tiles, blocks(n, rows))


def _ordered(dtype: Any, *arrays: Array) -> list[Array]:
    """The arrays in that type and by rows; those that are so already are not copied."""
    return [contiguous(a.astype(dtype, copy=False)) for a in arrays]


def _matrix(x: Array) -> Array:
    """The rows of all steps, one after the other."""
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2])


def recurrent(
    cell: str, x: Array, w: Array, u: Array, b: Array, h: Array, c: Array, mask: Array | None
) -> Steps:
    """Go through a sequence; see the reference."""
    dtype = np.result_type(x.dtype, w.dtype, u.dtype)
    x, w, u, b = _ordered(dtype, x, w, u, b)
    (steps, n, _), units = x.shape, len(u)
    states = empty((steps + 1, n, units), dtype, x)
    memory = empty((steps + 1, n, 0 if cell == "simple_rnn" else units), dtype, x)
    gates = matmul(_matrix(x), w).reshape(steps, n, w.shape[1])
    if gates.size > MOST:
        raise ValueError(f"an array of shape {gates.shape} has more elements than kernels take")
    mask = None if mask is None else contiguous(mask)
    sizes = np.int32(n), np.int32(units), CELLS[cell]
    if in_registers(states):
        known = u, b, *_ordered(dtype, h, c), mask
        _sequence("recurrent_sequence", gates, *known, states, memory, np.int32(steps), *sizes)
        return states, memory, gates
    states[0] = h
    memory[0] = c if cell == "lstm" else 0
    kernel, grid = _cut("recurrent_step", states)
    for t in range(steps):
        launch(kernel, grid, THREADS, (gates, u, b, states, memory, mask, np.int32(t), *sizes))
    return states, memory, gates


def recurrent_grad(
    cell: str, x: Array, w: Array, u: Array, mask: Array | None, after: Steps,
    gy: Array | None, gh: Array, gc: Array, needed: Sequence[Any],
) -> tuple[Array | None, ...]:  # fmt: skip
    """The gradients of x, w, u, b, h and c where `needed`; see the reference."""
    states, memory, gates = after
    dtype, (steps, n, width) = gates.dtype, gates.shape
    x, w, turned = _ordered(dtype, x, w, u.T)
    gy = None if gy is None else _ordered(dtype, gy)[0]
    mask = None if mask is None else contiguous(mask)
    grads = empty((2 if cell == "gru" else 1, steps, n, width), dtype, x)
    back = _back_in_registers if in_registers(states) else _back_by_steps
    gh, gc = back(cell, turned, states, memory, gates, mask, gy, gh, gc, grads)
    gz, gr = _matrix(grads[0]), _matrix(grads[-1])
    return (
        matmul(gz, w.T).reshape(x.shape) if needed[0] else None,
        matmul(_matrix(x).T, gz) if needed[1] else None,
        matmul(_matrix(states[:-1]).T, gr) if needed[2] else None,
        module_of(x).stack([sum_rows(_matrix(g)) for g in grads]) if needed[3] else None,
        gh if needed[4] else None,
        gc if needed[5] else None,
    )


def _back_in_registers(
    cell: str, turned: Array, states: Array, memory: Array, gates: Array, mask: Array | None,
    gy: Array | None, gh: Array, gc: Array, grads: Array,
) -> tuple[Array, Array]:  # fmt: skip
    """Fill `grads` with the gradients of z and, of a GRU, of r; return those of h and c."""
    (n, units), dtype = gh.shape, gates.dtype
    gh, gc = _ordered(dtype, gh, gc)
    known = turned, states, memory, mask, gy, gh, gc
    made = grads, empty(gh.shape, dtype, gh), empty(gc.shape, dtype, gh)
    sizes = np.int32(len(gates)), np.int32(n), np.int32(units), CELLS[cell]
    _sequence("recurrent_sequence_grad", gates, *known, *made, *sizes)
    return made[1], made[2] if cell == "lstm" else gc


def _back_by_steps(
    cell: str, turned: Array, states: Array, memory: Array, gates: Array, mask: Array | None,
    gy: Array | None, gh: Array, gc: Array, grads: Array,
) -> tuple[Array, Array]:  # fmt: skip
    """The same, by a launch for each step and one for the product that goes to the start."""
    steps, (n, units), dtype = len(gates), gh.shape, gates.dtype
    g, m = empty((2, n, units), dtype, gates), empty((2, *gc.shape), dtype, gates)
    g[steps % 2], m[steps % 2] = gh, gc  # a step reads one half and writes the other
    known = gates, turned, states, memory, mask, gy, g, m, grads
    sizes = np.int32(steps), np.int32(n), np.int32(units), CELLS[cell]
    kernel, grid = _cut("recurrent_step_grad", states)
    for t in reversed(range(-1, steps)):
        launch(kernel, grid, THREADS, (*known, np.int32(t), *sizes))
    return g[1], m[0 if cell == "lstm" else steps % 2]
