"""Features as metrics take them: checks, moments of a stream, distances by blocks."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np

from ..backend import Array, as_array, to_numpy
from ..core import TensorLike, data_of

BLOCK = 2**24  # distances that are held at a time
CLOSE = 1e-9  # squared distances below this share of the squared norms are worked out anew


def features_of(metric: str, sets: Mapping[str, TensorLike], least: int = 1) -> list[Array]:
    """The sets as float64 arrays (n, features) on the CPU, if they may be compared.

    Args:
        metric: names the caller in messages.
        sets: features (n, d), by their names in messages.
        least: the fewest samples that it needs.

    Raises ValueError for sets of other shapes or widths, with too few samples, with integers, with
    NaN or infinity.
    """
    found = {name: _features(metric, least, name, x) for name, x in sets.items()}
    (first, one), *others = found.items()
    for name, other in others:
        if other.shape[1] != one.shape[1]:
            raise ValueError(
                f"{metric}: {first} has {one.shape[1]} features a sample, {name} "
                f"{other.shape[1]}; both must come from one extractor"
            )
    return list(found.values())


def _features(metric: str, least: int, name: str, x: TensorLike) -> Array:
    array = to_numpy(as_array(data_of(x)))
    if array.dtype.kind != "f":
        raise ValueError(f"{metric}: {name} must hold floats, not {array.dtype}")
    if array.ndim != 2 or not array.shape[1]:
        raise ValueError(
            f"{metric}: {name} must be features (n, d), got shape {array.shape}; images go through "
            "an extractor, or are flattened by reshape(n, -1)"
        )
    if len(array) < least:
        raise ValueError(f"{metric}: {name} has {len(array)} samples, {least} are needed")
    if not np.isfinite(array).all():
        wrong = np.flatnonzero(~np.isfinite(array).all(axis=1))
        raise ValueError(
            f"{metric}: {name} holds NaN or infinity in {len(wrong)} of {len(array)} samples, "
            f"first in number {wrong[0]}"
        )
    return array.astype(np.float64, copy=False)


class FeatureStatistics:
    """Mean and covariance of features that come in batches, so that none need be kept.

    The moments of a batch are merged with those before it in float64 (Chan, Golub & LeVeque 1983),
    which loses nothing where the mean is large.

    >>> statistics = FeatureStatistics()
    >>> statistics.update(np.array([[0.0], [2.0]]))
    >>> statistics.update(np.array([[4.0]]))
    >>> statistics.count, statistics.mean.tolist(), statistics.covariance.tolist()
    (3, [2.0], [[4.0]])
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: Array | None = None
        self._scatter: Array | None = None

    def update(self, features: TensorLike) -> None:
        """Take in a batch (n, d); raises ValueError for what `features_of` refuses."""
        (batch,) = features_of("FeatureStatistics", {"features": features})
        n, mean = len(batch), batch.mean(axis=0)
        centred = batch - mean
        scatter = centred.T @ centred
        if self._mean is None or self._scatter is None:
            self.count, self._mean, self._scatter = n, mean, scatter
            return
        if mean.shape != self._mean.shape:
            raise ValueError(
                f"FeatureStatistics: batches of {len(self._mean)} and of {len(mean)} features"
            )
        total, step = self.count + n, mean - self._mean
        self._scatter = self._scatter + scatter + np.outer(step, step) * (self.count * n / total)
        self._mean = self._mean + step * (n / total)
        self.count = total

    @property
    def mean(self) -> Array:
        """(d,); raises ValueError without samples."""
        if self._mean is None:
            raise ValueError("FeatureStatistics: there are no samples yet")
        return self._mean

    @property
    def covariance(self) -> Array:
        """(d, d), divided by n - 1; raises ValueError for fewer than two samples."""
        if self._scatter is None or self.count < 2:
            raise ValueError(
                f"FeatureStatistics: {self.count} samples have no covariance, 2 are needed"
            )
        covariance: Array = self._scatter / (self.count - 1)
        return covariance


def squared_distances(a: Array, b: Array) -> Iterator[tuple[slice, Array]]:
    """Squared Euclidean distances by blocks of rows: slices of a, and arrays (rows, len(b)).

    |x|^2 + |y|^2 - 2 x.y of centred features, which is fast, and directly where that cancels: equal
    samples are at distance exactly 0.
    """
    centre = b.mean(axis=0)
    x, y = a - centre, b - centre
    norms = np.square(y).sum(axis=1)
    step = max(1, BLOCK // len(b))
    for start in range(0, len(a), step):
        rows = slice(start, min(start + step, len(a)))
        sizes = np.square(x[rows]).sum(axis=1)[:, np.newaxis] + norms
        found = sizes - 2.0 * (x[rows] @ y.T)
        i, j = np.nonzero(found <= CLOSE * sizes)
        few = max(1, BLOCK // a.shape[1])
        for first in range(0, len(i), few):
            part = slice(first, first + few)
            found[i[part], j[part]] = np.square(a[rows][i[part]] - b[j[part]]).sum(axis=1)
        yield rows, found


def neighbour_radii(x: Array, k: int) -> Array:
    """The squared distance of each sample to the k-th nearest of the others: (n,)."""
    radii = np.empty(len(x))
    for rows, distances in squared_distances(x, x):
        distances[np.arange(len(distances)), np.arange(rows.start, rows.stop)] = -1.0  # itself
        radii[rows] = np.partition(distances, k, axis=1)[:, k]
    return radii


def check_neighbours(metric: str, k: int, **sets: Array) -> None:
    """Raise ValueError for a k that is no whole number from 1 to the samples less one."""
    if not isinstance(k, (int, np.integer)) or isinstance(k, bool) or k < 1:
        raise ValueError(f"{metric}: k must be a whole number of at least 1, not {k!r}")
    for name, x in sets.items():
        if len(x) <= k:
            raise ValueError(
                f"{metric}: {name} has {len(x)} samples, a neighbour number {k} needs {k + 1}"
            )


def share_error(share: float, n: int) -> float:
    """The standard error of a share of n samples, sqrt(p (1 - p) / n)."""
    return math.sqrt(share * (1 - share) / n)
