"""The deep convolutional GAN."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from ..nn.initializers import normal
from ..ops.random import Random
from .adversarial import Adversarial
from .architectures import Convolutional
from .discriminator import Discriminator, Generator
from .gan import LEAKY, MODERN, STEADY
from .remedies import Remedies
from .stacked import KERAS_2
from .stages import Recipe

ADAM = {"learning_rate": 2e-4, "beta1": 0.5}
PAPER: dict[str, Any] = {
    "noise": "uniform",
    "activation": "relu",
    "generator_norm": "before",
    "discriminator_norm": "before",
    "momentum": 0.9,
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
        momentum: of batch norm's running moments; 0.9 is what PyTorch calls 0.1.
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
    _architecture: type[Convolutional] = Convolutional
    _label_units: int = 0  # length of a label's vector in the generator, where there are labels
    _conditioning: str = "concatenation"
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
        momentum: float = 0.99,
        dropout: float = 0.4,
        kernel: int = 5,
        deviation: float = 0.0,
        noise: str = "normal",
        seed: int = 0,
        **remedies: Any,
    ) -> None:
        switches, rng = self.remedies.changed(remedies), Random(seed, "weights")
        initializer = normal(deviation) if deviation else "glorot_uniform"
        try:
            networks = self._architecture(
                image_shape, widths, kernel, activation, discriminator_activation, output,
                generator_norm, discriminator_norm, momentum, dropout, initializer, rng,
            )  # fmt: skip
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        units = self._label_units if self.classes else 0
        super().__init__(
            Generator(networks.generator(latents + units), self.classes, units, rng=rng),
            Discriminator(
                networks.features,
                image_shape,
                switches,
                classes=self.classes,
                conditioning=self._conditioning,
                initializer=initializer,
                rng=rng,
            ),
            image_shape=image_shape,
            latents=latents,
            noise=noise,
            output=output,
            remedies=switches,
        )
