"""Wasserstein GANs: with clipped weights, and with a gradient penalty."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import ops
from .dcgan import DCGAN
from .gan import LEAKY
from .remedies import Remedies
from .stacked import KERAS_2
from .stages import Recipe


class WGAN(DCGAN):
    """Wasserstein GAN with weight clipping (Arjovsky, Chintala & Bottou 2017).

    The critic's score has no sigmoid; E D(x) - E D(G(z)) estimates, up to a factor, how far the
    generator's distribution is from the data's, as long as the critic is Lipschitz continuous: all
    its parameters are brought into [-0.01, 0.01] before each of its five steps.

    For the arguments see DCGAN, and Remedies.
    """

    name = "wgan"
    remedies = Remedies(loss="wasserstein", clip=0.01, critic_steps=5)
    recipes = {
        "paper": Recipe(
            "fashion-mnist",
            25,
            64,
            "rmsprop",
            {"learning_rate": 5e-5, "rho": 0.99, "epsilon": 1e-8, **KERAS_2},
        )
    }

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
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
        super().__init__(
            image_shape, latents, widths, activation, discriminator_activation, output,
            generator_norm, discriminator_norm, momentum, dropout, kernel, deviation, noise, seed,
            **remedies,
        )  # fmt: skip


class WGANGP(DCGAN):
    """Wasserstein GAN with gradient penalty (Gulrajani et al. 2017).

    The norm of the critic's gradient is drawn to 1 on the lines between reals and fakes, instead of
    clipping weights. The critic has no batch norm, which would mix the gradients of samples.

    For the arguments see DCGAN, and Remedies.
    """

    name = "wgan-gp"
    remedies = Remedies(loss="wasserstein", gradient_penalty=10.0, critic_steps=5)
    recipes = {
        "paper": Recipe(
            "fashion-mnist",
            25,
            64,
            "adam",
            {"learning_rate": 1e-4, "beta1": 0.0, "beta2": 0.9},
        )
    }

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
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
        deviation: float = 0.0,
        noise: str = "normal",
        seed: int = 0,
        **remedies: Any,
    ) -> None:
        super().__init__(
            image_shape, latents, widths, activation, discriminator_activation, output,
            generator_norm, discriminator_norm, momentum, dropout, kernel, deviation, noise, seed,
            **remedies,
        )  # fmt: skip
