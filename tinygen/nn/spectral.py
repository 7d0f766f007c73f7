"""Spectral normalisation of layers (Miyato et al. 2018)."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from ..backend import Array, array_module, to_device, to_numpy
from ..core import Buffer, Tensor
from ..ops.random import Random
from ..ops.spectral import matrix_of, spectral_normalize
from ..ranges import whole
from .conv import Conv2D, Conv2DTranspose
from .embedding import Embedding
from .layers import Dense
from .module import Module

OUTPUTS: dict[type[Module], int] = {Dense: -1, Conv2D: -1, Conv2DTranspose: -2, Embedding: 0}

FIRST = 15  # power iterations of a new layer, at the least
MOST = 1000
SETTLED = 1e-5  # of the norm, by which an iteration must change it for a new layer to go on


class SpectralNorm(Module):
    """A layer whose weight is divided by its largest singular value (Miyato et al. 2018).

    The weight counts as a matrix of (all other axes, outputs): kernels of convolutions as
    (height * width * inputs, outputs), those of transposed ones likewise, and a table of vectors as
    it is. Its first singular vectors, the buffers `u` (outputs, or rows of the table) and `v`,
    follow it by power iteration: in training every forward does `iterations` of them first, also
    that of a frozen network and under no_grad, as in the paper's code; in inference none is done.
    In the gradient the vectors are constants, and each forward keeps its own: several may come
    before one backward. A new layer iterates until the norm has settled, so that it is right before
    training too.

    The norm is that of the matrix. For convolutions it bounds that of the map from image to image,
    but is not equal to it.

    Args:
        layer: a Dense, Conv2D, Conv2DTranspose or Embedding.
        iterations: power iterations in each training forward.

    >>> import numpy as np
    >>> from tinygen import nn
    >>> layer = nn.SpectralNorm(nn.Dense(5, 3))
    >>> weight, norm = layer.eval().normalized_weight()
    >>> float(np.linalg.svd(weight.numpy())[1][0].round(3))
    1.0
    """

    def __init__(self, layer: Module, iterations: int = 1) -> None:
        axis = next((axis for kind, axis in OUTPUTS.items() if isinstance(layer, kind)), None)
        if axis is None:
            known = ", ".join(kind.__name__ for kind in OUTPUTS)
            raise TypeError(f"SpectralNorm: layer must be one of {known}, not {layer!r:.80}")
        self.axis = axis
        self.iterations = whole("SpectralNorm: iterations", iterations)
        self.layer = cast(Any, layer)  # one of those, so it has a weight
        weight = self.layer.weight.array
        matrix = matrix_of(to_numpy(weight), axis).astype(np.float64)
        self.u, self.v = (
            Buffer(to_device(x.astype(weight.dtype), self.layer.weight.device))
            for x in _settled(matrix)
        )

    def forward(self, x: Any) -> Tensor:
        """The layer's output, with its weight normalised."""
        layer = self.layer
        weight = layer.weight
        layer.weight, _ = self.normalized_weight()
        try:
            y: Tensor = layer(x)
        finally:
            layer.weight = weight
        return y

    def normalized_weight(self) -> tuple[Tensor, Tensor]:
        """The weight as forward uses it, and the norm by which it was divided.

        Like a forward it iterates in training.
        """
        weight: Tensor = self.layer.weight
        if self.training:
            self._iterate(matrix_of(weight.array, self.axis))
        return spectral_normalize(weight, self.u.array, self.v.array, self.axis)

    def _iterate(self, matrix: Array) -> None:
        """Power iteration, in place."""
        u, v = self.u.array, self.v.array
        for _ in range(self.iterations):
            u[...] = _unit(v @ matrix, u)
            v[...] = _unit(matrix @ u, v)
        self.u.version += 1
        self.v.version += 1

    def describe(self) -> str:
        """How many iterations, where it is not one."""
        return f"iterations={self.iterations}" if self.iterations != 1 else ""


def spectral_norm(module: Module, iterations: int = 1) -> Module:
    """Wrap every Dense, Conv2D, Conv2DTranspose and Embedding inside a module in a SpectralNorm.

    The module is changed and returned; if it is such a layer itself, its wrapper is returned. A
    layer that is used in several places stays one; what is wrapped already is left alone.
    """
    wrapped: dict[int, Any] = {}

    def replaced(value: Any) -> Any:
        if id(value) in wrapped:
            return wrapped[id(value)]
        if isinstance(value, Module) and isinstance(value, tuple(OUTPUTS)):
            return wrapped.setdefault(id(value), SpectralNorm(value, iterations))
        if isinstance(value, tuple):
            each = map(replaced, value)
            return type(value)(*each) if hasattr(value, "_fields") else tuple(each)
        if isinstance(value, list):
            value[:] = map(replaced, value)
        elif isinstance(value, dict):
            value.update({key: replaced(below) for key, below in value.items()})
        elif isinstance(value, Module) and not isinstance(value, SpectralNorm):
            wrapped[id(value)] = value
            replaced(vars(value))
        return value

    result: Module = replaced(module)
    return result


def _unit(x: Array, before: Array) -> Array:
    """x / |x|, or what was before where that is not finite: nobody waits for a GPU to know."""
    xp = array_module(x)
    length = xp.sqrt((x * x).sum())
    good = (length > 0) & (length < np.inf)
    unit: Array = xp.where(good, x / xp.where(good, length, 1), before)
    return unit


def _settled(matrix: Array) -> tuple[Array, Array]:
    """The first singular vectors of a matrix (rows, outputs), from an arbitrary fixed start."""
    rng = Random(0, "spectral norm")
    u, v = (rng.normal((n,), dtype=np.float64) for n in (matrix.shape[1], matrix.shape[0]))
    u, v = u / np.linalg.norm(u), v / np.linalg.norm(v)
    norm = 0.0
    for i in range(MOST):
        u = _unit(v @ matrix, u)
        v = _unit(matrix @ u, v)
        before, norm = norm, float(v @ (matrix @ u))
        if i + 1 >= FIRST and norm - before <= SETTLED * norm:
            break
    return u, v
