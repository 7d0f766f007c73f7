"""Activations and their gradients in one pass over memory, alone and after adding a bias."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import prange, types
from numba.extending import register_jitable
from numpy.typing import NDArray

from ..reference import activation as reference
from ..reference.activation import SELU_ALPHA, SELU_SCALE
from .elementary import exp, expm1, log1p
from .jit import FASTMATH, Loop, jit, prefer_wide_vectors
from .memory import empty_like
from .pieces import Piece, call, vector
from .reduce import ROWS as SUMMED
from .reduce import add_blocks, add_up
from .shares import fold

Array = NDArray[Any]
BLOCK, ROWS = 1024, 8  # elements, or rows, that a thread does at a time
WIDE = 256  # elements of a row that keep the registers filled

# Each scalar function takes x (or y) and the parameter a, both of one type T, and stays in T.
# They, and what they call, do without reassociation: it would turn (1 + x) - 1 into x.
scalar = register_jitable(fastmath=FASTMATH - {"reassoc"})


@scalar
def _identity(x, a):  # type: ignore[no-untyped-def]
    return x


@scalar
def _one(y, a):  # type: ignore[no-untyped-def]
    return type(y)(1)


@scalar
def _relu(x, a):  # type: ignore[no-untyped-def]
    return type(x)(0) if x <= 0 else x  # NaN stays


@scalar
def _relu_grad(y, a):  # type: ignore[no-untyped-def]
    return type(y)(1) if y > 0 else type(y)(0)


@scalar
def _leaky_relu(x, a):  # type: ignore[no-untyped-def]
    return x if x > 0 else a * x


@scalar
def _leaky_relu_grad(y, a):  # type: ignore[no-untyped-def]
    return type(y)(1) if y > 0 else a


@scalar
def _elu(x, a):  # type: ignore[no-untyped-def]
    return x if x > 0 else a * expm1(x)


@scalar
def _elu_grad(y, a):  # type: ignore[no-untyped-def]
    return type(y)(1) if y > 0 else y + a


@scalar
def _selu(x, a):  # type: ignore[no-untyped-def]
    scale = type(x)(SELU_SCALE)
    return scale * x if x > 0 else type(x)(SELU_SCALE * SELU_ALPHA) * expm1(x)


@scalar
def _selu_grad(y, a):  # type: ignore[no-untyped-def]
    return type(y)(SELU_SCALE) if y > 0 else y + type(y)(SELU_SCALE * SELU_ALPHA)


@scalar
def _sigmoid(x, a):  # type: ignore[no-untyped-def]
    one = type(x)(1)
    return one / (one + exp(-x))


@scalar
def _sigmoid_grad(y, a):  # type: ignore[no-untyped-def]
    return y * (type(y)(1) - y)


@scalar
def _tanh(x, a):  # type: ignore[no-untyped-def]
    u = expm1(type(x)(-2) * abs(x))
    t = u / (u + type(x)(2))
    return -t if x > 0 else t


@scalar
def _tanh_grad(y, a):  # type: ignore[no-untyped-def]
    return type(y)(1) - y * y


@scalar
def _softplus(x, a):  # type: ignore[no-untyped-def]
    return max(x, type(x)(0)) + log1p(exp(-abs(x)))


@scalar
def _softplus_grad(y, a):  # type: ignore[no-untyped-def]
    return -expm1(-y)


SCALARS = {
    "identity": (_identity, _one),
    "relu": (_relu, _relu_grad),
    "leaky_relu": (_leaky_relu, _leaky_relu_grad),
    "elu": (_elu, _elu_grad),
    "selu": (_selu, _selu_grad),
    "sigmoid": (_sigmoid, _sigmoid_grad),
    "tanh": (_tanh, _tanh_grad),
    "softplus": (_softplus, _softplus_grad),
}


def _activate_piece(f: Any) -> Piece:
    """z = f(z + b) for rows of a matrix.

    It takes the addresses of z and b, rows, columns, bytes from row to row, and the parameter.
    """

    def make(number: Any) -> Any:
        def piece(z: int, b: int, rows: int, columns: int, stride: int, parameter: float) -> None:
            prefer_wide_vectors()
            a = number(parameter)
            bias = vector(b, columns, number)
            for i in range(rows):
                row = vector(z + i * stride, columns, number)
                for j in range(columns):
                    row[j] = f(row[j] + bias[j], a)

        return piece

    return Piece(make, *[types.int64] * 5, types.float64)


def _grad_piece(df: Any) -> Piece:
    """gx = gy f'(x), told from y = f(x), for rows of matrices.

    It takes the addresses of y, gy and gx, rows, columns, bytes from row to row, and the parameter.
    """

    def make(number: Any) -> Any:
        def piece(
            y: int, gy: int, gx: int, rows: int, columns: int, stride: int, parameter: float
        ) -> None:
            prefer_wide_vectors()
            a = number(parameter)
            for i in range(rows):
                y_row = vector(y + i * stride, columns, number)
                gy_row = vector(gy + i * stride, columns, number)
                gx_row = vector(gx + i * stride, columns, number)
                for j in range(columns):
                    gx_row[j] = gy_row[j] * df(y_row[j], a)

        return piece

    return Piece(make, *[types.int64] * 6, types.float64)


ACTIVATE = {name: _activate_piece(f) for name, (f, _) in SCALARS.items()}
ACTIVATION_GRAD = {name: _grad_piece(df) for name, (_, df) in SCALARS.items()}


@register_jitable
def activate_rows(piece, z, b, top, bottom, parameter):  # type: ignore[no-untyped-def]
    """z = f(z + b) in some rows of a matrix."""
    place = z.ctypes.data + top * z.strides[0]
    call(piece, (place, b.ctypes.data, bottom - top, b.size, z.strides[0], parameter))


@register_jitable
def grad_rows(piece, y, gy, gx, top, bottom, parameter):  # type: ignore[no-untyped-def]
    """gx = gy f'(x), told from y = f(x), in some rows of matrices."""
    skip, stride = top * y.strides[0], y.strides[0]
    places = y.ctypes.data + skip, gy.ctypes.data + skip, gx.ctypes.data + skip
    call(piece, (*places, bottom - top, y.shape[1], stride, parameter))


@Loop
def _bias_activate(z: Array, b: Array, piece: int, parameter: float) -> None:
    for part in prange((len(z) + ROWS - 1) // ROWS):
        activate_rows(piece, z, b, part * ROWS, min((part + 1) * ROWS, len(z)), parameter)


@Loop
def _activate(x: Array, y: Array, piece: int, parameter: float) -> None:
    nothing = np.zeros(min(x.size, BLOCK), x.dtype)
    for part in prange((x.size + BLOCK - 1) // BLOCK):
        start, stop = part * BLOCK, min((part + 1) * BLOCK, x.size)
        y[start:stop] = x[start:stop]
        row = y[start:stop].reshape((1, -1))
        activate_rows(piece, row, nothing[: stop - start], 0, 1, parameter)


@Loop
def _activation_grad(y: Array, gy: Array, gx: Array, piece: int, parameter: float) -> None:
    for part in prange((y.size + BLOCK - 1) // BLOCK):
        here = slice(part * BLOCK, min((part + 1) * BLOCK, y.size))
        rows = y[here].reshape((1, -1)), gy[here].reshape((1, -1)), gx[here].reshape((1, -1))
        grad_rows(piece, *rows, 0, 1, parameter)


def activate(x: Array, name: str, parameter: float) -> Array:
    """f(x) in a new array."""
    y = empty_like(x)
    _activate.over(x.size)(x.ravel(), y.ravel(), ACTIVATE[name][x.dtype], parameter)
    return y


def activation_grad(y: Array, gy: Array, name: str, parameter: float) -> Array:
    """gy f'(x), told from y = f(x), in a new array."""
    gx = empty_like(y)
    piece, gy = ACTIVATION_GRAD[name][y.dtype], gy.astype(y.dtype, copy=False)
    _activation_grad.over(y.size)(y.ravel(), gy.ravel(), gx.ravel(), piece, parameter)
    return gx


@Loop
def _activation_grad_sum(
    y: Array, gy: Array, gx: Array, sums: Array, total: Array, piece: int, parameter: float
) -> None:
    for block in prange(len(sums)):
        top, bottom = block * SUMMED, min((block + 1) * SUMMED, len(y))
        grad_rows(piece, y, gy, gx, top, bottom, parameter)
        add_up(gx, sums[block], top, bottom)
    add_blocks(sums, total)


def activation_grad_sum(y: Array, gy: Array, name: str, parameter: float) -> tuple[Array, Array]:
    """activation_grad, and its sum over all axes but the last, in one pass."""
    if not y.size or y.dtype.char not in "fd":
        return reference.activation_grad_sum(y, gy, name, parameter)
    columns, gx = y.shape[-1], empty_like(y)
    count = fold(y.size // columns, columns, WIDE)
    shape = y.size // (columns * count), columns * count
    matrices = [np.ascontiguousarray(a, y.dtype).reshape(shape) for a in (y, gy, gx)]
    sums = np.empty((-(-shape[0] // SUMMED), shape[1]), y.dtype)
    total, piece = np.empty(columns, y.dtype), ACTIVATION_GRAD[name][y.dtype]
    _activation_grad_sum.over(y.size)(*matrices, sums, total, piece, parameter)
    return gx, total


def bias_activate(z: Array, b: Array | None, name: str, parameter: float) -> Array:
    """f(z + b), in place; b holds one number for each place on the last axis."""
    contiguous, columns = np.ascontiguousarray(z), z.shape[-1]
    b = np.zeros(columns, z.dtype) if b is None else b
    if name == "identity" and not b.any():
        return z
    if not z.size:
        return z
    count = fold(z.size // columns, columns, WIDE)
    matrix = contiguous.reshape(-1, columns * count)
    piece = ACTIVATE[name][z.dtype]
    _bias_activate.over(z.size)(matrix, repeated(b, count, z.dtype), piece, parameter)
    if contiguous is not z:
        z[...] = contiguous
    return z


def repeated(b: Array, count: int, dtype: np.dtype[Any]) -> Array:
    """A bias several times, for rows of a matrix that are read as one."""
    bias = np.empty((count, b.size), dtype)
    bias[...] = b
    return bias.ravel()


@jit()
def _erf(x: Array, out: Array) -> None:
    for i in range(x.size):
        out[i] = math.erf(x[i])


def erf(x: Array) -> Array:
    """The error function."""
    y = empty_like(x)
    _erf(x.ravel(), y.ravel())
    return y
