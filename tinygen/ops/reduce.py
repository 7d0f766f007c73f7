"""Sums and their kin over axes. `axis` is None for all axes, an integer, or a tuple of them."""

from __future__ import annotations

import math

import numpy as np

from ..backend import Array, array_module, kernels
from ..core import Tensor, TensorLike, data_of
from ..function import Function
from ..promotion import ANY, NUMBERS, float_type
from ..ranges import whole

Axis = int | tuple[int, ...] | None
LARGE = 4096  # elements; from here on a kernel of our own sums over rows
LONG = 1024  # elements, which may be added up one after the other in float32


class SumFunction(Function):
    """y = sum of x over axes,  gx = gy spread over them."""

    takes = NUMBERS

    def __init__(self, axis: Axis = None, keepdims: bool = False) -> None:
        self.axis, self.keepdims = axis, keepdims

    def forward(self, x: Array) -> Array:
        self.shape = x.shape
        leading = self.axis == tuple(range(x.ndim - 1)) or (self.axis == 0 and x.ndim == 2)
        if leading and not self.keepdims and x.size >= LARGE and x.dtype.char in "fd":
            return kernels(x).sum_rows(x.reshape(-1, x.shape[-1]))
        return _total(x, self.axis, self.keepdims)

    def backward(self, gy: Tensor) -> Tensor:
        return broadcast_to(_with_axes(gy, self.shape, self.axis, self.keepdims), self.shape)


class SumToFunction(Function):
    """y = sum of x over the axes in which `shape` is shorter: the gradient of broadcasting."""

    takes = NUMBERS

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Array) -> Array:
        self.x_shape = x.shape
        extra = x.ndim - len(self.shape)
        axes = tuple(i for i in range(x.ndim) if i < extra or self.shape[i - extra] != x.shape[i])
        return _total(x, axes, True).reshape(self.shape)

    def backward(self, gy: Tensor) -> Tensor:
        return broadcast_to(gy, self.x_shape)


class BroadcastToFunction(Function):
    """y = x repeated along axes of length 1,  gx = gy summed over them."""

    takes = ANY

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape

    def forward(self, x: Array) -> Array:
        self.x_shape = x.shape
        y: Array = array_module(x).broadcast_to(x, self.shape)
        return y

    def backward(self, gy: Tensor) -> Tensor:
        return sum_to(gy, self.x_shape)


class ExtremeFunction(Function):
    """y = max or min of x over axes; the gradient is shared evenly by the places that tie."""

    takes = ANY

    def __init__(self, name: str, axis: Axis, keepdims: bool) -> None:
        self.name = name  # type: ignore[misc]  # one class serves both names
        self.axis, self.keepdims = axis, keepdims

    def forward(self, x: Array) -> Array:
        y: Array = getattr(x, self.name)(axis=self.axis, keepdims=True)
        chosen = (x == y) | (x != x)  # NaN is chosen, and not equal to itself
        chosen = chosen.astype(float_type(x.dtype))  # counts do not overflow in it
        self.shape = x.shape
        self.save_constant(chosen / chosen.sum(axis=self.axis, keepdims=True))
        return y if self.keepdims else y.reshape(_without_axes(x.shape, self.axis))

    def backward(self, gy: Tensor) -> Tensor:
        (share,) = self.saved
        return _with_axes(gy, self.shape, self.axis, self.keepdims) * share


class LogSumExpFunction(Function):
    """y = log sum e^x,  gx = gy e^(x - y)."""

    def __init__(self, axis: Axis, keepdims: bool) -> None:
        self.axis, self.keepdims = axis, keepdims

    def forward(self, x: Array) -> Array:
        xp = array_module(x)
        self.save(x)
        highest = x.max(axis=self.axis, keepdims=True)
        highest = xp.where(xp.isfinite(highest), highest, 0)
        y = xp.log(_total(xp.exp(x - highest), self.axis, True)) + highest
        y = y if self.keepdims else y.reshape(_without_axes(x.shape, self.axis))
        return self.save_output(y)

    def backward(self, gy: Tensor) -> Tensor:
        from .elementwise import exp

        x, y = self.saved
        gy, y = (_with_axes(t, x.shape, self.axis, self.keepdims) for t in (gy, y))
        return gy * exp(x - y)


class NormFunction(Function):
    """y = sqrt(sum x^2),  gx = gy x / y  (0 where y is 0)."""

    def __init__(self, axis: Axis, keepdims: bool) -> None:
        self.axis, self.keepdims = axis, keepdims

    def forward(self, x: Array) -> Array:
        self.save(x)
        y = array_module(x).sqrt(_total(x * x, self.axis, self.keepdims))
        return self.save_output(y)

    def backward(self, gy: Tensor) -> Tensor:
        from .selection import where

        x, y = self.saved
        zero = data_of(y) == 0
        slope = where(zero, 0.0, gy / where(zero, 1.0, y))  # constant there, in any order
        return _with_axes(slope, x.shape, self.axis, self.keepdims) * x


def _total(x: Array, axis: Axis, keepdims: bool) -> Array:
    """The sum of x over axes, in its type.

    Where elements lie side by side NumPy adds them up in pairs of pairs; else one after the other,
    which loses digits when they are many and stops at 2^24 ones in float32: then in float64.
    """
    axes = _axes(x.shape, axis)
    pairwise = x.flags.c_contiguous and axes == tuple(range(x.ndim - len(axes), x.ndim))
    wide = not pairwise and _count(x.shape, axis) > LONG and x.dtype.kind == "f"
    y: Array = x.sum(axis=axis, keepdims=keepdims, dtype=np.float64 if wide else x.dtype)
    return y.astype(x.dtype, copy=False)


def _axes(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """The axes as non-negative integers."""
    if axis is None:
        return tuple(range(len(shape)))
    return tuple(a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,)))


def _without_axes(shape: tuple[int, ...], axis: Axis) -> tuple[int, ...]:
    """The shape that is left when `axis` is summed away."""
    gone = _axes(shape, axis)
    return tuple(n for i, n in enumerate(shape) if i not in gone)


def _with_axes(y: Tensor, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Tensor:
    """A result of reducing `shape` over `axis`, with those axes back at length 1."""
    if keepdims or not shape:
        return y
    gone = _axes(shape, axis)
    return y.reshape(tuple(1 if i in gone else n for i, n in enumerate(shape)))


def _count(shape: tuple[int, ...], axis: Axis) -> int:
    """How many elements go into one sum."""
    return math.prod(shape[i] for i in _axes(shape, axis))


def sum(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over `axis`."""
    return SumFunction(axis, keepdims)(x)


def sum_to(x: TensorLike, shape: tuple[int, ...]) -> Tensor:
    """x summed down to `shape`, to which it must be the result of broadcasting."""
    return x if isinstance(x, Tensor) and x.array.shape == shape else SumToFunction(shape)(x)


def broadcast_to(x: TensorLike, shape: tuple[int, ...]) -> Tensor:
    """x repeated to `shape`, without a copy."""
    return BroadcastToFunction(shape)(x)


def mean(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis`."""
    n = _count(data_of(x).shape, axis)
    total = sum(x, axis, keepdims)
    return total / n if n else total * math.nan


def var(x: TensorLike, axis: Axis = None, keepdims: bool = False, correction: int = 0) -> Tensor:
    """The variance over `axis`: the sum of squared deviations / (count - correction)."""
    from .elementwise import square

    whole("var: correction", correction, 0)
    n = _count(data_of(x).shape, axis) - correction
    deviations = square(x - mean(x, axis, keepdims=True))
    total = sum(deviations, axis, keepdims)
    return total / n if n > 0 else total * math.nan


def max(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The largest element over `axis`; those that tie share the gradient."""
    return ExtremeFunction("max", axis, keepdims)(x)


def min(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The smallest element over `axis`; those that tie share the gradient."""
    return ExtremeFunction("min", axis, keepdims)(x)


def logsumexp(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over `axis`, without overflow."""
    return LogSumExpFunction(axis, keepdims)(x)


def norm(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The Euclidean norm over `axis`; its gradients of any order at 0 are 0."""
    return NormFunction(axis, keepdims)(x)
