"""Activation functions. Most have a derivative that can be told from their output alone, so only
the output is kept, and a layer may compute them in place."""

from __future__ import annotations

import difflib
import functools
import math
from collections.abc import Callable
from typing import TypeAlias

from ..backend import Array, kernels
from ..core import Tensor, TensorLike, data_of
from ..function import Function
from ..ranges import not_negative
from .elementwise import exp, multiply, subtract
from .reduce import logsumexp, sum

Activation: TypeAlias = str | tuple[str, float] | None

# Name -> default parameter (the slope of leaky_relu, the alpha of elu).
PARAMETERS = {
    "identity": 0.0,
    "relu": 0.0,
    "leaky_relu": 0.2,
    "selu": 0.0,
    "elu": 1.0,
    "sigmoid": 0.0,
    "tanh": 0.0,
    "softplus": 0.0,
    "gelu": 0.0,
}

# d f'(z) / dy as a function of the output y = f(z): what the second derivative needs.
CURVATURES: dict[str, Callable[[Tensor], Tensor]] = {
    "selu": lambda y: (y < 0).astype(y.dtype),
    "elu": lambda y: (y < 0).astype(y.dtype),
    "sigmoid": lambda y: 1.0 - 2.0 * y,
    "tanh": lambda y: -2.0 * y,
    "softplus": lambda y: exp(-y),
}


class ActivationFunction(Function):
    """y = f(x),  gx = gy f'(x)."""

    def __init__(self, activation: tuple[str, float]) -> None:
        self.activation = activation
        self.name = activation[0]  # type: ignore[misc]  # one class serves all names

    def forward(self, x: Array) -> Array:
        return self.save_output(kernels(x).activate(x, *self.activation))

    def backward(self, gy: Tensor) -> Tensor:
        (y,) = self.saved
        return activation_grad(y, gy, self.activation)


class ActivationGradFunction(Function):
    """gx = gy d(y),  where d is f' as a function of the output;  gy' = g d(y),  y' = g gy d'(y)."""

    def __init__(self, activation: tuple[str, float]) -> None:
        self.activation = activation
        self.name = activation[0] + "_grad"  # type: ignore[misc]  # one class serves all names

    def forward(self, y: Array, gy: Array) -> Array:
        self.save(y, gy)
        return kernels(y).activation_grad(y, gy, *self.activation)

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        y, gy = self.saved
        curvature = CURVATURES.get(self.activation[0])
        return (
            g * gy * curvature(y) if curvature and self.needed[0] else None,
            activation_grad(y, g, self.activation) if self.needed[1] else None,
        )


class ErfFunction(Function):
    """y = erf x,  gx = gy 2 / sqrt(pi) e^(-x^2)."""

    def forward(self, x: Array) -> Array:
        self.save(x)
        return kernels(x).erf(x)

    def backward(self, gy: Tensor) -> Tensor:
        (x,) = self.saved
        return gy * (2.0 / math.sqrt(math.pi)) * exp(-(x * x))


def activation_grad(y: Tensor, gy: Tensor, activation: tuple[str, float]) -> Tensor:
    """gy times the derivative of the activation whose output is y."""
    return gy if activation[0] == "identity" else ActivationGradFunction(activation)(y, gy)


@functools.lru_cache(256)  # slopes may be drawn at random
def parse_activation(activation: Activation) -> tuple[str, float]:
    """(name, parameter) of an activation given as a name, a pair, or None."""
    if activation is None:
        return "identity", 0.0
    name, parameter = activation if isinstance(activation, tuple) else (activation, None)
    if name not in PARAMETERS:
        near = difflib.get_close_matches(str(name), PARAMETERS, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(PARAMETERS)}"
        raise ValueError(f"unknown activation {name!r}: {hint}")
    if parameter is not None:
        not_negative(f"{name}: the parameter", parameter)
        if parameter != PARAMETERS[name] and not PARAMETERS[name]:
            raise ValueError(f"{name} takes no parameter, got {parameter}")
    return name, PARAMETERS[name] if parameter is None else float(parameter)


def activate(x: TensorLike, activation: Activation) -> Tensor:
    """f(x) for an activation given by name, or as a pair of name and parameter.

    Names: identity, relu, leaky_relu (slope 0.2), selu, elu (alpha 1), sigmoid, tanh, softplus,
    gelu. None is the identity.
    """
    f = parse_activation(activation)
    if f[0] == "gelu":
        return gelu(x)
    if f[0] == "identity":
        return x if isinstance(x, Tensor) else Tensor(x)
    return ActivationFunction(f)(x)


def relu(x: TensorLike) -> Tensor:
    """max(x, 0)."""
    return ActivationFunction(("relu", 0.0))(x)


def leaky_relu(x: TensorLike, slope: float = 0.2) -> Tensor:
    """x where positive, else slope * x; the slope must not be negative."""
    return activate(x, ("leaky_relu", slope))


def selu(x: TensorLike) -> Tensor:
    """Scaled ELU with the constants of Klambauer et al. 2017, which keep mean 0 and variance 1."""
    return ActivationFunction(("selu", 0.0))(x)


def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """x where positive, else alpha (e^x - 1) (Clevert et al. 2016)."""
    return activate(x, ("elu", alpha))


def gelu(x: TensorLike) -> Tensor:
    """x times the normal distribution function of x (Hendrycks & Gimpel 2016), exact."""
    return multiply(x, 0.5) * (1.0 + erf(multiply(x, math.sqrt(0.5))))


def erf(x: TensorLike) -> Tensor:
    """The error function."""
    return ErfFunction()(x)


def sigmoid(x: TensorLike) -> Tensor:
    """1 / (1 + e^-x)."""
    return ActivationFunction(("sigmoid", 0.0))(x)


def tanh(x: TensorLike) -> Tensor:
    """The hyperbolic tangent."""
    return ActivationFunction(("tanh", 0.0))(x)


def softplus(x: TensorLike) -> Tensor:
    """log(1 + e^x), without overflow."""
    return ActivationFunction(("softplus", 0.0))(x)


def log_softmax(x: TensorLike, axis: int = -1) -> Tensor:
    """x - log(sum(exp(x))) over `axis`: the logarithm of softmax, without overflow."""
    shifted = subtract(x, data_of(x).max(axis=axis, keepdims=True))  # so large logits keep digits
    return shifted - logsumexp(shifted, axis, keepdims=True)


def softmax(x: TensorLike, axis: int = -1) -> Tensor:
    """exp(x) / sum(exp(x)) over `axis`, without overflow."""
    e = exp(subtract(x, data_of(x).max(axis=axis, keepdims=True)))
    return e / sum(e, axis, keepdims=True)
