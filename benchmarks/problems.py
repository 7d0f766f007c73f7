"""The models whose training steps are compared: their sizes, initial weights, batches, FLOPs.

Written with NumPy alone, because every library's interpreter has that. A problem is what one of the
functions in `peers/*_steps.py` builds a training step from; the weights are drawn here, so all of
them start from the same and must report the same losses.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from .games import DCGAN, GAN, ConditionalGAN, SpectralGAN, WassersteinGAN
from .growing import ProGAN, StyleGAN
from .problem import SEED, Array, Layer, Problem, RMSpropProblem, dense_layers


@dataclass(frozen=True)
class DenseAutoencoder(Problem):
    """Dense layers 784-...-784, SELU inside and a sigmoid at the end, cross-entropy, plain SGD."""

    sizes: tuple[int, ...] = (784, 100, 30, 100, 784)
    learning_rate: float = 1.5

    def weights(self) -> list[Layer]:
        """Layer by layer."""
        return dense_layers(itertools.pairwise(self.sizes), SEED + 1)

    @property
    def flops(self) -> float:
        """Forward, gradients of the weights, and of the inputs of all layers but the first."""
        products = [n * m for n, m in itertools.pairwise(self.sizes)]
        return 2.0 * self.batch * (3 * sum(products) - products[0])


@dataclass(frozen=True)
class ConvAutoencoder(Problem):
    """Three convolutions 3x3 with SELU and pooling 2x2, three transposed ones of stride 2 back.

    28 -> 14 -> 7 -> 3 pixels, and 3 -> 7 -> 14 -> 28; the last activation is a sigmoid. The first
    transposed one has no padding, the others 1 and an output padding of 1.
    """

    channels: tuple[int, ...] = (1, 16, 32, 64)
    learning_rate: float = 1.0

    def weights(self) -> list[Layer]:
        """Kernels (3, 3, in, out), of the way back (3, 3, out, in), by Glorot's rule; biases 0."""
        rng = np.random.default_rng(SEED + 1)
        there = list(itertools.pairwise(self.channels))
        layers: list[Layer] = []
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
class RecurrentAutoencoder(Problem):
    """Images read row by row: LSTM 28-100, LSTM 100-30 to its last state, that repeated, and back.

    The way back is LSTM 30-100 and a dense layer 100-28 with a sigmoid at every step.
    """

    sizes: tuple[tuple[int, int], ...] = ((28, 100), (100, 30), (30, 100))
    learning_rate: float = 0.1
    gates: int = 4

    def weights(self) -> list[tuple[Array, Array, Array]]:
        """Of each LSTM: (in, 4 units), (units, 4 units), (4 units,); gates i, f, c, o."""
        rng = np.random.default_rng(SEED + 1)
        layers = []
        for n, m in self.sizes:
            kernel, recurrent = (
                (rng.standard_normal((length, self.gates * m)) / length**0.5 / 2).astype(np.float32)
                for length in (n, m)
            )
            layers.append((kernel, recurrent, self.first_bias(m, rng)))
        return layers

    def first_bias(self, units: int, rng: np.random.Generator) -> Array:
        """1 for the forget gate, else 0."""
        return np.repeat(np.array([0, 1, 0, 0], np.float32), units)

    def output_weights(self) -> Layer:
        """Of the dense layer: (in, out), (out,)."""
        rng = np.random.default_rng(SEED + 2)
        n = self.sizes[-1][1]
        return (rng.standard_normal((n, 28)) / n).astype(np.float32), np.zeros(28, np.float32)

    @property
    def flops(self) -> float:
        """Forward, gradients of the weights, of the inputs of all layers but the first, and of all
        states but those before the first step."""
        steps = [28.0 * self.gates * m * (n + m) for n, m in self.sizes]
        first = 28.0 * self.gates * self.sizes[0][0] * self.sizes[0][1]
        before = sum(self.gates * m * m for _, m in self.sizes)
        total = sum(steps) + 28.0 * 28 * self.sizes[-1][1]
        return 2.0 * self.batch * (3 * total - first - before)


@dataclass(frozen=True)
class GRUAutoencoder(RecurrentAutoencoder):
    """The same with gated recurrent units, in the form of Keras's `reset_after` and of PyTorch.

    Of each layer: (in, 3 units), (units, 3 units), (2, 3 units); gates z, r, h. The first row of
    the biases goes with the input, the second with the state: r is multiplied with the sum of
    state times weights and bias.
    """

    gates: int = 3

    def first_bias(self, units: int, rng: np.random.Generator) -> Array:
        """Small numbers, so that one bias in the place of the other would show."""
        return (rng.standard_normal((2, 3 * units)) / 10).astype(np.float32)


@dataclass(frozen=True)
class VariationalAutoencoder(RMSpropProblem):
    """Dense 784-150-100, from there mean and log-variance of the codings, and 100-150-784 back.

    SELU inside, a sigmoid at the end. The codings are mean + exp(log-variance / 2) noise; a batch
    is a pair of images and that noise. The loss is the cross-entropy, a mean over the pixels, and
    the latent loss, a mean over the batch, divided by 784.
    """

    sizes: tuple[int, ...] = (784, 150, 100)
    codings: int = 10

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Inputs and outputs of the layers: encoder, mean, log-variance, decoder."""
        there = list(itertools.pairwise(self.sizes))
        last = self.sizes[-1], self.codings
        return [*there, last, last, last[::-1], *((m, n) for n, m in reversed(there))]

    def weights(self) -> list[Layer]:
        """Layer by layer, in the order of `pairs`."""
        return dense_layers(self.pairs, SEED + 1)

    def batches(self) -> list[Any]:
        """(images, noise)."""
        noise = self.noise(self.codings, SEED + 2)
        return list(zip(super().batches(), noise, strict=True))

    @property
    def flops(self) -> float:
        """Forward, gradients of the weights, and of the inputs of all layers but the first."""
        products = [n * m for n, m in self.pairs]
        return 2.0 * self.batch * (3 * sum(products) - products[0])


@dataclass(frozen=True)
class StyleBlock(Problem):
    """A block of StyleGAN's generator: twice as many pixels, half as many channels.

    Upsampling, convolution 3x3, blur; then, and again after a second convolution: bias, LeakyReLU
    0.2, instance norm with scale 1 + s and shift b, which a dense layer makes of the style. A batch
    is (images, styles, targets), the loss the mean squared error, the rule plain SGD.
    """

    pixels: int = 16
    channels: tuple[int, int] = (256, 128)
    styles: int = 512
    learning_rate: float = 0.1

    def weights(self) -> list[tuple[Array, Array, Array, Array]]:
        """Of both convolutions (3, 3, in, out), (out,), of their styles (512, 2 out), (2 out)."""
        rng = np.random.default_rng(SEED + 6)
        layers = []
        for n, m in (self.channels, self.channels[1:] * 2):
            w = rng.standard_normal((3, 3, n, m), np.float32) * np.float32((9 * n) ** -0.5)
            style = rng.standard_normal((self.styles, 2 * m), np.float32)
            style *= np.float32(self.styles**-0.5)
            layers.append((w, np.zeros(m, np.float32), style, np.zeros(2 * m, np.float32)))
        return layers

    def batches(self) -> list[Any]:
        """(images, styles, targets)."""
        rng = np.random.default_rng(SEED)
        n, p, (many, few) = self.batch, self.pixels, self.channels
        shapes = (n, p, p, many), (n, self.styles), (n, 2 * p, 2 * p, few)
        return [tuple(rng.standard_normal(s, np.float32) for s in shapes) for _ in range(4)]

    @property
    def flops(self) -> float:
        """Three passes of the second convolution, two of all else."""
        many, few = self.channels
        places = 4 * self.pixels**2 * 9
        dense = 2 * self.styles * 2 * few
        first = 2 * places * (many * few + few)
        return 2.0 * self.batch * (first + 3 * places * few * few + 2 * dense)


WIDE = (256, 256, 256, 128, 64)  # channels from 4 to 64 pixels

PROBLEMS: dict[str, Problem] = {
    problem.name: problem
    for problem in (
        DenseAutoencoder("stacked-ae", 32, "SGD 1.5"),
        ConvAutoencoder("conv-ae", 32, "SGD 1.0"),
        RecurrentAutoencoder("recurrent-ae", 32, "SGD 0.1"),
        GRUAutoencoder("gru-ae", 32, "SGD 0.1"),
        VariationalAutoencoder("vae", 128, "RMSprop 0.001"),
        GAN("gan", 32, "RMSprop 0.001"),
        DCGAN("dcgan", 32, "RMSprop 0.001", 1e-3),
        DCGAN("dcgan-128", 128, "RMSprop 0.001", 1e-3),
        WassersteinGAN("wgan-gp", 32, "RMSprop 0.001", 1e-3),
        SpectralGAN("sngan", 32, "RMSprop 0.001", 1e-3),
        ConditionalGAN("cgan", 32, "RMSprop 0.001", 1e-3),
        StyleBlock("style-block", 16, "SGD 0.1"),
        ProGAN("progan-32", 16, "RMSprop 0.001", 1e-3),
        ProGAN("progan-64", 16, "RMSprop 0.001", 1e-3, side=64, channels=WIDE),
        StyleGAN("stylegan-32", 16, "RMSprop 0.001", 1e-3),
        StyleGAN("stylegan-64", 16, "RMSprop 0.001", 1e-3, side=64, channels=WIDE),
    )
}
