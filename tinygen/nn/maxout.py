"""Maxout units (Goodfellow et al. 2013)."""

from __future__ import annotations

from .. import ops
from ..core import Tensor, TensorLike, data_of
from ..ops.random import Random
from ..ranges import whole
from . import arguments, initializers
from .layers import Dense
from .module import Module


class Maxout(Module):
    """The largest of several linear pieces, a convex activation that is learned.

    y_j = max over k of x W_kj + b_kj:  (..., inputs) -> (..., outputs).

    Args:
        inputs: length of the last axis that comes in.
        outputs: length of the last axis that goes out.
        pieces: linear functions in a unit; with 1 the layer is a dense one.
        initializer: of the weights; a name from `nn.initializers` or a function (shape, rng).
        rng: where they are drawn.

    Raises ValueError for sizes below 1.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        pieces: int = 5,
        *,
        initializer: str | initializers.Initializer = "glorot_uniform",
        rng: Random | None = None,
    ) -> None:
        inputs = whole("Maxout: inputs", inputs)
        self.outputs = whole("Maxout: outputs", outputs)
        self.pieces = whole("Maxout: pieces", pieces)
        rng = arguments.stream("Maxout", rng)
        self.linear = Dense(inputs, outputs * pieces, initializer=initializer, rng=rng)

    def forward(self, x: TensorLike) -> Tensor:
        """The largest pieces."""
        shape = data_of(x).shape[:-1]
        y = self.linear(x)
        return ops.max(ops.reshape(y, (*shape, self.pieces, self.outputs)), axis=-2)

    def describe(self) -> str:
        """Sizes and pieces."""
        return f"{self.linear.weight.shape[0]}, {self.outputs}, {self.pieces}"
