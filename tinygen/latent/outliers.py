"""Outliers: samples that a model reproduces badly, since it has seen nothing like them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..backend import Array

CLIP = 1e-7  # as in the loss


def _mse(x: Array, y: Array) -> Array:
    return np.asarray(np.square(x - y))


def _binary_cross_entropy(x: Array, y: Array) -> Array:
    y = np.clip(y, CLIP, 1 - CLIP)
    return np.asarray(-(x * np.log(y) + (1 - x) * np.log1p(-y)))


ERRORS: dict[str, Callable[[Array, Array], Array]] = {
    "mse": _mse,
    "binary_cross_entropy": _binary_cross_entropy,
}


def reconstruction_errors(x: Array, reconstructions: Array, error: str = "mse") -> Array:
    """How badly each sample is reproduced, mean over its pixels: (n, ...), (n, ...) -> (n,).

    The cross-entropy of a perfect reconstruction is 0 only for black and white pixels, so images
    with much grey get high scores by it; squared errors have no such preference.

    Args:
        x: the samples; for the cross-entropy in [0, 1].
        reconstructions: of a model.
        error: "mse" or "binary_cross_entropy".
    """
    if x.shape != reconstructions.shape or not x.size:
        raise ValueError(
            f"reconstruction_errors: samples {x.shape}, reconstructions {reconstructions.shape}"
        )
    if error not in ERRORS:
        raise ValueError(f"reconstruction_errors: error is {' or '.join(ERRORS)}, not {error!r}")
    if error != "mse" and (x.min() < 0 or x.max() > 1):
        raise ValueError("reconstruction_errors: the cross-entropy needs samples in [0, 1]")
    n = len(x)
    pairs = x.reshape(n, -1).astype(np.float64), reconstructions.reshape(n, -1).astype(np.float64)
    return np.asarray(ERRORS[error](*pairs).mean(axis=1))


def threshold(errors: Array, percentile: float = 99.0) -> float:
    """The score above which a sample counts as an outlier: exceeded by few of the training data.

    Args:
        errors: the scores of training data, (n,).
        percentile: of the training data that is no outlier, 0 to 100.
    """
    if not len(errors) or not np.isfinite(errors).all():
        raise ValueError("threshold: finite scores of training data are needed")
    if not 0 <= percentile <= 100:
        raise ValueError(f"threshold: a percentile is from 0 to 100, not {percentile}")
    return float(np.percentile(errors, percentile))
