"""Moving elements about: nothing is computed, so every gradient is a move back."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from ..backend import Array, array_module, as_array, beside, device_of, is_array, kernels
from ..core import Tensor, TensorLike, data_of
from ..function import Function
from ..promotion import ANY, NUMBERS, promote
from ..ranges import whole
from .reduce import broadcast_to

JOINED = 8  # arrays at a time


class ReshapeFunction(Function):
    """y = x in another shape."""

    takes = ANY

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Array) -> Array:
        self.x_shape = x.shape
        return x.reshape(self.shape)

    def backward(self, gy: Tensor) -> Tensor:
        return reshape(gy, self.x_shape)


class TransposeFunction(Function):
    """y = x with its axes in another order."""

    takes = ANY

    def __init__(self, axes: tuple[int, ...] | None) -> None:
        self.axes = axes

    def forward(self, x: Array) -> Array:
        return x.transpose(self.axes)

    def backward(self, gy: Tensor) -> Tensor:
        if self.axes is None:
            return transpose(gy)
        return transpose(gy, tuple(np.argsort([a % len(self.axes) for a in self.axes]).tolist()))


class AstypeFunction(Function):
    """y = x in another type; the gradient goes back to the type of x."""

    apart = (0,)  # promotion is done by this op

    def __init__(self, dtype: Any) -> None:
        self.dtype = np.dtype(dtype)

    def forward(self, x: Array) -> Array:
        self.x_dtype = x.dtype
        return x.astype(self.dtype)

    def backward(self, gy: Tensor) -> Tensor:
        return astype(gy, self.x_dtype)


class ConcatenateFunction(Function):
    """y = the inputs one after the other along an axis; gradient: split."""

    takes = ANY

    def __init__(self, axis: int) -> None:
        self.axis = axis

    def forward(self, *xs: Array) -> Array:
        self.lengths = [x.shape[self.axis] for x in xs]
        return _joined(xs, self.axis)

    def backward(self, gy: Tensor) -> tuple[Tensor, ...]:
        return split(gy, self.lengths, self.axis)


class SplitFunction(Function):
    """The pieces of x along an axis; gradient: concatenate."""

    takes = ANY

    def __init__(self, lengths: Sequence[int], axis: int) -> None:
        self.lengths, self.axis = lengths, axis

    def forward(self, x: Array) -> tuple[Array, ...]:
        ends = list(itertools.accumulate(self.lengths))[:-1]
        return tuple(array_module(x).split(x, ends, axis=self.axis))

    def backward(self, *gys: Tensor) -> Tensor:
        return concatenate(gys, self.axis)


class PadFunction(Function):
    """y = x with a constant around it; gradient: cut it off."""

    takes = ANY

    def __init__(self, widths: tuple[tuple[int, int], ...], value: float) -> None:
        self.widths, self.value = widths, value

    def forward(self, x: Array) -> Array:
        y: Array = array_module(x).pad(x, self.widths, constant_values=self.value)
        return y

    def backward(self, gy: Tensor) -> Tensor:
        inside = zip(self.widths, gy.shape, strict=True)
        return getitem(gy, tuple(slice(before, n - after) for (before, after), n in inside))


class GetitemFunction(Function):
    """y = x[index],  gx = zeros with gy added at the index."""

    takes = ANY

    def __init__(self, index: Any) -> None:
        self.index_ = index

    def forward(self, x: Array) -> Array:
        self.x_shape = x.shape
        y: Array = x[self.index_]
        return y

    def backward(self, gy: Tensor) -> Tensor:
        return scatter_add(gy, self.index_, self.x_shape)


class ScatterAddFunction(Function):
    """y = zeros with x added at the index; places that come up twice add up.  gx = gy[index]."""

    takes = NUMBERS

    def __init__(self, index: Any, shape: tuple[int, ...]) -> None:
        self.index_, self.shape = index, shape

    def forward(self, x: Array) -> Array:
        xp: Any = array_module(x)
        if not _is_basic(self.index_) and device_of(x) != "cpu":  # the same sums in every run
            size = math.prod(self.shape)
            places = xp.arange(size).reshape(self.shape)[self.index_].ravel()
            column = x.reshape(-1, 1)
            if column.dtype.kind != "f":
                column = column.astype(np.float64)  # exact up to 2^53
            sums = kernels(x).add_rows(column, places, size).reshape(self.shape)
            return sums.astype(x.dtype, copy=False)
        y: Array = xp.zeros(self.shape, x.dtype)
        if _is_basic(self.index_):
            y[self.index_] = x
        else:
            xp.add.at(y, self.index_, x)
        return y

    def backward(self, gy: Tensor) -> Tensor:
        return getitem(gy, self.index_)


def _joined(xs: Sequence[Array], axis: int) -> Array:
    """The arrays one after the other; on a card by eights.

    For more, a table would come from the CPU, and a recording would read it long after.
    """
    if len(xs) > JOINED and device_of(xs[0]) != "cpu":
        return _joined([_joined(xs[i : i + JOINED], axis) for i in range(0, len(xs), JOINED)], axis)
    y: Array = array_module(xs[0]).concatenate(xs, axis=axis)
    return y


def _is_basic(index: Any) -> bool:
    """Whether an index is made of integers, slices, ... and None: then no place comes up twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(isinstance(p, (int, np.integer, slice, type(None), type(Ellipsis))) for p in parts)


def _index_for(x: Array, index: Any) -> Any:
    """An index with arrays instead of tensors and lists, and those where x is."""
    if isinstance(index, tuple):
        return tuple(_index_for(x, part) for part in index)
    numbers = isinstance(index, (Tensor, list)) or is_array(index)
    return beside(data_of(index) if numbers else index, x)


def _axis(op: str, axis: int, ndim: int) -> int:
    """The axis as a non-negative integer."""
    if not -ndim <= axis < ndim:
        raise ValueError(f"{op}: there is no axis {axis} among {ndim} axes")
    return axis % ndim


def reshape(x: TensorLike, shape: int | tuple[int, ...]) -> Tensor:
    """x in another shape with as many elements; one length may be -1."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if shape and min(shape) < -1:
        raise ValueError(f"reshape: lengths must not be negative, but for one -1: got {shape}")
    return ReshapeFunction(shape)(x)


def transpose(x: TensorLike, axes: tuple[int, ...] | None = None) -> Tensor:
    """x with its axes in the order `axes`, by default reversed."""
    return TransposeFunction(axes)(x)


def astype(x: TensorLike, dtype: Any) -> Tensor:
    """x in another type; a type that is not a floating one carries no gradient."""
    if np.dtype(dtype).kind != "f":
        return Tensor(data_of(x).astype(dtype))
    return AstypeFunction(dtype)(x)


def concatenate(xs: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """The inputs one after the other along an axis that exists already."""
    if not xs:
        raise ValueError("concatenate: give at least one tensor")
    return ConcatenateFunction(axis)(*xs)


def stack(xs: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """The inputs, all of one shape, side by side along a new axis."""
    shapes = {data_of(x).shape for x in xs}
    if len(shapes) != 1:
        raise ValueError(f"stack: all shapes must be the same, got {sorted(shapes)}")
    return concatenate([expand_dims(x, axis) for x in xs], axis)


def split(x: TensorLike, lengths: int | Sequence[int], axis: int = 0) -> tuple[Tensor, ...]:
    """The pieces of x along `axis`: so many of equal length, or of the given `lengths`.

    Unlike NumPy's, `lengths` are lengths, not the places where to cut.
    """
    n = data_of(x).shape[_axis("split", axis, data_of(x).ndim)]
    if isinstance(lengths, (int, np.integer)):
        if lengths < 1 or n % lengths:
            raise ValueError(f"split: axis {axis} of length {n} has no {lengths} equal pieces")
        lengths = [n // int(lengths)] * int(lengths)
    for length in lengths:
        whole("split: lengths", length, 0)
    if math.fsum(lengths) != n:
        raise ValueError(f"split: lengths {list(lengths)} do not add up to {n} (axis {axis})")
    return cast(tuple[Tensor, ...], SplitFunction(lengths, axis)(x))


def pad(x: TensorLike, widths: Sequence[tuple[int, int]], value: float = 0) -> Tensor:
    """x with `value` around it; `widths` are (before, after) for each axis."""
    if len(widths) != data_of(x).ndim:
        raise ValueError(f"pad: {len(widths)} widths for an input of shape {data_of(x).shape}")
    for pair in widths:
        for width in pair:
            whole("pad: widths", width, 0)
    x, value = promote("pad", ANY, (x, value))
    return PadFunction(tuple((int(a), int(b)) for a, b in widths), value)(x)


def getitem(x: TensorLike, index: Any) -> Tensor:
    """x[index] with NumPy's rules: integers, slices, ..., None, and arrays of integers or booleans.

    Also written `x[index]`. The gradient adds up where an array of integers repeats itself.
    """
    return GetitemFunction(_index_for(data_of(x), index))(x)


def scatter_add(x: TensorLike, index: Any, shape: tuple[int, ...]) -> Tensor:
    """Zeros of `shape` with x added at `index`: the gradient of `getitem`."""
    return ScatterAddFunction(_index_for(data_of(x), index), shape)(x)


def take(x: TensorLike, indices: Any, axis: int = 0) -> Tensor:
    """The slices of x at the integers `indices` along `axis`: a gather."""
    axis = _axis("take", axis, data_of(x).ndim)
    return getitem(x, (*[slice(None)] * axis, as_array(data_of(indices))))


def take_along_axis(x: TensorLike, indices: Any, axis: int) -> Tensor:
    """Elements of x picked along `axis` by an array of integers with as many axes as x.

    The other axes broadcast.
    """
    indices, shape = data_of(indices), data_of(x).shape
    if indices.ndim != len(shape):
        raise ValueError(f"take_along_axis: indices of shape {indices.shape} for {shape}")
    axis = _axis("take_along_axis", axis, len(shape))
    xp, index = array_module(data_of(x)), []
    for i, n in enumerate(shape):
        wide = tuple(n if j == i else 1 for j in range(len(shape)))
        index.append(indices if i == axis else xp.arange(n).reshape(wide))
    return getitem(x, tuple(index))


def expand_dims(x: TensorLike, axis: int) -> Tensor:
    """x with a new axis of length 1 at place `axis`."""
    shape = data_of(x).shape
    at = _axis("expand_dims", axis, len(shape) + 1)
    return reshape(x, (*shape[:at], 1, *shape[at:]))


def squeeze(x: TensorLike, axis: int | None = None) -> Tensor:
    """x without its axes of length 1, or without that one."""
    shape = data_of(x).shape
    if axis is None:
        return reshape(x, tuple(n for n in shape if n != 1))
    at = _axis("squeeze", axis, len(shape))
    if shape[at] != 1:
        raise ValueError(f"squeeze: axis {axis} of shape {shape} has length {shape[at]}, not 1")
    return reshape(x, (*shape[:at], *shape[at + 1 :]))


def repeat(x: TensorLike, repeats: int, axis: int) -> Tensor:
    """x with every slice along `axis` repeated `repeats` times in a row."""
    shape = data_of(x).shape
    axis = _axis("repeat", axis, len(shape))
    whole("repeat: repeats", repeats, 0)
    wide = (*shape[: axis + 1], repeats, *shape[axis + 1 :])
    long = (*shape[:axis], shape[axis] * repeats, *shape[axis + 1 :])
    return reshape(broadcast_to(expand_dims(x, axis + 1), wide), long)


def flip(x: TensorLike, axis: int | tuple[int, ...] | None = None) -> Tensor:
    """x with the order along `axis` reversed; by default along all axes."""
    ndim = data_of(x).ndim
    axes = range(ndim) if axis is None else (axis if isinstance(axis, tuple) else (axis,))
    turned = [_axis("flip", a, ndim) for a in axes]
    if len({*turned}) < len(turned):
        raise ValueError(f"flip: an axis comes twice in {axis}")
    return getitem(x, tuple(slice(None, None, -1 if i in turned else 1) for i in range(ndim)))
