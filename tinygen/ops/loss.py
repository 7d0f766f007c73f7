"""Losses: `loss(prediction, target, reduction)`. "mean" averages over all elements, "sum" adds
them up, "none" gives every element's own. A target is data: it takes the floating type of the
prediction, so that the loss keeps it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from ..backend import (
    Array,
    array_module,
    as_array,
    beside,
    device_of,
    is_array,
    kernels,
)
from ..core import Tensor, TensorLike, data_of
from ..function import Function
from ..promotion import FLOATS, float_type, promote, weak
from ..ranges import positive
from .activation import log_softmax, sigmoid
from .elementwise import exp, log
from .reduce import mean, sum, sum_to
from .selection import clip, where
from .shape import take_along_axis

SMALLEST_PROBABILITY = 1e-7  # Keras's: probabilities are kept this far from 0 and 1
SLACK = 1e-2  # how far rounding or a gradient check may move them, beyond 0 and 1
LABELS = "give probabilities of the classes, or their integer labels"
PIXELS = "pixels are divided by 255 (tinygen.data.as_floats)"


class Derivatives(NamedTuple):
    """What the second order needs of a loss l(p, t) with parameter a, beside dl/dp."""

    target: Callable[[Tensor, Tensor, float], Tensor]  # dl/dt
    curvature: Callable[[Tensor, Tensor, float], Tensor | float]  # d2l/dp2
    mixed: Callable[[Tensor, Tensor, float], Tensor | float]  # d2l/dp dt


def _inside(p: Tensor, limit: float) -> tuple[Tensor, Tensor]:
    """The clipped probabilities, and 1 where they were not clipped."""
    q = clip(p, limit, 1.0 - limit)
    return q, Tensor((data_of(p) == q.data).astype(p.dtype))


def _cross_entropy_curvature(p: Tensor, t: Tensor, limit: float) -> Tensor:
    q, inside = _inside(p, limit)
    return inside * (t / (q * q) + (1.0 - t) / ((1.0 - q) * (1.0 - q)))


def _cross_entropy_mixed(p: Tensor, t: Tensor, limit: float) -> Tensor:
    q, inside = _inside(p, limit)
    return -inside / (q * (1.0 - q))


def _cross_entropy_target(p: Tensor, t: Tensor, limit: float) -> Tensor:
    q, _ = _inside(p, limit)
    return log(1.0 - q) - log(q)


def _near(p: Tensor, t: Tensor, delta: float) -> Tensor:
    """1 where |p - t| <= delta."""
    return Tensor((abs(data_of(p) - data_of(t)) <= delta).astype(p.dtype))


def _active(p: Tensor, t: Tensor) -> Tensor:
    """1 where the hinge is not 0."""
    return Tensor((data_of(p) * data_of(t) < 1).astype(p.dtype))


def _sigmoid_slope(x: Tensor, t: Tensor, a: float) -> Tensor:
    s = sigmoid(x)
    return s * (1.0 - s)


DERIVATIVES = {
    "mse": Derivatives(lambda p, t, a: 2.0 * (t - p), lambda p, t, a: 2.0, lambda p, t, a: -2.0),
    "binary_cross_entropy": Derivatives(
        _cross_entropy_target, _cross_entropy_curvature, _cross_entropy_mixed
    ),
    "binary_cross_entropy_with_logits": Derivatives(
        lambda x, t, a: -x, _sigmoid_slope, lambda x, t, a: -1.0
    ),
    "huber": Derivatives(
        lambda p, t, a: clip(t - p, -a, a), _near, lambda p, t, a: -_near(p, t, a)
    ),
    "hinge": Derivatives(
        lambda p, t, a: -p * _active(p, t),
        lambda p, t, a: 0.0,
        lambda p, t, a: -_active(p, t),
    ),
}


class LossFunction(Function):
    """L = the sum or mean of l(p, t), or each,  gp = g dl/dp,  gt = g dl/dt."""

    scale: float = 1.0

    def __init__(self, name: str, parameter: float, reduction: str) -> None:
        self.name = name  # type: ignore[misc]  # one class serves all losses
        self.parameter, self.reduction = weak(parameter), reduction

    def forward(self, p: Array, t: Array) -> Array:
        self.save(p, t)
        if self.reduction == "none":
            losses = kernels(p).loss(p, t, self.name, self.parameter)
            if self.name in LIKELIHOODS and device_of(p) == "cpu" and np.isnan(losses).any():
                _check_likelihood(self.name, p, t)
            return losses
        total = kernels(p).loss_sum(p, t, self.name, self.parameter)
        if self.name in LIKELIHOODS and device_of(p) == "cpu" and math.isnan(total):
            _check_likelihood(self.name, p, t)
        if self.reduction == "mean":
            self.scale = 1.0 / p.size if p.size else math.nan
        return as_array(total * self.scale).astype(p.dtype, copy=False)

    def backward(self, g: Tensor) -> tuple[Tensor | None, ...]:
        p, t = self.saved
        gp = gt = None
        if self.needed[0]:
            gp = loss_grad(p, t, g, self.name, self.parameter, self.scale)
        if self.needed[1]:
            gt = g * self.scale * DERIVATIVES[self.name].target(p, t, self.parameter)
        return gp, gt


class LossGradFunction(Function):
    """h = s g dl/dp,  hp = s gh g d2l/dp2,  ht = s gh g d2l/dp dt,  hg = s gh dl/dp."""

    def __init__(self, name: str, parameter: float, scale: float) -> None:
        self.loss, self.parameter, self.scale = name, parameter, scale
        self.name = name + "_grad"  # type: ignore[misc]  # one class serves all losses

    def forward(self, p: Array, t: Array, g: Array) -> Array:
        self.save(p, t, g)
        return kernels(p).loss_grad(p, t, g, self.loss, self.parameter, self.scale)

    def backward(self, gh: Tensor) -> tuple[Tensor | None, ...]:
        p, t, g = self.saved
        derivatives = DERIVATIVES[self.loss]
        hp = ht = hg = None
        if self.needed[0]:
            hp = gh * g * self.scale * derivatives.curvature(p, t, self.parameter)
        if self.needed[1]:
            ht = gh * g * self.scale * derivatives.mixed(p, t, self.parameter)
        if self.needed[2]:
            hg = sum_to(loss_grad(p, t, gh, self.loss, self.parameter, self.scale), g.shape)
        return hp, ht, hg


def loss_grad(p: Tensor, t: Tensor, g: Tensor, name: str, parameter: float, scale: float) -> Tensor:
    """scale g dl/dp."""
    return LossGradFunction(name, parameter, scale)(p, t, g)


# Losses of probabilities, and what to do where predictions are none.
LIKELIHOODS = {
    "binary_cross_entropy": 'end the model with activation="sigmoid", or give its outputs to '
    "binary_cross_entropy_with_logits",
    "binary_cross_entropy_with_logits": "",
}


def _check_likelihood(name: str, p: Array, t: Array) -> None:
    """Find out why a loss is NaN: its kernel makes it that for what is no probability."""
    if LIKELIHOODS[name]:
        _check_probabilities("predictions", p, LIKELIHOODS[name])
    _check_probabilities("targets", t, PIXELS)


def _check_probabilities(what: str, x: Array, hint: str) -> None:
    """Raise ValueError for numbers below 0 or above 1; NaN is neither."""
    if not x.size:
        return
    low, high = np.fmin.reduce(x, axis=None), np.fmax.reduce(x, axis=None)
    if low < -SLACK or high > 1 + SLACK:
        raise ValueError(
            f"{what} from {low:.4g} to {high:.4g} are no probabilities, which go from 0 to 1: "
            f"{hint}"
        )


def _of_probabilities(op: str, losses: Tensor, hint: str, **given: TensorLike) -> Tensor:
    """The losses of samples whose last axis are probabilities, after a look at those.

    On a card they are not waited for: the loss of a sample in which some are none is NaN.
    """
    for what, x in given.items():
        array = data_of(x)
        if device_of(array) == "cpu":
            try:
                _check_probabilities(what, array, hint)
            except ValueError as error:
                raise ValueError(f"{op}: {error}") from None
        else:
            inside = ((array >= -SLACK) & (array <= 1 + SLACK)).all(axis=-1)
            losses = where(inside, losses, math.nan)
    return losses


def _loss(
    name: str, prediction: TensorLike, target: TensorLike, parameter: float, reduction: str
) -> Tensor:
    """A loss of single elements, after checking that the two fit."""
    _check_reduction(name, reduction)
    prediction, target = _given(prediction), _given(target)
    p, t = data_of(prediction), data_of(target)
    if p.shape != t.shape:
        raise ValueError(f"{name}: prediction of shape {p.shape}, target of shape {t.shape}")
    return LossFunction(name, parameter, reduction)(prediction, _in_type(target, p.dtype))


def _given(x: Any) -> Any:
    """A tensor or an array as it is; numbers and lists of them as a tensor."""
    return x if isinstance(x, Tensor) or is_array(x) else Tensor(x)


def _in_type(target: Any, dtype: Any) -> Any:
    """A floating target in the type of a floating prediction, so that the loss keeps it."""
    both_floating = target.dtype.kind == dtype.kind == "f"
    return target.astype(float_type(dtype)) if both_floating else target


def _check_reduction(name: str, reduction: str) -> None:
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f'{name}: reduction must be "mean", "sum" or "none", not {reduction!r}')


def _reduced(losses: Tensor, reduction: str) -> Tensor:
    """One loss a sample, as the reduction wants them."""
    return losses if reduction == "none" else (mean if reduction == "mean" else sum)(losses)


def mse(prediction: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """(prediction - target)^2; both of one shape."""
    return _loss("mse", prediction, target, 0.0, reduction)


def binary_cross_entropy(
    prediction: TensorLike, target: TensorLike, reduction: str = "mean"
) -> Tensor:
    """-t log p - (1 - t) log(1 - p) of probabilities, clipped to [1e-7, 1 - 1e-7] as in Keras.

    Raises ValueError for predictions or targets below 0 or above 1. On a card they are not waited
    for: their loss is NaN.
    """
    return _loss("binary_cross_entropy", prediction, target, SMALLEST_PROBABILITY, reduction)


def binary_cross_entropy_with_logits(
    prediction: TensorLike, target: TensorLike, reduction: str = "mean"
) -> Tensor:
    """Binary cross-entropy of sigmoid(prediction), without overflow or clipping.

    An infinite logit is a certainty: its loss is 0 where the target is the same, else infinite.
    Raises ValueError for targets below 0 or above 1; on a card their loss is NaN.
    """
    return _loss("binary_cross_entropy_with_logits", prediction, target, 0.0, reduction)


def huber(
    prediction: TensorLike, target: TensorLike, reduction: str = "mean", delta: float = 1.0
) -> Tensor:
    """e^2 / 2 where |e| = |prediction - target| <= delta, beyond that delta (|e| - delta / 2).

    The `delta` must be positive.
    """
    positive("huber: delta", delta)
    return _loss("huber", prediction, target, delta, reduction)


def hinge(prediction: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """max(0, 1 - target * prediction), for targets of -1 and 1."""
    return _loss("hinge", prediction, target, 0.0, reduction)


def softmax_cross_entropy(prediction: TensorLike, target: Any, reduction: str = "mean") -> Tensor:
    """-log softmax(prediction) at the target class; one loss a sample.

    Args:
        prediction: logits, (..., classes).
        target: integer labels (...), or probabilities (..., classes).
        reduction: over the samples.

    A logit of -infinity is a class that cannot be: it adds nothing where its probability is 0.
    Raises ValueError for labels that are no classes, and probabilities below 0 or above 1. Those
    that are on a card already are not waited for: their loss is NaN.
    """
    _check_reduction("softmax_cross_entropy", reduction)
    prediction = _given(prediction)
    logits = data_of(prediction)
    labels = as_array(data_of(target))
    if labels.dtype.kind not in "iu" and labels.shape == logits.shape[:-1]:
        raise ValueError(
            f"softmax_cross_entropy: logits of shape {logits.shape}: labels must be integers, not "
            f'{labels.dtype}: give an array of integers, or tensor(labels, dtype="int64")'
        )
    if labels.dtype.kind in "iu":
        if labels.shape != logits.shape[:-1]:
            raise ValueError(
                f"softmax_cross_entropy: logits of shape {logits.shape} need labels of shape "
                f"{logits.shape[:-1]}, got {labels.shape}"
            )
        known = device_of(labels) == "cpu"
        if known and labels.size and not 0 <= labels.min() <= labels.max() < logits.shape[-1]:
            raise ValueError(
                f"softmax_cross_entropy: labels must be from 0 to {logits.shape[-1] - 1}, "
                f"got {labels.min()} to {labels.max()}"
            )
        inside = None if known else (labels >= 0) & (labels < logits.shape[-1])
        places = beside(labels, logits) if known else array_module(labels).where(inside, labels, 0)
        chosen = take_along_axis(log_softmax(prediction), places[..., None], -1)
        losses = -chosen.reshape(labels.shape)
        return _reduced(losses if known else where(inside, losses, math.nan), reduction)
    if labels.shape != logits.shape:
        raise ValueError(
            f"softmax_cross_entropy: logits of shape {logits.shape} need probabilities of the "
            f"same shape, got {labels.shape}"
        )
    target = _in_type(target if isinstance(target, Tensor) else labels, logits.dtype)
    log_p = log_softmax(prediction)
    zero, impossible = labels == 0, data_of(log_p) == -math.inf
    nothing = beside(zero, impossible) & beside(impossible, zero)  # 0 log 0 is 0
    losses = -sum(target * where(nothing, 0.0, log_p), -1)
    losses = _of_probabilities("softmax_cross_entropy", losses, LABELS, targets=target)
    return _reduced(losses, reduction)


def kl_divergence(prediction: TensorLike, target: TensorLike, reduction: str = "mean") -> Tensor:
    """KL(target || prediction) = sum over the last axis of t log(t / p); one loss a sample.

    Both are clipped to [1e-7, 1], as in Keras. Raises ValueError for what is below 0 or above 1; on
    a card its loss is NaN.
    """
    _check_reduction("kl_divergence", reduction)
    prediction, target = _given(prediction), _given(target)
    if data_of(prediction).shape != data_of(target).shape:
        raise ValueError(
            f"kl_divergence: prediction of shape {data_of(prediction).shape}, "
            f"target of shape {data_of(target).shape}"
        )
    p = clip(prediction, SMALLEST_PROBABILITY, 1.0)
    t = clip(_in_type(target, p.dtype), SMALLEST_PROBABILITY, 1.0)
    losses = sum(t * (log(t) - log(p)), -1)
    hint = 'end the model with activation="sigmoid" or ops.softmax'
    losses = _of_probabilities(
        "kl_divergence", losses, hint, predictions=prediction, targets=target
    )
    return _reduced(losses, reduction)


def gaussian_kl(mean: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mean, e^log_var) || N(0, 1)), summed over the last axis: (n, k), (n, k) -> (n,).

    Source: Kingma & Welling 2014, appendix B.
    """
    mean, log_var = promote("gaussian_kl", FLOATS, (mean, log_var))
    if data_of(mean).shape != data_of(log_var).shape:
        raise ValueError(
            f"gaussian_kl: mean of shape {data_of(mean).shape}, log_var of shape "
            f"{data_of(log_var).shape}"
        )
    return -0.5 * sum(1.0 + log_var - exp(log_var) - mean * mean, -1)
