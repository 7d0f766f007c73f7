"""Arithmetic and functions of single elements. Shapes broadcast as in NumPy."""

from __future__ import annotations

from ..backend import Array, array_module
from ..core import Tensor, TensorLike, data_of
from ..function import Function
from ..promotion import NUMBERS
from .reduce import sum_to
from .selection import shape_of, where


class AddFunction(Function):
    """z = x + y,  gx = gz,  gy = gz."""

    takes = NUMBERS

    def forward(self, x: Array, y: Array) -> Array:
        self.shapes = shape_of(x), shape_of(y)
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
        self.shapes = shape_of(x), shape_of(y)
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
        self.x_shape = shape_of(x)
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
