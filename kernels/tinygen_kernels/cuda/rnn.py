"""Recurrent layers on CUDA; the twin of reference/rnn.py.

A sequence of T steps is T launches, and backward T + 1: each waits for the one before. Kept in a
CUDA graph they follow each other within about a microsecond; without one, Python takes longer for a
launch than the card for a step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..reference.rnn import GATES
from .arrays import blocks, c_type, contiguous, empty, module_of
from .launch import Kernel, Source, launch
from .matmul import matmul
from .reduce import sum_rows

Array = NDArray[Any]
Steps = tuple[Array, Array, Array]

CELLS = {name: np.int32(i) for i, name in enumerate(GATES)}  # rnn.cu counts alike
THREADS, UNITS = 256, 8  # of a block, as in rnn.cu
FILLED = 100  # so many blocks keep a large card busy

SOURCE = Source(
    "rnn.cu",
    tuple(
        f"{kernel}<{T}, {rows}>"
        for kernel in ("recurrent_step", "recurrent_step_grad")
        for T, rows in (("float", 8), ("float", 16), ("double", 8))
    ),
)


def _cut(name: str, u: Array, n: int) -> tuple[Kernel, tuple[int, int]]:
    """The instance of a kernel, and its grid: 16 rows to a block if those are blocks enough."""
    tiles, T = blocks(len(u), UNITS), c_type(u)
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
    kernel, grid = _cut("recurrent_step", u, n)
    states = empty((steps + 1, n, units), dtype, x)
    memory = empty((steps + 1, n, 0 if cell == "simple_rnn" else units), dtype, x)
    states[0] = h
    memory[0] = c if cell == "lstm" else 0
    gates = matmul(_matrix(x), w).reshape(steps, n, w.shape[1])
    mask = None if mask is None else contiguous(mask)
    sizes = np.int32(n), np.int32(units), CELLS[cell]
    for t in range(steps):
        launch(kernel, grid, THREADS, (gates, u, b, states, memory, mask, np.int32(t), *sizes))
    return states, memory, gates


def recurrent_grad(
    cell: str, x: Array, w: Array, u: Array, mask: Array | None, after: Steps,
    gy: Array | None, gh: Array, gc: Array, needed: Sequence[Any],
) -> tuple[Array | None, ...]:  # fmt: skip
    """The gradients of x, w, u, b, h and c where `needed`; see the reference."""
    states, memory, gates = after
    dtype, (steps, n, width), units = gates.dtype, gates.shape, len(u)
    x, w, turned = _ordered(dtype, x, w, u.T)
    gy = None if gy is None else _ordered(dtype, gy)[0]
    mask = None if mask is None else contiguous(mask)
    kernel, grid = _cut("recurrent_step_grad", u, n)
    grads = empty((2 if cell == "gru" else 1, steps, n, width), dtype, x)
    ghs, gcs = empty((2, n, units), dtype, x), empty((2, *gc.shape), dtype, x)
    ghs[steps % 2], gcs[steps % 2] = gh, gc  # a step reads one half and writes the other
    sizes = np.int32(steps), np.int32(n), np.int32(units), CELLS[cell]
    known = gates, turned, states, memory, mask, gy, ghs, gcs, grads
    for t in reversed(range(-1 if needed[4] else 0, steps)):
        launch(kernel, grid, THREADS, (*known, np.int32(t), *sizes))
    gz, gr = _matrix(grads[0]), _matrix(grads[-1])
    return (
        matmul(gz, w.T).reshape(x.shape) if needed[0] else None,
        matmul(_matrix(x).T, gz) if needed[1] else None,
        matmul(_matrix(states[:-1]).T, gr) if needed[2] else None,
        module_of(x).stack([sum_rows(_matrix(g)) for g in grads]) if needed[3] else None,
        ghs[1] if needed[4] else None,
        (gcs[0] if cell == "lstm" else gc) if needed[5] else None,
    )
