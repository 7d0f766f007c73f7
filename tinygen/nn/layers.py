"""Dense, and the layers without parameters of their own."""

from __future__ import annotations

from collections.abc import Sequence

from .. import ops
from ..core import Tensor, TensorLike, data_of
from ..ops.random import Random
from ..ranges import fraction, not_negative, whole
from . import arguments, initializers
from .module import Module


class Dense(Module):
    """activation(x weight + bias): (..., inputs) -> (..., outputs).

    Args:
        inputs: length of the last axis that comes in.
        outputs: length of the last axis that goes out.
        activation: a name such as "selu", a pair such as ("leaky_relu", 0.2), or None.
        bias: whether there is one; it starts at 0.
        initializer: of the weight; a name from `nn.initializers` or a function (shape, rng).
        rng: where the weight is drawn.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        activation: ops.Activation = None,
        *,
        bias: bool = True,
        initializer: str | initializers.Initializer = "glorot_uniform",
        rng: Random | None = None,
    ) -> None:
        shape = (
            whole("Dense: inputs", inputs),
            whole("Dense: outputs", outputs),
        )
        rng = arguments.stream("Dense", rng)
        self.activation = arguments.activation("Dense", activation)
        self.weight = initializers.parameter("Dense", shape, initializer, rng)
        self.bias = initializers.parameter("Dense", shape[1:], "zeros", rng) if bias else None

    def forward(self, x: TensorLike) -> Tensor:
        """The layer's output."""
        return ops.dense(x, self.weight, self.bias, self.activation)

    def describe(self) -> str:
        """Sizes and activation."""
        inputs, outputs = self.weight.shape
        return f"{inputs}, {outputs}" + (f", {self.activation!r}" if self.activation else "")


class Flatten(Module):
    """All axes but the first in one: (n, ...) -> (n, product)."""

    def forward(self, x: TensorLike) -> Tensor:
        """x with two axes."""
        shape = data_of(x).shape
        size = 1
        for length in shape[1:]:
            size *= length
        return ops.reshape(x, (shape[0], size))


class Reshape(Module):
    """Every sample in another shape: (n, ...) -> (n, *shape), where one length may be -1.

    `shape` is given as lengths or as one tuple: Reshape(7, 7, 64) or Reshape((7, 7, 64)).
    """

    def __init__(self, *shape: int | Sequence[int]) -> None:
        if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
            shape = tuple(shape[0])
        self.shape = tuple(whole("Reshape: a length", each, -1) for each in shape)
        if self.shape.count(-1) > 1:
            raise ValueError(f"Reshape: only one length may be -1, got {shape}")

    def forward(self, x: TensorLike) -> Tensor:
        """x with its samples in the new shape."""
        return ops.reshape(x, (data_of(x).shape[0], *self.shape))

    def describe(self) -> str:
        """The shape of a sample."""
        return ", ".join(map(str, self.shape))


class Dropout(Module):
    """In training, set each element to 0 with probability `rate` and scale up the others."""

    def __init__(self, rate: float = 0.5) -> None:
        self.rate = fraction("Dropout: rate", rate)

    def forward(self, x: TensorLike, *, rng: Random | None = None) -> TensorLike:
        """x, thinned out in training."""
        return ops.dropout(x, self.rate, rng=rng) if self.training and self.rate else x

    def describe(self) -> str:
        """The rate."""
        return f"{self.rate:g}"


class GaussianNoise(Module):
    """In training, add Gaussian noise of standard deviation `std`."""

    def __init__(self, std: float) -> None:
        self.std = not_negative("GaussianNoise: std", std)

    def forward(self, x: TensorLike, *, rng: Random | None = None) -> TensorLike:
        """x, with noise in training."""
        return ops.gaussian_noise(x, self.std, rng=rng) if self.training and self.std else x

    def describe(self) -> str:
        """The standard deviation."""
        return f"{self.std:g}"


class Activation(Module):
    """An activation function as a layer, by name or pair; see `ops.activate`."""

    def __init__(self, activation: ops.Activation) -> None:
        self.activation = arguments.activation(type(self).__name__, activation)

    def forward(self, x: TensorLike) -> Tensor:
        """f(x)."""
        return ops.activate(x, self.activation)

    def describe(self) -> str:
        """The function."""
        return repr(self.activation)


class ReLU(Activation):
    """max(x, 0)."""

    def __init__(self) -> None:
        super().__init__("relu")


class LeakyReLU(Activation):
    """x where positive, else slope * x."""

    def __init__(self, slope: float = 0.2) -> None:
        super().__init__(("leaky_relu", not_negative("LeakyReLU: slope", slope)))


class SELU(Activation):
    """Scaled exponential linear unit."""

    def __init__(self) -> None:
        super().__init__("selu")


class Sigmoid(Activation):
    """1 / (1 + e^-x)."""

    def __init__(self) -> None:
        super().__init__("sigmoid")


class Tanh(Activation):
    """The hyperbolic tangent."""

    def __init__(self) -> None:
        super().__init__("tanh")
