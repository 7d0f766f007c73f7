"""Architectures of generators and discriminators of images: plain convolutions, residual blocks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from .. import ops
from ..backend import resolve_padding
from ..core import Tensor, TensorLike
from ..nn import (
    Activation,
    AvgPool2D,
    BatchNorm,
    Conv2D,
    Conv2DTranspose,
    Dense,
    Dropout,
    Module,
    Reshape,
    Sequential,
    UpSampling2D,
)
from ..nn.initializers import Initializer
from ..ops.random import Random

NORMS = (None, "before", "after")
Map = tuple[int, int, int]


@dataclass(frozen=True)
class Convolutional:
    """Convolutions with stride 2 down to small maps, transposed ones up from them (DCGAN).

    Attributes:
        image_shape: (height, width) or (height, width, channels). Sides of any length go: where one
            cannot be halved, the map has one more.
        widths: channels of the discriminator's maps, the generator's the other way round.
        kernel: size of the kernels.
        activation: of the generator's layers but the last.
        discriminator_activation: of the discriminator's.
        output: of the generator's last layer.
        generator_norm: batch norm "before" or "after" the activations, or None.
        discriminator_norm: the same, but for the first layer.
        momentum: of batch norm's running moments.
        dropout: rate after each of the discriminator's activations.
        initializer: of weights.
        rng: where they are drawn.

    Raises ValueError for what is no image, or no place of a norm.
    """

    image_shape: Sequence[int]
    widths: Sequence[int]
    kernel: int
    activation: ops.Activation
    discriminator_activation: ops.Activation
    output: ops.Activation
    generator_norm: str | None
    discriminator_norm: str | None
    momentum: float
    dropout: float
    initializer: str | Initializer
    rng: Random

    def __post_init__(self) -> None:
        if len(self.image_shape) not in (2, 3):
            raise ValueError(
                "the model makes images (height, width) or (height, width, channels), not samples "
                f"of shape {tuple(self.image_shape)}"
            )
        for norm in (self.generator_norm, self.discriminator_norm):
            if norm not in NORMS:
                raise ValueError(f"batch norm is 'before', 'after' or null, not {norm!r}")

    def maps(self, channels: int | None = None) -> list[Map]:
        """The shapes of the maps from an image on, each half as large, rounded up."""
        height, width, own = (*self.image_shape, 1)[:3]
        maps = [(height, width, channels or own)]
        for outputs in self.widths:
            height, width = -(-height // 2), -(-width // 2)
            maps.append((height, width, outputs))
        return maps

    def features(self, channels: int) -> tuple[Module, Map]:
        """The discriminator's layers for so many channels, and the shape of the maps they make."""
        layers: list[Module] = []
        maps = self.maps(channels)
        for large, small in pairwise(maps):
            layer = self._layer(Conv2D, large[2], small[2], self.kernel, 2)
            norm = self.discriminator_norm if layers else None
            layers += self._block(layer, small[2], self.discriminator_activation, norm)
            if self.dropout:
                layers.append(Dropout(self.dropout))
        return Sequential(*layers), maps[-1]

    def generator(self, inputs: int) -> Module:
        """The generator's layers, from (n, inputs) to images."""
        maps, norm, size = self.maps()[::-1], self.generator_norm, (self.kernel, self.kernel)
        first = None if norm == "after" else self.activation  # the text's dense layer has none
        dense = self._layer(Dense, inputs, math.prod(maps[0]))
        dense_layer, *rest = self._block(dense, maps[0][2], first, norm)
        layers: list[Module] = [dense_layer, Reshape(*maps[0]), *rest]
        for small, large in pairwise(maps):
            pads = resolve_padding("same", large[:2], size, (2, 2), (1, 1))
            layer = self._layer(Conv2DTranspose, small[2], large[2], self.kernel, 2, pads)
            if large is maps[-1]:
                layers.append(layer(activation=self.output))
            else:
                layers += self._block(layer, large[2], self.activation, norm)
        return Sequential(*layers, Reshape(*self.image_shape))

    def _layer(self, kind: Callable[..., Module], *sizes: object) -> Callable[..., Module]:
        """A layer that still lacks what its block gives it."""
        return partial(kind, *sizes, initializer=self.initializer, rng=self.rng)

    def _block(
        self,
        layer: Callable[..., Module],
        channels: int,
        activation: ops.Activation,
        norm: str | None,
    ) -> list[Module]:
        """A layer and its activation, with batch norm before or after that.

        A layer right before batch norm has no bias, which the norm would take away.
        """
        if norm is None:
            return [layer(activation=activation)]
        if norm == "after":
            return [layer(activation=activation), BatchNorm(channels, momentum=self.momentum)]
        return [
            layer(bias=False),
            BatchNorm(channels, momentum=self.momentum),
            Activation(activation),
        ]


class Residual(Convolutional):
    """Residual blocks (He et al. 2016) down and up, as spectral normalisation was shown with.

    Each block of the discriminator halves the image by the mean of 2 x 2 pixels, each of the
    generator doubles it by repeating pixels; two more blocks follow in the discriminator, whose
    features are the sums of the last maps. Sides must be divisible by 2 as often as there are
    widths. Source: Miyato et al. 2018, the network for 32 x 32 pixels, and its code.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        factor = 2 ** len(self.widths)
        if any(side % factor for side in self.image_shape[:2]):
            raise ValueError(
                f"residual networks of {len(self.widths)} widths need sides divisible by {factor}, "
                f"not {tuple(self.image_shape[:2])}"
            )

    def features(self, channels: int) -> tuple[Module, tuple[int, ...]]:  # type: ignore[override]
        """The discriminator's blocks for inputs of so many channels, and how many features."""
        maps, last = self.maps(channels), self.widths[-1]
        blocks: list[Module] = [
            self._residual(large[2], small[2], "down", self.discriminator_activation, None)
            for large, small in pairwise(maps)
        ]
        blocks += [
            self._residual(last, last, None, self.discriminator_activation, None) for _ in range(2)
        ]
        return Sequential(*blocks, Activation(self.discriminator_activation), SumPool2D()), (last,)

    def generator(self, inputs: int) -> Module:
        """The generator's blocks, from (n, inputs) to images."""
        maps, norm = self.maps()[::-1], self.generator_norm
        layers: list[Module] = [
            self._layer(Dense, inputs, math.prod(maps[0]))(),
            Reshape(*maps[0]),
        ]
        width = maps[0][2]
        for _, _, outputs in [*maps[1:-1], (0, 0, maps[-2][2])]:
            layers.append(self._residual(width, outputs, "up", self.activation, norm))
            width = outputs
        layers += [
            *([BatchNorm(width, momentum=self.momentum)] if norm else []),
            Activation(self.activation),
        ]
        layers.append(self._layer(Conv2D, width, maps[-1][2], 3)(activation=self.output))
        return Sequential(*layers, Reshape(*self.image_shape))

    def _residual(
        self, inputs: int, outputs: int, way: str | None, f: ops.Activation, norm: str | None
    ) -> ResidualBlock:
        return ResidualBlock(
            inputs,
            outputs,
            way,
            f,
            bool(norm),
            self.momentum,
            initializer=self.initializer,
            rng=self.rng,
        )


class ResidualBlock(Module):
    """y = x' + conv(f(norm(conv(f(norm(x))')))), where ' doubles or halves the size.

    Args:
        inputs, outputs: channels; a 1 x 1 convolution leads round where they differ.
        way: "up" repeats pixels before the first convolution, "down" takes means of 2 x 2 after the
            second, None keeps the size.
        activation: f.
        norm: whether there is batch norm.
        momentum: of it.
        initializer: of weights.
        rng: where they are drawn.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        way: str | None,
        activation: ops.Activation,
        norm: bool,
        momentum: float,
        *,
        initializer: str | Initializer,
        rng: Random,
    ) -> None:
        up: list[Module] = [UpSampling2D(2)] if way == "up" else []
        down: list[Module] = [AvgPool2D(2)] if way == "down" else []
        layer = partial(Conv2D, initializer=initializer, rng=rng)
        self.long = Sequential(
            *([BatchNorm(inputs, momentum=momentum)] if norm else []),
            Activation(activation),
            *up,
            layer(inputs, outputs, 3, bias=not norm),
            *([BatchNorm(outputs, momentum=momentum)] if norm else []),
            Activation(activation),
            layer(outputs, outputs, 3),
            *down,
        )
        same = inputs == outputs and way is None
        self.short = Sequential(*up, *([] if same else [layer(inputs, outputs, 1)]), *down)

    def forward(self, x: TensorLike, *, rng: Random | None = None) -> Tensor:
        """(n, h, w, inputs) -> (n, h', w', outputs)."""
        long, short = self.long(x, rng=rng), self.short(x)
        y: Tensor = long + short
        return y


class SumPool2D(Module):
    """The sum over each map: (n, h, w, c) -> (n, c)."""

    def forward(self, x: TensorLike) -> Tensor:
        """The sums."""
        return ops.sum(x, axis=(1, 2))
