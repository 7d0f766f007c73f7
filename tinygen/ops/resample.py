"""Larger, smaller and softer images, (n, height, width, channels).

All of it is one linear operation: an image between two banded matrices, one for its rows and one
for its columns. The gradient is the same operation with both transposed.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from ..backend import Array, Band, Pads, Pair, kernels, pair
from ..core import Tensor, TensorLike, data_of
from ..function import Function
from ..ranges import finite, whole

Filter: TypeAlias = Sequence[float] | Sequence[Sequence[float]] | Array


class Resample2DFunction(Function):
    """y = R x C^T for every channel,  gx = R^T gy C."""

    name = "resample2d"

    def __init__(self, rows: Band, columns: Band) -> None:
        self.rows, self.columns = rows, columns

    def forward(self, x: Array) -> Array:
        return kernels(x).resample2d(x, self.rows, self.columns)

    def backward(self, gy: Tensor) -> Tensor:
        return Resample2DFunction(self.rows.transposed, self.columns.transposed)(gy)


@functools.lru_cache(256)
def _filter_band(inputs: int, taps: tuple[float, ...], up: int, down: int, padding: Pair) -> Band:
    """What upfirdn2d does along one axis: y[i] = sum_t taps[t] u[i down + t - before],

    where u has the inputs at the multiples of `up` and zeros between and around them.
    """
    before, after = padding
    outputs = (inputs * up + before + after - len(taps)) // down + 1
    if outputs < 1:
        raise ValueError(
            f"{inputs} pixels with up {up} and padding {padding} leave no room for {len(taps)} taps"
        )
    t = np.arange(inputs) * up - np.arange(outputs)[:, None] * down + before
    inside = (t >= 0) & (t < len(taps))
    matrix = np.where(inside, np.array(taps)[np.clip(t, 0, len(taps) - 1)], 0.0)
    common = int(np.gcd(up, down))
    return Band(matrix, up // common, down // common)


@functools.lru_cache(256)
def _linear_band(inputs: int, factor: int) -> Band:
    """Values between the centres of two pixels; beyond the outermost centres, those pixels."""
    place = (np.arange(inputs * factor) + 0.5) / factor - 0.5
    below = np.floor(place)
    matrix = np.zeros((inputs * factor, inputs))
    for neighbour, weight in (below, 1 - place + below), (below + 1, place - below):
        columns = np.clip(neighbour, 0, inputs - 1).astype(int)
        np.add.at(matrix, (np.arange(inputs * factor), columns), weight)
    return Band(matrix, factor, 1)


def upfirdn2d(
    x: TensorLike,
    f: Filter,
    up: int | Pair = 1,
    down: int | Pair = 1,
    padding: int | Pads = 0,
    flip_filter: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """Insert zeros, pad or crop, filter, leave pixels out: (n, h, w, c) -> (n, h', w', c).

    h' = (h up + top + bottom - the filter's height) // down + 1, and w' likewise. Zeros are only
    thought of, never multiplied. The filter is a constant: it gets no gradient.

    Args:
        x: images.
        f: weights of the filter; (k,) is used in both directions, (kh, kw) is cut into as many
            pairs of a column and a row as its rank asks for.
        up: each pixel is followed by up - 1 zeros; a number or (down, across).
        down: of so many pixels of the result one is kept; a number or (down, across).
        padding: zeros around, after those between: a number or ((top, bottom), (left, right));
            negative ones crop.
        flip_filter: correlate, as a convolutional layer does, instead of a true convolution.
        gain: factor for the result.

    Source: Karras et al. 2019, StyleGAN; the arguments are those of StyleGAN2's operation.
    """
    _, height, width, _ = shape_of_images("upfirdn2d", x)
    (up_rows, up_columns), (down_rows, down_columns) = pair(up), pair(down)
    for factor in (up_rows, up_columns):
        whole("upfirdn2d: up", factor)
    for factor in (down_rows, down_columns):
        whole("upfirdn2d: down", factor)
    finite("upfirdn2d: gain", gain)
    pads = _pads(padding)
    total: Tensor | None = None
    for vertical, horizontal in _separated("upfirdn2d", f, gain, flip_filter):
        try:
            rows = _filter_band(height, vertical, up_rows, down_rows, pads[0])
            columns = _filter_band(width, horizontal, up_columns, down_columns, pads[1])
        except ValueError as error:
            raise ValueError(f"upfirdn2d: {error}") from None
        y = Resample2DFunction(rows, columns)(x)
        total = y if total is None else total + y
    assert total is not None  # there is at least one pair
    return total


def blur2d(x: TensorLike, f: Filter = (1, 2, 1)) -> Tensor:
    """x filtered by `f`, whose weights are divided by their sum; the size stays the same.

    Outside of the image are zeros, so its border darkens, as in StyleGAN. For f see `upfirdn2d`.
    """
    weights = normalised("blur2d", f)
    around = [(k // 2, (k - 1) // 2) for k in _size(weights)]
    return upfirdn2d(x, weights, padding=(around[0], around[1]))


def upsample2d(x: TensorLike, factor: int | Pair = 2, method: str | Filter = "nearest") -> Tensor:
    """Images `factor` times as large: (n, h, w, c) -> (n, h factor, w factor, c).

    Args:
        x: images.
        factor: a number or (down, across).
        method: "nearest" repeats pixels; "bilinear" interpolates between their centres, the same
            as in Keras and as PyTorch's align_corners=False; a filter such as (1, 3, 3, 1), divided
            by its sum, smooths the image with zeros inserted, as in StyleGAN2.
    """
    _, height, width, _ = shape_of_images("upsample2d", x)
    factors = _factors("upsample2d", factor)
    if isinstance(method, str):
        if method not in ("nearest", "bilinear"):
            raise ValueError(
                f'upsample2d: method must be "nearest", "bilinear" or a filter, not {method!r}'
            )
        if method == "bilinear":
            rows, columns = _linear_band(height, factors[0]), _linear_band(width, factors[1])
            return Resample2DFunction(rows, columns)(x)
        return upfirdn2d(
            x, np.ones(factors), factors, padding=((factors[0] - 1, 0), (factors[1] - 1, 0))
        )
    weights = normalised("upsample2d", method)
    around = [
        ((k + up - 1) // 2, (k - up) // 2) for k, up in zip(_size(weights), factors, strict=True)
    ]
    gain = factors[0] * factors[1]
    return upfirdn2d(x, weights, factors, padding=(around[0], around[1]), gain=gain)


def downsample2d(x: TensorLike, factor: int | Pair = 2, method: str | Filter = "average") -> Tensor:
    """Images `factor` times as small: (n, h, w, c) -> (n, h // factor, w // factor, c).

    Args:
        x: images.
        factor: a number or (down, across).
        method: "average" takes the mean of each block; a filter such as (1, 3, 3, 1), divided by
            its sum, smooths before pixels are left out, as in StyleGAN2 (where a length that the
            factor does not divide may be rounded up).
    """
    shape_of_images("downsample2d", x)
    factors = _factors("downsample2d", factor)
    if isinstance(method, str):
        if method != "average":
            raise ValueError(f'downsample2d: method must be "average" or a filter, not {method!r}')
        return upfirdn2d(x, np.ones(factors), down=factors, gain=1 / (factors[0] * factors[1]))
    weights = normalised("downsample2d", method)
    around = [
        ((k - down + 1) // 2, (k - down) // 2)
        for k, down in zip(_size(weights), factors, strict=True)
    ]
    return upfirdn2d(x, weights, down=factors, padding=(around[0], around[1]))


def shape_of_images(op: str, x: TensorLike) -> tuple[int, ...]:
    """The shape of x, after a look at whether it holds images."""
    shape: tuple[int, ...] = data_of(x).shape
    if len(shape) != 4 or 0 in shape[1:3]:
        raise ValueError(f"{op}: images must be (n, height, width, channels), got shape {shape}")
    return shape


def _pads(padding: int | Pads) -> Pads:
    """((top, bottom), (left, right)); here they may be negative."""
    if isinstance(padding, int):
        return (padding, padding), (padding, padding)
    try:
        (top, bottom), (left, right) = padding
    except (TypeError, ValueError):
        raise ValueError(
            f"upfirdn2d: padding must be a number or ((top, bottom), (left, right)), not {padding}"
        ) from None
    for width in (top, bottom, left, right):
        whole("upfirdn2d: padding", width, None)
    return (top, bottom), (left, right)


def _factors(op: str, factor: int | Pair) -> Pair:
    """The factor for either direction."""
    factors = pair(factor)
    for number in factors:
        whole(f"{op}: factor", number)
    return factors


def _weights(op: str, f: Filter) -> Array:
    """The filter as an array of one or two axes."""
    if isinstance(f, Tensor):
        raise ValueError(f"{op}: the filter is a constant: give numbers or an array, no tensor")
    weights = np.asarray(f, np.float64)
    if weights.ndim not in (1, 2) or not weights.size:
        raise ValueError(f"{op}: the filter must be (k,) or (kh, kw), got shape {weights.shape}")
    if not np.isfinite(weights).all():
        raise ValueError(f"{op}: the filter holds NaN or infinity")
    return weights


def normalised(op: str, f: Filter) -> Array:
    """The filter with a sum of 1 (in either direction, if it is for both)."""
    weights = _weights(op, f)
    if not weights.sum():
        raise ValueError(f"{op}: the weights of the filter add up to 0, so cannot be divided by it")
    result: Array = weights / weights.sum()
    return result


def _size(weights: Array) -> Pair:
    """(height, width) of a filter."""
    return len(weights), weights.shape[-1]


def _separated(
    op: str, f: Filter, gain: float, correlate: bool
) -> list[tuple[tuple[float, ...], tuple[float, ...]]]:
    """Filters for rows and columns whose products add up to f: one pair where f is separable."""
    weights = _weights(op, f)
    weights = weights if correlate else np.flip(weights)
    if weights.ndim == 1:
        parts = [(weights * gain, weights)]
    else:
        parts = _rank_one_parts(weights * gain)
    return [(tuple(v.tolist()), tuple(h.tolist())) for v, h in parts]


def _rank_one_parts(matrix: Array) -> list[tuple[Array, Array]]:
    """Columns and rows whose products add up to the matrix, by elimination with full pivoting."""
    parts: list[tuple[Array, Array]] = []
    rest, negligible = matrix.copy(), 1e-14 * np.abs(matrix).max()
    while not parts or np.abs(rest).max() > negligible:
        i, j = np.unravel_index(np.abs(rest).argmax(), rest.shape)
        column, row = rest[:, j].copy(), rest[i] / (rest[i, j] or 1.0)
        parts.append((column, row))
        rest = rest - np.outer(column, row)
        rest[i], rest[:, j] = 0.0, 0.0
    return parts
