"""Metrics of nearest neighbours: precision and recall, density and coverage, memorisation."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from ..backend import Array
from ..core import TensorLike
from .features import (
    check_neighbours,
    features_of,
    neighbour_radii,
    share_error,
    squared_distances,
)
from .statistics import Score

PERCENTILE = 1.0  # of the distances of samples that were held out


class PrecisionRecall(NamedTuple):
    """The share of fakes that are like reals, and of reals that are like fakes."""

    precision: Score
    recall: Score


class DensityCoverage(NamedTuple):
    """How dense the reals are where the fakes are, and the share of reals with a fake near."""

    density: Score
    coverage: Score


class Neighbours(NamedTuple):
    """For each fake the row of the nearest real, and the distance.

    Attributes:
        memorised: the share of fakes that are nearer to a real than all but one in a hundred of the
            samples that were held out; 0.01 where nothing was learned by heart, NaN without such.
    """

    indices: Array
    distances: Array
    memorised: Score


def precision_recall(
    real: TensorLike, fake: TensorLike, k: int = 3, *, radii: Array | None = None
) -> PrecisionRecall:
    """Improved precision and recall, from 0 to 1.

    Precision is the share of fakes that lie in a ball around some real, whose radius is the
    distance of that real to the k-th nearest of the other reals; recall the same with both sets
    exchanged. A sample on the surface of a ball lies in it (<=), as in the authors' code, so that
    duplicates, whose balls are points, count. Equal laws give about 0.9, not 1.

    Args:
        real: features (n, d), more than k samples.
        fake: likewise.
        k: which neighbour.
        radii: squared ones of the reals' balls, (n,), by `real_radii`, if they are known.

    Source: Kynkäänniemi et al. 2019.
    """
    real, fake = features_of("precision_recall", {"real": real, "fake": fake})
    check_neighbours("precision_recall", k, real=real, fake=fake)
    radii, fake_radii = _radii("precision_recall", real, k, radii), neighbour_radii(fake, k)
    precise, recalled = np.zeros(len(fake), bool), np.zeros(len(real), bool)
    for rows, distances in squared_distances(fake, real):
        precise[rows] = (distances <= radii).any(axis=1)
        recalled |= (distances <= fake_radii[rows, np.newaxis]).any(axis=0)
    return PrecisionRecall(_share(precise), _share(recalled))


def density_coverage(
    real: TensorLike, fake: TensorLike, k: int = 5, *, radii: Array | None = None
) -> DensityCoverage:
    """Density and coverage.

    density = 1 / (k M) sum over fakes of the number of reals in whose ball it lies, 0 or more;
    coverage = the share of reals whose ball holds a fake, from 0 to 1. Balls are those of
    `precision_recall`; a sample on the surface lies outside (<), as in the authors' code. For equal
    laws the expectations are known whatever they are: density 1, and coverage
    1 - prod_{i=1..k} (N - i) / (N + M - i) for N reals and M fakes.

    Args:
        real: features (n, d), more than k samples.
        fake: likewise, at least one.
        k: which neighbour.
        radii: as of `precision_recall`.

    Source: Naeem et al. 2020.
    """
    real, fake = features_of("density_coverage", {"real": real, "fake": fake})
    check_neighbours("density_coverage", k, real=real)
    radii = _radii("density_coverage", real, k, radii)
    counts, covered = np.zeros(len(fake)), np.zeros(len(real), bool)
    for rows, distances in squared_distances(fake, real):
        inside = distances < radii
        counts[rows] = inside.sum(axis=1)
        covered |= inside.any(axis=0)
    counts /= k
    error = float(counts.std(ddof=1)) / math.sqrt(len(fake)) if len(fake) > 1 else math.nan
    return DensityCoverage(Score(float(counts.mean()), error, len(fake)), _share(covered))


def nearest_neighbours(
    real: TensorLike, fake: TensorLike, held_out: TensorLike | None = None
) -> Neighbours:
    """The nearest real of each fake: what a generator may have learned by heart.

    Args:
        real: features (n, d), or images as rows of pixels: those that were trained on.
        fake: likewise.
        held_out: reals that were not trained on, to compare distances with.
    """
    sets = {"real": real, "fake": fake}
    if held_out is not None:
        sets["held_out"] = held_out
    real, fake, *others = features_of("nearest_neighbours", sets)
    indices, distances = _nearest(real, fake)
    if not others:
        return Neighbours(indices, distances, Score(math.nan, count=len(fake)))
    bound = np.percentile(_nearest(real, others[0])[1], PERCENTILE)
    return Neighbours(indices, distances, _share(distances < bound))


def real_radii(real: TensorLike, k: int) -> Array:
    """Squared radii of the balls around reals: the distance to the k-th nearest of the others.

    Worked out once, they serve to compare several sets of fakes with the same reals.

    Args:
        real: features (n, d), more than k samples.
        k: which neighbour: 3 by default of `precision_recall`, 5 of `density_coverage`.

    Returns:
        (n,) float64.
    """
    (real,) = features_of("real_radii", {"real": real})
    check_neighbours("real_radii", k, real=real)
    return neighbour_radii(real, k)


def _radii(metric: str, real: Array, k: int, known: Array | None) -> Array:
    """Those that are known, if they are as many as there are reals."""
    if known is None:
        return neighbour_radii(real, k)
    if np.shape(known) != (len(real),):
        raise ValueError(
            f"{metric}: radii must be one for each of {len(real)} reals, not {np.shape(known)}"
        )
    return np.asarray(known)


def _nearest(real: Array, fake: Array) -> tuple[Array, Array]:
    """The row of the nearest real of each fake, and the distance."""
    indices, distances = np.empty(len(fake), np.int64), np.empty(len(fake))
    for rows, found in squared_distances(fake, real):
        nearest = found.argmin(axis=1)
        indices[rows] = nearest
        distances[rows] = found[np.arange(len(found)), nearest]
    return indices, np.sqrt(np.maximum(distances, 0.0))


def _share(which: Array) -> Score:
    """The share of a mask that is true."""
    share = float(which.mean())
    return Score(share, share_error(share, len(which)), len(which))
