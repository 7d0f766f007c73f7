"""Activation functions f(x), and their derivatives as functions of the output y = f(x)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .reduce import sum_rows

Array = NDArray[Any]

SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772

# name -> (f of x and the parameter a, f' of the output y and a)
ACTIVATIONS: dict[str, tuple[Callable[..., Array], Callable[..., Array]]] = {
    "identity": (lambda x, a: x, lambda y, a: np.ones_like(y)),
    "relu": (lambda x, a: np.maximum(x, 0), lambda y, a: np.where(y > 0, 1, 0)),
    "leaky_relu": (lambda x, a: np.where(x > 0, x, a * x), lambda y, a: np.where(y > 0, 1, a)),
    "elu": (
        lambda x, a: np.where(x > 0, x, a * np.expm1(np.minimum(x, 0))),
        lambda y, a: np.where(y > 0, 1, y + a),
    ),
    "selu": (
        lambda x, a: SELU_SCALE * np.where(x > 0, x, SELU_ALPHA * np.expm1(np.minimum(x, 0))),
        lambda y, a: np.where(y > 0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA),
    ),
    "sigmoid": (
        lambda x, a: np.where(x < 0, np.exp(np.minimum(x, 0)), 1) / (1 + np.exp(-np.abs(x))),
        lambda y, a: y * (1 - y),
    ),
    "tanh": (lambda x, a: np.tanh(x), lambda y, a: 1 - y * y),
    "softplus": (
        lambda x, a: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
        lambda y, a: -np.expm1(-y),
    ),
}


def activate(x: Array, name: str, parameter: float) -> Array:
    """f(x) in a new array."""
    return ACTIVATIONS[name][0](x, parameter).astype(x.dtype)


def activation_grad(y: Array, gy: Array, name: str, parameter: float) -> Array:
    """gy f'(x), told from y = f(x), in a new array."""
    return (gy * ACTIVATIONS[name][1](y, parameter)).astype(y.dtype)


def activation_grad_sum(y: Array, gy: Array, name: str, parameter: float) -> tuple[Array, Array]:
    """activation_grad, and its sum over all axes but the last: the gradient of a bias."""
    gx = activation_grad(y, gy, name, parameter)
    return gx, sum_rows(gx.reshape(-1, gx.shape[-1]))


def bias_activate(z: Array, b: Array | None, name: str, parameter: float) -> Array:
    """f(z + b), in place; b holds one number for each place on the last axis."""
    z[...] = activate(z if b is None else z + b, name, parameter)
    return z


def erf(x: Array) -> Array:
    """The error function, to the last digit."""
    y: Array = np.vectorize(math.erf, otypes=[x.dtype])(x)
    return y
