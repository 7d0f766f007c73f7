"""Convolution, its transpose and the gradient of its weights; images are (n, height, width, c).

The three are closed under differentiation. With y = conv2d(x, w):
    gx = conv2d_transpose(gy, w),  gw = conv2d_weight_grad(x, gy).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Geometry
from .activation import bias_activate

Array = NDArray[Any]


def pad(x: Array, geometry: Geometry) -> Array:
    """x with its zeros around."""
    return np.pad(x, ((0, 0), *geometry.pads, (0, 0)))


def windows(x: Array, geometry: Geometry) -> Array:
    """What each place of the kernel sees: (n, output height, output width, kh, kw, c), a view."""
    padded = pad(x, geometry)
    n, row, column, channel = padded.strides
    (sh, sw), (dh, dw) = geometry.stride, geometry.dilation
    shape = len(x), *geometry.output_size, *geometry.kernel, x.shape[3]
    strides = n, row * sh, column * sw, row * dh, column * dw, channel
    return np.lib.stride_tricks.as_strided(padded, shape, strides, writeable=False)


def _groups(inputs: int, outputs: int, groups: int) -> Iterator[tuple[slice, slice]]:
    """The channels of each group, on either side."""
    i, o = inputs // groups, outputs // groups
    return ((slice(k * i, (k + 1) * i), slice(k * o, (k + 1) * o)) for k in range(groups))


def conv2d(
    x: Array, w: Array, b: Array | None, geometry: Geometry, name: str, parameter: float
) -> Array:
    """f(x * w + b):  (n, h, w, i), (kh, kw, i / groups, o), (o,) -> (n, h', w', o)."""
    y = np.empty((len(x), *geometry.output_size, w.shape[3]), x.dtype)
    seen = windows(x, geometry)
    for inputs, outputs in _groups(x.shape[3], w.shape[3], geometry.groups):
        y[..., outputs] = np.tensordot(seen[..., inputs], w[..., outputs], 3)
    return bias_activate(y, b, name, parameter)


def conv2d_transpose(
    y: Array, w: Array, b: Array | None, geometry: Geometry, name: str, parameter: float
) -> Array:
    """The linear map that is adjoint to conv2d, then f(... + b): (n, h', w', o) -> (n, h, w, i).

    Every pixel of y adds its multiple of the kernel to the image.
    """
    channels = w.shape[2] * geometry.groups
    x = np.zeros((len(y), *geometry.padded, channels), y.dtype)
    (sh, sw), (dh, dw), (oh, ow) = geometry.stride, geometry.dilation, geometry.output_size
    for i, j in np.ndindex(*geometry.kernel):
        reached = x[:, i * dh : i * dh + sh * oh : sh, j * dw : j * dw + sw * ow : sw]
        for inputs, outputs in _groups(channels, w.shape[3], geometry.groups):
            reached[..., inputs] += y[..., outputs] @ w[i, j, :, outputs].T
    (top, _), (left, _) = geometry.pads
    height, width = geometry.size
    inside = x[:, top : top + height, left : left + width].copy()
    return bias_activate(inside, b, name, parameter)


def conv2d_weight_grad(x: Array, gy: Array, geometry: Geometry) -> Array:
    """The gradient of w: (n, h, w, i), (n, h', w', o) -> (kh, kw, i / groups, o)."""
    channels = x.shape[3] // geometry.groups
    gw = np.empty((*geometry.kernel, channels, gy.shape[3]), x.dtype)
    seen = windows(x, geometry)
    for inputs, outputs in _groups(x.shape[3], gy.shape[3], geometry.groups):
        gw[..., outputs] = np.tensordot(seen[..., inputs], gy[..., outputs], ([0, 1, 2],) * 2)
    return gw
