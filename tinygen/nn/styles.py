"""Parts of style-based generators (Karras et al. 2019): noise of layers, the mapping network."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from .. import ops
from ..backend import beside
from ..core import Parameter, Tensor, TensorLike, data_of
from ..ops.random import Random, default_rng
from ..ranges import positive, whole
from . import arguments
from .embedding import Embedding
from .equalized import EqualizedDense
from .initializers import normal
from .module import Module

LEAKY = ("leaky_relu", 0.2)


class NoiseInjection(Module):
    """Noise that is added to maps, with a learned strength for each channel.

    y = x + strength noise,  noise (n, h, w, 1) from N(0, 1): one map for all channels of a sample.
    The strength starts at 0, so that a new layer changes nothing.

    Args:
        channels: of the maps.

    Source: Karras et al. 2019, "A style-based generator architecture for GANs", section 2.
    """

    def __init__(self, channels: int) -> None:
        count = whole("NoiseInjection: channels", channels)
        self.strength = Parameter(np.zeros((count,), np.float32))

    def forward(
        self, x: TensorLike, noise: TensorLike | None = None, *, rng: Random | None = None
    ) -> Tensor:
        """Maps with noise: (n, h, w, channels) -> the same shape.

        Args:
            x: the maps.
            noise: (n, h, w, 1), or (1, h, w, 1) to give all samples the same; drawn if None.
            rng: where it is drawn; by default the process's stream.
        """
        array = data_of(x)
        if array.ndim != 4 or array.shape[-1] != self.strength.size:
            raise ValueError(
                f"NoiseInjection: maps are (n, height, width, {self.strength.size}), not "
                f"{array.shape}"
            )
        if noise is None:
            drawn = (rng or default_rng()).normal((*array.shape[:3], 1), dtype=array.dtype)
            noise = beside(drawn, array)
        elif data_of(noise).shape[1:] != (*array.shape[1:3], 1):
            raise ValueError(
                f"NoiseInjection: noise for maps of {array.shape} is (n, {array.shape[1]}, "
                f"{array.shape[2]}, 1), not {data_of(noise).shape}"
            )
        return ops.add(x, ops.multiply(noise, self.strength))

    def describe(self) -> str:
        """The channels."""
        return f"{self.strength.size}"


class MappingNetwork(Module):
    """Mapping network: latents z, and labels if there are any, to styles w.

    z, with the learned vector of the label behind it, is brought to a mean square of 1; then come
    dense layers with LeakyReLU 0.2 and an equalised learning rate.

    Args:
        latents: length of z.
        styles: length of w; by default that of z (and of the label's vector, without layers).
        layers: how many; 0 to normalise z alone.
        multiplier: of their learning rate.
        classes: how many labels there are; 0 for none.
        rng: where weights are drawn.

    Source: Karras et al. 2019, "A style-based generator architecture for GANs", section 2.
    """

    def __init__(
        self,
        latents: int,
        styles: int | None = None,
        layers: int = 8,
        *,
        multiplier: float = 0.01,
        classes: int = 0,
        rng: Random | None = None,
    ) -> None:
        width = whole("MappingNetwork: latents", latents)
        depth = whole("MappingNetwork: layers", layers, 0)
        inputs = width * (2 if classes else 1)
        if styles is None:
            styles = width if depth else inputs
        if whole("MappingNetwork: styles", styles) != inputs and not depth:
            raise ValueError(f"MappingNetwork: without layers styles are {inputs}, not {styles}")
        positive("MappingNetwork: multiplier", multiplier)
        rng = arguments.stream("MappingNetwork", rng)
        self.latents, self.styles = width, styles
        self.label: Embedding | None = None
        if whole("MappingNetwork: classes", classes, 0):
            self.label = Embedding(classes, width, initializer=normal(1.0), rng=rng)
        sizes = [inputs, *[styles] * depth]
        self.layers = [
            EqualizedDense(n, m, LEAKY, multiplier=multiplier, rng=rng) for n, m in pairwise(sizes)
        ]

    def forward(self, z: TensorLike, label: Any = None) -> Tensor:
        """(n, latents), and labels (n,) -> styles (n, styles)."""
        if data_of(z).shape[1:] != (self.latents,):
            raise ValueError(
                f"MappingNetwork: latents are (n, {self.latents}), not {data_of(z).shape}"
            )
        if (label is None) != (self.label is None):
            wanted = "a label for each latent" if self.label else "no labels"
            raise ValueError(f"MappingNetwork: it was made for {wanted}")
        if self.label is not None:
            z = ops.concatenate([z, self.label(label)], axis=1)
        w = ops.pixel_norm(z)
        for layer in self.layers:
            w = layer(w)
        return w

    def describe(self) -> str:
        """Lengths of z and w, and the layers."""
        return f"{self.latents}, {self.styles}, layers={len(self.layers)}"
