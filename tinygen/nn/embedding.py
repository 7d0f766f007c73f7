"""A table of learned vectors."""

from __future__ import annotations

from typing import Any

from .. import ops
from ..core import Tensor
from ..ops.random import Random
from ..ranges import whole
from . import arguments, initializers
from .module import Module


class Embedding(Module):
    """A learned vector for each of `count` integers: (...) -> (..., features).

    Args:
        count: how many integers there are: 0 to count - 1.
        features: length of a vector.
        initializer: of the table; a name from `nn.initializers` or a function (shape, rng). By
            default uniform from -0.05 to 0.05, as in Keras; PyTorch's is normal, of variance 1.
        rng: where the table is drawn.
    """

    def __init__(
        self,
        count: int,
        features: int,
        *,
        initializer: str | initializers.Initializer | None = None,
        rng: Random | None = None,
    ) -> None:
        shape = (
            whole("Embedding: count", count),
            whole("Embedding: features", features),
        )
        if initializer is None:
            initializer = lambda shape, rng: rng.uniform(shape, -0.05, 0.05)  # noqa: E731  # short
        rng = arguments.stream("Embedding", rng)
        self.weight = initializers.parameter("Embedding", shape, initializer, rng)

    def forward(self, indices: Any) -> Tensor:
        """The vectors of the integers."""
        return ops.embedding(indices, self.weight)

    def describe(self) -> str:
        """The sizes of the table."""
        return ", ".join(map(str, self.weight.shape))
