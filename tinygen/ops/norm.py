"""Normalisation: batch, instance, layer and pixel norm, AdaIN, and the minibatch's deviation.

Features are last. Each fused gradient is for an ordinary backward; when a graph is being recorded
inside backward, the same formula is written with operations, and so differentiable again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from ..backend import Array, array_module, kernels
from ..config import state
from ..core import Tensor, TensorLike, data_of
from ..function import Function, wrap
from ..promotion import weak
from ..ranges import not_negative, whole
from .elementwise import power, square
from .reduce import broadcast_to, mean, sum_to, var
from .shape import concatenate, reshape

Gradients = tuple[Tensor | None, ...]


class ChannelNormFunction(Function):
    """y = scale n + shift, where n = (x - mean) / sqrt(variance + epsilon), by channels.

    gx = scale / s (gy - mean gy - n mean(gy n)),  gscale = sum gy n,  gshift = sum gy;  s is the
    divisor. Means are over all axes but the channels' and, if `by_sample`, the first. Scale and
    shift are (channels,), or (samples, channels).
    """

    def __init__(self, name: str, by_sample: bool, epsilon: float) -> None:
        not_negative(f"{name}: epsilon", epsilon)
        self.name = name  # type: ignore[misc]  # one class serves batch_norm, instance_norm, adain
        self.by_sample, self.epsilon = by_sample, weak(epsilon)

    def forward(self, x: Array, scale: Array, shift: Array) -> Array:
        y: Array
        y, self.mean, self.variance = kernels(x).channel_norm(
            _groups(x, self.by_sample), _lines(scale), _lines(shift), self.epsilon
        )
        self.save(x, scale)
        return y.reshape(x.shape)

    def backward(self, gy: Tensor) -> Gradients:
        x, scale = self.saved
        if state.grad_enabled:
            axes = tuple(range(1 if self.by_sample else 0, x.ndim - 1))
            return _norm_grad(x, gy, scale, axes, self.epsilon, self.needed)
        gradients = kernels(x.array).channel_norm_grad(
            _groups(x.array, self.by_sample),
            _groups(gy.array, self.by_sample),
            _lines(scale.array),
            *(self.mean, self.variance, self.epsilon, self.needed),
        )
        return _wrapped(gradients, x, scale)


class FixedNormFunction(Function):
    """y = scale n + shift, where n = (x - mean) / sqrt(variance + epsilon), all by channels.

    With s the divisor:  gx = gy scale / s,  gscale = sum gy n,  gshift = sum gy,
    gmean = -sum gx,  gvariance = -gscale scale / (2 s^2).
    """

    name = "batch_norm"

    def __init__(self, epsilon: float) -> None:
        not_negative("batch_norm: epsilon", epsilon)
        self.epsilon = weak(epsilon)

    def forward(self, x: Array, scale: Array, shift: Array, mean: Array, variance: Array) -> Array:
        self.save(x, scale, mean, variance)
        slope = scale / array_module(x).sqrt(variance + self.epsilon)
        y = kernels(x).channel_affine(_groups(x, False), mean[None], slope[None], shift[None])
        return y.reshape(x.shape)

    def backward(self, gy: Tensor) -> Gradients:
        x, scale, mean, variance = self.saved
        inverse = power(variance + self.epsilon, -0.5)
        slope = scale * inverse
        gx = self.times(slope, gy) if self.needed[0] else None
        if not any(self.needed[1:]):
            return gx, None, None, None, None
        if state.grad_enabled:
            gshift, products = sum_to(gy, slope.shape), sum_to(gy * (x - mean), slope.shape)
        else:
            arrays = _groups(x.array, False), _groups(gy.array, False), mean.array[None]
            sums: Any = kernels(x.array).channel_sums(*arrays)
            gshift, products = (wrap(each[0].astype(x.dtype, copy=False)) for each in sums)
        gscale = products * inverse
        return gx, gscale, gshift, -slope * gshift, -0.5 * gscale * slope * inverse

    def times(self, slope: Tensor, gy: Tensor) -> Tensor:
        """Each channel of gy times its slope."""
        if state.grad_enabled:
            return gy * slope
        zeros = array_module(slope.array).zeros((1, slope.size), slope.dtype)
        groups = _groups(gy.array, False)
        gx = kernels(gy.array).channel_affine(groups, zeros, slope.array[None], zeros)
        return wrap(gx.reshape(gy.shape))


class LayerNormFunction(Function):
    """y = scale n + shift, where n = (x - mean) / sqrt(variance + epsilon), by rows.

    gx = (g - mean g - n mean(g n)) / s with g = gy scale and s the divisor,  gscale = sum gy n,
    gshift = sum gy.
    """

    def __init__(self, epsilon: float) -> None:
        not_negative("layer_norm: epsilon", epsilon)
        self.epsilon = weak(epsilon)

    def forward(self, x: Array, scale: Array, shift: Array) -> Array:
        self.save(x, scale)
        rows = _rows(x, scale.ndim)
        y = kernels(x).layer_norm(rows, scale.ravel(), shift.ravel(), self.epsilon)
        return y.reshape(x.shape)

    def backward(self, gy: Tensor) -> Gradients:
        x, scale = self.saved
        if state.grad_enabled:
            axes = tuple(range(x.ndim - scale.ndim, x.ndim))
            return _norm_grad(x, gy, scale, axes, self.epsilon, self.needed)
        rows, gys = _rows(x.array, scale.ndim), _rows(gy.array, scale.ndim)
        gradients = kernels(x.array).layer_norm_grad(
            rows, gys, scale.array.ravel(), self.epsilon, self.needed
        )
        return _wrapped(gradients, x, scale)


class PixelNormFunction(Function):
    """y = x / s, where s = sqrt(mean x^2 + epsilon);  gx = gy / s - x / s^3 mean(gy x)."""

    def __init__(self, epsilon: float) -> None:
        not_negative("pixel_norm: epsilon", epsilon)
        self.epsilon = weak(epsilon)

    def forward(self, x: Array) -> Array:
        self.save(x)
        return kernels(x).pixel_norm(_rows(x, 1), self.epsilon).reshape(x.shape)

    def backward(self, gy: Tensor) -> Tensor:
        (x,) = self.saved
        if state.grad_enabled:
            inverse = power(mean(square(x), -1, keepdims=True) + self.epsilon, -0.5)
            return inverse * (gy - x * (square(inverse) * mean(gy * x, -1, keepdims=True)))
        gx = kernels(x.array).pixel_norm_grad(_rows(x.array, 1), _rows(gy.array, 1), self.epsilon)
        return wrap(gx.reshape(x.shape))


def _norm_grad(
    x: Tensor,
    gy: Tensor,
    scale: Tensor,
    axes: tuple[int, ...],
    epsilon: float,
    needed: Sequence[Any],
) -> Gradients:
    """The gradients of x, scale and shift, written with operations; means are over `axes`."""
    shape = scale.shape
    if len(shape) == 2 and axes[-1] < x.ndim - 1:  # (samples, channels)
        scale = reshape(scale, (shape[0], *[1] * (x.ndim - 2), shape[1]))
    centred = x - mean(x, axes, keepdims=True)
    inverse = power(mean(square(centred), axes, keepdims=True) + epsilon, -0.5)
    n, gx = centred * inverse, None
    if needed[0]:
        g = gy * scale
        gx = inverse * (g - mean(g, axes, keepdims=True) - n * mean(g * n, axes, keepdims=True))
    return (
        gx,
        reshape(sum_to(gy * n, scale.shape), shape) if needed[1] else None,
        reshape(sum_to(gy, scale.shape), shape) if needed[2] else None,
    )


def _wrapped(gradients: Iterable[Any], x: Tensor, scale: Tensor) -> Gradients:
    """The gradients of x, scale and shift, each in the shape and type of what it belongs to."""
    wrapped: list[Tensor | None] = []
    for gradient, like in zip(gradients, (x, scale, scale), strict=True):
        if gradient is None:
            wrapped.append(None)
            continue
        if like is scale and gradient.ndim == 2 and scale.ndim == 1:  # a row for each group
            gradient = gradient.sum(axis=0)
        wrapped.append(wrap(gradient.astype(like.dtype, copy=False).reshape(like.shape)))
    return tuple(wrapped)


def _groups(x: Array, by_sample: bool) -> Array:
    """x as (groups, rows, channels): each sample is a group, or all of them are one."""
    groups = x.shape[0] if by_sample else 1
    return x.reshape(groups, math.prod(x.shape[1 if by_sample else 0 : -1]), x.shape[-1])


def _lines(scale: Array) -> Array:
    """Scale or shift as (groups or 1, channels)."""
    return scale[None] if scale.ndim == 1 else scale


def _rows(x: Array, axes: int) -> Array:
    """x as a matrix whose rows are its last `axes` axes."""
    cut = x.ndim - axes
    return x.reshape(math.prod(x.shape[:cut]), math.prod(x.shape[cut:]))


def _prepared(
    op: str, x: TensorLike, scale: TensorLike | None, shift: TensorLike | None, axes: int = 2
) -> tuple[TensorLike, TensorLike, TensorLike]:
    """x, scale and shift, checked, and with 1 and 0 for None; x must have so many axes."""
    array = data_of(x)
    if array.ndim < axes:
        raise ValueError(
            f"{op}: needs at least {axes} axes, features last, not shape {array.shape}"
        )
    shape, xp = array.shape[-1:], array_module(array)
    return (
        x,
        xp.ones(shape, array.dtype) if scale is None else _checked(op, "scale", scale, shape),
        xp.zeros(shape, array.dtype) if shift is None else _checked(op, "shift", shift, shape),
    )


def _checked(op: str, what: str, x: TensorLike, shape: tuple[int, ...]) -> TensorLike:
    """x, which must have that shape."""
    if data_of(x).shape != shape:
        raise ValueError(f"{op}: {what} must have shape {shape}, not {data_of(x).shape}")
    return x


def batch_norm(
    x: TensorLike,
    scale: TensorLike | None = None,
    shift: TensorLike | None = None,
    mean: TensorLike | None = None,
    variance: TensorLike | None = None,
    epsilon: float = 1e-3,
) -> Tensor:
    """Every channel with mean 0 and variance 1, times scale, plus shift (Ioffe & Szegedy 2015).

    Args:
        x: (..., channels), of two axes or more.
        scale: (channels,); 1 if None.
        shift: (channels,); 0 if None.
        mean: (channels,), for inference; by default that of x over all axes but the last.
        variance: (channels,), along with `mean`.
        epsilon: is added to the variance before the root; Keras's default, PyTorch's is 1e-5.

    The variance of x is that of the population: it divides by the count. A single row has the
    variance 0, and gives `shift`. Running moments are kept by `nn.BatchNorm`.
    """
    if mean is None and variance is None:
        return batch_norm_and_moments(x, scale, shift, epsilon)[0]
    if mean is None or variance is None:
        raise ValueError("batch_norm: give both mean and variance (inference), or neither")
    x, scale, shift = _prepared("batch_norm", x, scale, shift)
    channels = data_of(x).shape[-1:]
    mean = _checked("batch_norm", "mean", mean, channels)
    variance = _checked("batch_norm", "variance", variance, channels)
    return FixedNormFunction(epsilon)(x, scale, shift, mean, variance)


def batch_norm_and_moments(
    x: TensorLike, scale: TensorLike | None, shift: TensorLike | None, epsilon: float
) -> tuple[Tensor, Array, Array]:
    """`batch_norm` in training, and the mean and variance of x, (channels,) in float64.

    The moments are arrays, without gradient; they are 0 where x is empty.
    """
    function = ChannelNormFunction("batch_norm", False, epsilon)
    y = function(*_prepared("batch_norm", x, scale, shift))
    return y, function.mean[0], function.variance[0]


def instance_norm(
    x: TensorLike,
    scale: TensorLike | None = None,
    shift: TensorLike | None = None,
    epsilon: float = 1e-3,
) -> Tensor:
    """Every channel of every sample with mean 0 and variance 1 (Ulyanov et al. 2016).

    Args:
        x: (samples, ..., channels), of three axes or more.
        scale: (channels,), to multiply with afterwards; 1 if None.
        shift: (channels,), to add then; 0 if None.
        epsilon: is added to the variance before the root.
    """
    function = ChannelNormFunction("instance_norm", True, epsilon)
    return function(*_prepared("instance_norm", x, scale, shift, axes=3))


def adain(x: TensorLike, scale: TensorLike, shift: TensorLike, epsilon: float = 1e-8) -> Tensor:
    """Adaptive instance norm: scale and shift of every sample's own (Huang & Belongie 2017).

    Args:
        x: (samples, ..., channels), of three axes or more.
        scale: (samples, channels); in StyleGAN 1 + a projection of the style.
        shift: (samples, channels).
        epsilon: is added to the variance before the root; StyleGAN's.
    """
    x, _, _ = _prepared("adain", x, None, None, axes=3)
    shape = (data_of(x).shape[0], data_of(x).shape[-1])
    scale, shift = (
        _checked("adain", "scale", scale, shape),
        _checked("adain", "shift", shift, shape),
    )
    return ChannelNormFunction("adain", True, epsilon)(x, scale, shift)


def layer_norm(
    x: TensorLike,
    scale: TensorLike | None = None,
    shift: TensorLike | None = None,
    epsilon: float = 1e-3,
    axes: int = 1,
) -> Tensor:
    """Every row with mean 0 and variance 1, times scale, plus shift (Ba et al. 2016).

    Args:
        x: (..., features).
        scale: the shape of a row; 1 if None.
        shift: the same; 0 if None.
        epsilon: is added to the variance before the root; Keras's default, PyTorch's is 1e-5.
        axes: how many of the last axes make up a row; 3 takes each image of NHWC as a whole.
    """
    array = data_of(x)
    whole("layer_norm: axes", axes, None)
    if not 1 <= axes <= array.ndim:
        raise ValueError(f"layer_norm: {axes} axes of an x of shape {array.shape}")
    row, xp = array.shape[array.ndim - axes :], array_module(array)
    scale = xp.ones(row, array.dtype) if scale is None else scale
    shift = xp.zeros(row, array.dtype) if shift is None else shift
    _checked("layer_norm", "scale", scale, row)
    _checked("layer_norm", "shift", shift, row)
    return LayerNormFunction(epsilon)(x, scale, shift)


def pixel_norm(x: TensorLike, epsilon: float = 1e-8) -> Tensor:
    """Every pixel's vector of features with a mean square of 1 (Karras et al. 2018).

    Args:
        x: (..., features).
        epsilon: is added to the mean square before the root.
    """
    if not data_of(x).ndim:
        raise ValueError("pixel_norm: needs at least one axis, the features")
    return PixelNormFunction(epsilon)(x)


def stddev_group(samples: int, group_size: int = 4) -> int:
    """How many samples `minibatch_stddev` compares: the largest part of them up to group_size.

    >>> [stddev_group(n) for n in (16, 10, 9, 7, 3)]
    [4, 2, 3, 1, 3]
    """
    return next(k for k in range(min(group_size, max(samples, 1)), 0, -1) if samples % k == 0)


def minibatch_stddev(x: TensorLike, group_size: int = 4, epsilon: float = 1e-8) -> Tensor:
    """x with one more feature: how much the samples of a group differ (Karras et al. 2018).

    In each group of samples, the standard deviation of every feature at every place is averaged to
    a single number, which becomes the new feature of all its samples. The authors' code takes
    groups of min(group_size, samples), and fails where these do not divide the batch. Here groups
    then have the largest size below that does: 3 for 9 samples, 2 for 10. Alone in its group, as
    with 7, a sample gets sqrt(epsilon), which says nothing: see `stddev_group`.

    Args:
        x: (samples, ..., features), such as NHWC.
        group_size: samples in a group. As in the paper's code, samples i, i + m, i + 2 m ... make
            up group i, where m is the number of groups.
        epsilon: is added to the variance before the root.

    Returns (samples, ..., features + 1).
    """
    shape = data_of(x).shape
    if len(shape) < 2:
        raise ValueError(f"minibatch_stddev: needs samples and features, not shape {shape}")
    whole("minibatch_stddev: group_size", group_size)
    not_negative("minibatch_stddev: epsilon", epsilon)
    samples = shape[0]
    size = stddev_group(samples, group_size)
    groups = reshape(x, (size, samples // size, *shape[1:]))
    deviations = power(var(groups, axis=0) + epsilon, 0.5)
    feature = mean(deviations, tuple(range(1, len(shape))), keepdims=True)[None]
    feature = broadcast_to(feature, (size, samples // size, *shape[1:-1], 1))
    return concatenate([x, reshape(feature, (*shape[:-1], 1))], axis=-1)
