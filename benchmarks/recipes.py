"""What every library is given: the sizes of a model, its initial weights, its batches, its FLOPs.

Written with NumPy alone, because every library's interpreter has that. A recipe is what one of the
functions in `peers/*_steps.py` builds a training step from; the weights are drawn here, so all of
them start from the same and must report the same losses.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float32]]

POOL = 64  # batches that a benchmark goes round: too many to stay in the inner caches
SEED = 42


@dataclass(frozen=True)
class Recipe:
    """One model's training.

    Attributes:
        batch: samples in a step.
        optimizer: in words, for the table.
        tolerance: how far losses of different libraries may be apart, relatively.
    """

    name: str
    batch: int
    optimizer: str
    tolerance: float = 1e-4

    def batches(self) -> list[Array]:
        """A pool of random images, (batch, 28, 28) each, between 0 and 1."""
        rng = np.random.default_rng(SEED)
        return [rng.random((self.batch, 28, 28), np.float32) for _ in range(POOL)]

    @property
    def flops(self) -> float:
        """Floating-point operations of the matrix products and convolutions of one step."""
        raise NotImplementedError


@dataclass(frozen=True)
class DenseAutoencoder(Recipe):
    """Dense layers 784-...-784, SELU inside and a sigmoid at the end, cross-entropy, plain SGD."""

    sizes: tuple[int, ...] = (784, 100, 30, 100, 784)
    learning_rate: float = 1.5

    def weights(self) -> list[tuple[Array, Array]]:
        """(in, out) weights by Glorot's rule, and biases of 0, layer by layer."""
        rng = np.random.default_rng(SEED + 1)
        layers = []
        for n, m in itertools.pairwise(self.sizes):
            limit = (6 / (n + m)) ** 0.5
            w = rng.uniform(-limit, limit, (n, m)).astype(np.float32)
            layers.append((w, np.zeros(m, np.float32)))
        return layers

    @property
    def flops(self) -> float:
        """Forward, gradients of the weights, and of the inputs of all layers but the first."""
        products = [n * m for n, m in itertools.pairwise(self.sizes)]
        return 2.0 * self.batch * (3 * sum(products) - products[0])


@dataclass(frozen=True)
class ConvAutoencoder(Recipe):
    """Three convolutions 3x3 with SELU and pooling 2x2, three transposed ones of stride 2 back.

    28 -> 14 -> 7 -> 3 pixels, and 3 -> 7 -> 14 -> 28; the last activation is a sigmoid. The first
    transposed one has no padding, the others 1 and an output padding of 1.
    """

    channels: tuple[int, ...] = (1, 16, 32, 64)
    learning_rate: float = 1.0

    def weights(self) -> list[tuple[Array, Array]]:
        """Kernels (3, 3, in, out), of the way back (3, 3, out, in), by Glorot's rule; biases 0."""
        rng = np.random.default_rng(SEED + 1)
        there = list(itertools.pairwise(self.channels))
        layers: list[tuple[Array, Array]] = []
        for n, m in [*there, *reversed(there)]:
            limit = (6 / (9 * (n + m))) ** 0.5
            outputs = m if len(layers) < len(there) else n
            w = rng.uniform(-limit, limit, (3, 3, n, m)).astype(np.float32)
            layers.append((w, np.zeros(outputs, np.float32)))
        return layers

    @property
    def flops(self) -> float:
        """Forward, gradients of the weights, and of the inputs of all layers but the first."""
        there = list(itertools.pairwise(self.channels))
        pairs = [n * m for n, m in [*there, *reversed(there)]]
        places = [28**2, 14**2, 7**2, 3**2, 7**2, 14**2]
        layers = [9.0 * channels * pixels for channels, pixels in zip(pairs, places, strict=True)]
        return 2.0 * self.batch * (3 * sum(layers) - layers[0])


@dataclass(frozen=True)
class RecurrentAutoencoder(Recipe):
    """Images read row by row: LSTM 28-100, LSTM 100-30 to its last state, that repeated, and back.

    The way back is LSTM 30-100 and a dense layer 100-28 with a sigmoid at every step.
    """

    sizes: tuple[tuple[int, int], ...] = ((28, 100), (100, 30), (30, 100))
    learning_rate: float = 0.1

    def weights(self) -> list[tuple[Array, Array, Array]]:
        """Of each LSTM: (in, 4 units), (units, 4 units), (4 units,); gates i, f, c, o."""
        rng = np.random.default_rng(SEED + 1)
        layers = []
        for n, m in self.sizes:
            kernel, recurrent = (
                (rng.standard_normal((length, 4 * m)) / length**0.5 / 2).astype(np.float32)
                for length in (n, m)
            )
            bias = np.repeat(np.array([0, 1, 0, 0], np.float32), m)
            layers.append((kernel, recurrent, bias))
        return layers

    def output_weights(self) -> tuple[Array, Array]:
        """Of the dense layer: (in, out), (out,)."""
        rng = np.random.default_rng(SEED + 2)
        n = self.sizes[-1][1]
        return (rng.standard_normal((n, 28)) / n).astype(np.float32), np.zeros(28, np.float32)

    @property
    def flops(self) -> float:
        """Forward, gradients of the weights, and of the inputs of all layers but the first."""
        steps = [28.0 * 4 * m * (n + m) for n, m in self.sizes]
        first = 28.0 * 4 * self.sizes[0][0] * self.sizes[0][1]
        total = sum(steps) + 28.0 * 28 * self.sizes[-1][1]
        return 2.0 * self.batch * (3 * total - first)


RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        DenseAutoencoder("stacked-ae", 32, "SGD 1.5"),
        ConvAutoencoder("conv-ae", 32, "SGD 1.0"),
        RecurrentAutoencoder("recurrent-ae", 32, "SGD 0.1"),
    )
}
