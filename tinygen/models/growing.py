"""Growing networks (Karras et al. 2018): their levels, and the generator of 4 x 4 pixels and up.

Generator and discriminator hold the layers of all levels, of which those up to the level of now are
at work: 4 x 4 pixels at level 0, twice the side at each further one. A level that is new is faded
in: with alpha from 0, where the networks are exactly those of the level below, to 1, where they are
those of the level.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from .. import ops
from ..core import Buffer, Tensor, TensorLike
from ..nn import EqualizedConv2D, EqualizedDense, MappingNetwork, Module
from ..nn.equalized import GAIN
from ..ops.random import Random

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


def level_of(side: int, levels: int) -> int:
    """The level of images of `side` pixels, of so many levels there are.

    >>> level_of(8, levels=4)
    1
    """
    known = [START << level for level in range(levels)]
    if side not in known:
        raise ValueError(f"start is one of {', '.join(map(str, known))}, or None, not {side!r}")
    return known.index(side)


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
        blur: whether maps that were enlarged are filtered by [1, 2, 1].
        classes: how many labels there are; 0 for none.
        rng: where weights are drawn.
    """

    def __init__(
        self,
        latents: int,
        shape: Sequence[int],
        channels: Sequence[int],
        activation: ops.Activation,
        blur: bool,
        classes: int,
        rng: Random,
    ) -> None:
        super().__init__(shape)
        self.shape, first = tuple(shape), channels[0]
        self.mapping = MappingNetwork(latents, layers=0, classes=classes, rng=rng)
        gain = GAIN / START  # the paper's, for maps of 4 x 4
        self.dense = EqualizedDense(
            self.mapping.styles, START * START * first, activation, gain=gain, rng=rng
        )
        given: dict[str, Any] = {"activation": activation, "rng": rng}
        self.body = [[EqualizedConv2D(first, first, **given)]] + [
            [
                EqualizedConv2D(a, b, resample="up", blur=blur, **given),
                EqualizedConv2D(b, b, **given),
            ]
            for a, b in pairwise(channels)
        ]
        colours = (*shape, 1)[2]
        self.to_rgb = [EqualizedConv2D(c, colours, 1, gain=1.0, rng=rng) for c in channels]

    def forward(self, z: TensorLike, label: Any = None, *, rng: Random | None = None) -> Tensor:
        """(n, latents), and labels (n,) -> images (n, side, side, ...) of the level of now."""
        return self.synthesis(self.map(z, label), rng=rng)

    def map(self, z: TensorLike, label: Any = None) -> Tensor:
        """z, with the vector of the label behind it, of mean square 1."""
        w: Tensor = self.mapping(z, label)
        return w

    def synthesis(self, w: TensorLike, *, rng: Random | None = None) -> Tensor:
        """What `map` makes of latents -> images of the level of now."""
        x = self.dense(w)
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
