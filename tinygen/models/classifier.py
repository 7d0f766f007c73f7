"""The classifier, whose features and probabilities samples are judged by."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .. import ops
from ..core import Tensor, TensorLike, data_of
from ..nn import Conv2D, Dense, Dropout, Flatten, MaxPool2D, Module, Reshape, Sequential
from ..ops.random import Random
from .base import Model
from .labels import check_labels
from .stages import Recipe


class Classifier(Model):
    """Convolutional classifier of images: 3 x 3 convolutions and pooling, two dense layers.

    Args:
        image_shape: shape of an image, pixels in [0, 1]: (height, width) or (height, width,
            channels), each side at least 2 to the power of the number of widths.
        classes: how many labels there are, from 0 on; None for as many as the data has.
        widths: channels of the convolutions, each of which pooling follows.
        features: units of the layer before the last.
        dropout: rate on the last maps, and twice that on the features.
        seed: of the initial weights.
    """

    name = "classifier"
    labelled = True
    figures = ("confusion", "errors", "curves")
    recipes = {"usual": Recipe("fashion-mnist", 8, 128, "adam")}

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
        classes: int | None = None,
        widths: Sequence[int] = (32, 64),
        features: int = 128,
        dropout: float = 0.25,
        seed: int = 0,
    ) -> None:
        if len(image_shape) not in (2, 3):
            raise ValueError(f"{self.name}: takes images, not samples of {tuple(image_shape)}")
        if not 0 <= dropout < 0.5:
            raise ValueError(f"{self.name}: dropout must be from 0 to below 0.5, not {dropout}")
        height, width, channels = (*image_shape, 1)[:3]
        rows, columns = (side // 2 ** len(widths) for side in (height, width))
        if not rows * columns:
            raise ValueError(
                f"{self.name}: {height} x {width} pixels cannot be halved {len(widths)} times; "
                "take fewer widths"
            )
        self.classes, rng = classes or 10, Random(seed, "weights")
        layers: list[Module] = [Reshape(height, width, channels)]
        for inputs, outputs in pairwise([channels, *widths]):
            layers += [Conv2D(inputs, outputs, 3, activation="relu", rng=rng), MaxPool2D(2)]
        units = rows * columns * ([channels, *widths][-1])
        self.body = Sequential(
            *layers,
            Flatten(),
            Dropout(dropout),
            Dense(units, features, activation="relu", rng=rng),
        )
        self.drop = Dropout(2 * dropout)
        self.head = Dense(features, self.classes, rng=rng)

    def check(self, x: TensorLike, target: TensorLike | None = None) -> None:
        """Raise TypeError or ValueError for samples, or labels, that the model was not made for."""
        super().check(x)
        if target is not None:
            check_labels(target, len(data_of(x)), self.classes)

    def features(self, x: TensorLike, *, rng: Random | None = None) -> Tensor:
        """The units of the layer before the last: (n, ...) -> (n, features)."""
        self.check(x)
        h: Tensor = self.body(x, rng=rng)
        return h

    def forward(self, x: TensorLike, *, rng: Random | None = None) -> Tensor:
        """Logits: (n, ...) -> (n, classes)."""
        logits: Tensor = self.head(self.drop(self.features(x, rng=rng), rng=rng))
        return logits

    def probabilities(self, x: TensorLike) -> Tensor:
        """The probability of each class: (n, ...) -> (n, classes)."""
        return ops.softmax(self(x))

    def classify(self, x: TensorLike) -> np.ndarray[Any, np.dtype[Any]]:
        """The most probable class: (n, ...) -> (n,) integers."""
        found: np.ndarray[Any, np.dtype[Any]] = self(x).numpy().argmax(axis=1)
        return found

    def loss(self, x: TensorLike, target: TensorLike | None = None, *, rng: Random) -> Tensor:
        """The cross-entropy of the labels."""
        return ops.softmax_cross_entropy(self(x, rng=rng), self._labels(target))

    def measures(
        self, x: TensorLike, target: TensorLike | None = None, *, rng: Random
    ) -> dict[str, float]:
        """The loss, and the accuracy: the share of labels that are the most probable."""
        logits, labels = self(x, rng=rng), self._labels(target)
        right = logits.detach().numpy().argmax(axis=1) == Tensor(labels).numpy()
        loss = ops.softmax_cross_entropy(logits, labels).item()
        return {"loss": loss, "accuracy": float(right.mean())}

    def _labels(self, target: TensorLike | None) -> Any:
        if target is None:
            raise ValueError(f"{self.name} needs a label for each sample")
        return data_of(target)
