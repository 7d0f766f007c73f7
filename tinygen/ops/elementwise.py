"""Arithmetic and functions of single elements. Shapes broadcast as in NumPy."""

from __future__ import annotations

from typing import Any

from ..backend import Array, array_module, as_array
from ..core import Tensor, TensorLike, data_of
from ..function import Function
from ..promotion import ANY, NUMBERS, promote
from ..ranges import number
from .reduce import sum_to


class AddFunction(Function):
    """z = x + y,  gx = gz,  gy = gz."""

    takes = NUMBERS

    def forward(self, x: Array, y: Array) -> Array:
        self.shapes = _shape(x), _shape(y)
        return x + y

    def backward(self, gz: Tensor) -> tuple[Tensor | None, ...]:
        x_shape, y_shape = self.shapes
        return (
            sum_to(gz, x_shape) if self.needed[0] else None,
            sum_to(gz, y_shape) if self.needed[1] else None,
        )


class SubtractFunction(Function):
    """z = x - y,  gx = gz,  gy = -gz."""

    takes = NUMBERS

    def forward(self, x: Array, y: Array) -> Array:
        self.shapes = _shape(x), _shape(y)
        return x - y

    def backward(self, gz: Tensor) -> tuple[Tensor | None, ...]:
        x_shape, y_shape = self.shapes
        return (
            sum_to(gz, x_shape) if self.needed[0] else None,
            sum_to(-gz, y_shape) if self.needed[1] else None,
        )


class MultiplyFunction(Function):
    """z = x y,  gx = gz y,  gy = gz x."""

    takes = NUMBERS

    def forward(self, x: Array, y: Array) -> Array:
        self.save(x, y)
        return x * y

    def backward(self, gz: Tensor) -> tuple[Tensor | None, ...]:
        x, y = self.saved
        return (
            sum_to(gz * y, x.shape) if self.needed[0] else None,
            sum_to(gz * x, y.shape) if self.needed[1] else None,
        )


class DivideFunction(Function):
    """z = x / y,  gx = gz / y,  gy = -gz z / y."""

    def forward(self, x: Array, y: Array) -> Array:
        self.x_shape = _shape(x)
        self.save(y)
        return self.save_output(x / y)

    def backward(self, gz: Tensor) -> tuple[Tensor | None, ...]:
        y, z = self.saved
        gx = gz / y
        return (
            sum_to(gx, self.x_shape) if self.needed[0] else None,
            sum_to(-gx * z, y.shape) if self.needed[1] else None,
        )


class NegativeFunction(Function):
    """y = -x,  gx = -gy."""

    takes = NUMBERS

    def forward(self, x: Array) -> Array:
        return -x

    def backward(self, gy: Tensor) -> Tensor:
        return -gy


class PowerFunction(Function):
    """z = x^y,  gx = gz y x^(y-1)  (0 where y is 0),  gy = gz z log x  (0 where 0 = x <= y)."""

    def forward(self, x: Array, y: Array) -> Array:
        self.save(x, y)
        return self.save_output(x**y)

    def backward(self, gz: Tensor) -> tuple[Tensor | None, ...]:
        x, y, z = self.saved
        gx = gy = None
        plain = isinstance(y, (int, float))
        constant = isinstance(y, (int, float)) and y == 0
        if self.needed[0] and not constant:
            slope = power(x, y - 1) if plain else self.slope(x, y)
            gx = sum_to(gz * (y * slope), x.shape)
        if self.needed[1]:
            base, exponent = data_of(x), data_of(y)
            safe = where((base == 0) & (exponent >= 0), 1.0, x).astype(z.dtype)
            gy = sum_to(gz * z * log(safe), y.shape)
        return gx, gy

    def slope(self, x: Tensor, y: Tensor) -> Tensor:
        """x^(y-1), and 0 instead of infinity for 0^0, whose slope is 0 as that of any x^0."""
        nothing = (data_of(x) == 0) & (data_of(y) == 0)
        return where(nothing, 0.0, power(where(nothing, 1.0, x), y - 1))


class ExpFunction(Function):
    """y = e^x,  gx = gy y."""

    def forward(self, x: Array) -> Array:
        return self.save_output(array_module(x).exp(x))

    def backward(self, gy: Tensor) -> Tensor:
        (y,) = self.saved
        return gy * y


class Expm1Function(Function):
    """y = e^x - 1,  gx = gy (y + 1)."""

    def forward(self, x: Array) -> Array:
        return self.save_output(array_module(x).expm1(x))

    def backward(self, gy: Tensor) -> Tensor:
        (y,) = self.saved
        return gy * (y + 1.0)


class LogFunction(Function):
    """y = log x,  gx = gy / x."""

    def forward(self, x: Array) -> Array:
        self.save(x)
        return array_module(x).log(x)

    def backward(self, gy: Tensor) -> Tensor:
        (x,) = self.saved
        return gy / x


class Log1pFunction(Function):
    """y = log(1 + x),  gx = gy / (1 + x)."""

    def forward(self, x: Array) -> Array:
        self.save(x)
        return array_module(x).log1p(x)

    def backward(self, gy: Tensor) -> Tensor:
        (x,) = self.saved
        return gy / (x + 1.0)


class SqrtFunction(Function):
    """y = sqrt x,  gx = gy / 2 y."""

    def forward(self, x: Array) -> Array:
        return self.save_output(array_module(x).sqrt(x))

    def backward(self, gy: Tensor) -> Tensor:
        (y,) = self.saved
        return gy * 0.5 / y


class SquareFunction(Function):
    """y = x^2,  gx = 2 gy x."""

    takes = NUMBERS

    def forward(self, x: Array) -> Array:
        self.save(x)
        return x * x

    def backward(self, gy: Tensor) -> Tensor:
        (x,) = self.saved
        return gy * 2.0 * x


class AbsFunction(Function):
    """y = |x|,  gx = gy sign(x)."""

    takes = NUMBERS

    def forward(self, x: Array) -> Array:
        xp = array_module(x)
        self.save_constant(xp.sign(x))
        return xp.abs(x)

    def backward(self, gy: Tensor) -> Tensor:
        (sign,) = self.saved
        return gy * sign


class SinFunction(Function):
    """y = sin x,  gx = gy cos x."""

    def forward(self, x: Array) -> Array:
        self.save(x)
        return array_module(x).sin(x)

    def backward(self, gy: Tensor) -> Tensor:
        (x,) = self.saved
        return gy * cos(x)


class CosFunction(Function):
    """y = cos x,  gx = -gy sin x."""

    def forward(self, x: Array) -> Array:
        self.save(x)
        return array_module(x).cos(x)

    def backward(self, gy: Tensor) -> Tensor:
        (x,) = self.saved
        return -gy * sin(x)


class ExtremumFunction(Function):
    """z = max(x, y) or min(x, y): the gradient goes to the chosen one, in halves if they tie."""

    takes = ANY

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]  # one class serves both names

    def forward(self, x: Array, y: Array) -> Array:
        z: Array = getattr(array_module(x, y), self.name)(x, y)
        share = ((x == z).astype(z.dtype) + (y != z).astype(z.dtype)) * 0.5
        self.shapes = _shape(x), _shape(y)
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
        self.shapes = _shape(x), _shape(y)
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


def _shape(x: Any) -> tuple[int, ...]:
    """The shape of an array, or of a Python number."""
    return getattr(x, "shape", ())


def add(x: TensorLike, y: TensorLike) -> Tensor:
    """x + y."""
    return AddFunction()(x, y)


def subtract(x: TensorLike, y: TensorLike) -> Tensor:
    """x - y."""
    return SubtractFunction()(x, y)


def multiply(x: TensorLike, y: TensorLike) -> Tensor:
    """x * y, element by element."""
    return MultiplyFunction()(x, y)


def divide(x: TensorLike, y: TensorLike) -> Tensor:
    """x / y."""
    return DivideFunction()(x, y)


def negative(x: TensorLike) -> Tensor:
    """-x."""
    return NegativeFunction()(x)


def power(x: TensorLike, y: TensorLike) -> Tensor:
    """x to the power y; differentiable in y where x is positive, or 0 and y not negative.

    There 0^y counts as constant in y, and x^0 is constant in x, also at 0: the gradients are 0.
    """
    return PowerFunction()(x, y)


def exp(x: TensorLike) -> Tensor:
    """e to the power x."""
    return ExpFunction()(x)


def expm1(x: TensorLike) -> Tensor:
    """e^x - 1, accurate near 0."""
    return Expm1Function()(x)


def log(x: TensorLike) -> Tensor:
    """The natural logarithm."""
    return LogFunction()(x)


def log1p(x: TensorLike) -> Tensor:
    """log(1 + x), accurate near 0."""
    return Log1pFunction()(x)


def sqrt(x: TensorLike) -> Tensor:
    """The square root; its gradient at 0 is infinite."""
    return SqrtFunction()(x)


def square(x: TensorLike) -> Tensor:
    """x * x."""
    return SquareFunction()(x)


def abs(x: TensorLike) -> Tensor:
    """The absolute value; its gradient at 0 is 0."""
    return AbsFunction()(x)


def sin(x: TensorLike) -> Tensor:
    """The sine of x in radians."""
    return SinFunction()(x)


def cos(x: TensorLike) -> Tensor:
    """The cosine of x in radians."""
    return CosFunction()(x)


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
