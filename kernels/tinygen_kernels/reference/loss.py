"""Losses of single elements, their sums, and their derivatives with respect to the prediction.

Cross-entropies of what is no probability, by more than SLACK below 0 or above 1, are NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .activation import ACTIVATIONS

Array = NDArray[Any]

SLACK = 1e-2  # how far rounding or a check of gradients may move them, beyond 0 and 1


def _of_probabilities(losses: Array, *probabilities: Array) -> Array:
    """The losses, and NaN for what is no probability."""
    for p in probabilities:
        losses = np.where((p >= -SLACK) & (p <= 1 + SLACK), losses, np.nan)
    return losses


def _clipped(p: Array, limit: float) -> Array:
    """Probabilities kept `limit` away from 0 and 1."""
    q: Array = np.clip(p, p.dtype.type(limit), p.dtype.type(1) - p.dtype.type(limit))
    return q


def _cross_entropy(p: Array, t: Array, limit: float) -> Array:
    q = _clipped(p, limit)
    return _of_probabilities(-(t * np.log(q) + (1 - t) * np.log(1 - q)), p, t)


def _cross_entropy_grad(p: Array, t: Array, limit: float) -> Array:
    q = _clipped(p, limit)
    return np.where(p == q, (q - t) / (q * (1 - q)), 0)


def _cross_entropy_with_logits(x: Array, t: Array, a: float) -> Array:
    missed = np.where(x > 0, 1 - t, -t)
    linear = np.where(missed == 0, 0, x) * missed  # 0 also for an infinite x
    return _of_probabilities(ACTIVATIONS["softplus"][0](-np.abs(x), a) + linear, t)


def _huber(p: Array, t: Array, delta: float) -> Array:
    e = np.abs(p - t)
    losses: Array = np.where(e <= delta, 0.5 * e * e, delta * (e - 0.5 * delta))
    return losses


# name -> (l of prediction p, target t and the parameter a, dl/dp of the same)
LOSSES: dict[str, tuple[Callable[..., Array], Callable[..., Array]]] = {
    "mse": (lambda p, t, a: (p - t) ** 2, lambda p, t, a: 2 * (p - t)),
    "binary_cross_entropy": (_cross_entropy, _cross_entropy_grad),
    "binary_cross_entropy_with_logits": (
        _cross_entropy_with_logits,
        lambda x, t, a: ACTIVATIONS["sigmoid"][0](x, a) - t,
    ),
    "huber": (_huber, lambda p, t, a: np.clip(p - t, -a, a)),
    "hinge": (
        lambda p, t, a: np.maximum(1 - t * p, 0),
        lambda p, t, a: np.where(t * p < 1, -t, 0),
    ),
}


def loss(p: Array, t: Array, name: str, parameter: float) -> Array:
    """The loss of each element."""
    return LOSSES[name][0](p, t, parameter).astype(p.dtype)


def loss_sum(p: Array, t: Array, name: str, parameter: float) -> float:
    """The sum over all elements, added up in float64."""
    return float(loss(p, t, name, parameter).sum(dtype=np.float64))


def loss_grad(p: Array, t: Array, g: Array, name: str, parameter: float, scale: float) -> Array:
    """scale g dl/dp; g has the shape of p, or none."""
    return (scale * g * LOSSES[name][1](p, t, parameter)).astype(p.dtype)
