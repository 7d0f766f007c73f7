"""Translation of images, each by a vector of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import Array, array_module, as_array, beside
from ..core import Tensor, TensorLike, data_of
from ..function import Function
from ..promotion import ANY
from .resample import shape_of_images


class Translate2DFunction(Function):
    """y[n, i, j] = x[n, i - s[n, 0], j - s[n, 1]], 0 from outside;  gx = gy translated by -s."""

    takes = ANY

    def __init__(self, shifts: Array) -> None:
        self.shifts = shifts

    def forward(self, x: Array) -> Array:
        xp, (n, height, width, channels) = array_module(x), x.shape
        rows = xp.arange(height) - self.shifts[:, :1]  # (n, height): where they come from
        columns = xp.arange(width) - self.shifts[:, 1:]
        inside = ((rows >= 0) & (rows < height))[:, :, None]
        inside = inside & ((columns >= 0) & (columns < width))[:, None, :]
        places = (xp.arange(n)[:, None] * height + rows)[:, :, None] * width + columns[:, None, :]
        pixels = x.reshape(n * height * width, channels)
        moved = xp.take(pixels, xp.where(inside, places, 0), axis=0)
        y: Array = xp.where(inside[..., None], moved, x.dtype.type(0))
        return y

    def backward(self, gy: Tensor) -> Tensor:
        return Translate2DFunction(-self.shifts)(gy)


def translate2d(x: TensorLike, shifts: Any) -> Tensor:
    """Images moved down and to the right, zeros behind them: (n, h, w, c) -> (n, h, w, c).

    Args:
        x: images.
        shifts: whole numbers (n, 2): pixels down and to the right for each image; negative ones
            move it up and to the left.

    Raises ValueError for shifts that are no whole numbers, or not two an image.
    """
    n = shape_of_images("translate2d", x)[0]
    array = as_array(data_of(shifts))
    if array.shape != (n, 2):
        raise ValueError(f"translate2d: shifts of {n} images are ({n}, 2), not {array.shape}")
    if array.dtype.kind not in "iu" and n:
        raise ValueError(f"translate2d: shifts must be whole numbers, not {array.dtype}")
    return Translate2DFunction(beside(array.astype(np.int64), data_of(x)))(x)
