"""The GAN with spectral normalisation."""

from __future__ import annotations

from .dcgan import DCGAN
from .remedies import Remedies
from .stages import Recipe
from .wasserstein import NETWORKS


class SNGAN(DCGAN):
    """GAN with spectral normalisation of the discriminator (Miyato et al. 2018).

    Each weight of the discriminator is divided by its largest singular value, found by one step of
    power iteration in each of its forwards; the loss is the hinge loss.

    For the arguments see DCGAN.
    """

    name = "sngan"
    remedies = Remedies(loss="hinge", spectral_norm=True)
    recipes = {
        "paper": Recipe(
            "fashion-mnist", 25, 64, "adam",
            {"learning_rate": 2e-4, "beta1": 0.0, "beta2": 0.9},
            config={**NETWORKS, "noise": "normal", "discriminator_norm": None},
        )
    }  # fmt: skip
