"""Activations on CUDA, and their gradients; the twin of reference/activation.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..reference.activation import ACTIVATIONS
from .arrays import MOST_BLOCKS, THREADS, blocks, c_type, contiguous, empty, for_both_types
from .launch import Source, launch
from .reduce import sum_rows

Array = NDArray[Any]

KINDS = {name: np.int32(i) for i, name in enumerate(ACTIVATIONS)}  # TgActivation counts alike

SOURCE = Source("activation.cu", for_both_types("activate", "activation_grad", "error_function"))


def _each(kernel: str, x: Array, *args: Any) -> None:
    """A launch whose threads go over the elements of x; `args` are the kernel's."""
    grid = blocks(x.size, THREADS, MOST_BLOCKS)
    launch(SOURCE[f"{kernel}<{c_type(x)}>"], grid, THREADS, args)


def activate(x: Array, name: str, parameter: float) -> Array:
    """f(x) in a new array."""
    y, a = empty(x.shape, x.dtype, x), x.dtype.type(parameter)
    size, one = np.int32(x.size), np.int32(1)
    _each("activate", x, contiguous(x), None, y, size, one, KINDS[name], a)
    return y


def activation_grad(y: Array, gy: Array, name: str, parameter: float) -> Array:
    """gy f'(x), told from y = f(x), in a new array."""
    gx, a = empty(y.shape, y.dtype, y), y.dtype.type(parameter)
    y, gy = contiguous(y), contiguous(gy, y.dtype)
    _each("activation_grad", y, y, gy, gx, np.int32(y.size), KINDS[name], a)
    return gx


def activation_grad_sum(y: Array, gy: Array, name: str, parameter: float) -> tuple[Array, Array]:
    """activation_grad, and its sum over all axes but the last: the gradient of a bias."""
    gx = activation_grad(y, gy, name, parameter)
    return gx, sum_rows(gx.reshape(-1, gx.shape[-1]))


def bias_activate(z: Array, b: Array | None, name: str, parameter: float) -> Array:
    """f(z + b), in place; b holds one number for each place on the last axis."""
    y, a = contiguous(z), z.dtype.type(parameter)
    size, columns = np.int32(z.size), np.int32(z.shape[-1])
    bias = None if b is None else contiguous(b, z.dtype)
    _each("activate", y, y, bias, y, size, columns, KINDS[name], a)
    if y is not z:
        z[...] = y
    return z


def erf(x: Array) -> Array:
    """The error function, to the last digit."""
    y = empty(x.shape, x.dtype, x)
    _each("error_function", x, contiguous(x), y, np.int32(x.size))
    return y
