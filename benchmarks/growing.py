"""Training steps of progressive growing and StyleGAN that libraries are given: sizes, weights."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .games import AdversarialProblem
from .problem import SEED, Array

BATCHES = 8  # each holds megabytes: too many to stay in a cache
START = 4  # pixels of a side of the first maps


@dataclass(frozen=True)
class ProGAN(AdversarialProblem):
    """Progressive growing at its last level, with WGAN-GP of weight 10 and a drift of 1e-3.

    Dense layer to 4 x 4, pixel norm after each activation, two convolutions a level; the
    discriminator the other way round, with the deviation of groups of 4. LeakyReLU 0.2, layers of
    equalised learning rate; no label. `weights` are as they are drawn, and used times
    gain / sqrt(inputs): sqrt 2, of the first layer sqrt 2 / 4, of the layers to RGB and to the
    score 1. Fakes and reals go through the critic apart.

    Attributes:
        side: pixels of an image's side.
        channels: of the maps from 4 x 4 pixels on.
    """

    latents: int = 64
    side: int = 32
    channels: tuple[int, ...] = (256, 256, 128, 64)
    weight: float = 10.0
    drift: float = 1e-3

    def images(self) -> list[Any]:
        """(batch, side, side, 3) in [-1, 1]."""
        rng = np.random.default_rng(SEED)
        shape = (self.batch, self.side, self.side, 3)
        return [rng.uniform(-1, 1, shape).astype(np.float32) for _ in range(BATCHES)]

    def batches(self) -> list[Any]:
        """(images, noise, noise, t); t is (batch, 1, 1, 1)."""
        rng = np.random.default_rng(SEED + 2)
        n = self.batch
        return [
            (
                images,
                *(rng.standard_normal((n, self.inputs), np.float32) for _ in range(2)),
                rng.random((n, 1, 1, 1), np.float32),
            )
            for images in self.images()
        ]

    @property
    def inputs(self) -> int:
        """Random numbers that an image is made of."""
        return self.latents

    def weights(self) -> tuple[dict[str, Array], dict[str, Array]]:
        """Of the generator, of the discriminator: by the names that the library has.

        Kernels (3, 3, in, out), dense (in, out) with rows, columns and channels of an image in that
        order; biases 0.
        """
        rng = np.random.default_rng(SEED + 4)
        return (
            {name: _drawn(shape, rng) for name, shape in self.generator_shapes().items()},
            {name: _drawn(shape, rng) for name, shape in self.discriminator_shapes().items()},
        )

    def generator_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every weight and bias of the last level."""
        first, last = self.channels[0], len(self.channels) - 1
        shapes = _layer("dense", self.latents, START * START * first)
        shapes |= _layer("body.0.0", 3, 3, first, first)
        for level, (a, b) in enumerate(pairwise(self.channels), 1):
            shapes |= _layer(f"body.{level}.0", 3, 3, a, b) | _layer(f"body.{level}.1", 3, 3, b, b)
        return shapes | _layer(f"to_rgb.{last}", 1, 1, self.channels[-1], 3)

    def discriminator_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every weight and bias of the last level."""
        first, last = self.channels[0], len(self.channels) - 1
        shapes = _layer(f"from_rgb.{last}", 1, 1, 3, self.channels[-1])
        for level, (a, b) in enumerate(pairwise(self.channels)):
            shapes |= _layer(f"body.{level}.0", 3, 3, b, b) | _layer(f"body.{level}.1", 3, 3, b, a)
        shapes |= _layer("last", 3, 3, first + 1, first)
        shapes |= _layer("dense", START * START * first, first)
        return shapes | _layer("head", first, 1)

    def products(self) -> tuple[list[int], list[int]]:
        """Multiply-adds of the plain writing, which enlarges before a convolution and halves after.

        The first is the layer whose input needs no gradient.
        """
        places = [(START << level) ** 2 for level in range(len(self.channels))]
        first = self.channels[0]
        generator = [self.latents * START * START * first, places[0] * 9 * first * first]
        critic = [places[-1] * 3 * self.channels[-1]]
        for n, (a, b) in zip(places[1:], pairwise(self.channels), strict=True):
            generator += [n * 9 * a * b, n * 9 * b * b]
            critic += [n * 9 * b * b, n * 9 * b * a]
        generator.append(places[-1] * 3 * self.channels[-1])
        critic += [places[0] * 9 * (first + 1) * first, START * START * first * first, first]
        return generator, critic

    @property
    def flops(self) -> float:
        """Beside both phases the penalty."""
        return super().flops + 2.0 * self.batch * self.penalty_products

    @property
    def penalty_products(self) -> int:
        """A way forward, the gradients of all inputs, and of those the gradients by the weights
        and, but for the last layer's, by what came from above."""
        _, critic = self.products()
        return 4 * sum(critic) - critic[-1]


@dataclass(frozen=True)
class StyleGAN(ProGAN):
    """StyleGAN at its last level: mapping of 8 layers, noise, AdaIN, blur; R1 by the rule.

    The loss is the non-saturating one; R1 on every batch of reals, from the scores of the loss. Of
    an image's random numbers the first are its latents, the others the maps of noise of its layers,
    one after the other. There is one style for all layers, and its mean is not tracked.
    """

    def batches(self) -> list[Any]:
        """(images, noise, noise)."""
        return [parts[:3] for parts in super().batches()]

    @property
    def noises(self) -> list[int]:
        """The side of the map of noise of each layer."""
        return [START << (i // 2) for i in range(2 * len(self.channels))]

    @property
    def inputs(self) -> int:
        """Latents and noise."""
        return self.latents + sum(side * side for side in self.noises)

    @property
    def gamma(self) -> float:
        """Of R1: 0.0002 side^2 / batch."""
        return 0.0002 * self.side**2 / self.batch

    def generator_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of every weight and bias of the last level, strengths of noise, and the constant."""
        first, last = self.channels[0], len(self.channels) - 1
        shapes: dict[str, tuple[int, ...]] = {"constant": (START, START, first)}
        for i in range(8):
            shapes |= _layer(f"mapping.layers.{i}", self.latents, self.latents)
        for level, channels in enumerate(self.channels):
            before = self.channels[max(level - 1, 0)]
            for i, inputs in enumerate((before, channels)):
                name = f"body.{level}.{i}"
                if level or i:
                    shapes[f"{name}.conv.weight"] = (3, 3, inputs, channels)
                shapes |= {f"{name}.bias": (channels,), f"{name}.noise.strength": (channels,)}
                shapes |= _layer(f"{name}.style", self.latents, 2 * channels)
        return shapes | _layer(f"to_rgb.{last}", 1, 1, self.channels[-1], 3)

    def products(self) -> tuple[list[int], list[int]]:
        """As for progressive growing, with mapping and styles instead of its dense layer."""
        generator, critic = super().products()
        styles = [self.latents * 2 * c for c in self.channels for _ in range(2)]
        return [self.latents**2] * 8 + styles + generator[1:], critic

    @property
    def penalty_products(self) -> int:
        """As above; the way forward is that of the loss."""
        _, critic = self.products()
        return 3 * sum(critic) - critic[-1]


def _layer(name: str, *shape: int) -> dict[str, tuple[int, ...]]:
    """A weight and its bias."""
    return {f"{name}.weight": shape, f"{name}.bias": shape[-1:]}


def _drawn(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """N(0, 1) for weights; small numbers for biases and strengths, so that a missing one shows."""
    scale = 1.0 if len(shape) > 1 else 0.1
    return (scale * rng.standard_normal(shape)).astype(np.float32)
