"""Activations and their gradients in one pass over memory, alone and after adding a bias."""

from __future__ import annotations

import math
from typing import Any

from numba import prange
from numba.extending import register_jitable
from numpy.typing import NDArray

from ..reference.activation import SELU_ALPHA, SELU_SCALE
from .elementary import exp, expm1, log1p
from .jit import FASTMATH, Loop, jit
from .memory import empty_like

Array = NDArray[Any]

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


def _compile(f: Any, df: Any) -> tuple[Any, Any, Any]:
    """The three loops for the scalar function `f` and its derivative `df`."""

    @Loop
    def forward(x: Array, out: Array, parameter: float) -> None:
        a = x.dtype.type(parameter)
        for i in prange(x.size):
            out[i] = f(x[i], a)

    @Loop
    def backward(y: Array, gy: Array, out: Array, parameter: float) -> None:
        a = y.dtype.type(parameter)
        for i in prange(y.size):
            out[i] = gy[i] * df(y[i], a)

    @Loop
    def with_bias(z: Array, b: Array, parameter: float) -> None:
        a = z.dtype.type(parameter)
        for i in prange(z.shape[0]):
            for j in range(z.shape[1]):
                z[i, j] = f(z[i, j] + b[j], a)

    return forward, backward, with_bias


LOOPS = {name: _compile(*scalars) for name, scalars in SCALARS.items()}


def activate(x: Array, name: str, parameter: float) -> Array:
    """f(x) in a new array."""
    y = empty_like(x)
    LOOPS[name][0].over(x.size)(x.ravel(), y.ravel(), parameter)
    return y


def activation_grad(y: Array, gy: Array, name: str, parameter: float) -> Array:
    """gy f'(x), told from y = f(x), in a new array."""
    gx = empty_like(y)
    LOOPS[name][1].over(y.size)(y.ravel(), gy.ravel(), gx.ravel(), parameter)
    return gx


def bias_activate(z: Array, b: Array | None, name: str, parameter: float) -> Array:
    """f(z + b), in place; b holds one number for each place on the last axis."""
    if b is not None:
        LOOPS[name][2].over(z.size)(z, b, parameter)
    elif name != "identity":
        flat = z.ravel()
        LOOPS[name][0].over(z.size)(flat, flat, parameter)
        if not z.flags.c_contiguous:  # then flat is a copy
            z[...] = flat.reshape(z.shape)
    return z


@jit()
def _erf(x: Array, out: Array) -> None:
    for i in range(x.size):
        out[i] = math.erf(x[i])


def erf(x: Array) -> Array:
    """The error function."""
    y = empty_like(x)
    _erf(x.ravel(), y.ravel())
    return y
