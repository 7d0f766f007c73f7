"""The hashing autoencoder: so much noise on the codings that they become bits."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .. import ops
from ..backend import Array, to_numpy
from ..config import no_grad
from ..core import TensorLike
from ..nn import Flatten, GaussianNoise, Reshape, Sequential
from ..ops.random import Random
from .base import Autoencoder
from .stacked import KERAS_2, dense_layers, reconstruction_loss
from .stages import Recipe


class HashingAutoencoder(Autoencoder):
    """Codings that round to a binary code, for looking up similar images.

    codings = sigmoid(W h + b),  h = hidden layer + noise eps  with eps ~ N(0, 1), in training only.
    To be heard above strong noise the codings must saturate at 0 or 1
    (Salakhutdinov & Hinton 2009, "Semantic hashing"; Géron, chapter 17).

    Args:
        image_shape: shape of a sample, pixels in [0, 1].
        noise: standard deviation of the noise before the layer of the codings.
        widths: units of the layers between the sample and the codings.
        codings: bits of the code.
        activation: of the layers between; the codings have a sigmoid.
        output: activation of the last layer; "identity" is none.
        loss: "binary_cross_entropy", for which the output must be "sigmoid", or "mse".
        seed: of the initial weights.
    """

    name = "hashing-ae"
    figures = ("look-alikes", "reconstructions", "tsne", "curves")
    recipes = {"ed2": Recipe(optimizer="nadam", options=KERAS_2)}

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
        noise: float = 15.0,
        widths: Sequence[int] = (100,),
        codings: int = 16,
        activation: ops.Activation = "selu",
        output: ops.Activation = "sigmoid",
        loss: str = "binary_cross_entropy",
        seed: int = 0,
    ) -> None:
        criterion = reconstruction_loss(self.name, loss, output)
        rng = Random(seed, "weights")
        sizes = [math.prod(image_shape), *widths, codings]
        *hidden, bits = dense_layers(sizes, activation, "sigmoid", rng=rng)
        up = dense_layers(sizes[::-1], activation, output, rng=rng)
        super().__init__(
            Sequential(Flatten(), *hidden, GaussianNoise(noise), bits),
            Sequential(*up, Reshape(*image_shape)),
            criterion,
        )

    def hash(self, x: TensorLike) -> Array:
        """The codings of x without noise, rounded: (n, ...) -> bool (n, codings)."""
        was_training = self.training
        with no_grad():
            codings = self.eval().encode(x)
        self.train(was_training)
        return to_numpy(codings.data) > 0.5
