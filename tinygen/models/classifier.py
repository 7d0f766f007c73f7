"""The classifier of images, whose features and probabilities judge samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from .. import ops
from ..backend import Array, to_numpy
from ..core import Tensor, TensorLike, data_of
from ..nn import Conv2D, Dense, Dropout, Flatten, MaxPool2D, Module, Reshape, Sequential
from ..ops.random import Random
from ..optim import exponential_decay
from .base import Model
from .labels import check_labels
from .stages import Recipe, Stage, TrainingOptions

WIDTH = 32  # channels of the first convolution; each further one has twice as many
SMALL = 8  # maps are halved until their longer side is no longer than this


class ConvFeatures(Sequential):
    """3 x 3 convolutions, each followed by pooling, and a dense layer: images -> (n, features).

    Args:
        name: of the model, for messages.
        image_shape: (height, width) or (height, width, channels).
        widths: channels after each convolution; by default 32, 64, ... until no side of the maps
            is longer than 8.
        features: units of the dense layer.
        activation: of all layers.
        dropout: rate on the last maps.
        rng: of the initial weights.
    """

    def __init__(
        self,
        name: str,
        image_shape: Sequence[int],
        widths: Sequence[int] | None,
        features: int,
        activation: ops.Activation,
        dropout: float,
        rng: Random,
    ) -> None:
        if len(image_shape) not in (2, 3):
            raise ValueError(
                f"{name}: needs images (height, width) or (height, width, channels), not samples "
                f"of shape {tuple(image_shape)}"
            )
        height, width, channels = (*image_shape, 1)[:3]
        most = int(math.log2(min(height, width)))
        if widths is None:
            halvings = math.ceil(math.log2(max(height, width) / SMALL))
            widths = [WIDTH << i for i in range(min(max(1, halvings), max(1, most)))]
        if len(widths) > most:
            raise ValueError(
                f"{name}: images of {height} x {width} pixels cannot be halved {len(widths)} "
                f"times; take larger ones, with sides of at least {2 ** len(widths)}, or fewer "
                "widths"
            )
        layers: list[Module] = [Reshape(height, width, channels)]
        for inputs, outputs in pairwise((channels, *widths)):
            layers += [Conv2D(inputs, outputs, 3, activation=activation, rng=rng), MaxPool2D(2)]
        rows, columns = height >> len(widths), width >> len(widths)
        units = rows * columns * (channels, *widths)[-1]
        dense = Dense(units, features, activation=activation, rng=rng)
        super().__init__(*layers, Flatten(), Dropout(dropout), dense)


class Classifier(Model):
    """Convolutional classifier: images -> features -> one probability a class.

    The features are the units before the last layer, after their activation. Samples of generators
    are judged by them: see tinygen.training.feature_network.

    Args:
        image_shape: shape of an image, pixels in [0, 1]: (height, width) or (height, width,
            channels).
        classes: how many there are, at least 2; None for as many as the data has.
        widths: channels after each convolution, which pooling follows; by default 32, 64, ...
            until no side of the maps is longer than 8.
        features: units of the layer before the last.
        activation: of all layers but the last.
        dropout: rate on the last maps; that on the features is twice as high.
        half_life: images after which the learning rate has halved; None for a constant one.
        seed: of the initial weights.
    """

    name = "classifier"
    labelled = True
    figures = ("confusion", "mistakes", "curves")
    recipes = {"text": Recipe(epochs=14, batch_size=128, optimizer="adam",
                              options={"learning_rate": 2e-3})}  # fmt: skip

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
        classes: int | None = None,
        widths: Sequence[int] | None = None,
        features: int = 128,
        activation: ops.Activation = "relu",
        dropout: float = 0.2,
        half_life: int | None = 200_000,
        seed: int = 0,
    ) -> None:
        if classes == 1:
            raise ValueError(
                f"{self.name}: one class needs no classifier; give data of two or more"
            )
        if not 0 <= dropout < 0.5:
            raise ValueError(
                f"{self.name}: dropout must be at least 0 and below 0.5, not {dropout}"
            )
        rng = Random(seed, "weights")
        self.classes, self._half_life = classes or 10, half_life
        self.body = ConvFeatures(self.name, image_shape, widths, features, activation, dropout, rng)
        self.drop = Dropout(2 * dropout)
        self.head = Dense(features, self.classes, rng=rng)

    def check(self, x: TensorLike, target: TensorLike | None = None) -> None:
        """Raise TypeError or ValueError for samples or labels that the model was not made for."""
        super().check(x)
        if target is not None:
            check_labels(target, len(data_of(x)), self.classes)

    def features(self, x: TensorLike, *, rng: Random | None = None) -> Tensor:
        """The units before the last layer: (n, ...) -> (n, features)."""
        self.check(x)
        h: Tensor = self.body(x, rng=rng)
        return h

    def forward(self, x: TensorLike, *, rng: Random | None = None) -> Tensor:
        """Logits: (n, ...) -> (n, classes)."""
        logits: Tensor = self.head(self.drop(self.features(x, rng=rng), rng=rng))
        return logits

    def probabilities(self, x: TensorLike, *, rng: Random | None = None) -> Tensor:
        """The probability of each class: (n, ...) -> (n, classes)."""
        return ops.softmax(self(x, rng=rng))

    def classify(self, x: TensorLike) -> Array:
        """The most probable class: (n, ...) -> (n,) int64."""
        most: Array = self(x).numpy().argmax(axis=1)
        return most

    def loss(self, x: TensorLike, target: TensorLike | None = None, *, rng: Random) -> Tensor:
        """The cross-entropy of the labels, (n,) integers from 0 to classes - 1."""
        return ops.softmax_cross_entropy(self(x, rng=rng), self._labels(target))

    def measures(
        self, x: TensorLike, target: TensorLike | None = None, *, rng: Random
    ) -> dict[str, float]:
        """The loss, and the accuracy: the share of samples whose label is the most probable."""
        logits, labels = self(x, rng=rng), self._labels(target)
        right = logits.numpy().argmax(axis=1) == to_numpy(labels)
        loss = ops.softmax_cross_entropy(logits, labels).item()
        return {"loss": loss, "accuracy": float(right.mean())}

    def _labels(self, target: TensorLike | None) -> Any:
        if target is None:
            raise ValueError(f"{self.name} learns from labels: give one for each sample")
        return data_of(target)

    def stages(self, options: TrainingOptions) -> list[Stage]:
        """One stage, in which the learning rate halves again and again."""
        (stage,) = super().stages(options)
        return [halving_rate(stage, options, self._half_life)]


def halving_rate(
    stage: Stage, options: TrainingOptions, half_life: int | None, **changes: Any
) -> Stage:
    """The stage with a learning rate that halves after so many images, and other changes.

    That of an optimiser which was brought, and so is not among the options, is left alone.
    """
    rate = options.options.get("learning_rate")
    if half_life is not None and rate is not None:
        changes["schedules"] = {"learning_rate": exponential_decay(rate, 0.5, half_life)}
    return replace(stage, **changes)
