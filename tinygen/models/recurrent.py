"""Recurrent autoencoders: a sequence to one vector, and back; with masks for unequal lengths."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from .. import ops
from ..backend import Array, to_numpy
from ..core import Tensor, TensorLike, data_of
from ..data.sequences import real_steps
from ..names import nearest
from ..nn import GRU, LSTM, Dense, Module, RepeatVector, Sequential, TimeDistributed
from ..ops.random import Random
from .base import Autoencoder
from .stacked import KERAS_2, reconstruction_loss
from .stages import Recipe

KINDS = ("images", "series", "characters")
NUMBERS = {"output": "identity", "loss": "mse"}
CHARACTERS = {"output": "softmax", "loss": "softmax_cross_entropy", "codings": 100}
CALM = {"learning_rate": 0.003, "clip_norm": 0.3}


class RecurrentAutoencoder(Autoencoder):
    """LSTMs whose last state is the code of a sequence, and LSTMs that see it at every step.

    An image is the sequence of its rows, a series (steps, features), a text (steps, characters)
    with 1 for the character of a step and else 0. A sequence shorter than others has NaN after its
    last step (see tinygen.data.pad_sequences): there the state stays as it was, so the code is that
    of the last real step, nothing counts in the loss, and reconstructions are NaN again. The loss
    is the mean over sequences of the mean over the steps of each.

    Args:
        image_shape: (steps, features), steps of the longest sequence; or (height, width, channels).
        widths: units of the layers between the sequence and the codings.
        codings: units of the layer whose last state is the code.
        output: activation at the end: "sigmoid" for pixels in [0, 1], "identity" for any numbers,
            "softmax" for the probabilities of characters.
        loss: "binary_cross_entropy" for a sigmoid, "mse", "softmax_cross_entropy" for softmax.
        kind: what samples are: "images", "series" or "characters"; pictures show them as such.
        alphabet: the characters in the order of the features.
        seed: of the initial weights.

    Source: Srivastava, Mansimov & Salakhutdinov 2015; Géron, chapter 17.
    """

    name = "recurrent-ae"
    recipes = {
        "text": Recipe(epochs=10, options={"learning_rate": 0.1}),
        "ed3": Recipe(optimizer="nadam", options=KERAS_2, config=NUMBERS),
        "series": Recipe("series", 20, 32, "nadam", CALM, None, None, config=NUMBERS),
        "characters": Recipe(".txt", 40, 32, "nadam", CALM, None, None, config=CHARACTERS),
    }
    kinds = ("images", "series", "characters")
    padded = True
    encoder: Sequential
    decoder: Sequential
    layer: ClassVar[Callable[..., Module]] = LSTM

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
        widths: Sequence[int] = (100,),
        codings: int = 30,
        output: ops.Activation = "sigmoid",
        loss: str = "binary_cross_entropy",
        kind: str = "images",
        alphabet: str = "",
        seed: int = 0,
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"{self.name}: unknown kind {kind!r}{nearest(kind, KINDS)}")
        text = kind == "characters"
        signs = output == "softmax", loss == "softmax_cross_entropy", bool(alphabet)
        if any(sign != text for sign in signs):
            raise ValueError(
                f"{self.name}: characters need output 'softmax', loss 'softmax_cross_entropy' and "
                "an alphabet, and nothing else does (--preset characters --data FILE.txt); got "
                f"kind {kind!r}, output {output!r}, loss {loss!r} and {len(alphabet)} characters"
            )
        if not widths:
            raise ValueError(f"{self.name}: needs at least one width, or the decoder has no layer")
        if len(image_shape) < 2 or (text and len(alphabet) != image_shape[1]):
            raise ValueError(
                f"{self.name}: image_shape must be (steps, features), or (steps, {len(alphabet)}) "
                f"with such an alphabet, not {tuple(image_shape)}"
            )
        rng = Random(seed, "weights")
        self.kind, self.alphabet, self.image_shape = kind, alphabet, tuple(image_shape)
        steps, features = image_shape[0], math.prod(image_shape[1:])
        sizes = [features, *widths, codings]
        down = [
            self.layer(inputs, units, return_sequences=i < len(widths), rng=rng)
            for i, (inputs, units) in enumerate(pairwise(sizes))
        ]
        up = [
            self.layer(inputs, units, return_sequences=True, rng=rng)
            for inputs, units in pairwise(sizes[:0:-1])
        ]
        last = Dense(sizes[1], features, None if text else output, rng=rng)
        super().__init__(
            Sequential(*down),
            Sequential(RepeatVector(steps), *up, TimeDistributed(last)),
            ops.softmax_cross_entropy if text else reconstruction_loss(self.name, loss, output),
        )

    def encode(self, x: TensorLike, *, rng: Random | None = None) -> Tensor:
        """The codings of sequences: (n, steps, features) -> (n, codings)."""
        return through(self.encoder, *self._rows(x))

    def decode(self, codings: TensorLike, *, rng: Random | None = None) -> Tensor:
        """Sequences of full length: (n, codings) -> (n, steps, features); text as probabilities."""
        return self._shown(through(self.decoder, codings, None))

    def reconstruct(self, x: TensorLike, *, rng: Random | None = None) -> Tensor:
        """decode(encode(x)), and NaN where x has no steps."""
        rows, real = self._rows(x)
        y = self._shown(through(self.decoder, through(self.encoder, rows, real), real))
        if real is None:
            return y
        return ops.where(real.reshape(*real.shape, *[1] * (len(y.shape) - 2)), y, np.nan)

    forward = reconstruct

    def loss(self, x: TensorLike, target: TensorLike | None = None, *, rng: Random) -> Tensor:
        """The reconstruction loss, against x itself if there is no other target."""
        return self._distance(*self._compared(x, target))

    def measures(
        self, x: TensorLike, target: TensorLike | None = None, *, rng: Random
    ) -> dict[str, float]:
        """The loss; of characters the accuracy, of pixels the rounded accuracy."""
        y, goal, real = self._compared(x, target)
        figures = {"loss": self._distance(y, goal, real).item()}
        made, wanted = y.numpy(), to_numpy(data_of(goal))
        real = None if real is None else to_numpy(real)
        if self.kind == "characters":
            right = (made.argmax(axis=2) == wanted.argmax(axis=2)).astype(float)
            figures["accuracy"] = float(mean_over_steps(right, real))
        elif self.kind == "images" and wanted.min() >= 0 and wanted.max() <= 1:
            right = (np.round(made) == np.round(wanted)).mean(axis=2)
            figures["rounded_accuracy"] = float(mean_over_steps(right, real))
        return figures

    def _rows(self, x: TensorLike) -> tuple[TensorLike, Array | None]:
        """Samples as (n, steps, features), 0 where they have no steps; and where they have."""
        self.check(x)
        real = real_steps(data_of(x))
        if data_of(x).ndim > 3:
            x = ops.reshape(x, (*data_of(x).shape[:2], -1))
        return (x if real is None else ops.where(real[..., None], x, 0.0)), real

    def _shown(self, y: Tensor) -> Tensor:
        """What the decoder made, as samples are."""
        if self.kind == "characters":
            y = ops.softmax(y)
        return ops.reshape(y, (y.shape[0], *self.image_shape))

    def _compared(
        self, x: TensorLike, target: TensorLike | None
    ) -> tuple[Tensor, TensorLike, Array | None]:
        """Reconstructions and targets, (n, steps, features), and where there are steps."""
        rows, real = self._rows(x)
        goal, known = (rows, real) if target is None else self._rows(target)
        if known is not real and not _alike(real, known):
            raise ValueError(f"{self.name}: x and its targets have different lengths")
        return through(self.decoder, through(self.encoder, rows, real), real), goal, real

    def _distance(self, y: Tensor, goal: TensorLike, real: Array | None) -> Tensor:
        """The loss, to which only real steps contribute."""
        if real is None:
            return self.criterion(y, goal)
        losses = self.criterion(y, goal, reduction="none")
        loss: Tensor = mean_over_steps(
            losses if self.kind == "characters" else losses.mean(axis=2), real
        )
        return loss


class GRUAutoencoder(RecurrentAutoencoder):
    """Gated recurrent units in place of LSTMs (Cho et al. 2014), with the same arguments."""

    name = "gru-ae"
    layer = GRU


def _alike(real: Array | None, known: Array | None) -> bool:
    """Whether the steps of two batches are the same."""
    if real is None or known is None:
        return real is known
    return np.array_equal(to_numpy(real), to_numpy(known))


def through(layers: Sequential, x: TensorLike, real: Array | None) -> Tensor:
    """Through all layers in order, of which the recurrent ones skip steps that are not real."""
    for layer in layers:
        x = layer(x, mask=real) if isinstance(layer, (LSTM, GRU)) else layer(x)
    assert isinstance(x, Tensor)
    return x


def mean_over_steps(values: Any, real: Array | None) -> Any:
    """The mean over sequences of the mean over the real steps of each; values are (n, steps)."""
    if real is None:
        return values.mean()
    share = real / real.sum(axis=1, keepdims=True) / len(real)
    return (values * share.astype(values.dtype)).sum()
