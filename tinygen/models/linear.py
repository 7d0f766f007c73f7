"""The linear autoencoder: with mean squared error it finds the plane of PCA."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .. import ops
from ..nn import Dense, Flatten, Reshape, Sequential
from ..ops.random import Random
from .base import Autoencoder
from .stages import Recipe


class LinearAutoencoder(Autoencoder):
    """inputs -> codings -> inputs without activations (Baldi & Hornik 1989; Géron, chapter 17).

    Args:
        image_shape: shape of a sample: its features, or an image.
        codings: dimensions of the plane.
        seed: of the initial weights.
    """

    name = "linear-ae"
    kinds = ("images", "points")
    figures = ("projection", "reconstructions", "tsne", "curves")
    recipes = {
        # 20 epochs at rate 0.1 end far above the optimum; see "text"
        "ed2": Recipe("plane", 2000, 32, "sgd", {"learning_rate": 0.5}, None, None),
        "text": Recipe("plane", 20, 32, "sgd", {"learning_rate": 0.1}, None, None),
    }

    def __init__(self, image_shape: Sequence[int] = (3,), codings: int = 2, seed: int = 0) -> None:
        rng = Random(seed, "weights")
        inputs = math.prod(image_shape)
        super().__init__(
            Sequential(Flatten(), Dense(inputs, codings, rng=rng)),
            Sequential(Dense(codings, inputs, rng=rng), Reshape(*image_shape)),
            ops.mse,
        )
