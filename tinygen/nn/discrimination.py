"""Minibatch discrimination (Salimans et al. 2016)."""

from __future__ import annotations

import numpy as np

from .. import ops
from ..backend import Array, array_module, device_of
from ..config import no_grad
from ..core import Buffer, Parameter, Tensor, TensorLike, data_of
from ..ops.random import Random
from ..ranges import whole
from . import arguments, initializers
from .module import Module

FAR = 1e6  # the distance of a sample from itself, so that it does not count
NEAREST = 2.0  # the mean distance of nearest neighbours that the scale is chosen for
ROUNDING = 1e-5  # distances below this part of the projections may be those of equal samples


class MinibatchDiscrimination(Module):
    """More features that tell how near the other samples of the batch are (Salimans et al. 2016).

    Each of the `kernels` projects the features to `dims` numbers M_i and gives the feature

        o_i = sum over j != i of exp(-|M_i - M_j|_1),  plus a bias.

    A column of the projection is e^log_scale times a column of `weight` of length 1, as in the
    authors' code, and what follows is theirs too: the first batch in training sets each kernel's
    scale so that the mean distance of nearest neighbours is 2, since distances of plain projections
    are so large that the exponentials, and their gradients, vanish; and it sets the bias to minus
    the mean of the feature. Such a batch needs two different samples; until there was one the layer
    is as it was made. Let it see reals first. What a sample gets depends on its batch, also in
    inference; a sample alone gets the bias.

    Args:
        features: length of the last axis that comes in.
        kernels: features that are added.
        dims: numbers in the projection of a kernel.
        rng: where the weight is drawn, N(0, 0.05^2).
    """

    def __init__(
        self, features: int, kernels: int = 100, dims: int = 5, *, rng: Random | None = None
    ) -> None:
        name = type(self).__name__
        self.features = whole(f"{name}: features", features)
        self.kernels = whole(f"{name}: kernels", kernels)
        self.dims = whole(f"{name}: dims", dims)
        shape = (self.features, self.kernels * self.dims)
        rng = arguments.stream(name, rng)
        self.weight = initializers.parameter(name, shape, initializers.normal(0.05), rng)
        self.log_scale = Parameter(np.zeros((self.kernels, self.dims), np.float32))
        self.bias = Parameter(np.full((self.kernels,), -1, np.float32))
        self.initialized = Buffer(np.zeros((), bool))

    def forward(self, x: TensorLike) -> Tensor:
        """(samples, features) -> (samples, features + kernels)."""
        shape = data_of(x).shape
        if len(shape) != 2 or shape[1] != self.features:
            raise ValueError(
                f"MinibatchDiscrimination: takes (samples, {self.features}), got {shape}; "
                "images go through Flatten first"
            )
        projected = ops.matmul(x, self.weight) / ops.norm(self.weight, axis=0)
        projected = ops.reshape(projected, (shape[0], self.kernels, self.dims))
        starts = self._fit_scale(projected.array) if self.training else None
        nearness = self._nearness(projected)
        if starts is not None:
            _set(self.bias, starts, -nearness.array.mean(axis=0))
        return ops.concatenate([x, nearness + self.bias], axis=1)

    def _nearness(self, projected: Tensor) -> Tensor:
        """o of the class docstring, without the bias: (samples, kernels)."""
        scaled = projected * ops.exp(self.log_scale)
        distances = _distances(scaled)
        itself = array_module(scaled.array).eye(len(scaled.array), dtype=scaled.dtype)
        return ops.sum(ops.exp(-(distances + itself[:, :, None] * FAR)), axis=1)

    def _fit_scale(self, projected: Array) -> Array | None:
        """Set the scale by the first batch that can: a mask that is true then, None if known not.

        The host does not know what a GPU has computed, so there it is done each time and masked.
        """
        done = self.initialized.array
        samples = len(projected)
        if samples < 2 or (device_of(done) == "cpu" and done):
            return None
        xp = array_module(projected)
        with no_grad():
            scale = ops.exp(self.log_scale)
            distances = _distances(Tensor(projected) * scale).array
        distances = distances + xp.eye(samples, dtype=projected.dtype)[:, :, None] * FAR
        nearest = distances.min(axis=1).mean(axis=0)  # by kernel
        least = ROUNDING * xp.abs(projected * scale.array).sum(axis=2).mean(axis=0)
        starts: Array = ~done & ((nearest > least) & (nearest < np.inf)).all()
        factor = xp.where(starts, nearest, NEAREST) / NEAREST
        _set(self.log_scale, starts, self.log_scale.array - xp.log(factor)[:, None])
        done[...] = done | starts
        return starts

    def describe(self) -> str:
        """The sizes."""
        return f"{self.features}, kernels={self.kernels}, dims={self.dims}"


def _distances(x: Tensor) -> Tensor:
    """L1 distances of all pairs of samples: (samples, kernels, dims) -> (samples, same, kernels).

    A kernel at a time would be less memory, but as many times the calls.
    """
    n, kernels, dims = x.shape
    differences = ops.reshape(x, (n, 1, kernels, dims)) - x
    return ops.sum(ops.abs(differences), axis=3)


def _set(parameter: Parameter, where: Array, values: Array) -> None:
    """Change a parameter in place where a mask is true."""
    array = parameter.array
    array[...] = array_module(array).where(where, values, array)
    parameter.version += 1
