"""The Fréchet distance between two sets of features, and its expectation for equal laws."""

from __future__ import annotations

import numpy as np

from ..backend import Array
from ..core import TensorLike
from .features import FeatureStatistics, features_of
from .statistics import Score


def frechet_distance(
    real: TensorLike | FeatureStatistics, fake: TensorLike | FeatureStatistics
) -> Score:
    """Fréchet distance of two Gaussians with the means and covariances of the sets.

    |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2),  covariances divided by n - 1, in float64.

    With S = R^T R the last trace is the sum of the singular values of R1 R2^T: no root of a matrix
    that is not symmetric, and so no complex numbers; where there are fewer samples than features R
    is the centred features themselves, so that nothing is lost of a covariance without full rank.
    It is 0 for sets with equal moments; for two samples of one law it is about
    `frechet_floor(covariance, n)`, so compare it with that, at the same counts.

    Args:
        real: features (n, d) of at least two samples, or FeatureStatistics.
        fake: likewise.

    Raises ValueError for features that cannot be compared; see `features_of`.

    Source: Dowson & Landau 1982; Heusel et al. 2017, who took features of Inception v3.
    """
    moments = [_moments(name, x) for name, x in (("real", real), ("fake", fake))]
    (mean1, root1, n1), (mean2, root2, n2) = moments
    if mean1.shape != mean2.shape:
        raise ValueError(
            f"frechet_distance: real has {len(mean1)} features a sample, fake {len(mean2)}; both "
            "must come from one extractor"
        )
    traces = np.square(root1).sum() + np.square(root2).sum()
    shared = np.linalg.svd(root1 @ root2.T, compute_uv=False).sum()
    value = float(np.square(mean1 - mean2).sum() + traces - 2.0 * shared)
    return Score(max(value, 0.0), count=min(n1, n2))


def frechet_floor(covariance: TensorLike, n: int) -> float:
    """The Fréchet distance to expect between two samples of n of one Gaussian.

    2 tr S / n + 1/n sum_ij l_i l_j (1 + d_ij) / (l_i + l_j),  l the eigenvalues of S, to first
    order in 1 / n; for S = 1 in d dimensions 2 d / n + d (d + 1) / (2 n). No generator can be
    expected below it.

    Args:
        covariance: (d, d).
        n: samples in each of the two sets, at least 2.
    """
    given = np.asarray(covariance, np.float64)
    if given.ndim != 2 or given.shape[0] != given.shape[1] or not np.isfinite(given).all():
        raise ValueError(f"frechet_floor: covariance must be (d, d) and finite, got {given.shape}")
    if not np.allclose(given, given.T, rtol=1e-6, atol=1e-9 * np.abs(given).max(initial=0.0)):
        raise ValueError("frechet_floor: a covariance is symmetric, the given matrix is not")
    if not isinstance(n, (int, np.integer)) or isinstance(n, bool) or n < 2:
        raise ValueError(f"frechet_floor: n must be a whole number of at least 2, not {n!r}")
    values = np.linalg.eigvalsh(given)
    if values.size and values[0] < -1e-6 * abs(values[-1]):
        raise ValueError(
            f"frechet_floor: a covariance has no negative eigenvalue ({values[0]:.4g})"
        )
    values = np.maximum(values, 0.0)
    sums = values[:, np.newaxis] + values
    products = np.outer(values, values) * (1.0 + np.eye(len(values)))
    ratios = np.divide(products, sums, out=np.zeros_like(sums), where=sums > 0)
    return float(2.0 * values.sum() + ratios.sum()) / n


def _moments(name: str, x: TensorLike | FeatureStatistics) -> tuple[Array, Array, int]:
    """The mean, a matrix R with R^T R = S, and the count of samples."""
    if isinstance(x, FeatureStatistics):
        values, vectors = np.linalg.eigh(x.covariance)
        root = np.sqrt(np.maximum(values, 0.0))[:, np.newaxis] * vectors.T
        return x.mean, root, x.count
    (features,) = features_of("frechet_distance", {name: x}, 2)
    n, d = features.shape
    mean = features.mean(axis=0)
    centred = (features - mean) / np.sqrt(n - 1)
    reduced = centred if n <= d else np.asarray(np.linalg.qr(centred, mode="r"))
    return mean, reduced, n
