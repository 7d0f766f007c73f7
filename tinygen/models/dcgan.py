"""The deep convolutional GAN."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from .. import ops
from ..backend import resolve_padding
from ..nn import (
    Activation,
    BatchNorm,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Dropout,
    Module,
    Reshape,
    Sequential,
)
from ..nn.initializers import Initializer, normal
from ..ops.random import Random
from .adversarial import Adversarial
from .discriminator import Discriminator, Generator
from .gan import LEAKY, MODERN, STEADY
from .remedies import Remedies
from .stacked import KERAS_2
from .stages import Recipe

NORMS = (None, "before", "after")
ADAM = {"learning_rate": 2e-4, "beta1": 0.5}
PAPER: dict[str, Any] = {
    "noise": "uniform",
    "activation": "relu",
    "generator_norm": "before",
    "discriminator_norm": "before",
    "dropout": 0.0,
    "deviation": 0.02,
    "together": False,
    "generator_statistics": "batch",
    "discriminator_statistics": "batch",
}


class DCGAN(Adversarial):
    """Deep convolutional GAN (Radford, Metz & Chintala 2016; Géron, chapter 17).

    The generator's dense layer makes small maps, which transposed convolutions with stride 2 double
    in size; the discriminator halves the image by convolutions with stride 2. Of 28 x 28 pixels the
    maps have 7, 14 and 28. Sides of any length go: where one cannot be halved, the map has one
    more.

    Args:
        image_shape: shape of an image, pixels in [0, 1]: (height, width) or (height, width,
            channels).
        latents: length of z.
        widths: channels of the discriminator's convolutions; the generator has them the other way
            round.
        activation: of the generator's layers but the last.
        discriminator_activation: of the discriminator's convolutions.
        output: activation of the generator's last layer.
        generator_norm: batch norm in the generator "before" or "after" the activation of each layer
            but the last, or None.
        discriminator_norm: the same in the discriminator, but for its first layer.
        dropout: rate after each of the discriminator's activations.
        kernel: size of the convolutions' kernels.
        deviation: standard deviation of normal initial weights; 0 for Glorot's uniform ones.
        noise: the distribution of z: "normal", or "uniform" from -1 to 1.
        seed: of the initial weights.
        remedies: see Remedies.
    """

    name = "dcgan"
    remedies = Remedies(
        together=True, generator_statistics="running", discriminator_statistics="running"
    )
    recipes = {
        "text": Recipe("fashion-mnist", 10, 32, "rmsprop", KERAS_2),
        "paper": Recipe("fashion-mnist", 10, 128, "adam", ADAM, config=PAPER),
        "modern": Recipe(
            "fashion-mnist", 10, 64, "adam", STEADY,
            config={
                **PAPER, **MODERN, "r1": 1.0, "r2": 1.0, "average": 0.999, "noise": "normal",
                "activation": LEAKY, "generator_norm": None, "discriminator_norm": None,
                "deviation": 0.0,
            },
        ),
        "faces": Recipe("faces", 30, 64, "adam", ADAM, size=32, channels=3, config=PAPER),
        "digits": Recipe(
            "stacked-digits", 10, 64, "adam", ADAM, size=8, channels=3,
            config={**PAPER, "widths": (64, 128), "kernel": 3},
        ),
    }  # fmt: skip

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
        latents: int = 100,
        widths: Sequence[int] = (64, 128),
        activation: ops.Activation = "selu",
        discriminator_activation: ops.Activation = LEAKY,
        output: ops.Activation = "tanh",
        generator_norm: str | None = "after",
        discriminator_norm: str | None = None,
        dropout: float = 0.4,
        kernel: int = 5,
        deviation: float = 0.0,
        noise: str = "normal",
        seed: int = 0,
        **remedies: Any,
    ) -> None:
        switches, rng = self.remedies.changed(remedies), Random(seed, "weights")
        initializer = normal(deviation) if deviation else "glorot_uniform"
        shape = self._shape(image_shape, generator_norm, discriminator_norm)

        def body(channels: int) -> tuple[Module, tuple[int, ...]]:
            """The convolutions of the discriminator for inputs of so many channels."""
            return convolutions(
                (*shape[:2], channels), widths, kernel, discriminator_activation,
                discriminator_norm, dropout, initializer, rng,
            )  # fmt: skip

        super().__init__(
            Generator(
                transposed_convolutions(
                    latents + self._label_units, shape, widths[::-1], kernel, activation, output,
                    generator_norm, initializer, rng, image_shape,
                ),
                self.classes, self._label_units, rng=rng,
            ),
            Discriminator(
                body, image_shape, switches, classes=self.classes, conditioning=self._conditioning,
                initializer=initializer, rng=rng,
            ),
            image_shape=image_shape,
            latents=latents,
            noise=noise,
            output=output,
            remedies=switches,
        )  # fmt: skip

    _label_units = 0  # length of a label's vector in the generator, where there are labels
    _conditioning = "concatenation"

    def _shape(self, image_shape: Sequence[int], *norms: str | None) -> tuple[int, int, int]:
        """(height, width, channels); raises ValueError for what is no image, or no norm."""
        if len(image_shape) not in (2, 3):
            raise ValueError(
                f"{self.name} makes images (height, width) or (height, width, channels), not "
                f"samples of shape {tuple(image_shape)}"
            )
        for norm in norms:
            if norm not in NORMS:
                raise ValueError(
                    f"{self.name}: batch norm is 'before', 'after' or null, not {norm!r}"
                )
        height, width, channels = (*image_shape, 1)[:3]
        return height, width, channels


def halves(shape: Sequence[int], widths: Sequence[int]) -> list[tuple[int, int, int]]:
    """The shapes of the maps from an image on, each half as large, rounded up."""
    height, width, channels = shape
    maps = [(height, width, channels)]
    for outputs in widths:
        height, width = -(-height // 2), -(-width // 2)
        maps.append((height, width, outputs))
    return maps


def block(
    layer: Callable[..., Module], channels: int, activation: ops.Activation, norm: str | None
) -> list[Module]:
    """A layer and its activation, with batch norm before or after that.

    A layer right before batch norm has no bias, which the norm would take away.
    """
    if norm is None:
        return [layer(activation=activation)]
    if norm == "after":
        return [layer(activation=activation), BatchNorm(channels)]
    return [layer(bias=False), BatchNorm(channels), Activation(activation)]


def convolutions(
    shape: Sequence[int],
    widths: Sequence[int],
    kernel: int,
    activation: ops.Activation,
    norm: str | None,
    dropout: float,
    initializer: str | Initializer,
    rng: Random,
) -> tuple[Module, tuple[int, ...]]:
    """Convolutions with stride 2 that halve an image, and the shape of what they make."""
    layers: list[Module] = []
    maps = halves(shape, widths)
    for large, small in pairwise(maps):
        convolution = partial(
            Conv2D, large[2], small[2], kernel, 2, initializer=initializer, rng=rng
        )
        layers += block(convolution, small[2], activation, norm if layers else None)
        if dropout:
            layers.append(Dropout(dropout))
    return Sequential(*layers), maps[-1]


def transposed_convolutions(
    latents: int,
    shape: Sequence[int],
    widths: Sequence[int],
    kernel: int,
    activation: ops.Activation,
    output: ops.Activation,
    norm: str | None,
    initializer: str | Initializer,
    rng: Random,
    image_shape: Sequence[int],
) -> Sequential:
    """A dense layer to small maps, and transposed convolutions that double them up to an image."""
    maps = halves(shape, widths[::-1])[::-1]
    size = math.prod(maps[0])
    first = None if norm == "after" else activation  # the text's dense layer has none
    dense = partial(Dense, latents, size, initializer=initializer, rng=rng)
    dense_layer, *rest = block(dense, maps[0][2], first, norm)
    layers: list[Module] = [dense_layer, Reshape(*maps[0]), *rest]
    for small, large in pairwise(maps):
        pads = resolve_padding("same", large[:2], (kernel, kernel), (2, 2), (1, 1))
        transposed = partial(
            Conv2DTranspose, small[2], large[2], kernel, 2, pads, initializer=initializer, rng=rng
        )
        if large is maps[-1]:
            layers.append(transposed(activation=output))
        else:
            layers += block(transposed, large[2], activation, norm)
    return Sequential(*layers, Reshape(*image_shape))
