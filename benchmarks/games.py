"""Training steps of adversarial networks that every library is given: sizes, weights, FLOPs."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

from .problem import SEED, Array, Layer, RMSpropProblem, dense_layers


@dataclass(frozen=True)
class AdversarialProblem(RMSpropProblem):
    """A generator and a discriminator, one phase after the other in every step.

    1. The generator, in inference, makes images of noise. They and as many real ones are one
       batch, labels 0 and 1, on which the discriminator is trained. The generator is not
       differentiated.
    2. The generator, in training, makes images of other noise, and is trained to have them labelled
       1. The gradient goes through the discriminator, whose weights ask for none.

    A batch is (images, noise of phase 1, noise of phase 2). The discriminator ends with a logit,
    the loss is cross-entropy from logits; what a step reports is the sum of both phases' losses.
    """

    latents: int = 0

    def images(self) -> list[Any]:
        """The real ones."""
        return super().batches()

    def batches(self) -> list[Any]:
        """(images, noise, noise)."""
        noise = [self.noise(self.latents, SEED + 2 + phase) for phase in (0, 1)]
        return list(zip(self.images(), *noise, strict=True))

    def products(self) -> tuple[list[int], list[int]]:
        """Multiply-adds of a sample's way forward: layers of the generator, the discriminator."""
        raise NotImplementedError

    @property
    def flops(self) -> float:
        """What both phases compute.

        Phase 1, for the images of the generator its way forward; for those and as many others the
        discriminator's, the gradients of its weights, and of all inputs but the first layer's.
        Phase 2, both ways forward, the gradients of all inputs of the discriminator, of the
        generator's weights, and of all its inputs but the first layer's.
        """
        generator, discriminator = self.products()
        g, d = sum(generator), sum(discriminator)
        first = g + 2 * (3 * d - discriminator[0])
        second = g + d + d + (2 * g - generator[0])
        return 2.0 * self.batch * (first + second)


@dataclass(frozen=True)
class GAN(AdversarialProblem):
    """Dense layers with SELU: a generator 30-100-150-784, and a discriminator 784-150-100-1.

    The generator ends with a sigmoid; images are between 0 and 1.
    """

    latents: int = 30
    sizes: tuple[int, ...] = (100, 150, 784)

    @property
    def pairs(self) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        """Inputs and outputs of the layers of both networks."""
        back = 784, *reversed(self.sizes[:-1]), 1
        return (
            list(itertools.pairwise((self.latents, *self.sizes))),
            list(itertools.pairwise(back)),
        )

    def weights(self) -> tuple[list[Layer], list[Layer]]:
        """Layer by layer: the generator's, the discriminator's."""
        generator, discriminator = self.pairs
        return dense_layers(generator, SEED + 4), dense_layers(discriminator, SEED + 5)

    def products(self) -> tuple[list[int], list[int]]:
        """One for every weight."""
        generator, discriminator = ([n * m for n, m in pairs] for pairs in self.pairs)
        return generator, discriminator


@dataclass(frozen=True)
class DCGAN(AdversarialProblem):
    """Convolutions 5x5 with stride 2, padded as TensorFlow's "same": 28 -> 14 -> 7 pixels.

    Generator: dense 100 to 7 x 7 x 128, batch norm, transposed 64 with SELU, batch norm,
    transposed 1 with tanh. Discriminator: 64 and 128 with LeakyReLU 0.2, dense to the logit. Images
    are between -1 and 1. Batch norm has Keras's momentum of 0.99 and epsilon of 1e-3, and starts
    with scale 1, shift 0, mean 0, variance 1. The text's dropout of 0.4 is left out: every library
    would draw masks of its own, and the losses could not be compared.

    PyTorch counts the running variance n / (n - 1) times as large, for n of at least 1,568 values;
    and RMSprop makes rounding errors of small gradients as large as others. Losses are compared to
    three digits.
    """

    latents: int = 100
    channels: tuple[int, int] = (64, 128)

    @property
    def inputs(self) -> int:
        """Of the generator's dense layer."""
        return self.latents

    @property
    def seen(self) -> int:
        """Channels that the discriminator sees."""
        return 1

    def images(self) -> list[Any]:
        """(batch, 28, 28, 1)."""
        return [2 * x[..., None] - 1 for x in super().images()]

    def weights(self) -> tuple[list[Layer], list[Layer]]:
        """The generator's dense layer and two kernels (5, 5, out, in); the discriminator's two
        kernels (5, 5, in, out) and dense layer. All by Glorot's rule, biases 0; a dense layer has
        the rows, columns and channels of an image in that order."""
        few, many = self.channels
        rng = np.random.default_rng(SEED + 4)

        def kernel(n: int, m: int, outputs: int) -> Layer:
            limit = (6 / (25 * (n + m))) ** 0.5
            w = rng.uniform(-limit, limit, (5, 5, n, m)).astype(np.float32)
            return w, np.zeros(outputs, np.float32)

        (first,), (last,) = (
            dense_layers([sizes], SEED + 5) for sizes in ((self.inputs, 49 * many), (49 * many, 1))
        )
        generator = [first, kernel(few, many, few), kernel(1, few, 1)]
        return generator, [kernel(self.seen, few, few), kernel(few, many, many), last]

    def products(self) -> tuple[list[int], list[int]]:
        """Kernels are put to 14 x 14 and 7 x 7 places, by the generator the other way round."""
        few, many = self.channels
        first, second = 14 * 14 * 25 * few, 7 * 7 * 25 * few * many
        return (
            [self.inputs * 49 * many, second, first],
            [self.seen * first, second, 49 * many],
        )


@dataclass(frozen=True)
class WassersteinGAN(DCGAN):
    """DCGAN's networks as generator and critic, with a gradient penalty of weight 10.

    The critic lowers  E f - E r + 10 E (|grad D(m)| - 1)^2,  m = f + t (r - f)  with t from each
    batch, one for an image; fakes and reals go through it apart. The generator lowers -E f. What a
    step reports is the sum of both.
    """

    weight: float = 10.0

    def batches(self) -> list[Any]:
        """(images, noise, noise, t); t is (batch, 1, 1, 1)."""
        rng = np.random.default_rng(SEED + 9)
        return [
            (*parts, rng.random((self.batch, 1, 1, 1), np.float32)) for parts in super().batches()
        ]

    @property
    def flops(self) -> float:
        """Beside both phases the penalty: a way forward, the gradients of all inputs, and of those
        the gradients by the weights and, but for the last layer's, by what came from above."""
        _, critic = self.products()
        return super().flops + 2.0 * self.batch * (4 * sum(critic) - critic[-1])


@dataclass(frozen=True)
class SpectralGAN(DCGAN):
    """DCGAN's networks with spectral normalisation of the discriminator, and the hinge loss.

    Every weight of the discriminator is divided by its largest singular value, for which each way
    forward does one step of power iteration, from `vectors`. Fakes and reals are one batch.
    """

    def vectors(self) -> list[Array]:
        """The singular vector of each layer of the discriminator, one number for each input."""
        _, layers = self.weights()
        return [np.linalg.svd(w.reshape(-1, w.shape[-1]))[0][:, 0] for w, _ in layers]


@dataclass(frozen=True)
class ConditionalGAN(DCGAN):
    """DCGAN's networks with labels: a vector of each beside the latents, a map as a channel.

    A batch is (images, noise, noise, labels); fakes have the labels of the reals.
    """

    classes: int = 10
    units: int = 50

    @property
    def inputs(self) -> int:
        """Of the generator's dense layer."""
        return self.latents + self.units

    @property
    def seen(self) -> int:
        """Channels that the discriminator sees."""
        return 2

    def batches(self) -> list[Any]:
        """(images, noise, noise, labels)."""
        rng = np.random.default_rng(SEED + 11)
        return [(*parts, rng.integers(0, self.classes, self.batch)) for parts in super().batches()]

    def embeddings(self) -> tuple[Array, Array]:
        """The generator's vectors (classes, units), the discriminator's maps (classes, 784)."""
        rng = np.random.default_rng(SEED + 12)
        vectors, maps = (rng.standard_normal((self.classes, n)) for n in (self.units, 784))
        return (vectors / 20).astype(np.float32), (maps / 20).astype(np.float32)

    @property
    def flops(self) -> float:
        """Beside both phases the gradients of both first layers' inputs, where the labels are."""
        generator, discriminator = self.products()
        return super().flops + 2.0 * self.batch * (generator[0] + 2 * discriminator[0])
