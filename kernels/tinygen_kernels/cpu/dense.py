"""The dense layer, forward and backward, each in one call.

The weights are cut by inputs (see shares.py): a thread multiplies its own inputs with its own rows
of the weights, and the partial sums of all are added up together with bias and activation, by rows
of the batch. Backward, a thread has its own rows of the weights' gradient, and its own columns of
the inputs'.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numba import prange
from numba.extending import register_jitable
from numpy.typing import NDArray

from .activation import (
    ACTIVATE,
    ACTIVATION_GRAD,
    activate_rows,
    activation_grad,
    bias_activate,
    grad_rows,
)
from .jit import Loop
from .matmul import matmul
from .memory import empty, empty_like
from .reduce import sum_rows
from .shares import share, shares
from .tile import PRODUCT, rectangle
from .turn import TURN, room_to_turn, turn_matrix

Array = NDArray[Any]
LARGE = 1 << 24  # multiply-adds; beyond, products of their own take their operands in better order
MANY = 100  # rows of a batch, for which weights are turned: for 32 that would take longer


@register_jitable
def _sum_rows(x, total, left, right):  # type: ignore[no-untyped-def]
    """Column sums of x, in some of the columns."""
    sums = total[left:right]
    sums[:] = 0
    for i in range(len(x)):
        row = x[i, left:right]
        for j in range(sums.size):
            sums[j] += row[j]


@Loop
def _dense(
    x: Array,
    w: Array,
    b: Array,
    y: Array,
    parts: Array,
    product: int,
    f: int,
    parameter: float,
) -> None:
    n, outputs, count = len(x), w.shape[1], len(parts) + 1
    for part in prange(count):
        start, stop = share(len(w), count, part)
        total = y if part == 0 else parts[part - 1]
        rectangle(product, x[:, start:stop], w[start:stop, :], total[:, :outputs])
    for part in prange(count):
        top, bottom = share(n, count, part)
        sums = y[top:bottom].reshape(-1)
        for other in range(len(parts)):
            addends = parts[other, top:bottom].reshape(-1)
            for i in range(sums.size):
                sums[i] += addends[i]
        activate_rows(f, y, b, top, bottom, parameter)


@Loop
def _dense_grad(
    x: Array, w: Array, y: Array, gy: Array, gz: Array, gx: Array, gw: Array, gb: Array,
    room: Array, count: int, product: int, turning: int, df: int, parameter: float,
) -> None:  # fmt: skip
    n, outputs = gy.shape
    if df:
        for part in prange(count):
            top, bottom = share(n, count, part)
            grad_rows(df, y, gy, gz, top, bottom, parameter)
    for part in prange(count):
        if gb.size:
            left, right = share(outputs, count, part)
            _sum_rows(gz, gb, left, right)
        start, stop = share(len(w), count, part)
        if gw.size and outputs == 1:  # a row instead of a column, which would be a lane wide
            rectangle(product, gz.T[:1, :n], x[:, start:stop], gw.T[:1, start:stop])
        elif gw.size:
            rectangle(product, x.T[start:stop, :n], gz[:, :outputs], gw[start:stop, :outputs])
        if room.size:
            w_turned = room[part, :, : stop - start]
            turn_matrix(turning, w[start:stop], w_turned)
            rectangle(product, gz, w_turned, gx[:, start:stop])
        elif gx.size:
            rectangle(product, gz[:, :outputs], w.T[:outputs, start:stop], gx[:, start:stop])


_shares = functools.cache(shares)
_no_parts = functools.cache(functools.partial(np.empty, (0, 0, 0)))


def dense(x: Array, w: Array, b: Array | None, name: str, parameter: float) -> Array:
    """f(x w + b):  (n, i), (i, o), (o,) -> (n, o)."""
    dtype, (inputs, outputs) = x.dtype, w.shape
    if not _is_small(x, w) or x.shape[1] != inputs:
        return bias_activate(matmul(x, w), b, name, parameter)
    count, n = _shares(inputs, max(outputs, len(x))), len(x)
    y = empty((n, outputs), dtype)
    parts = empty((count - 1, n, outputs), dtype) if count > 1 else _no_parts(dtype)
    x, w, b = _ordered(dtype, x, w, np.zeros(outputs, dtype) if b is None else b)
    loop = _dense.shared if count > 1 else _dense.alone
    loop(x, w, b, y, parts, PRODUCT[dtype], ACTIVATE[name][dtype], parameter)
    return y


def dense_grad(
    x: Array, w: Array, y: Array, gy: Array, name: str, parameter: float, needed: Sequence[Any]
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of x, w and b where `needed`; see the reference."""
    dtype, (inputs, outputs) = x.dtype, w.shape
    if not _is_small(x, w):
        gz = gy if name == "identity" else activation_grad(y, gy, name, parameter)
        gx = matmul(gz, w.T) if needed[0] else None
        gw = matmul(x.T, gz) if needed[1] else None
        return gx, gw, sum_rows(gz) if needed[2] else None
    x, w, y, gy = _ordered(dtype, x, w, y, gy)
    gz, df = gy, 0  # 0: no derivative to multiply with
    if name != "identity":
        gz, df = empty_like(gy), ACTIVATION_GRAD[name][dtype]
    gx = empty(x.shape if needed[0] else (0, 0), dtype)
    gw = empty(w.shape if needed[1] else (0, 0), dtype)
    gb = np.empty(outputs if needed[2] else 0, dtype)
    count = _shares(inputs, max(outputs, len(x)))
    loop = _dense_grad.shared if count > 1 else _dense_grad.alone
    turning = needed[0] and len(x) >= MANY
    room = room_to_turn(w[: -(-inputs // count)], count if turning else 0, "w turned")
    loop(x, w, y, gy, gz, gx, gw, gb, room, count, PRODUCT[dtype], TURN[dtype], df, parameter)
    return gx if needed[0] else None, gw if needed[1] else None, gb if needed[2] else None


def _is_small(x: Array, w: Array) -> bool:
    """Whether the operands have the sizes and types that these kernels are made for."""
    return x.size * w.shape[1] < LARGE and x.dtype == w.dtype and x.dtype.char in "fd"


def _ordered(dtype: Any, *arrays: Array) -> list[Array]:
    """The arrays in that type and with contiguous rows."""
    return [np.ascontiguousarray(a, dtype) for a in arrays]
