"""Growing networks (Karras et al. 2018): a generator and a discriminator of 4 x 4 pixels and up.

Both hold the layers of all levels, of which those up to the level of now are at work: 4 x 4 pixels
at level 0, twice the side at each further one. A level that is new is faded in: with alpha from 0,
where the networks are exactly those of the level below, to 1, where they are those of the level.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .. import ops
from ..core import Buffer, Tensor, TensorLike, data_of
from ..nn import Embedding, EqualizedConv2D, EqualizedDense, MinibatchStdDev, Module
from ..nn.equalized import GAIN
from ..nn.initializers import normal
from ..ops.random import Random
from .packing import pack

START = 4  # pixels of a side at level 0


def levels_of(image_shape: Sequence[int]) -> int:
    """How many levels there are from 4 x 4 pixels to images of that shape.

    Raises ValueError for images that are not square, or no power of two times the start.

    >>> levels_of((32, 32, 3))
    4
    """
    height, width = (*image_shape, 0, 0)[:2]
    levels = int(height // START).bit_length()
    if len(image_shape) not in (2, 3) or height != width or START << max(levels - 1, 0) != height:
        raise ValueError(
            f"growing networks make square images of {START}, {2 * START}, {4 * START} ... pixels "
            f"a side, not samples of shape {tuple(image_shape)}; tinygen.data.load crops and "
            "resizes images to size=, the shell to --size"
        )
    return levels


def channels_of(levels: int, width: int, maps: int) -> list[int]:
    """The channels of each level: maps / 2^(level + 1), at most `width`, at least 1.

    >>> channels_of(5, 512, 8192)  # the paper's, up to 64 x 64 pixels
    [512, 512, 512, 512, 256]
    """
    return [max(1, min(maps >> (level + 1), width)) for level in range(levels)]


class Growing(Module):
    """Base of networks that grow: the level of now, and how far it is faded in.

    Attributes:
        level: the highest that is at work.
        fading: whether the level below is mixed in.
        alpha: the share of the new level while fading.
    """

    def __init__(self, shape: Sequence[int]) -> None:
        self.levels = levels_of(shape)
        self.level, self.fading = self.levels - 1, False
        self.alpha = Buffer(np.ones((), np.float32))

    @property
    def side(self) -> int:
        """Pixels of a side at the level of now."""
        return START << self.level

    def grow(self, level: int, fading: bool) -> None:
        """Work at that level from now on; a level that fades in begins with an alpha of 0."""
        if not 0 <= level < self.levels:
            raise ValueError(f"levels go from 0 to {self.levels - 1}, not {level}")
        self.level, self.fading = level, fading and level > 0
        self.alpha.data[...] = 0.0 if self.fading else 1.0

    def mixed(self, old: Tensor, new: Tensor) -> Tensor:
        """(1 - alpha) old + alpha new."""
        return old * (1.0 - self.alpha) + new * self.alpha


class GrowingGenerator(Growing):
    """Generator of progressive growing: latents, and labels if there are any, to images.

    z, with the learned vector of the label behind it, is normalised; a dense layer makes 4 x 4
    maps; each level doubles their size and has two convolutions. After every activation comes pixel
    norm. A linear layer of 1 x 1 makes an image of the last maps.

    Args:
        latents: length of z.
        shape: of the images in the end.
        channels: of the maps at each level.
        activation: of all layers but the last.
        classes: how many labels there are; 0 for none.
        rng: where weights are drawn.
    """

    def __init__(
        self,
        latents: int,
        shape: Sequence[int],
        channels: Sequence[int],
        activation: ops.Activation,
        classes: int,
        rng: Random,
    ) -> None:
        super().__init__(shape)
        self.shape, first = tuple(shape), channels[0]
        self.label: Embedding | None = None
        if classes:
            self.label = Embedding(classes, latents, initializer=normal(1.0), rng=rng)
        inputs = latents * (2 if classes else 1)
        gain = GAIN / START  # the paper's, for maps of 4 x 4
        self.dense = EqualizedDense(inputs, START * START * first, activation, gain=gain, rng=rng)
        given: dict[str, Any] = {"activation": activation, "rng": rng}
        self.body = [[EqualizedConv2D(first, first, **given)]] + [
            [EqualizedConv2D(a, b, resample="up", **given), EqualizedConv2D(b, b, **given)]
            for a, b in pairwise(channels)
        ]
        colours = (*shape, 1)[2]
        self.to_rgb = [EqualizedConv2D(c, colours, 1, gain=1.0, rng=rng) for c in channels]

    def forward(self, z: TensorLike, label: Any = None, *, rng: Random | None = None) -> Tensor:
        """(n, latents), and labels (n,) -> images (n, side, side, ...) of the level of now."""
        if self.label is not None:
            z = ops.concatenate([z, self.label(label)], axis=1)
        x = self.dense(ops.pixel_norm(z))
        x = ops.pixel_norm(ops.reshape(x, (len(x.array), START, START, -1)))
        before = x
        for block in self.body[: self.level + 1]:
            before = x
            for layer in block:
                x = ops.pixel_norm(layer(x))
        y: Tensor = self.to_rgb[self.level](x)
        if self.fading:
            y = self.mixed(ops.upsample2d(self.to_rgb[self.level - 1](before)), y)
        return ops.reshape(y, y.shape[: len(self.shape) + 1])


class GrowingDiscriminator(Growing):
    """Discriminator of progressive growing: a score for each image, or each pack of images.

    The generator the other way round, without pixel norm: a layer of 1 x 1 from the image, at each
    level two convolutions and half the size; at 4 x 4 pixels a map of how much the samples of a
    batch differ, a convolution, a dense layer. The score is a linear function of that, plus
    <e_y, h> with labels (projection, Miyato & Koyama 2018).

    Args:
        shape: of the images in the end.
        channels: of the maps at each level.
        activation: of all layers but the last.
        pack_size: samples that are judged at once.
        stddev: whether the samples of a batch are compared.
        classes: how many labels there are; 0 for none.
        rng: where weights are drawn.
    """

    def __init__(
        self,
        shape: Sequence[int],
        channels: Sequence[int],
        activation: ops.Activation,
        pack_size: int,
        stddev: bool,
        classes: int,
        rng: Random,
    ) -> None:
        super().__init__(shape)
        self.pack_size, self.colours, first = pack_size, (*shape, 1)[2], channels[0]
        given: dict[str, Any] = {"activation": activation, "rng": rng}
        inputs = self.colours * pack_size
        self.from_rgb = [EqualizedConv2D(inputs, c, 1, **given) for c in channels]
        self.body = [
            [EqualizedConv2D(b, b, **given), EqualizedConv2D(b, a, resample="down", **given)]
            for a, b in pairwise(channels)
        ]
        self.stddev = MinibatchStdDev() if stddev else None
        self.last = EqualizedConv2D(first + stddev, first, **given)
        self.dense = EqualizedDense(START * START * first, first, activation, rng=rng)
        self.head = EqualizedDense(first, 1, gain=1.0, rng=rng)
        self.label = Embedding(classes, first, rng=rng) if classes else None

    def forward(self, x: TensorLike, label: Any = None, *, rng: Random | None = None) -> Tensor:
        """Images (n, side, side, ...), and labels (n,) -> scores (n / m, 1)."""
        return self.score(self.pack(x), label, rng=rng)

    def pack(self, x: TensorLike) -> Tensor:
        """m images that follow each other, side by side in the channels.

        Raises ValueError for images of another level, and where m does not divide n.
        """
        given = data_of(x).shape
        wanted = (self.side, self.side, self.colours)
        if given[1:3] != wanted[:2] or math.prod(given[1:]) != math.prod(wanted):
            raise ValueError(f"the discriminator is at a level of images {wanted}, not {given[1:]}")
        return pack(ops.reshape(x, (given[0], *wanted)), self.pack_size)

    def score(self, packed: TensorLike, label: Any = None, *, rng: Random | None = None) -> Tensor:
        """The scores of packs as `pack` makes them, with the labels (n,) of their samples."""
        return self.judge(self.features(packed, label, rng=rng), label)

    def judge(self, h: TensorLike, label: Any = None) -> Tensor:
        """The scores of last features, with the labels of their samples."""
        score: Tensor = self.head(h)
        if self.label is not None:
            score = score + ops.sum(self.label(label) * h, axis=1, keepdims=True)
        return score

    def features(
        self, packed: TensorLike, label: Any = None, *, rng: Random | None = None
    ) -> Tensor:
        """The last features, of which the score is a linear function: -> (n / m, channels)."""
        x: Tensor = self.from_rgb[self.level](packed)
        for level in range(self.level, 0, -1):
            for layer in self.body[level - 1]:
                x = layer(x)
            if level == self.level and self.fading:
                x = self.mixed(self.from_rgb[level - 1](ops.downsample2d(packed)), x)
        if self.stddev is not None:
            x = self.stddev(x)
        x = self.last(x)
        h: Tensor = self.dense(ops.reshape(x, (len(x.array), -1)))
        return h
