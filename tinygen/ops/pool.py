"""Pooling: one number for each window of an image, (n, height, width, channels)."""

from __future__ import annotations

import functools

import numpy as np

from ..backend import (
    Array,
    Band,
    Geometry,
    Padding,
    Pair,
    kernels,
    pair,
    parse_padding,
    resolve_padding,
)
from ..core import Tensor, TensorLike
from ..function import Function
from ..ranges import whole
from .resample import Resample2DFunction, shape_of_images
from .shape import reshape


class MaxPool2DFunction(Function):
    """y = the largest of each window;  gx = gy where it came from."""

    name = "max_pool2d"

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry

    def forward(self, x: Array) -> Array:
        y: Array
        y, position = kernels(x).max_pool2d(x, self.geometry)
        self.save_constant(position)
        return y

    def backward(self, gy: Tensor) -> Tensor:
        (position,) = self.saved
        return MaxPool2DGradFunction(self.geometry)(gy, position)


class MaxPool2DGradFunction(Function):
    """gx = gy added at given positions, one in each window;  gy' = what g has there."""

    name = "max_pool2d_grad"
    apart = (1,)  # the positions

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry

    def forward(self, gy: Array, position: Array) -> Array:
        self.save(position)
        return kernels(gy).max_pool2d_grad(gy, position, self.geometry)

    def backward(self, g: Tensor) -> tuple[Tensor | None, None]:
        (position,) = self.saved
        return MaxPool2DPickFunction(self.geometry)(g, position), None


class MaxPool2DPickFunction(Function):
    """y = what x has at given positions, one in each window;  gx = gy added there."""

    name = "max_pool2d_pick"
    apart = (1,)  # the positions

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry

    def forward(self, x: Array, position: Array) -> Array:
        self.save(position)
        return kernels(x).max_pool2d_pick(x, position, self.geometry)

    def backward(self, gy: Tensor) -> tuple[Tensor | None, None]:
        (position,) = self.saved
        return MaxPool2DGradFunction(self.geometry)(gy, position), None


def max_pool2d(
    x: TensorLike,
    size: int | Pair = 2,
    stride: int | Pair | None = None,
    padding: Padding = "valid",
) -> Tensor:
    """The largest number of each window: (n, h, w, c) -> (n, h', w', c).

    Padding is never the largest, a NaN always is; of equal ones the first gets the gradient.

    Args:
        x: images.
        size: of the window; a number or (height, width).
        stride: pixels from one window to the next; the size if None.
        padding: "valid", "same", a number, or ((top, bottom), (left, right)), less than the
            window's size; see `conv2d`.
    """
    return MaxPool2DFunction(_windows("max_pool2d", x, size, stride, padding))(x)


def avg_pool2d(
    x: TensorLike,
    size: int | Pair = 2,
    stride: int | Pair | None = None,
    padding: Padding = "valid",
) -> Tensor:
    """The mean of each window: (n, h, w, c) -> (n, h', w', c).

    Padding does not count: at the border it is the mean of the pixels that are there, as in Keras
    (PyTorch: count_include_pad=False). The arguments are those of `max_pool2d`.
    """
    g = _windows("avg_pool2d", x, size, stride, padding)
    rows, columns = (
        _mean_band(g.size[i], g.output_size[i], g.kernel[i], g.stride[i], g.pads[i][0])
        for i in range(2)
    )
    return Resample2DFunction(rows, columns)(x)


def global_avg_pool2d(x: TensorLike, keepdims: bool = False) -> Tensor:
    """The mean of each image: (n, h, w, c) -> (n, c), or (n, 1, 1, c) with `keepdims`."""
    n, height, width, channels = shape_of_images("global_avg_pool2d", x)
    y = avg_pool2d(x, (height, width))
    return y if keepdims else reshape(y, (n, channels))


@functools.lru_cache(256)
def _mean_band(inputs: int, outputs: int, size: int, stride: int, before: int) -> Band:
    """The means of windows along one axis."""
    place = np.arange(inputs) - np.arange(outputs)[:, None] * stride + before
    inside = (place >= 0) & (place < size)
    return Band(inside / inside.sum(axis=1, keepdims=True), 1, stride)


def _windows(
    op: str, x: TensorLike, size: int | Pair, stride: int | Pair | None, padding: Padding
) -> Geometry:
    """Where the windows lie; the same object each time."""
    _, height, width, _ = shape_of_images(op, x)
    kernel = pair(size)
    steps = kernel if stride is None else pair(stride)
    try:
        around = parse_padding(padding)
    except ValueError as error:
        raise ValueError(f"{op}: {error}") from None
    return _checked_windows(op, (height, width), kernel, steps, around)


@functools.lru_cache(1024)
def _checked_windows(op: str, size: Pair, kernel: Pair, stride: Pair, padding: Padding) -> Geometry:
    """The Geometry of at least one window, none of which is all padding."""
    for name, lengths in (("size", kernel), ("stride", stride)):
        for length in lengths:
            whole(f"{op}: {name}", length)
    pads = resolve_padding(padding, size, kernel, stride, (1, 1))
    if any(max(around) >= k for around, k in zip(pads, kernel, strict=True)):
        raise ValueError(f"{op}: padding {pads} must be less than the window's size {kernel}")
    geometry = Geometry(size, kernel, stride, pads)
    if min(geometry.output_size) < 1:
        raise ValueError(
            f"{op}: images of {size} pixels with padding {pads} have no window of size {kernel}"
        )
    return geometry
