"""Principal component analysis as a yardstick: the best that a linear autoencoder can do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..backend import Array


def pca_errors(train: Array, valid: Array, widths: Sequence[int]) -> list[float]:
    """The mean squared error of reconstructing `valid` from its first k principal components.

    With the mean m and the first k principal axes U of `train`, x becomes m + (x - m) U U^T.
    No linear autoencoder with k codings has a smaller error on `train` (Baldi & Hornik 1989).

    Args:
        train: (n, ...), from which mean and axes are computed.
        valid: (m, ...), samples of the same shape, which are reconstructed.
        widths: values of k, each from 1 to the number of features.

    Returns:
        For each width, the mean over samples and features, as `ops.mse` has it.
    """
    x, y = (np.asarray(a).reshape(len(a), -1).astype(np.float64) for a in (train, valid))
    features = x.shape[1]
    if y.shape[1] != features:
        raise ValueError(f"pca_errors: train has {features} features, valid {y.shape[1]}")
    for k in widths:
        if not 1 <= k <= features:
            raise ValueError(f"pca_errors: a width must be from 1 to {features}, not {k}")
    mean = x.mean(axis=0)
    axes = _principal_axes(x - mean)
    centred = y - mean
    inside = np.cumsum(((centred @ axes) ** 2).sum(axis=0))  # by the number of axes
    total = (centred**2).sum()
    last = len(inside) - 1  # fewer samples than features: there are no more axes
    return [float((total - inside[min(k - 1, last)]) / y.size) for k in widths]


def _principal_axes(x: Array) -> Array:
    """The eigenvectors of X^T X, largest eigenvalue first: (features, axes).

    Where there are fewer samples than features they come from the smaller X X^T: if
    X X^T u = l u, then X^T u is an eigenvector of X^T X.
    """
    n, features = x.shape
    if features <= n:
        return np.asarray(np.linalg.eigh(x.T @ x)[1][:, ::-1])
    values, vectors = np.linalg.eigh(x @ x.T)
    kept = values > values[-1] * n * np.finfo(x.dtype).eps
    return np.asarray((x.T @ vectors[:, kept] / np.sqrt(values[kept]))[:, ::-1])
