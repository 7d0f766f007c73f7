"""Normalisation layers; features are last, and the arithmetic is in `ops`."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from .. import ops
from ..core import Buffer, Parameter, Tensor, TensorLike, data_of
from ..ops.norm import batch_norm_and_moments
from ..ops.random import Random
from ..ranges import not_negative, share, whole
from . import arguments
from .layers import Dense
from .module import Module


class ScaledNorm(Module):
    """Base of the layers that multiply with a learned scale and add a learned shift.

    Args:
        features: length of the last axis.
        epsilon: is added to the variance before the root.
        scale: whether there is a scale; it starts at 1.
        shift: whether there is a shift; it starts at 0.
    """

    takes_several: ClassVar[bool] = False  # whether features may be a tuple

    def __init__(
        self,
        features: int | tuple[int, ...],
        *,
        epsilon: float = 1e-3,
        scale: bool = True,
        shift: bool = True,
    ) -> None:
        name = type(self).__name__
        several = features if self.takes_several and isinstance(features, (tuple, list)) else None
        if several is not None and not several:
            raise ValueError(f"{name}: features must not be empty")
        lengths = [features] if several is None else several
        self.shape = tuple(whole(f"{name}: features", length) for length in lengths)
        self.epsilon = not_negative(f"{name}: epsilon", epsilon)
        self.scale = Parameter(np.ones(self.shape, np.float32)) if scale else None
        self.shift = Parameter(np.zeros(self.shape, np.float32)) if shift else None

    def check(self, x: TensorLike) -> None:
        """Raise ValueError where the last axes of x are not those of the layer."""
        shape = data_of(x).shape
        if shape[-len(self.shape) :] != self.shape:
            expected = ", ".join(map(str, self.shape))
            raise ValueError(
                f"{type(self).__name__}: takes inputs of (..., {expected}), got {shape}"
            )

    def describe(self) -> str:
        """Sizes, and epsilon."""
        return f"{', '.join(map(str, self.shape))}, epsilon={self.epsilon:g}"


class BatchNorm(ScaledNorm):
    """Batch normalisation (Ioffe & Szegedy 2015), of (..., features) over all axes but the last.

    In training each feature is normalised by the mean and variance of the batch, and every forward
    updates the running ones, the buffers `running_mean` and `running_variance`, which serve in
    inference:

        running = momentum * running + (1 - momentum) * of the batch

    Momentum and epsilon are Keras's. PyTorch's momentum is 1 minus this one (0.99 here is its 0.01,
    its default 0.1 is 0.9 here), and its epsilon is 1e-5. The running variance is a mean of the
    batches' population variances, as in Keras; PyTorch's is n / (n - 1) times that, for batches of
    n rows (samples times places). An empty batch changes nothing, a single row counts as one with
    variance 0.

    Args:
        features: length of the last axis.
        momentum: from 0 to 1; how much of the running moments stays at each forward.
        epsilon: is added to the variance before the root.
        scale: whether there is a scale; it starts at 1.
        shift: whether there is a shift; it starts at 0.
    """

    def __init__(
        self,
        features: int,
        *,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        scale: bool = True,
        shift: bool = True,
    ) -> None:
        super().__init__(features, epsilon=epsilon, scale=scale, shift=shift)
        self.momentum = share("BatchNorm: momentum", momentum)
        self.running_mean = Buffer(np.zeros(self.shape, np.float32))
        self.running_variance = Buffer(np.ones(self.shape, np.float32))

    def forward(self, x: TensorLike) -> Tensor:
        """x, normalised."""
        self.check(x)
        if not self.training:
            moments = self.running_mean, self.running_variance
            return ops.batch_norm(x, self.scale, self.shift, *moments, epsilon=self.epsilon)
        y, mean, variance = batch_norm_and_moments(x, self.scale, self.shift, self.epsilon)
        if y.size:
            for running, new in ((self.running_mean, mean), (self.running_variance, variance)):
                old = running.array
                old[...] = self.momentum * old + (1 - self.momentum) * new
                running.version += 1
        return y

    def describe(self) -> str:
        """Sizes, momentum, and epsilon."""
        return f"{self.shape[0]}, momentum={self.momentum:g}, epsilon={self.epsilon:g}"


class InstanceNorm(ScaledNorm):
    """Instance normalisation (Ulyanov et al. 2016): each feature of each sample over its places.

    (samples, ..., features), of three axes or more; the same in training and in inference. For the
    arguments see `ScaledNorm`.
    """

    def forward(self, x: TensorLike) -> Tensor:
        """x, normalised."""
        self.check(x)
        return ops.instance_norm(x, self.scale, self.shift, self.epsilon)


class LayerNorm(ScaledNorm):
    """Layer normalisation (Ba et al. 2016), of (..., features) over the features.

    `features` may be a tuple, the lengths of the last axes that are normalised together: (4, 4, 16)
    takes images of that size as a whole. The default epsilon is Keras's, PyTorch's is 1e-5. For the
    other arguments see `ScaledNorm`.
    """

    takes_several = True

    def forward(self, x: TensorLike) -> Tensor:
        """x, normalised."""
        self.check(x)
        return ops.layer_norm(x, self.scale, self.shift, self.epsilon, axes=len(self.shape))


class PixelNorm(Module):
    """Each pixel's features divided by their root mean square (Karras et al. 2018)."""

    def __init__(self, epsilon: float = 1e-8) -> None:
        self.epsilon = not_negative("PixelNorm: epsilon", epsilon)

    def forward(self, x: TensorLike) -> Tensor:
        """x, normalised."""
        return ops.pixel_norm(x, self.epsilon)


class AdaIN(Module):
    """Adaptive instance normalisation, as in StyleGAN (Huang & Belongie 2017, Karras et al. 2019).

    It takes two inputs: images (n, h, w, channels), and latents (n, latents). A dense layer,
    `style`, makes s and b of the latents; the images, instance-normalised, become (1 + s) x + b.

    Args:
        latents: length of a latent vector.
        channels: of the images.
        epsilon: is added to the variance before the root.
        rng: where the weight of `style` is drawn.
    """

    def __init__(
        self, latents: int, channels: int, *, epsilon: float = 1e-8, rng: Random | None = None
    ) -> None:
        latents = whole("AdaIN: latents", latents)
        self.channels = whole("AdaIN: channels", channels)
        self.epsilon = not_negative("AdaIN: epsilon", epsilon)
        self.style = Dense(latents, 2 * self.channels, rng=arguments.stream("AdaIN", rng))

    def forward(self, x: TensorLike, latents: TensorLike) -> Tensor:
        """The images in the styles of their latents."""
        scale, shift = ops.split(self.style(latents), 2, axis=1)
        return ops.adain(x, scale + 1.0, shift, self.epsilon)


class MinibatchStdDev(Module):
    """One more feature: how much the samples of a group differ; see `ops.minibatch_stddev`.

    Args:
        group_size: samples in a group. A batch that is no multiple of it is cut into groups of the
            largest size below that divides it; the authors' code fails there.
    """

    def __init__(self, group_size: int = 4) -> None:
        self.group_size = whole("MinibatchStdDev: group_size", group_size)

    def forward(self, x: TensorLike) -> Tensor:
        """(samples, ..., features) -> (samples, ..., features + 1)."""
        return ops.minibatch_stddev(x, self.group_size)

    def describe(self) -> str:
        """The size of a group."""
        return str(self.group_size)
