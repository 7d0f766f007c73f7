"""The generative adversarial network of dense layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .. import ops
from ..nn import Activation, BatchNorm, Dense, Flatten, Maxout, Module, Reshape, Sequential
from ..nn.initializers import Initializer, normal
from ..ops.random import Random
from .adversarial import Adversarial
from .discriminator import Discriminator, Generator
from .remedies import Remedies
from .stacked import KERAS_2
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
PACGAN: dict[str, Any] = {
    **POINTS,
    "widths": (400, 400, 400, 400),
    "generator_norm": True,
    "discriminator_widths": (200, 200, 200),
    "pieces": 5,
    "deviation": 0.02,
    "generator_statistics": "batch",
}


class GAN(Adversarial):
    """Generative adversarial network of dense layers (Goodfellow et al. 2014; Géron, chapter 17).

    The text's has G 30-100-150-784 and D 784-150-100-1. The presets "ring-pacgan" and "grid-pacgan"
    have the networks and the optimiser of PacGAN's experiments (Lin et al. 2018, and their code),
    in which a GAN without remedies loses modes; 5 epochs are a hundredth of theirs.

    Args:
        image_shape: shape of a sample, pixels in [0, 1]; or (2,) for points of a plane.
        latents: length of z.
        widths: units of the generator's hidden layers.
        discriminator_widths: of the discriminator's; by default the same the other way round.
        activation: of the hidden layers.
        discriminator_activation: of those of the discriminator; by default the same.
        output: activation of the generator's last layer; "identity" is none.
        generator_norm: whether batch norm comes before each of the generator's activations.
        pieces: linear pieces of the discriminator's maxout units; with 1 they have its activation.
        deviation: standard deviation of normal initial weights; 0 for Glorot's uniform ones.
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
            config={**POINTS, **MODERN, "r1": 1.0, "r2": 1.0, "average": 0.999},
        ),
        **{
            f"{data}-pacgan": Recipe(
                data, 5, 100, "adam", {"learning_rate": 1e-4, "beta1": 0.8}, size=None,
                channels=None, config=PACGAN,
            )
            for data in ("ring", "grid")
        },
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
        discriminator_widths: Sequence[int] | None = None,
        generator_norm: bool = False,
        pieces: int = 1,
        deviation: float = 0.0,
        seed: int = 0,
        **remedies: Any,
    ) -> None:
        switches, rng = self.remedies.changed(remedies), Random(seed, "weights")
        values, channels = math.prod(image_shape), (*image_shape, 1, 1)[2]
        inner = discriminator_activation or activation
        judging = discriminator_widths or widths[::-1]
        initializer = normal(deviation) if deviation else "glorot_uniform"

        def body(inputs: int) -> tuple[Module, tuple[int]]:
            """The hidden layers of the discriminator for inputs of so many channels."""
            per_place = inputs if len(image_shape) == 1 else values // channels * inputs
            layers = [
                Dense(a, b, inner, initializer=initializer, rng=rng)
                if pieces == 1
                else Maxout(a, b, pieces, initializer=initializer, rng=rng)
                for a, b in pairwise([per_place, *judging])
            ]
            return Sequential(Flatten(), *layers), (judging[-1],)

        layers: list[Module] = []
        for a, b in pairwise([latents, *widths]):
            layers += _hidden(a, b, activation, generator_norm, initializer, rng)
        last = Dense((latents, *widths)[-1], values, output, initializer=initializer, rng=rng)
        super().__init__(
            Generator(Sequential(*layers, last, Reshape(*image_shape)), rng=rng),
            Discriminator(body, image_shape, switches, initializer=initializer, rng=rng),
            image_shape=image_shape,
            latents=latents,
            noise=noise,
            output=output,
            remedies=switches,
        )


def _hidden(
    inputs: int,
    outputs: int,
    activation: ops.Activation,
    norm: bool,
    initializer: str | Initializer,
    rng: Random,
) -> list[Module]:
    """A hidden layer of the generator; before batch norm a bias would be taken away again."""
    if not norm:
        return [Dense(inputs, outputs, activation, initializer=initializer, rng=rng)]
    dense = Dense(inputs, outputs, bias=False, initializer=initializer, rng=rng)
    return [dense, BatchNorm(outputs, momentum=0.9), Activation(activation)]
