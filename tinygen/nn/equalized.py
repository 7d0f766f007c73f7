"""Layers with an equalised learning rate (Karras et al. 2018)."""

from __future__ import annotations

import math

import numpy as np

from .. import ops
from ..core import Parameter, Tensor, TensorLike
from ..ops.random import Random
from ..ranges import finite, positive, whole
from . import arguments, initializers
from .module import Module

GAIN = math.sqrt(2.0)  # of He's initialisation
RESAMPLING = ("up", "down")


class Equalized(Module):
    """Base of layers whose weights are scaled when they are used, not when they are drawn.

    The weight is drawn from N(0, 1) / multiplier and used as weight gain multiplier / sqrt(fan in),
    the bias as bias multiplier. So all weights have one scale, and Adam, whose steps do not depend
    on that of the gradient, moves all layers at one speed. With a multiplier below 1 a layer starts
    the same but learns more slowly in its proportion, as StyleGAN's mapping with 0.01.

    Args:
        shape: of the weight, outputs last.
        activation: a name such as "selu", a pair such as ("leaky_relu", 0.2), or None.
        gain: of the initialisation.
        multiplier: of the learning rate.
        bias: whether there is one.
        bias_start: what it starts at, in use.
        rng: where the weight is drawn.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        activation: ops.Activation,
        gain: float,
        multiplier: float,
        bias: bool,
        bias_start: float,
        rng: Random | None,
    ) -> None:
        name = type(self).__name__
        self.activation = arguments.activation(name, activation)
        self.gain = positive(f"{name}: gain", gain)
        self.multiplier = positive(f"{name}: multiplier", multiplier)
        start = initializers.normal(1.0 / self.multiplier)
        self.weight = initializers.parameter(name, shape, start, arguments.stream(name, rng))
        self.bias: Parameter | None = None
        if bias:
            first = finite(f"{name}: bias_start", bias_start) / self.multiplier
            self.bias = Parameter(np.full(shape[-1:], first, np.float32))
        self.fan_in = math.prod(shape[:-1])

    def effective(self) -> tuple[Tensor, Tensor | None]:
        """The weight and the bias as they are used."""
        weight = self.weight * (self.gain * self.multiplier / math.sqrt(self.fan_in))
        if self.bias is None or self.multiplier == 1.0:
            return weight, self.bias
        return weight, self.bias * self.multiplier

    def describe(self) -> str:
        """Inputs, outputs, what is the layer's own, activation, a multiplier other than 1."""
        parts = [*map(str, self.weight.shape[-2:]), *self._own_options()]
        parts += [repr(self.activation)] if self.activation else []
        parts += [f"multiplier={self.multiplier:g}"] if self.multiplier != 1.0 else []
        return ", ".join(parts)

    def _own_options(self) -> list[str]:
        """What `describe` says of the layer alone."""
        return []


class EqualizedDense(Equalized):
    """Dense layer with an equalised learning rate: (..., inputs) -> (..., outputs).

    y = activation(x (weight gain multiplier / sqrt(inputs)) + bias multiplier).

    Args:
        inputs: length of the last axis that comes in.
        outputs: length of the last axis that goes out.
        activation: a name such as "selu", a pair such as ("leaky_relu", 0.2), or None.
        gain: of the initialisation; sqrt 2 is for layers with a rectifier, 1 for the last ones.
        multiplier: of the learning rate, see `Equalized`.
        bias: whether there is one.
        bias_start: what it starts at.
        rng: where the weight is drawn.

    Source: Karras et al. 2018, "Progressive growing of GANs", section 4.1.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        activation: ops.Activation = None,
        *,
        gain: float = GAIN,
        multiplier: float = 1.0,
        bias: bool = True,
        bias_start: float = 0.0,
        rng: Random | None = None,
    ) -> None:
        shape = whole("EqualizedDense: inputs", inputs), whole("EqualizedDense: outputs", outputs)
        super().__init__(shape, activation, gain, multiplier, bias, bias_start, rng)

    def forward(self, x: TensorLike) -> Tensor:
        """The layer's output."""
        weight, bias = self.effective()
        return ops.dense(x, weight, bias, self.activation)


class EqualizedConv2D(Equalized):
    """Convolution with an equalised learning rate: (n, h, w, inputs) -> (n, h', w', outputs).

    Its kernel is an odd square, the padding "same". With `resample` it also doubles the size, which
    equals nearest upsampling before a plain one, or halves it, which equals a mean of 2 x 2 after
    it; both are one convolution with a kernel that is larger by one, as in the authors' code. With
    `blur` the larger images are filtered by [1, 2, 1] too, as StyleGAN's: after the convolution
    that doubles the size, before the bias, or before the one that halves it.

    Args:
        inputs, outputs: channels.
        kernel: its side, odd.
        resample: "up", "down" or None.
        blur: whether the larger images are filtered; needs `resample`.
        activation: a name, a pair, or None.
        gain: of the initialisation; 1 for layers to and from RGB.
        multiplier: of the learning rate, see `Equalized`.
        bias: whether there is one.
        bias_start: what it starts at.
        rng: where the weight is drawn.

    Source: Karras et al. 2018, "Progressive growing of GANs", section 4.1; 2019, "A style-based
    generator architecture", appendix B.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 3,
        *,
        resample: str | None = None,
        blur: bool = False,
        activation: ops.Activation = None,
        gain: float = GAIN,
        multiplier: float = 1.0,
        bias: bool = True,
        bias_start: float = 0.0,
        rng: Random | None = None,
    ) -> None:
        side = whole("EqualizedConv2D: kernel", kernel)
        if side % 2 == 0:
            raise ValueError(f"EqualizedConv2D: kernel must be odd, not {side}")
        if resample is not None and resample not in RESAMPLING:
            raise ValueError(
                f"EqualizedConv2D: resample is one of {', '.join(RESAMPLING)}, or None, not "
                f"{resample!r}"
            )
        if blur and resample is None:
            raise ValueError("EqualizedConv2D: blur goes with resample 'up' or 'down'")
        self.resample, self.blur = resample, blur
        channels = (
            whole("EqualizedConv2D: inputs", inputs),
            whole("EqualizedConv2D: outputs", outputs),
        )
        shape = (side, side, *channels)
        super().__init__(shape, activation, gain, multiplier, bias, bias_start, rng)

    def forward(self, x: TensorLike) -> Tensor:
        """The layer's output."""
        weight, bias = self.effective()
        padding = len(self.weight.array) // 2
        if self.resample is None:
            return ops.conv2d(x, weight, bias, padding=padding, activation=self.activation)
        if self.resample == "down":
            kernel = widened(weight) * 0.25
            x = ops.blur2d(x) if self.blur else x
            return ops.conv2d(x, kernel, bias, 2, padding=padding, activation=self.activation)
        kernel = ops.transpose(widened(weight[::-1, ::-1]), (0, 1, 3, 2))
        if not self.blur:
            return ops.conv2d_transpose(
                x, kernel, bias, 2, padding=padding, activation=self.activation
            )
        y = ops.blur2d(ops.conv2d_transpose(x, kernel, None, 2, padding=padding))
        return ops.activate(y if bias is None else y + bias, self.activation)

    def _own_options(self) -> list[str]:
        """The kernel's side, and resampling."""
        side = str(len(self.weight.array))
        return [side, *([self.resample] if self.resample else []), *(["blur"] if self.blur else [])]


def widened(kernel: Tensor) -> Tensor:
    """A kernel (k, k, a, b) convolved with a square of 2 x 2 ones: (k + 1, k + 1, a, b)."""
    still = (0, 0)
    for axis in (0, 1):
        before = [(1, 0) if i == axis else still for i in range(4)]
        after = [(0, 1) if i == axis else still for i in range(4)]
        kernel = ops.pad(kernel, before) + ops.pad(kernel, after)
    return kernel
