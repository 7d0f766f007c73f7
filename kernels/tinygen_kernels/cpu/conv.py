"""Convolution, its transpose and the gradient of its weights, each in the way of ways.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray

from .. import precision
from ..geometry import Geometry, Pads
from ..reference import conv as reference
from . import direct, winograd, winograd_weights
from .jit import Loop
from .memory import empty, scratch
from .places import places_of
from .turn import turn
from .ways import way

Array = NDArray[Any]


@Loop
def _fill_padded(x: Array, padded: Array, top: int, left: int) -> None:
    n, height, width = x.shape
    for image in prange(n):
        padded[image, :top] = 0
        padded[image, top + height :] = 0
        for i in range(height):
            row = padded[image, top + i]
            row[:left] = 0
            row[left : left + width] = x[image, i]
            row[left + width :] = 0


def conv2d(
    x: Array, w: Array, b: Array | None, geometry: Geometry, name: str, parameter: float
) -> Array:
    """f(x * w + b); see the reference."""
    if x.dtype.char not in "fd":
        return reference.conv2d(x, w, b, geometry, name, parameter)
    return _convolve(x, w, b, geometry, False, name, parameter)


def conv2d_transpose(
    y: Array, w: Array, b: Array | None, geometry: Geometry, name: str, parameter: float
) -> Array:
    """The transpose; see the reference."""
    if y.dtype.char not in "fd":
        return reference.conv2d_transpose(y, w, b, geometry, name, parameter)
    return _convolve(y, w, b, geometry, True, name, parameter)


def _convolve(
    x: Array, w: Array, b: Array | None, geometry: Geometry, transposed: bool, name: str,
    parameter: float,
) -> Array:  # fmt: skip
    """conv2d or conv2d_transpose, of float32 or float64."""
    inputs, outputs = w.shape[2] * geometry.groups, w.shape[3]
    taps = np.ascontiguousarray(w, x.dtype).reshape(geometry.taps, w.shape[2], outputs)
    size, makes = (geometry.size, inputs) if transposed else (geometry.output_size, outputs)
    y = empty((len(x), *size, makes), x.dtype)
    task, exact = "input" if transposed else "forward", precision.current() == "exact"
    chosen = way(task, len(x), geometry, inputs, outputs, exact)
    dots = chosen.kernel == "dots"
    if transposed != dots:
        taps = turn(taps)
    if chosen.plan:
        x, kernel_width = np.ascontiguousarray(x), geometry.kernel[1]
        return winograd.convolve(x, taps, kernel_width, y, b, chosen.plan, name, parameter)
    places = places_of(geometry, transposed, len(x), inputs, outputs)
    padded = _pad(x, places.pads)
    return direct.convolve(padded, taps, b, y, places, transposed, dots, geometry, name, parameter)


def conv2d_weight_grad(x: Array, gy: Array, geometry: Geometry) -> Array:
    """The gradient of w; see the reference."""
    if x.dtype.char not in "fd":
        return reference.conv2d_weight_grad(x, gy, geometry)
    gy = np.ascontiguousarray(gy, x.dtype)
    n, inputs, outputs = len(x), x.shape[3], gy.shape[3]
    plan = way("weights", n, geometry, inputs, outputs, precision.current() == "exact").plan
    if plan is None:
        places = places_of(geometry, False, n, inputs, outputs)
        return direct.weight_grad(_pad(x, places.pads), gy, places, geometry)
    gw = empty((geometry.taps, inputs, outputs), x.dtype)
    winograd_weights.weight_grad(np.ascontiguousarray(x), gy, gw, geometry.kernel[1], plan)
    return gw.reshape(*geometry.kernel, inputs, outputs)


def _pad(x: Array, pads: Pads) -> Array:
    """x with zeros around it."""
    (top, bottom), (left, right) = pads
    x = np.ascontiguousarray(x)
    if not (top or bottom or left or right):
        return x
    n, height, width, channels = x.shape
    shape = n, top + height + bottom, left + width + right, channels
    padded = scratch("padded", shape, x.dtype)
    rows, wide = x.reshape(n, height, width * channels), padded.shape[2] * channels
    _fill_padded.over(padded.size)(
        rows, padded.reshape(n, padded.shape[1], wide), top, left * channels
    )
    return padded
