"""Directions in latent space: of a factor, of the most variance, of the weights.

A direction has length 1. Codes are latents z, styles w or codings, (n, d); moving a code by t along
a direction adds t times it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..backend import Array
from ..system import require

HELD_OUT = 0.2  # of the codes, to tell how good a direction is


class FactorDirection(NamedTuple):
    """A direction along which a factor grows.

    Attributes:
        direction: (d,), of length 1.
        score: on codes that were held out: the accuracy of a yes or no, R2 of a number.
    """

    direction: Array
    score: float


class Components(NamedTuple):
    """Directions of growing codes, the most telling first.

    Attributes:
        directions: (k, d), of length 1, at right angles to each other.
        shares: how much of the whole each has, (k,), of a sum of 1 over all d.
    """

    directions: Array
    shares: Array


def mean_direction(codes: Array, values: Array) -> Array:
    """From the mean code where a factor is low to that where it is high: (n, d), (n,) -> (d,).

    Args:
        codes: (n, d).
        values: of the factor: yes or no, or numbers, which are cut at their median.

    Raises ValueError where all have the same value.
    """
    x, y = _checked("mean_direction", codes, values)
    high = y > (0.5 if _is_binary(y) else np.median(y))
    if high.all() or not high.any():
        raise ValueError("mean_direction: one of the two halves is empty")
    return _unit("mean_direction", x[high].mean(axis=0) - x[~high].mean(axis=0))


def fitted_direction(codes: Array, values: Array, *, seed: int = 0) -> FactorDirection:
    """The normal of the hyperplane that tells a factor best: logistic, or linear, regression.

    Codes are standardised before, and the normal is brought back to their scales: it is the way on
    which the prediction grows fastest.

    Args:
        codes: (n, d).
        values: of the factor: yes or no, or numbers.
        seed: of the split into codes to fit and those held out.

    Needs scikit-learn. Source: Shen et al. 2020, "Interpreting the latent space of GANs", and
    Karras et al. 2019 for hyperplanes in w.
    """
    require("sklearn")
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.model_selection import train_test_split

    x, y = _checked("fitted_direction", codes, values)
    binary = _is_binary(y)
    if y.min() == y.max():
        raise ValueError("fitted_direction: the factor is the same of all codes")
    scale = x.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    standard = (x - x.mean(axis=0)) / scale
    parts = train_test_split(
        standard, y, test_size=HELD_OUT, random_state=seed, stratify=y if binary else None
    )
    fit_x, test_x, fit_y, test_y = parts
    model = LogisticRegression(max_iter=1000) if binary else Ridge(1.0)
    model.fit(fit_x, fit_y.astype(np.int64) if binary else fit_y)
    score = float(model.score(test_x, test_y.astype(np.int64) if binary else test_y))
    return FactorDirection(_unit("fitted_direction", np.ravel(model.coef_) / scale), score)


def pca_directions(codes: Array, count: int | None = None) -> Components:
    """The principal axes of codes, exactly: shares are of their variance.

    Args:
        codes: (n, d), of two codes or more.
        count: how many; by default all.

    Source: Härkönen et al. 2020, "GANSpace".
    """
    x = _codes("pca_directions", codes)
    centred = x - x.mean(axis=0)
    return _components("pca_directions", centred.T @ centred / max(len(x) - 1, 1), count)


def weight_directions(weights: Sequence[Array], count: int | None = None) -> Components:
    """Closed-form factorisation (SeFa): the directions that weights stretch most.

    Those are the eigenvectors of A^T A, of all weights that styles go through, stacked, each output
    a row of length 1. No sample is drawn.

    Args:
        weights: matrices (d, outputs), of dense layers that take styles.
        count: how many; by default all.

    Source: Shen & Zhou 2021, "Closed-form factorization of latent semantics in GANs".
    """
    if not weights:
        raise ValueError("weight_directions: there are no weights")
    parts = [np.asarray(w, np.float64) for w in weights]
    if any(w.ndim != 2 or len(w) != len(parts[0]) for w in parts):
        shapes = ", ".join(str(w.shape) for w in parts)
        raise ValueError(f"weight_directions: weights are matrices (d, outputs), not {shapes}")
    stacked = np.concatenate(parts, axis=1)
    norms = np.linalg.norm(stacked, axis=0)
    stacked = stacked / np.where(norms > 0, norms, 1.0)
    return _components("weight_directions", stacked @ stacked.T, count)


def without(direction: Array, others: Array) -> Array:
    """The part of a direction at right angles to others: it moves their hyperplanes' sides less.

    Args:
        direction: (d,).
        others: (m, d).

    Raises ValueError where nothing is left.
    """
    basis, triangle = np.linalg.qr(np.atleast_2d(others).astype(np.float64).T)
    basis = basis[:, np.abs(np.diag(triangle)) > 1e-12]
    return _unit("without", direction - basis @ (basis.T @ direction))


def _components(name: str, matrix: Array, count: int | None) -> Components:
    """Eigenvectors of a symmetric matrix, the largest values first."""
    values, vectors = np.linalg.eigh(matrix)
    total = values.sum()
    if not total > 0:
        raise ValueError(f"{name}: there is no variance")
    many = len(values) if count is None else count
    if not 1 <= many <= len(values):
        raise ValueError(f"{name}: count is from 1 to {len(values)}, not {count}")
    order = np.argsort(-values, kind="stable")[:many]
    directions = vectors[:, order].T
    largest = np.take_along_axis(directions, np.abs(directions).argmax(1)[:, None], 1)
    return Components(directions * np.sign(largest), np.maximum(values[order], 0) / total)


def _codes(name: str, codes: Array) -> Array:
    x = np.asarray(codes, np.float64)
    if x.ndim != 2 or len(x) < 2 or not np.isfinite(x).all():
        raise ValueError(f"{name}: codes are an array (n, d) of two or more, not {x.shape}")
    return x


def _checked(name: str, codes: Array, values: Array) -> tuple[Array, Array]:
    x, y = _codes(name, codes), np.asarray(values, np.float64)
    if y.shape != (len(x),):
        raise ValueError(f"{name}: {len(x)} codes, and values of shape {y.shape}")
    if not np.isfinite(y).all():
        raise ValueError(f"{name}: some values are NaN or infinite")
    return x, y


def _is_binary(y: Array) -> bool:
    return bool(np.isin(y, (0.0, 1.0)).all())


def _unit(name: str, direction: Array) -> Array:
    length = np.linalg.norm(direction)
    if not length > 1e-12:
        raise ValueError(f"{name}: there is no direction, its length is 0")
    unit: Array = direction / length
    return unit
