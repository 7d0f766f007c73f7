"""Choosing between elements: extremes, limits, masks. Shapes broadcast as in NumPy."""

from __future__ import annotations

from typing import Any

from ..backend import Array, array_module, as_array
from ..core import Tensor, TensorLike, data_of
from ..function import Function
from ..promotion import ANY, promote
from ..ranges import number
from .reduce import sum_to


class ExtremumFunction(Function):
    """z = max(x, y) or min(x, y): the gradient goes to the chosen one, in halves if they tie."""

    takes = ANY

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]  # one class serves both names

    def forward(self, x: Array, y: Array) -> Array:
        z: Array = getattr(array_module(x, y), self.name)(x, y)
        share = ((x == z).astype(z.dtype) + (y != z).astype(z.dtype)) * 0.5
        self.shapes = shape_of(x), shape_of(y)
        self.save_constant(share)
        return z

    def backward(self, gz: Tensor) -> tuple[Tensor | None, ...]:
        (share,) = self.saved
        x_shape, y_shape = self.shapes
        return (
            sum_to(gz * share, x_shape) if self.needed[0] else None,
            sum_to(gz * (1.0 - share), y_shape) if self.needed[1] else None,
        )


class ClipFunction(Function):
    """y = min(max(x, low), high),  gx = gy where low <= x <= high, else 0."""

    takes = ANY

    def __init__(self, low: float | None, high: float | None) -> None:
        self.low, self.high = low, high

    def forward(self, x: Array) -> Array:
        y = array_module(x).clip(x, self.low, self.high)
        self.save_constant((x == y).astype(x.dtype))
        return y

    def backward(self, gy: Tensor) -> Tensor:
        (inside,) = self.saved
        return gy * inside


class WhereFunction(Function):
    """z = x where the condition holds, else y."""

    takes = ANY
    apart = (0,)  # the condition

    def forward(self, condition: Array, x: Array, y: Array) -> Array:
        self.shapes = shape_of(x), shape_of(y)
        self.save(condition)
        return array_module(condition, x, y).where(condition, x, y)

    def backward(self, gz: Tensor) -> tuple[Tensor | None, ...]:
        (condition,) = self.saved
        x_shape, y_shape = self.shapes
        return (
            None,
            sum_to(where(condition, gz, 0.0), x_shape) if self.needed[1] else None,
            sum_to(where(condition, 0.0, gz), y_shape) if self.needed[2] else None,
        )


def shape_of(x: Any) -> tuple[int, ...]:
    """The shape of an array, or of a Python number."""
    return getattr(x, "shape", ())


def maximum(x: TensorLike, y: TensorLike) -> Tensor:
    """The larger of x and y; where they are equal each gets half of the gradient."""
    return ExtremumFunction("maximum")(x, y)


def minimum(x: TensorLike, y: TensorLike) -> Tensor:
    """The smaller of x and y; where they are equal each gets half of the gradient."""
    return ExtremumFunction("minimum")(x, y)


def clip(x: TensorLike, low: float | None = None, high: float | None = None) -> Tensor:
    """x limited to [low, high]; None is no limit. The gradient is 0 outside."""
    if low is None and high is None:
        raise ValueError("clip: give low, high or both")
    for name, limit in (("clip: low", low), ("clip: high", high)):
        if limit is not None:
            number(name, limit)
    if low is not None and high is not None and low > high:
        raise ValueError(f"clip: low {low} is above high {high}")
    x, *bounds = promote("clip", ANY, (x, *(b for b in (low, high) if b is not None)))
    high = None if high is None else bounds[-1]
    return ClipFunction(None if low is None else bounds[0], high)(x)


def where(condition: Any, x: TensorLike, y: TensorLike) -> Tensor:
    """x where `condition` (booleans) holds, else y."""
    return WhereFunction()(as_array(data_of(condition)), x, y)
