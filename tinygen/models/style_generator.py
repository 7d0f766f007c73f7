"""Style-based generators (Karras et al. 2019, 2020): mapping network, styled layers, synthesis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .. import ops
from ..backend import beside
from ..core import Buffer, Parameter, Tensor, TensorLike, data_of
from ..nn import (
    EqualizedConv2D,
    EqualizedDense,
    MappingNetwork,
    ModulatedConv2D,
    Module,
    NoiseInjection,
)
from ..nn.equalized import GAIN
from ..ops.random import Random
from .growing import START, Growing

STYLES = ("adain", "modulation")
NETWORKS = ("growing", "skip")


@dataclass(frozen=True)
class StyleOptions:
    """The parts of a style-based generator.

    Attributes:
        styles: length of w; None for that of z.
        mapping_layers: of the mapping network; 0 for w = z, normalised.
        multiplier: of the mapping's learning rate.
        style: how w acts: "adain", as in StyleGAN, or "modulation" of the weights, as in StyleGAN2.
        network: "growing", where the image is made of the last maps, or "skip", where every level
            adds its own (StyleGAN2).
        constant: whether synthesis begins with learned maps, and not with a dense layer of w.
        layer_noise: whether each layer has noise.
        blur: whether maps that were enlarged are smoothed.
    """

    styles: int | None = None
    mapping_layers: int = 8
    multiplier: float = 0.01
    style: str = "adain"
    network: str = "growing"
    constant: bool = True
    layer_noise: bool = True
    blur: bool = True

    def __post_init__(self) -> None:
        for name, known in (("style", STYLES), ("network", NETWORKS)):
            if (given := getattr(self, name)) not in known:
                raise ValueError(f"{name} is one of {', '.join(known)}, not {given!r}")
        if self.style == "modulation" and not (self.constant and self.blur):
            raise ValueError("style 'modulation' goes with constant and blur")


class NoisyLayer(Module):
    """Base of layers with a style: noise, bias and activation of what a convolution makes.

    Args:
        outputs: channels.
        side: pixels of a side.
        layer_noise: whether there is noise.
        activation: a name, or a pair of name and parameter.
        gain: factor of noise and bias.
        rng: where the fixed noise is drawn.
    """

    def __init__(
        self,
        outputs: int,
        side: int,
        layer_noise: bool,
        activation: ops.Activation,
        gain: float,
        rng: Random,
    ) -> None:
        self.activation, self.gain = activation, gain
        self.bias = Parameter(np.zeros((outputs,), np.float32))
        self.noise = NoiseInjection(outputs) if layer_noise else None
        self.fixed = Buffer(rng.on("cpu").normal((1, side, side, 1)))

    def activated(self, y: Tensor, noise: TensorLike) -> Tensor:
        """Maps (n, h, w, outputs) with noise (n or 1, h, w, 1) and bias, then the activation."""
        bias: Tensor = self.bias
        if self.gain != 1.0:
            noise, bias = ops.multiply(noise, self.gain), bias * self.gain
        if self.noise is not None:
            y = self.noise(y, noise)
        return ops.activate(y + bias, self.activation)


class StyledLayer(NoisyLayer):
    """Layer of StyleGAN: convolution, noise, bias, activation, adaptive instance norm.

    Args:
        inputs: channels; 0 for the first layer, which has no convolution.
        outputs: channels.
        side: pixels of a side of what goes out.
        upsample: twice as many pixels as come in.
        styles: length of a style.
        options: of the generator.
        activation: of the layer.
        rng: where weights are drawn, and the fixed noise.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int,
        upsample: bool,
        styles: int,
        options: StyleOptions,
        activation: ops.Activation,
        rng: Random,
    ) -> None:
        self.conv: EqualizedConv2D | None = None
        if inputs:
            way, blur = ("up", options.blur) if upsample else (None, False)
            self.conv = EqualizedConv2D(
                inputs, outputs, resample=way, blur=blur, bias=False, rng=rng
            )
        super().__init__(outputs, side, options.layer_noise, activation, 1.0, rng)
        self.style = EqualizedDense(styles, 2 * outputs, gain=1.0, rng=rng)

    def forward(self, x: Tensor, w: TensorLike, noise: TensorLike) -> Tensor:
        """Maps (n, h, w, inputs), styles (n, styles), noise (n, h', w', 1) -> the layer's maps."""
        y = self.activated(x if self.conv is None else self.conv(x), noise)
        scale, shift = ops.split(self.style(w), 2, axis=1)
        return ops.adain(y, scale + 1.0, shift)


class ModulatedLayer(NoisyLayer):
    """Layer of StyleGAN2: modulated convolution, noise, bias, activation with a gain of sqrt 2.

    Activations with a rectifier are homogeneous, so the gain is that of convolution, noise, bias.

    Args:
        inputs, outputs, side, upsample, styles, options, activation, rng: as for StyledLayer.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        side: int,
        upsample: bool,
        styles: int,
        options: StyleOptions,
        activation: ops.Activation,
        rng: Random,
    ) -> None:
        self.conv = ModulatedConv2D(inputs, outputs, styles, upsample=upsample, gain=GAIN, rng=rng)
        super().__init__(outputs, side, options.layer_noise, activation, GAIN, rng)

    def forward(self, x: Tensor, w: TensorLike, noise: TensorLike) -> Tensor:
        """Maps (n, h, w, inputs), styles (n, styles), noise (n, h', w', 1) -> the layer's maps."""
        return self.activated(self.conv(x, w), noise)


class StyledRGB(Module):
    """Image of maps, in the way of a style: modulated convolution of 1 x 1 without demodulation."""

    def __init__(self, inputs: int, colours: int, styles: int, rng: Random) -> None:
        self.conv = ModulatedConv2D(inputs, colours, styles, 1, demodulate=False, rng=rng)
        self.bias = Parameter(np.zeros((colours,), np.float32))

    def forward(self, x: TensorLike, w: TensorLike) -> Tensor:
        """Maps (n, h, w, inputs), and styles -> (n, h, w, colours)."""
        y: Tensor = self.conv(x, w) + self.bias
        return y


class StyleGenerator(Growing):
    """Style-based generator: latents to styles, and styles to images of the level of now.

    A mapping network makes a style w of z. Synthesis begins with 4 x 4 maps; each level doubles
    their size and has two convolutions. Every layer gets w, or one of its own, and noise. There are
    two styles a level; of two generators "adain" uses one in each layer, "modulation" also one in
    each layer that makes an image, which it shares with the next layer.

    Args:
        latents: length of z.
        shape: of the images in the end.
        channels: of the maps at each level.
        activation: of all layers but the last.
        options: see StyleOptions.
        classes: how many labels there are; 0 for none.
        rng: where weights are drawn.
    """

    def __init__(
        self,
        latents: int,
        shape: Sequence[int],
        channels: Sequence[int],
        activation: ops.Activation,
        options: StyleOptions,
        classes: int,
        rng: Random,
    ) -> None:
        super().__init__(shape)
        self.shape, self.options, first = tuple(shape), options, channels[0]
        self.modulated, self.skip = options.style == "modulation", options.network == "skip"
        self.mapping = MappingNetwork(
            latents,
            options.styles,
            options.mapping_layers,
            multiplier=options.multiplier,
            classes=classes,
            rng=rng,
        )
        self.styles = self.mapping.styles
        self.constant: Parameter | None = None
        self.dense: EqualizedDense | None = None
        if options.constant:
            start = rng.normal if self.modulated else lambda shape: np.ones(shape, np.float32)
            self.constant = Parameter(np.asarray(start((START, START, first)), np.float32))
        else:
            gain = GAIN / START
            self.dense = EqualizedDense(self.styles, START * START * first, gain=gain, rng=rng)
        kind = ModulatedLayer if self.modulated else StyledLayer
        given: dict[str, Any] = {
            "styles": self.styles, "options": options, "activation": activation, "rng": rng
        }  # fmt: skip
        begin = [] if self.modulated else [StyledLayer(0, first, START, False, **given)]
        self.body = [[*begin, kind(first, first, START, False, **given)]]
        for level, (a, b) in enumerate(pairwise(channels), 1):
            side = START << level
            pair = [kind(a, b, side, True, **given), kind(b, b, side, False, **given)]
            self.body.append(pair)
        colours = (*shape, 1)[2]
        if self.modulated:
            self.to_rgb: list[Any] = [StyledRGB(c, colours, self.styles, rng) for c in channels]
        else:
            self.to_rgb = [EqualizedConv2D(c, colours, 1, gain=1.0, rng=rng) for c in channels]

    @property
    def layers(self) -> int:
        """How many styles synthesis takes at the level of now: two a level."""
        return 2 * (self.level + 1)

    def fixed_noise(self) -> list[Tensor]:
        """The noise that samples have if none is drawn: a map (1, h, w, 1) for each layer."""
        return [layer.fixed for block in self.body[: self.level + 1] for layer in block]

    def map(self, z: TensorLike, label: Any = None) -> Tensor:
        """Latents, and labels if there are any -> styles (n, styles)."""
        w: Tensor = self.mapping(z, label)
        return w

    def forward(self, z: TensorLike, label: Any = None, *, rng: Random | None = None) -> Tensor:
        """Latents, and labels (n,) -> images (n, side, side, ...) of the level of now."""
        return self.synthesis(self.map(z, label), rng=rng)

    def spread(self, w: TensorLike) -> Tensor:
        """Styles for all layers, (n, layers, styles), of one for all, (n, styles), or themselves.

        Raises ValueError for what is no style.
        """
        given, length = data_of(w).shape, self.styles
        if len(given) == 2 and given[1] == length:
            whole_shape = (given[0], self.layers, length)
            return ops.broadcast_to(ops.reshape(w, (given[0], 1, length)), whole_shape)
        if len(given) != 3 or given[1] < self.layers or given[2] != length:
            raise ValueError(
                f"styles are arrays (n, {length}) or (n, {self.layers}, {length}), not {given}"
            )
        return w if isinstance(w, Tensor) else Tensor(w)

    def synthesis(
        self,
        w: TensorLike,
        noise: Sequence[TensorLike] | None = None,
        *,
        rng: Random | None = None,
    ) -> Tensor:
        """Styles -> images (n, side, side, ...) of the level of now.

        Args:
            w: (n, styles), or (n, layers, styles) with one for each layer.
            noise: a map (n or 1, h, w, 1) for each layer that has noise, see `fixed_noise`; if
                None it is drawn from `rng`, and without that it is the fixed one.
            rng: where noise is drawn.
        """
        w = self.spread(w)
        n = len(w.array)
        styles = [ops.reshape(s, (n, -1)) for s in ops.split(w, w.shape[1], axis=1)]
        maps = self._noise(w, noise, rng)
        x: Tensor
        if self.constant is not None:
            x = ops.broadcast_to(self.constant, (n, *self.constant.shape))
        else:
            assert self.dense is not None
            x = ops.reshape(self.dense(styles[0]), (n, START, START, -1))
        layer_of = iter(range(len(styles)))
        before, y, coarse = x, None, None
        for level, block in enumerate(self.body[: self.level + 1]):
            before, coarse = x, y
            for layer in block:
                i = next(layer_of)
                x = layer(x, styles[i], maps.pop(0))
            if self.skip:
                image = self._image(level, x, styles)
                y = image if y is None else ops.upsample2d(y, 2, (1, 3, 3, 1)) + image
        if y is None:
            y = self._image(self.level, x, styles)
        if self.fading:
            if coarse is None:
                coarse = self._image(self.level - 1, before, styles)
            y = self.mixed(ops.upsample2d(coarse), y)
        return ops.reshape(y, y.shape[: len(self.shape) + 1])

    def _image(self, level: int, x: Tensor, styles: Sequence[Tensor]) -> Tensor:
        """The image that a level makes of its maps."""
        layer = self.to_rgb[level]
        y: Tensor = layer(x, styles[2 * level + 1]) if self.modulated else layer(x)
        return y

    def _noise(
        self, w: Tensor, noise: Sequence[TensorLike] | None, rng: Random | None
    ) -> list[TensorLike]:
        """A map of noise for each layer."""
        fixed = self.fixed_noise()
        if noise is None and (rng is None or not self.options.layer_noise):
            return list(fixed)
        if noise is None:
            assert rng is not None
            sizes = [(len(w.array), *f.shape[1:]) for f in fixed]
            return [beside(rng.normal(size, dtype=w.dtype), w.array) for size in sizes]
        if len(noise) < len(fixed):
            raise ValueError(f"noise is a list of {len(fixed)} maps, not of {len(noise)}")
        return list(noise[: len(fixed)])
