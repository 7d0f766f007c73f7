"""Discriminators of progressive growing and of StyleGAN2 (Karras et al. 2018, 2020)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from .. import ops
from ..core import Tensor, TensorLike, data_of
from ..nn import Embedding, EqualizedConv2D, EqualizedDense, MinibatchStdDev
from ..ops.random import Random
from .discriminator import Judge
from .growing import START, Growing
from .packing import pack


class GrowingDiscriminator(Growing, Judge):
    """Discriminator of progressive growing: a score for each image, or each pack of images.

    The generator the other way round, without pixel norm: a layer of 1 x 1 from the image, at each
    level two convolutions and half the size; at 4 x 4 pixels a map of how much the samples of a
    batch differ, a convolution, a dense layer. The score is a linear function of that, plus
    <e_y, h> with labels (projection, Miyato & Koyama 2018).

    Args:
        shape: of the images in the end.
        channels: of the maps at each level.
        activation: of all layers but the last.
        blur: whether maps are filtered by [1, 2, 1] before they are halved.
        pack_size: samples that are judged at once.
        stddev: whether the samples of a batch are compared.
        classes: how many labels there are; 0 for none.
        rng: where weights are drawn.
        residual: whether the maps of each level, halved and through a layer of 1 x 1, are added to
            what its two convolutions make of them, and the sum divided by sqrt 2, so that its
            variance stays (StyleGAN2, Karras et al. 2020).
    """

    def __init__(
        self,
        shape: Sequence[int],
        channels: Sequence[int],
        activation: ops.Activation,
        blur: bool,
        pack_size: int,
        stddev: bool,
        classes: int,
        rng: Random,
        residual: bool = False,
    ) -> None:
        Growing.__init__(self, shape)
        self.pack_size, self.colours, first = pack_size, (*shape, 1)[2], channels[0]
        given: dict[str, Any] = {"activation": activation, "rng": rng}
        inputs = self.colours * pack_size
        self.from_rgb = [EqualizedConv2D(inputs, c, 1, **given) for c in channels]
        self.body = [
            [
                EqualizedConv2D(b, b, **given),
                EqualizedConv2D(b, a, resample="down", blur=blur, **given),
            ]
            for a, b in pairwise(channels)
        ]
        self.past: list[EqualizedConv2D] = []
        if residual:
            plain: dict[str, Any] = {"resample": "down", "blur": blur, "bias": False, "gain": 1.0}
            self.past = [EqualizedConv2D(b, a, 1, rng=rng, **plain) for a, b in pairwise(channels)]
        self.stddev = MinibatchStdDev() if stddev else None
        self.last = EqualizedConv2D(first + stddev, first, **given)
        self.dense = EqualizedDense(START * START * first, first, activation, rng=rng)
        self.head = EqualizedDense(first, 1, gain=1.0, rng=rng)
        self.label = Embedding(classes, first, rng=rng) if classes else None

    def pack(self, x: TensorLike) -> Tensor:
        """m images that follow each other, side by side in the channels.

        Raises ValueError for images of another level, and where m does not divide n.
        """
        given = data_of(x).shape
        wanted = (self.side, self.side, self.colours)
        if given[1:3] != wanted[:2] or math.prod(given[1:]) != math.prod(wanted):
            raise ValueError(f"the discriminator is at a level of images {wanted}, not {given[1:]}")
        return pack(ops.reshape(x, (given[0], *wanted)), self.pack_size)

    def _halved(self, x: Tensor, level: int) -> Tensor:
        """The maps of a level -> those of the level below."""
        y = x
        for layer in self.body[level - 1]:
            y = layer(y)
        if not self.past:
            return y
        past: Tensor = self.past[level - 1](x)
        return (y + past) * math.sqrt(0.5)

    def features(
        self, packed: TensorLike, label: Any = None, *, rng: Random | None = None
    ) -> Tensor:
        """The last features, of which the score is a linear function: -> (n / m, channels)."""
        x: Tensor = self.from_rgb[self.level](packed)
        for level in range(self.level, 0, -1):
            x = self._halved(x, level)
            if level == self.level and self.fading:
                x = self.mixed(self.from_rgb[level - 1](ops.downsample2d(packed)), x)
        if self.stddev is not None:
            x = self.stddev(x)
        x = self.last(x)
        h: Tensor = self.dense(ops.reshape(x, (len(x.array), -1)))
        return h
