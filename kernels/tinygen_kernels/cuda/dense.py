"""The dense layer on CUDA: products by cuBLAS, bias and activation by one kernel after them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from numpy.typing import NDArray

from .activation import activation_grad, bias_activate
from .arrays import contiguous
from .matmul import matmul
from .reduce import sum_rows

Array = NDArray[Any]


def dense(x: Array, w: Array, b: Array | None, name: str, parameter: float) -> Array:
    """f(x w + b):  (n, i), (i, o), (o,) -> (n, o)."""
    z = matmul(x, w)
    if b is None and name == "identity":
        return z
    return bias_activate(z, b, name, parameter)


def dense_grad(
    x: Array, w: Array, y: Array, gy: Array, name: str, parameter: float, needed: Sequence[Any]
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of x, w and b where `needed`; see the reference."""
    gz = contiguous(gy, y.dtype)  # once for all that follows
    if name != "identity":
        gz = activation_grad(y, gz, name, parameter)
    return (
        matmul(gz, w.T) if needed[0] else None,
        matmul(x.T, gz) if needed[1] else None,
        sum_rows(gz) if needed[2] else None,
    )
