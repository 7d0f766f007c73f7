"""The GAN with spectral normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from .architectures import Residual
from .dcgan import DCGAN
from .gan import LEAKY
from .remedies import Remedies
from .stages import Recipe

STEADY = {"learning_rate": 2e-4, "beta1": 0.0, "beta2": 0.9}


class SNGAN(DCGAN):
    """GAN with spectral normalisation of the discriminator (Miyato et al. 2018).

    Each weight of the discriminator is divided by its largest singular value, found by one step of
    power iteration in each of its forwards; the loss is the hinge loss.

    Args:
        residual: networks of residual blocks, without the settings kernel, dropout and
            discriminator_norm, instead of plain convolutions.
        settings: all others: see DCGAN, and Remedies.
    """

    name = "sngan"
    remedies = Remedies(loss="hinge", spectral_norm=True)
    recipes = {
        "paper": Recipe("fashion-mnist", 25, 64, "adam", STEADY),
        "residual": Recipe(
            "fashion-mnist", 25, 64, "adam", STEADY,
            config={
                "residual": True, "widths": (64, 64), "discriminator_activation": "relu",
                "deviation": 0.0, "critic_steps": 5,
            },
        ),
    }  # fmt: skip

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
        residual: bool = False,
        latents: int = 100,
        widths: Sequence[int] = (64, 128),
        activation: ops.Activation = "relu",
        discriminator_activation: ops.Activation = LEAKY,
        output: ops.Activation = "tanh",
        generator_norm: str | None = "before",
        discriminator_norm: str | None = None,
        momentum: float = 0.9,
        dropout: float = 0.0,
        kernel: int = 5,
        deviation: float = 0.02,
        noise: str = "normal",
        seed: int = 0,
        **remedies: Any,
    ) -> None:
        if residual:
            self._architecture = Residual
        super().__init__(
            image_shape, latents, widths, activation, discriminator_activation, output,
            generator_norm, discriminator_norm, momentum, dropout, kernel, deviation, noise, seed,
            **remedies,
        )  # fmt: skip
