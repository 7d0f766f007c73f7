"""Convolution on CUDA; the twin of reference/conv.py.

What is exact is here, and conv_ways.py chooses its kernels; in other precisions conv_mma.py takes
over what it serves.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Geometry
from . import conv_mma
from .activation import KINDS, bias_activate
from .arrays import MOST, aligned, c_type, contiguous, empty, for_both_types, module_of
from .conv_shares import add_shares
from .conv_ways import THREADS, TILES, way
from .launch import Source, launch

Array = NDArray[Any]

PRODUCTS = Source(
    "conv_simt.cu",
    (
        *(f"convolve<float, {t.name}, false>" for t in TILES["forward"]),
        *(f"convolve<float, {t.name}, true>" for t in TILES["input"]),
        *(f"weight_grad<float, {t.name}>" for t in TILES["weights"]),
        "convolve<double, Medium, false>",
        "convolve<double, Medium, true>",
        "weight_grad<double, Medium>",
    ),
)
SMALL = Source(
    "conv_small.cu",
    (
        *(
            f"convolve_few<{T}, {back}, {vector}>"
            for T in ("float", "double")
            for back in ("false", "true")
            for vector in (1, 4)
        ),
        *for_both_types("weight_grad_few"),
    ),
)
PAIRS = ("size", "output", "kernel", "stride", "before", "dilation", "every", "nearer")
CONV = np.dtype(  # struct Conv of tg_conv.cuh
    [(name, np.int32) for name in ("images", "inputs", "outputs", "groups")]
    + [(name, np.int32, 2) for name in PAIRS]
)


def conv2d(
    x: Array, w: Array, b: Array | None, geometry: Geometry, name: str, parameter: float
) -> Array:
    """f(x * w + b):  (n, h, w, i), (kh, kw, i / groups, o), (o,) -> (n, h', w', o)."""
    if conv_mma.serves(geometry, x.shape[3], w.shape[3], x.dtype):
        return conv_mma.conv2d(x, w, b, geometry, name, parameter)
    shape = len(x), *geometry.output_size, w.shape[3]
    return _convolve("forward", x, w, b, shape, geometry, name, parameter)


def conv2d_transpose(
    y: Array, w: Array, b: Array | None, geometry: Geometry, name: str, parameter: float
) -> Array:
    """The linear map that is adjoint to conv2d, then f(... + b): (n, h', w', o) -> (n, h, w, i)."""
    if conv_mma.serves(geometry, w.shape[2] * geometry.groups, w.shape[3], y.dtype):
        return conv_mma.conv2d_transpose(y, w, b, geometry, name, parameter)
    shape = len(y), *geometry.size, w.shape[2] * geometry.groups
    return _convolve("input", y, w, b, shape, geometry, name, parameter)


def _convolve(
    task: str,
    x: Array,
    w: Array,
    b: Array | None,
    shape: tuple[int, ...],
    geometry: Geometry,
    name: str,
    parameter: float,
) -> Array:
    """Either of the two, with a result of this shape; x is what is read."""
    x, w = _operand(x, x), _operand(w, x)
    b = None if b is None else _operand(b, x)
    if not x.size or not w.size:
        return bias_activate(module_of(x).zeros(shape, x.dtype), b, name, parameter)
    y, back = empty(shape, x.dtype, x), "true" if task == "input" else "false"
    inputs, outputs = w.shape[2] * geometry.groups, w.shape[3]
    conv = _conv(len(x), geometry, inputs, outputs)
    kind, a = KINDS[name], x.dtype.type(parameter)
    how = way(task, len(x), geometry, inputs, outputs, x.itemsize == 8)
    if how.kernel == "few":
        if task == "forward":
            w = contiguous(w.swapaxes(2, 3))  # what is read lies side by side
        kernel = SMALL[f"convolve_few<{c_type(x)}, {back}, {how.vector}>"]
        launch(kernel, how.blocks, THREADS, (x, w, b, y, conv, np.int32(how.lanes), kind, a))
        return y
    kernel = PRODUCTS[f"convolve<{c_type(x)}, {how.tile.name}, {back}>"]
    if how.shares == 1:
        launch(kernel, how.blocks, how.tile.threads, (x, w, b, y, conv, kind, a))
        return y
    parts = empty((how.shares, *shape), x.dtype, x)
    arguments = x, w, None, parts, conv, KINDS["identity"], a
    launch(kernel, (how.blocks, how.shares), how.tile.threads, arguments)
    return add_shares(parts, y, b, name, parameter)


def conv2d_weight_grad(x: Array, gy: Array, geometry: Geometry) -> Array:
    """The gradient of w: (n, h, w, i), (n, h', w', o) -> (kh, kw, i / groups, o)."""
    inputs, outputs = x.shape[3], gy.shape[3]
    if conv_mma.serves(geometry, inputs, outputs, x.dtype):
        return conv_mma.conv2d_weight_grad(x, gy, geometry)
    x, gy = _operand(x, x), _operand(gy, x)
    shape = *geometry.kernel, inputs // geometry.groups, outputs
    if not x.size or not gy.size:
        zeros: Array = module_of(x).zeros(shape, x.dtype)
        return zeros
    gw = empty(shape, x.dtype, x)
    conv = _conv(len(x), geometry, inputs, outputs)
    how = way("weights", len(x), geometry, inputs, outputs, x.itemsize == 8)
    parts = gw if how.shares == 1 else empty((how.shares, *shape), x.dtype, x)
    grid = how.blocks, how.shares
    if how.kernel == "few":
        launch(SMALL[f"weight_grad_few<{c_type(x)}>"], grid, 256, (x, gy, parts, conv))
    else:
        kernel = PRODUCTS[f"weight_grad<{c_type(x)}, {how.tile.name}>"]
        launch(kernel, grid, how.tile.threads, (x, gy, parts, conv))
    if how.shares == 1:
        return gw
    return add_shares(parts, gw)


def _operand(x: Array, like: Array) -> Array:
    """x as kernels take it, in the type of `like`; raises ValueError if it is too large."""
    if x.size > MOST - (1 << 24):  # the last tiles count beyond the end
        raise ValueError(f"an array of shape {x.shape} has more elements than CUDA kernels take")
    return aligned(x.astype(like.dtype, copy=False))


@functools.lru_cache(maxsize=1024)
def _conv(n: int, geometry: Geometry, inputs: int, outputs: int) -> NDArray[Any]:
    """What kernels are told of a convolution: a structure, passed by value."""
    (top, _), (left, _) = geometry.pads
    common = np.gcd(geometry.stride, geometry.dilation)
    every, nearer = geometry.stride // common, geometry.dilation // common
    g = geometry
    pairs = g.size, g.output_size, g.kernel, g.stride, (top, left), g.dilation, every, nearer
    return np.array((n, inputs, outputs, g.groups, *pairs), CONV)
