"""The conditional GAN: samples of the class that one asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from .dcgan import ADAM, DCGAN
from .gan import LEAKY
from .remedies import Remedies
from .stages import Recipe


class CGAN(DCGAN):
    """Conditional GAN (Mirza & Osindero 2014): generator and discriminator know the label.

    The generator gets a learned vector of the label behind z. The discriminator gets a learned map
    of it as one more channel ("concatenation"), or adds to its score the product of a learned
    vector of it with the last features ("projection", Miyato & Koyama 2018).

    Args:
        classes: how many labels there are, from 0 on; None for as many as the data has.
        label_units: length of a label's vector in the generator.
        conditioning: "concatenation" or "projection".
        settings: all others: see DCGAN, and Remedies.
    """

    name = "cgan"
    labelled = True
    remedies = Remedies()
    recipes = {
        "paper": Recipe("fashion-mnist", 10, 64, "adam", ADAM),
        "projection": Recipe(
            "fashion-mnist", 10, 64, "adam",
            {"learning_rate": 2e-4, "beta1": 0.0, "beta2": 0.9},
            config={
                "conditioning": "projection", "loss": "hinge", "spectral_norm": True,
                "discriminator_norm": None,
            },
        ),
    }  # fmt: skip

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
        classes: int | None = None,
        label_units: int = 50,
        conditioning: str = "concatenation",
        latents: int = 100,
        widths: Sequence[int] = (64, 128),
        activation: ops.Activation = "relu",
        discriminator_activation: ops.Activation = LEAKY,
        output: ops.Activation = "tanh",
        generator_norm: str | None = "before",
        discriminator_norm: str | None = "before",
        momentum: float = 0.9,
        dropout: float = 0.0,
        kernel: int = 5,
        deviation: float = 0.02,
        noise: str = "normal",
        seed: int = 0,
        **remedies: Any,
    ) -> None:
        self.classes, self._label_units = classes or 10, label_units
        self._conditioning = conditioning
        super().__init__(
            image_shape, latents, widths, activation, discriminator_activation, output,
            generator_norm, discriminator_norm, momentum, dropout, kernel, deviation, noise, seed,
            **remedies,
        )  # fmt: skip
