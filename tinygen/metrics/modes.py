"""Metrics of classes and modes: what is there of all that should be."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array, as_array, to_numpy
from ..core import TensorLike, data_of
from ..ranges import whole
from ..system import require
from .features import features_of, share_error, squared_distances
from .statistics import Score

SIGMAS = 3.0  # how far from a centre a sample of high quality may be


class Modes(NamedTuple):
    """How much of a mixture samples cover; `float()` gives the modes that were captured.

    Attributes:
        captured: modes with a sample of high quality.
        high_quality: the share of samples within three sigma of a centre; of true samples in two
            dimensions 0.9889 are.
        divergence: KL(samples || uniform) over the modes nearest to the samples, in nats; 0 where
            all are equally frequent, log(modes) where there is but one.
    """

    captured: int
    high_quality: Score
    divergence: float

    def __float__(self) -> float:
        return float(self.captured)


def classifier_score(probabilities: TensorLike, splits: int = 10) -> Score:
    """The inception score of any classifier: exp(E KL(p(y|x) || p(y))), from 1 to the classes.

    The mean over `splits` parts of the samples, in their order, with p(y) the mean of a part. It
    is high where each sample is of a clear class and all classes occur; it knows no reals.

    Args:
        probabilities: (n, classes), each row with sum 1; at least one sample for each split.
        splits: how many parts.

    Source: Salimans et al. 2016.
    """
    whole("classifier_score: splits", splits)
    p = probabilities_of("classifier_score", probabilities)
    if p.ndim != 2:
        raise ValueError(f"classifier_score: probabilities must be (n, classes), not {p.shape}")
    wrong = np.abs(p.sum(axis=1) - 1.0) > 1e-3
    if wrong.any():
        raise ValueError(
            f"classifier_score: row {int(wrong.argmax())} has sum {p[wrong.argmax()].sum():.4g}; "
            "probabilities of a sample add up to 1 (softmax of logits)"
        )
    if len(p) < splits:
        raise ValueError(f"classifier_score: {len(p)} samples make no {splits} splits")
    scores = []
    for part in np.array_split(p, splits):
        mean = np.broadcast_to(part.mean(axis=0), part.shape)
        ratio = np.divide(part, mean, out=np.ones_like(part), where=part > 0)
        scores.append(math.exp(float((part * np.log(ratio)).sum(axis=1).mean())))
    error = float(np.std(scores, ddof=1)) / math.sqrt(splits) if splits > 1 else math.nan
    return Score(float(np.mean(scores)), error, len(p))


def mode_histogram(labels: Any, classes: int) -> Array:
    """How many samples there are of each class: (n,) -> (classes,) integers.

    Args:
        labels: from 0 to classes - 1, as a classifier gives them.
        classes: how many there are.
    """
    whole("mode_histogram: classes", classes)
    given = to_numpy(as_array(data_of(labels)))
    if given.dtype.kind not in "iu" or given.ndim != 1:
        raise ValueError(
            f"mode_histogram: labels must be integers (n,), not {given.dtype} {given.shape}"
        )
    if given.size and not (given.min() >= 0 and given.max() < classes):
        raise ValueError(
            f"mode_histogram: labels go from 0 to {classes - 1}, these from {given.min()} to "
            f"{given.max()}"
        )
    return np.bincount(given.astype(np.int64), minlength=classes)


def modes_captured(samples: TensorLike, centres: TensorLike, sigma: float) -> Modes:
    """The modes of a mixture of Gaussians that samples capture, after PacGAN and VEEGAN.

    Args:
        samples: points (n, d).
        centres: of the Gaussians, (modes, d).
        sigma: their standard deviation.

    Source: Srivastava et al. 2017; Lin et al. 2018.
    """
    points, middle = features_of("modes_captured", {"samples": samples, "centres": centres})
    if not (isinstance(sigma, (int, float, np.floating)) and 0 < sigma < math.inf):
        raise ValueError(f"modes_captured: sigma must be positive and finite, not {sigma!r}")
    nearest, good = np.empty(len(points), np.int64), np.empty(len(points), bool)
    for rows, distances in squared_distances(points, middle):
        nearest[rows] = distances.argmin(axis=1)
        good[rows] = distances.min(axis=1) <= (SIGMAS * sigma) ** 2
    share = float(good.mean())
    p = np.bincount(nearest, minlength=len(middle)) / len(points)
    divergence = float((p[p > 0] * np.log(p[p > 0] * len(middle))).sum())
    quality = Score(share, share_error(share, len(points)), len(points))
    return Modes(len(np.unique(nearest[good])), quality, divergence)


def linear_separability(latents: TensorLike, probabilities: TensorLike) -> Score:
    """How well hyperplanes in latent space separate attributes: 2^(sum of H(Y|X)), 1 at best.

    For each attribute half of the samples, those whose probabilities are surest, are labelled Y and
    a linear support vector machine is fitted to their latents; X is what it predicts, and H(Y|X),
    in bits, what is left to know. An attribute that latents say nothing of, and that half of the
    samples have, gives a factor of 2.

    Args:
        latents: (n, d).
        probabilities: that a sample has an attribute: (n,) or (n, attributes), in [0, 1].

    Needs scikit-learn. Source: Karras et al. 2019, and their code.
    """
    require("sklearn")
    from sklearn.svm import LinearSVC

    (x,) = features_of("linear_separability", {"latents": latents}, 4)
    p = probabilities_of("linear_separability", probabilities)
    p = p[:, np.newaxis] if p.ndim == 1 else p
    if p.ndim != 2 or len(p) != len(x):
        raise ValueError(
            f"linear_separability: probabilities must be ({len(x)},) or ({len(x)}, attributes), "
            f"got {p.shape}"
        )
    bits = 0.0
    for column in p.T:
        surest = np.argsort(-np.abs(column - 0.5), kind="stable")[: len(x) // 2]
        y = (column[surest] > 0.5).astype(np.int64)
        if y.min() == y.max():
            continue  # nothing to separate, nothing left to know
        predicted = LinearSVC(random_state=0).fit(x[surest], y).predict(x[surest])
        joint = np.histogram2d(predicted, y, bins=2, range=((-0.5, 1.5), (-0.5, 1.5)))[0] / len(y)
        given = np.broadcast_to(joint.sum(axis=1, keepdims=True), joint.shape)
        bits -= float((joint[joint > 0] * np.log2((joint / given)[joint > 0])).sum())
    return Score(2.0**bits, count=len(x) // 2)


def probabilities_of(metric: str, probabilities: TensorLike) -> Array:
    """Probabilities as float64; raises ValueError for what are none."""
    p = to_numpy(as_array(data_of(probabilities)))
    if p.dtype.kind != "f" or not p.ndim or not p.size:
        raise ValueError(f"{metric}: probabilities must be floats, not {p.dtype} {p.shape}")
    if not np.isfinite(p).all() or p.min() < -1e-6 or p.max() > 1 + 1e-6:
        raise ValueError(
            f"{metric}: probabilities must be in [0, 1], these go from {p.min():.4g} to "
            f"{p.max():.4g}; logits need a softmax or sigmoid"
        )
    return np.clip(p.astype(np.float64), 0.0, 1.0)
