"""Sparse autoencoders: many codings, of which a penalty keeps most near 0."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .. import ops
from ..core import Tensor, TensorLike, data_of
from ..nn import ActivityRegularizer, Flatten, Reshape, Sequential
from ..ops.random import Random
from .base import Autoencoder
from .stacked import KERAS_2, THIRD_EDITION, dense_layers, reconstruction_loss
from .stages import Recipe


class SparseAutoencoder(Autoencoder):
    """inputs -> widths -> sigmoid codings, penalised -> widths -> inputs.

    loss = reconstruction loss + penalty on the codings, in training and in validation; see
    ActivityRegularizer for the penalty.
    """

    figures = ("activations", "reconstructions", "tsne", "curves")

    def __init__(
        self,
        regularizer: ActivityRegularizer,
        image_shape: Sequence[int],
        widths: Sequence[int],
        codings: int,
        activation: ops.Activation,
        output: ops.Activation,
        loss: str,
        seed: int,
    ) -> None:
        criterion = reconstruction_loss(self.name, loss, output)
        rng = Random(seed, "weights")
        sizes = [math.prod(image_shape), *widths, codings]
        down = dense_layers(sizes, activation, "sigmoid", rng=rng)
        up = dense_layers(sizes[::-1], activation, output, rng=rng)
        super().__init__(
            Sequential(Flatten(), *down, regularizer),
            Sequential(*up, Reshape(*image_shape)),
            criterion,
        )

    def loss(self, x: TensorLike, target: TensorLike | None = None, *, rng: Random) -> Tensor:
        """The reconstruction loss and the penalty on the codings."""
        return super().loss(x, target, rng=rng) + self.penalty()

    def measures(
        self, x: TensorLike, target: TensorLike | None = None, *, rng: Random
    ) -> dict[str, float]:
        """The loss and its two parts, and the rounded accuracy."""
        figures = super().measures(x, target, rng=rng)
        reconstruction, penalty = figures["loss"], float(data_of(self.penalty()))
        parts = {"reconstruction_loss": reconstruction, "sparsity_loss": penalty}
        return {**figures, "loss": reconstruction + penalty, **parts}


class SparseL1Autoencoder(SparseAutoencoder):
    """Many codings, most of them near 0 by an L1 penalty.

    Penalty: l1 times the sum of the codings' absolute values, mean over the batch.

    Source: Géron, chapter 17. The third edition's weight is 1e-4.

    Args:
        image_shape: shape of a sample, pixels in [0, 1].
        l1: weight of the penalty.
        widths: units of the layers between the sample and the codings.
        codings: units of the middle layer, more than are needed.
        activation: of the layers between; the codings have a sigmoid.
        output: activation of the last layer; "identity" is none.
        loss: "binary_cross_entropy", for which the output must be "sigmoid", or "mse".
        seed: of the initial weights.
    """

    name = "sparse-l1-ae"
    recipes = {
        "text": Recipe(options={"learning_rate": 1.0}),
        "ed3": Recipe(optimizer="nadam", options=KERAS_2, config={**THIRD_EDITION, "l1": 1e-4}),
    }

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
        l1: float = 1e-3,
        widths: Sequence[int] = (100,),
        codings: int = 300,
        activation: ops.Activation = "selu",
        output: ops.Activation = "sigmoid",
        loss: str = "binary_cross_entropy",
        seed: int = 0,
    ) -> None:
        regularizer = ActivityRegularizer(l1=l1)
        super().__init__(
            regularizer, image_shape, widths, codings, activation, output, loss, seed
        )  # fmt: skip


class SparseKLAutoencoder(SparseAutoencoder):
    """Many codings, each active about as often as a target says.

    Penalty: weight / n times the sum over the codings of KL(p, q) + KL(1 - p, 1 - q).

    p is the target, q the mean of a coding over the batch of n samples (Ng 2011, "Sparse
    autoencoder"; Géron, chapter 17). This is no mean over samples: a larger batch has a smaller
    penalty, and a steadier q. So validation takes 32 samples at a time, as the recipe does.

    Args:
        image_shape: shape of a sample, pixels in [0, 1].
        weight: of the penalty; the third edition's is 5e-3.
        target: the mean activity p that every coding should have, between 0 and 1.
        widths: units of the layers between the sample and the codings.
        codings: units of the middle layer, more than are needed.
        activation: of the layers between; the codings have a sigmoid.
        output: activation of the last layer; "identity" is none.
        loss: "binary_cross_entropy", for which the output must be "sigmoid", or "mse".
        seed: of the initial weights.
    """

    name = "sparse-kl-ae"
    validation_batch = 32
    recipes = {
        "text": Recipe(options={"learning_rate": 1.0}),
        "ed3": Recipe(optimizer="nadam", options=KERAS_2, config={**THIRD_EDITION, "weight": 5e-3}),
    }

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
        weight: float = 0.05,
        target: float = 0.1,
        widths: Sequence[int] = (100,),
        codings: int = 300,
        activation: ops.Activation = "selu",
        output: ops.Activation = "sigmoid",
        loss: str = "binary_cross_entropy",
        seed: int = 0,
    ) -> None:
        regularizer = ActivityRegularizer(kl=weight, target=target)
        super().__init__(
            regularizer, image_shape, widths, codings, activation, output, loss, seed
        )  # fmt: skip
