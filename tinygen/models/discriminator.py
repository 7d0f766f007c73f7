"""Generator and discriminator around the networks of a model: labels, packs, minibatch layers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from .. import ops
from ..core import Tensor, TensorLike, data_of
from ..nn import (
    Dense,
    Embedding,
    Flatten,
    MinibatchDiscrimination,
    MinibatchStdDev,
    Module,
    spectral_norm,
)
from ..nn.initializers import Initializer
from ..ops.random import Random
from .packing import pack
from .remedies import Remedies

CONDITIONING = ("concatenation", "projection")


class Generator(Module):
    """Generator: latents, and labels if there are any, to samples.

    Args:
        body: the network from (n, latents + units) to samples.
        classes: how many labels there are; 0 for none.
        units: length of the learned vector of a label, which follows the latents (Mirza &
            Osindero 2014).
        rng: where weights are drawn.
    """

    def __init__(self, body: Module, classes: int = 0, units: int = 0, *, rng: Random) -> None:
        self.label = Embedding(classes, units, rng=rng) if classes else None
        self.body = body

    def forward(self, z: TensorLike, label: Any = None, *, rng: Random | None = None) -> Tensor:
        """(n, latents), and labels (n,) -> samples."""
        if self.label is not None:
            z = ops.concatenate([z, self.label(label)], axis=1)
        y: Tensor = self.body(z, rng=rng)
        return y


class Judge(Module):
    """Base of discriminators: scores of packs of samples, with labels or without.

    s(x) = head(h), h = features(x); with a table of labels ("projection", Miyato & Koyama 2018)
    s(x, y) = head(h) + <e_y, h>. `pack` and `features` are those of each network.
    """

    head: Module
    label: Embedding | None

    def forward(self, x: TensorLike, label: Any = None, *, rng: Random | None = None) -> Tensor:
        """Samples (n, ...), and labels (n,) -> scores (n / m, 1)."""
        return self.score(self.pack(x), label, rng=rng)

    def pack(self, x: TensorLike) -> Tensor:
        """m samples that follow each other, side by side in the channels: (n, ...) -> (n / m, ...).

        Raises ValueError where m does not divide n.
        """
        raise NotImplementedError

    def score(self, packed: TensorLike, label: Any = None, *, rng: Random | None = None) -> Tensor:
        """The scores of packs as `pack` makes them, with the labels (n,) of their samples."""
        return self.judge(self.features(packed, label, rng=rng), label)

    def judge(self, h: TensorLike, label: Any = None) -> Tensor:
        """The scores of last features, (n / m, units), with the labels of their samples."""
        score: Tensor = self.head(h)
        if self.label is not None:
            score = score + ops.sum(self.label(label) * h, axis=1, keepdims=True)
        return score

    def features(
        self, packed: TensorLike, label: Any = None, *, rng: Random | None = None
    ) -> Tensor:
        """The last features, of which the score is a linear function: -> (n / m, units)."""
        raise NotImplementedError


class Discriminator(Judge):
    """Discriminator: a score, which is a logit, for each sample or each pack of samples.

    s(x) = head(h),  h = body(x);  with labels either x gets one more channel, a learned map of its
    label ("concatenation"), or s(x, y) = head(h) + <e_y, h> ("projection", Miyato & Koyama 2018).
    With packing, m samples lie side by side in the channels and get one score.

    Args:
        build: function of (channels) that gives the body for inputs of so many channels, and the
            shape of what it makes of a sample.
        shape: of a sample; the last axis is that of the channels, unless there are but two.
        remedies: of which packing, minibatch and spectral_norm are built in.
        classes: how many labels there are; 0 for none.
        conditioning: "concatenation" or "projection".
        initializer: of the head's weight.
        rng: where weights are drawn.
    """

    def __init__(
        self,
        build: Callable[[int], tuple[Module, Sequence[int]]],
        shape: Sequence[int],
        remedies: Remedies,
        *,
        classes: int = 0,
        conditioning: str = "concatenation",
        initializer: str | Initializer = "glorot_uniform",
        rng: Random,
    ) -> None:
        if conditioning not in CONDITIONING:
            raise ValueError(
                f"conditioning is one of {', '.join(CONDITIONING)}, not {conditioning!r}"
            )
        self.pack_size, self.classes = remedies.packing, classes
        self.shape = (*shape, 1) if len(shape) == 2 else tuple(shape)
        maps = bool(classes) and conditioning == "concatenation"
        self.body, made = build(self.pack_size * (self.shape[-1] + maps))
        units = math.prod(made)
        self.stddev = self.discrimination = None
        if remedies.minibatch == "stddev":
            self.stddev = MinibatchStdDev()
            units += math.prod(made[:-1])
        self.flatten = Flatten()
        if remedies.minibatch == "discrimination":
            self.discrimination = MinibatchDiscrimination(units, rng=rng)
            units += self.discrimination.kernels
        self.head = Dense(units, 1, initializer=initializer, rng=rng)
        self.map = self.label = None
        if maps:
            self.map = Embedding(classes, math.prod(self.shape[:-1]), rng=rng)
        elif classes:
            if self.pack_size > 1:
                raise ValueError(
                    "projection compares one label with one sample: packing must be 1, or "
                    "conditioning 'concatenation'"
                )
            self.label = Embedding(classes, units, rng=rng)
        if remedies.spectral_norm:
            spectral_norm(self)

    def pack(self, x: TensorLike) -> Tensor:
        """m samples that follow each other, side by side in the channels: (n, ...) -> (n / m, ...).

        Raises ValueError where m does not divide n.
        """
        given = data_of(x).shape
        if math.prod(given[1:]) != math.prod(self.shape):
            raise ValueError(
                f"the discriminator was made for samples of shape {self.shape}, not {given[1:]}"
            )
        return pack(ops.reshape(x, (given[0], *self.shape)), self.pack_size)

    def features(
        self, packed: TensorLike, label: Any = None, *, rng: Random | None = None
    ) -> Tensor:
        """The last features, of which the score is a linear function: -> (n / m, units)."""
        if self.map is not None:
            maps = ops.reshape(self.map(label), (-1, *self.shape[:-1], 1))
            packed = ops.concatenate([packed, pack(maps, self.pack_size)], axis=-1)
        h: Tensor = self.body(packed, rng=rng)
        if self.stddev is not None:
            h = self.stddev(h)
        h = self.flatten(h)
        return h if self.discrimination is None else self.discrimination(h)
