"""The dense layer: y = f(x w + b), and its gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from .activation import activation_grad, bias_activate
from .matmul import matmul

Array = NDArray[Any]


def dense(x: Array, w: Array, b: Array | None, name: str, parameter: float) -> Array:
    """f(x w + b):  (n, i), (i, o), (o,) -> (n, o)."""
    return bias_activate(matmul(x, w), b, name, parameter)


def dense_grad(
    x: Array, w: Array, y: Array, gy: Array, name: str, parameter: float, needed: Sequence[Any]
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of x, w and b where `needed`; with gz = gy f':  gz w^T,  x^T gz,  sum of gz."""
    gz = activation_grad(y, gy, name, parameter)
    return (
        gz @ w.T if needed[0] else None,
        x.T @ gz if needed[1] else None,
        gz.sum(axis=0) if needed[2] else None,
    )
