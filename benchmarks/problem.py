"""What every library is given of a model: batches, initial weights, counts of operations.

Written with NumPy alone, because every library's interpreter has that.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]
Layer: TypeAlias = tuple[Array, Array]  # weights and biases

POOL = 64  # batches that a benchmark goes round: too many to stay in the inner caches
SEED = 42


@dataclass(frozen=True)
class Problem:
    """Training steps of one model, small enough to be written in every library.

    Attributes:
        batch: samples in a step.
        optimizer: in words, for the table.
        tolerance: how far losses of different libraries may be apart, relatively.
    """

    name: str
    batch: int
    optimizer: str
    tolerance: float = 1e-4

    def batches(self) -> list[Any]:
        """A pool of random images, (batch, 28, 28) each, between 0 and 1."""
        rng = np.random.default_rng(SEED)
        return [rng.random((self.batch, 28, 28), np.float32) for _ in range(POOL)]

    def noise(self, length: int, seed: int) -> list[Array]:
        """Normal numbers (batch, length) for each batch of the pool: the same for all libraries."""
        rng = np.random.default_rng(seed)
        return [rng.standard_normal((self.batch, length), np.float32) for _ in range(POOL)]

    @property
    def flops(self) -> float:
        """Floating-point operations of the matrix products and convolutions of one step."""
        raise NotImplementedError


@dataclass(frozen=True)
class RMSpropProblem(Problem):
    """Trained by RMSprop:  s = rho s + (1 - rho) g^2,  w -= learning_rate g / (sqrt(s) + epsilon).

    That is PyTorch's form. Keras has an epsilon of 1e-7 under the root; outside of it the root of
    that does about the same. (With PyTorch's own 1e-8 the first steps are hardly more than signs of
    the gradients, and the losses of no two libraries would agree.)
    """

    learning_rate: float = 1e-3
    rho: float = 0.9
    epsilon: float = 3e-4


def dense_layers(sizes: Iterable[tuple[int, int]], seed: int) -> list[Layer]:
    """(in, out) weights by Glorot's rule, and biases of 0."""
    rng = np.random.default_rng(seed)
    layers = []
    for n, m in sizes:
        limit = (6 / (n + m)) ** 0.5
        w = rng.uniform(-limit, limit, (n, m)).astype(np.float32)
        layers.append((w, np.zeros(m, np.float32)))
    return layers
