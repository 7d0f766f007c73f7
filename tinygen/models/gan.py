"""The generative adversarial network of dense layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import ops
from ..nn import Flatten, Module, Reshape, Sequential
from ..ops.random import Random
from .adversarial import Adversarial
from .discriminator import Discriminator, Generator
from .remedies import Remedies
from .stacked import KERAS_2, dense_layers
from .stages import Recipe

LEAKY = ("leaky_relu", 0.2)
POINTS: dict[str, Any] = {
    "latents": 2,
    "widths": (128, 128),
    "activation": "relu",
    "discriminator_activation": LEAKY,
    "output": "identity",
    "together": False,
}
MODERN: dict[str, Any] = {"loss": "relativistic", "together": False}
STEADY = {"learning_rate": 2e-4, "beta1": 0.0, "beta2": 0.99}  # Adam without momentum


class GAN(Adversarial):
    """Generative adversarial network of dense layers (Goodfellow et al. 2014; Géron, chapter 17).

    The text's has G 30-100-150-784 and D 784-150-100-1.

    Args:
        image_shape: shape of a sample, pixels in [0, 1]; or (2,) for points of a plane.
        latents: length of z.
        widths: units of the generator's hidden layers; the discriminator has them the other way
            round.
        activation: of the hidden layers.
        discriminator_activation: of those of the discriminator; by default the same.
        output: activation of the generator's last layer; "identity" is none.
        noise: the distribution of z: "normal", or "uniform" from -1 to 1.
        seed: of the initial weights.
        remedies: see Remedies.
    """

    name = "gan"
    kinds = ("images", "points")
    remedies = Remedies(
        together=True, generator_statistics="running", discriminator_statistics="running"
    )
    recipes = {
        "text": Recipe("fashion-mnist", 50, 32, "rmsprop", KERAS_2),
        "modern": Recipe(
            "fashion-mnist", 25, 64, "adam", STEADY,
            config={
                **MODERN, "r1": 1.0, "r2": 1.0, "activation": LEAKY, "widths": (256, 256),
                "average": 0.999,
            },
        ),
        "ring": Recipe(
            "ring", 4, 128, "adam", {"learning_rate": 2e-4, "beta1": 0.5}, size=None,
            channels=None, config=POINTS,
        ),
        "grid": Recipe(
            "grid", 4, 128, "adam", {"learning_rate": 2e-4, "beta1": 0.5}, size=None,
            channels=None, config=POINTS,
        ),
        "ring-modern": Recipe(
            "ring", 4, 128, "adam", STEADY, size=None, channels=None,
            config={**POINTS, **MODERN, "r1": 1.0, "r2": 1.0},
        ),
    }  # fmt: skip

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
        latents: int = 30,
        widths: Sequence[int] = (100, 150),
        activation: ops.Activation = "selu",
        discriminator_activation: ops.Activation = None,
        output: ops.Activation = "sigmoid",
        noise: str = "normal",
        seed: int = 0,
        **remedies: Any,
    ) -> None:
        switches, rng = self.remedies.changed(remedies), Random(seed, "weights")
        values, channels = math.prod(image_shape), (*image_shape, 1, 1)[2]
        inner = discriminator_activation or activation

        def body(inputs: int) -> tuple[Module, tuple[int]]:
            """The hidden layers of the discriminator for inputs of so many channels."""
            per_place = inputs if len(image_shape) == 1 else values // channels * inputs
            layers = dense_layers([per_place, *widths[::-1]], inner, inner, rng=rng)
            return Sequential(Flatten(), *layers), (widths[0],)

        super().__init__(
            Generator(
                Sequential(
                    *dense_layers([latents, *widths, values], activation, output, rng=rng),
                    Reshape(*image_shape),
                ),
                rng=rng,
            ),
            Discriminator(body, image_shape, switches, rng=rng),
            image_shape=image_shape,
            latents=latents,
            noise=noise,
            output=output,
            remedies=switches,
        )
