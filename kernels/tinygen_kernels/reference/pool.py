"""The largest of each window, and which one it was. Images are (n, height, width, channels)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..geometry import Geometry

Array = NDArray[Any]


def position_type(geometry: Geometry) -> Any:
    """What positions in a window are kept as."""
    return np.uint8 if geometry.taps <= 256 else np.int32


def max_pool2d(x: Array, geometry: Geometry) -> tuple[Array, Array]:
    """The largest number of each window, (n, h', w', c), and its position, counted by rows.

    Of several the first; padding is never chosen, and a NaN is the largest of all.
    """
    values, inside = _padded(x, geometry), _padded(np.ones_like(x, bool), geometry)
    shape = len(x), *geometry.output_size, x.shape[3]
    y, position = np.zeros(shape, x.dtype), np.zeros(shape, position_type(geometry))
    found = np.zeros(shape, bool)
    for p, here in enumerate(_places(geometry)):
        value, real = values[here], inside[here]
        better = real & (~found | (value > y) | (np.isnan(value) & ~np.isnan(y)))
        y, position = np.where(better, value, y), np.where(better, p, position)
        found |= real
    return y, position.astype(position_type(geometry))


def max_pool2d_grad(gy: Array, position: Array, geometry: Geometry) -> Array:
    """Each number of gy, (n, h', w', c), added where its position is: (n, h, w, c)."""
    gx = np.zeros((len(gy), *geometry.padded, gy.shape[3]), gy.dtype)
    for p, here in enumerate(_places(geometry)):
        gx[here] += np.where(position == p, gy, 0)
    (top, _), (left, _) = geometry.pads
    height, width = geometry.size
    return gx[:, top : top + height, left : left + width].copy()


def max_pool2d_pick(x: Array, position: Array, geometry: Geometry) -> Array:
    """What x has at these positions: (n, h, w, c), (n, h', w', c) -> (n, h', w', c)."""
    values, y = _padded(x, geometry), np.zeros(position.shape, x.dtype)
    for p, here in enumerate(_places(geometry)):
        y = np.where(position == p, values[here], y)
    return y


def _padded(x: Array, geometry: Geometry) -> Array:
    """x with zeros around."""
    return np.pad(x, ((0, 0), *geometry.pads, (0, 0)))


def _places(geometry: Geometry) -> Iterator[tuple[slice, ...]]:
    """For each position in a window, where all windows have it in a padded image."""
    (sh, sw), (oh, ow) = geometry.stride, geometry.output_size
    for i, j in np.ndindex(*geometry.kernel):
        rows, columns = slice(i, i + sh * (oh - 1) + 1, sh), slice(j, j + sw * (ow - 1) + 1, sw)
        yield slice(None), rows, columns
