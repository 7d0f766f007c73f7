"""The regressor of what faces were drawn from: smile, age, pose, glasses and all else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array, to_numpy
from ..core import Tensor, TensorLike, data_of
from ..data.factors import Factor, chosen_factors
from ..nn import Dense, Dropout
from ..ops.random import Random
from .base import Model
from .classifier import ConvFeatures, halving_rate
from .stages import Recipe, Stage, TrainingOptions


class Regressor(Model):
    """Convolutional regressor of the factors that images were drawn from.

    images -> features -> a number for each continuous factor, logits for each category.

    loss = mean over the factors of the squared error of a number, divided by the variance of the
    factor, or of the cross-entropy of a category, divided by the logarithm of how many there are:
    to know nothing costs about 1 each.

    Args:
        image_shape: shape of an image, pixels in [0, 1]: (height, width) or (height, width,
            channels).
        factors: names of what to find out, of those in tinygen.data.factors; empty for all.
        widths: channels after each convolution, which pooling follows; by default 32, 64, ...
            until no side of the maps is longer than 8.
        features: units of the layer before the last.
        activation: of all layers but the last.
        dropout: rate on the last maps and on the features.
        half_life: images after which the learning rate has halved; None for a constant one.
        seed: of the initial weights.
    """

    name = "regressor"
    factored = True
    figures = ("factors", "curves")
    recipes = {"text": Recipe(data="faces", epochs=40, batch_size=64, optimizer="adam", size=32,
                              channels=3, options={"learning_rate": 2e-3})}  # fmt: skip

    def __init__(
        self,
        image_shape: Sequence[int] = (32, 32, 3),
        factors: Sequence[str] = (),
        widths: Sequence[int] | None = None,
        features: int = 128,
        activation: ops.Activation = "relu",
        dropout: float = 0.1,
        half_life: int | None = 120_000,
        seed: int = 0,
    ) -> None:
        if not 0 <= dropout < 1:
            raise ValueError(f"{self.name}: dropout must be at least 0 and below 1, not {dropout}")
        rng = Random(seed, "weights")
        self.factors, self._half_life = chosen_factors(factors), half_life
        self.body = ConvFeatures(self.name, image_shape, widths, features, activation, dropout, rng)
        self.drop = Dropout(dropout)
        outputs = [len(factor.values) or 1 for factor in self.factors]
        ends = np.cumsum(outputs).tolist()
        self.places = [slice(end - n, end) for n, end in zip(outputs, ends, strict=True)]
        self.head = Dense(features, ends[-1], rng=rng)

    def check(self, x: TensorLike, target: TensorLike | None = None) -> None:
        """Raise TypeError or ValueError for samples or factors that the model was not made for."""
        super().check(x)
        if target is None:
            return
        table = to_numpy(data_of(target))
        wanted = (len(data_of(x)), len(self.factors))
        if table.shape != wanted:
            raise ValueError(
                f"{self.name}: the factors must be an array {wanted}, samples and factors, not "
                f"{table.shape}; see tinygen.data.factors.factor_table"
            )
        for factor, values in zip(self.factors, table.T, strict=True):
            if factor.kind == "category" and (values == np.round(values)).all():
                values = values.astype(np.int64)
            factor.check(values)

    def features(self, x: TensorLike, *, rng: Random | None = None) -> Tensor:
        """The units before the last layer: (n, ...) -> (n, features)."""
        self.check(x)
        h: Tensor = self.body(x, rng=rng)
        return h

    def forward(self, x: TensorLike, *, rng: Random | None = None) -> Tensor:
        """Numbers in [-1, 1] and logits of all factors, side by side: (n, ...) -> (n, outputs)."""
        y: Tensor = self.head(self.drop(self.features(x, rng=rng), rng=rng))
        return y

    def predict(self, x: TensorLike) -> dict[str, Array]:
        """The factors of images by name, as `faces` gives them: indices (int64) and numbers, (n,).

        Numbers are kept within the range of the factor.
        """
        y: Array = self(x).numpy()
        found: dict[str, Array] = {}
        for factor, place in zip(self.factors, self.places, strict=True):
            if factor.kind == "category":
                found[factor.name] = y[:, place].argmax(axis=1)
            else:
                middle, half = _scale(factor)
                numbers: Array = np.clip(y[:, place.start], -1, 1)
                found[factor.name] = middle + half * numbers
        return found

    def loss(self, x: TensorLike, target: TensorLike | None = None, *, rng: Random) -> Tensor:
        """The mean over the factors of what is not known of them; targets (n, factors)."""
        y, table = self(x, rng=rng), self._table(target)
        losses = []
        for i, (factor, place) in enumerate(zip(self.factors, self.places, strict=True)):
            if factor.kind == "category":
                labels = table[:, i].astype(np.int64)
                entropy = ops.softmax_cross_entropy(y[:, place], labels)
                losses.append(entropy / np.log(len(factor.values)))
            else:
                middle, half = _scale(factor)
                goal = ((table[:, i] - middle) / half).astype(y.dtype)
                losses.append(3.0 * ops.mse(y[:, place.start], goal))
        return ops.mean(ops.stack(losses))

    def measures(
        self, x: TensorLike, target: TensorLike | None = None, *, rng: Random
    ) -> dict[str, float]:
        """The loss, the means of the others, and of each factor "NAME_r2" or "NAME_accuracy".

        R2 is 1 - mean squared error / variance, where the variance is that of the uniform law from
        which the factor is drawn: so it is a mean over samples. Accuracy is the share of
        categories that are found.
        """
        table, found = to_numpy(self._table(target)), self.predict(x)
        figures: dict[str, float] = {}
        for i, factor in enumerate(self.factors):
            values, guess = table[:, i], found[factor.name]
            if factor.kind == "category":
                figures[f"{factor.name}_accuracy"] = float((guess == values).mean())
            else:
                error = np.square(guess - values, dtype=np.float64).mean()
                figures[f"{factor.name}_r2"] = float(1 - 3 * error / _scale(factor)[1] ** 2)
        means = {
            kind: float(np.mean(own))
            for kind in ("r2", "accuracy")
            if (own := [v for k, v in figures.items() if k.endswith(kind)])
        }
        return {"loss": self.loss(x, target, rng=rng).item(), **means, **figures}

    def _means(self, *batch: Any, rng: Random) -> dict[str, float]:
        """The loss and the two means, which are enough to follow training by."""
        figures = self.measures(*batch, rng=rng)
        return {name: figures[name] for name in ("loss", "r2", "accuracy") if name in figures}

    def _table(self, target: TensorLike | None) -> Any:
        if target is None:
            raise ValueError(f"{self.name} learns factors: give those of each sample")
        return data_of(target)

    def stages(self, options: TrainingOptions) -> list[Stage]:
        """One stage, in which the learning rate halves again and again."""
        (stage,) = super().stages(options)
        return [halving_rate(stage, options, self._half_life, measures=self._means)]


def _scale(factor: Factor) -> tuple[float, float]:
    """The middle of the range of a continuous factor, and half its width."""
    return (factor.low + factor.high) / 2, (factor.high - factor.low) / 2
