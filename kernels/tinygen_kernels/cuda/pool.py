"""The largest of each window on CUDA; the twin of reference/pool.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Geometry
from ..reference.pool import position_type
from .arrays import blocks, c_type, contiguous, empty, pack
from .columns import BLOCK, instances
from .launch import Source, launch

Array = NDArray[Any]

SOURCE = Source("pool.cu", instances("max_pool2d", "max_pool2d_grad", "max_pool2d_pick"))
WINDOWS = np.dtype(
    [
        (name, np.int32)
        for name in (
            *("height", "width", "channels", "out_height", "out_width"),
            *("kernel_height", "kernel_width", "down", "across", "top", "left", "wide"),
        )
    ]
)


def max_pool2d(x: Array, geometry: Geometry) -> tuple[Array, Array]:
    """The largest number of each window, (n, h', w', c), and its position, counted by rows."""
    shape = len(x), *geometry.output_size, x.shape[3]
    y = empty(shape, x.dtype, x)
    position = empty(shape, position_type(geometry), x)
    x = contiguous(x)
    _each("max_pool2d", y, (x, y), (x, y, position), geometry)
    return y, position


def max_pool2d_grad(gy: Array, position: Array, geometry: Geometry) -> Array:
    """Each number of gy, (n, h', w', c), added where its position is: (n, h, w, c)."""
    gx = empty((len(gy), *geometry.size, gy.shape[3]), gy.dtype, gy)
    gy = contiguous(gy)
    _each("max_pool2d_grad", gx, (gy, gx), (gy, contiguous(position), gx), geometry)
    return gx


def max_pool2d_pick(x: Array, position: Array, geometry: Geometry) -> Array:
    """What x has at these positions: (n, h, w, c), (n, h', w', c) -> (n, h', w', c)."""
    y = empty(position.shape, x.dtype, x)
    x = contiguous(x)
    _each("max_pool2d_pick", y, (x, y), (x, contiguous(position), y), geometry)
    return y


def _each(
    kernel: str, result: Array, images: tuple[Array, ...], args: tuple[Array, ...], g: Geometry
) -> None:
    """A launch with a thread for each pack of channels of the result."""
    channels = result.shape[3]
    n = pack(channels, *images)
    (top, _), (left, _) = g.pads
    sizes = *g.size, channels, *g.output_size, *g.kernel, *g.stride, top, left
    windows = np.array((*sizes, position_type(g) is np.int32), WINDOWS)
    count = result.size // n
    kernel = f"{kernel}<{c_type(result)}, {n}>"
    launch(SOURCE[kernel], blocks(count, BLOCK), BLOCK, (*args, windows, np.int32(count)))
