"""Denoising autoencoders: the input is disturbed in training, the target is clean."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .. import ops
from ..names import nearest
from ..nn import Dropout, Flatten, GaussianNoise, Module, Reshape, Sequential
from ..ops.random import Random
from .base import Autoencoder
from .stacked import KERAS_2, THIRD_EDITION, dense_layers, reconstruction_loss
from .stages import Recipe


class DenoisingAutoencoder(Autoencoder):
    """A stacked autoencoder that sees its input through noise, in training only.

    x~ = x + std eps  with eps ~ N(0, 1),  or  x~ = x m / (1 - rate)  with m = 0 at random places;
    loss(decoder(encoder(x~)), x)  (Vincent et al. 2008; Géron, chapter 17).

    Args:
        image_shape: shape of a sample, pixels in [0, 1].
        noise: "gaussian" or "dropout".
        std: standard deviation of Gaussian noise.
        rate: the share of pixels that dropout sets to 0.
        widths: units of the layers between the sample and the codings.
        codings: units of the middle layer.
        activation: of all layers but the last.
        output: activation of the last layer; "identity" is none.
        loss: "binary_cross_entropy", for which the output must be "sigmoid", or "mse".
        seed: of the initial weights.
    """

    name = "denoising-ae"
    figures = ("denoising", "reconstructions", "tsne", "curves")
    recipes = {
        "gaussian": Recipe(options={"learning_rate": 1.0}),
        "dropout": Recipe(options={"learning_rate": 1.0}, config={"noise": "dropout"}),
        "ed3": Recipe(
            optimizer="nadam", options=KERAS_2, config={**THIRD_EDITION, "noise": "dropout"}
        ),
    }

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
        noise: str = "gaussian",
        std: float = 0.2,
        rate: float = 0.5,
        widths: Sequence[int] = (100,),
        codings: int = 30,
        activation: ops.Activation = "selu",
        output: ops.Activation = "sigmoid",
        loss: str = "binary_cross_entropy",
        seed: int = 0,
    ) -> None:
        noises: dict[str, Module] = {"gaussian": GaussianNoise(std), "dropout": Dropout(rate)}
        if noise not in noises:
            raise ValueError(f"{self.name}: unknown noise {noise!r}{nearest(noise, noises)}")
        criterion = reconstruction_loss(self.name, loss, output)
        rng = Random(seed, "weights")
        sizes = [math.prod(image_shape), *widths, codings]
        down = dense_layers(sizes, activation, activation, rng=rng)
        up = dense_layers(sizes[::-1], activation, output, rng=rng)
        self.noise = noises[noise]
        super().__init__(
            Sequential(Flatten(), self.noise, *down),
            Sequential(*up, Reshape(*image_shape)),
            criterion,
        )
