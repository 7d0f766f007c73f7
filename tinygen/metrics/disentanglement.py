"""How well single codings stand for single factors: the mutual information gap, and DCI.

`factors` are arrays of n rows by name, as `faces` has them. Integers are categories; floats are
continuous.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from ..names import nearest
from ..ops.random import Random
from ..system import require

BINS = 20  # for continuous values, as in Locatello et al. 2019


class MIG(NamedTuple):
    """Mutual information gaps.

    Attributes:
        score: the mean gap, from 0 to 1.
        gaps: by factor.
        information: I(factor; coding) / H(factor), (factors, codings).
    """

    score: float
    gaps: dict[str, float]
    information: Array


class DCI(NamedTuple):
    """Disentanglement, completeness and informativeness.

    Attributes:
        disentanglement: 1 if every coding matters for one factor alone; 0 if for all alike.
        completeness: 1 if every factor is told by one coding alone; 0 if by all alike.
        informativeness: how much of the factors the codings tell, the mean of `by_factor`.
        by_factor: for each factor, the share of the errors of blind guessing that prediction
            from the codings avoids: R^2, or for categories 1 - error / error of the commonest.
        importance: of each coding for each factor, (codings, factors); columns add up to 1.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    by_factor: dict[str, float]
    importance: Array


def discretize(values: Array, bins: int = BINS) -> Array:
    """Integers from 0 on: categories numbered, floats by which interval of equal width they are in.

    Args:
        values: (n,), integers or floats.
        bins: intervals between the smallest and the largest of the floats.
    """
    values = np.asarray(values)
    if values.dtype.kind in "iub":
        return np.unique(values, return_inverse=True)[1]
    if not np.isfinite(values).all():
        raise ValueError("discretize: the values hold NaN or infinity")
    edges = np.linspace(values.min(), values.max(), bins + 1)
    return np.searchsorted(edges[1:-1], values, side="right")


def entropy(counts: Array) -> float:
    """H = -sum p log p in nats, of counts or probabilities of any shape.

    >>> bool(np.isclose(entropy(np.array([1, 1])), np.log(2)))
    True
    """
    p = np.asarray(counts, np.float64).ravel()
    p = p[p > 0] / p.sum()
    return max(0.0, float(-(p * np.log(p)).sum()))


def mutual_information(joint: Array) -> float:
    """I(a; b) = H(a) + H(b) - H(a, b) in nats, of a table of counts or probabilities (a, b).

    >>> round(mutual_information(np.ones((2, 3))), 12)  # independent
    0.0
    >>> bool(np.isclose(mutual_information(np.eye(4)), np.log(4)))
    True
    """
    joint = np.asarray(joint, np.float64)
    if joint.ndim != 2 or (joint < 0).any() or not joint.sum() > 0:
        raise ValueError("mutual_information: needs a table of counts, (values of a, values of b)")
    together = entropy(joint)
    return max(0.0, entropy(joint.sum(axis=1)) + entropy(joint.sum(axis=0)) - together)


def information(codings: Array, factors: Mapping[str, Array], bins: int = BINS) -> Array:
    """I(factor; coding) / H(factor), the share of each factor that each coding tells.

    The estimate is from a table of counts and a little too large, by about
    (bins - 1) (values - 1) / 2n nats; 10,000 samples leave no more than two hundredths of a nat.

    Args:
        codings: (n, codings).
        factors: arrays (n,) by name.
        bins: for codings and continuous factors.

    Returns:
        (factors, codings), from 0 to 1.
    """
    codings = _check(codings, factors)
    coded = [discretize(coding, bins) for coding in codings.T]
    table = np.zeros((len(factors), len(coded)))
    for i, values in enumerate(factors.values()):
        factor = discretize(values, bins)
        whole = entropy(np.bincount(factor))
        for j, coding in enumerate(coded):
            joint = np.zeros((factor.max() + 1, coding.max() + 1))
            np.add.at(joint, (factor, coding), 1)
            table[i, j] = mutual_information(joint) / whole
    return table


def mig(codings: Array, factors: Mapping[str, Array], bins: int = BINS) -> MIG:
    """The mutual information gap (Chen et al. 2018), with discretised codings.

    MIG = mean over factors v of (I(v; z_first) - I(v; z_second)) / H(v), where z_first and
    z_second are the two codings that tell most of v: 1 if one coding tells all of it and no other
    anything. Arguments as for `information`.
    """
    table = information(codings, factors, bins)
    ordered = np.sort(np.pad(table, ((0, 0), (1, 0))), axis=1)  # a single coding has no rival
    gaps = ordered[:, -1] - ordered[:, -2]
    return MIG(float(gaps.mean()), dict(zip(factors, gaps.tolist(), strict=True)), table)


def dci(
    codings: Array, factors: Mapping[str, Array], *, rng: Random, predictor: str = "forest"
) -> DCI:
    """Disentanglement, completeness and informativeness (Eastwood & Williams 2018).

    Each factor is predicted from the codings, with R[i, j] the importance of coding i for factor
    j. With P the rows of R and Q its columns, both made to add up to 1,

        disentanglement = sum_i w_i (1 - H(P_i) / log factors),   w_i = sum_j R[i, j] / sum R
        completeness    = mean_j (1 - H(Q_j) / log codings)

    Informativeness is measured on a quarter of the samples, which no predictor was fitted to.

    Args:
        codings: (n, codings), at least two.
        factors: arrays (n,) by name, at least two.
        rng: says which samples are for the test, and seeds the forests.
        predictor: "forest", random forests and their impurity importances; or "linear", lassos
            (on indicators of the values, if the factor is a category) and their weights.
    """
    require("sklearn")
    if predictor not in PREDICTORS:
        raise ValueError(f"dci: unknown predictor {predictor!r}{nearest(predictor, PREDICTORS)}")
    codings = _check(codings, factors)
    n, width = codings.shape
    if width < 2 or len(factors) < 2:
        raise ValueError(
            f"dci: needs two codings and two factors or more, not {width} and {len(factors)}"
        )
    codings = (codings - codings.mean(axis=0)) / np.maximum(codings.std(axis=0), 1e-12)
    order = rng.permutation(n)
    test, train = order[: n // 4], order[n // 4 :]
    importance, by_factor = np.zeros((width, len(factors))), {}
    for j, (name, values) in enumerate(factors.items()):
        seed = int(rng.integers(0, 2**31))
        predict, weights = PREDICTORS[predictor](codings[train], values[train], seed)
        importance[:, j] = weights / max(weights.sum(), 1e-12)
        by_factor[name] = _avoided(predict(codings[test]), values[train], values[test])
    shares = importance.sum(axis=1) / max(importance.sum(), 1e-12)
    distinct = np.array([1 - entropy(row) / np.log(len(factors)) for row in importance + 1e-12])
    complete = [1 - entropy(column) / np.log(width) for column in importance.T + 1e-12]
    return DCI(
        float((shares * distinct).sum()),
        float(np.mean(complete)),
        float(np.mean(list(by_factor.values()))),
        by_factor,
        importance,
    )


Predictor = tuple[Callable[[Array], Array], Array]


def _forest(x: Array, y: Array, seed: int) -> Predictor:
    """Random forests: predictions, and the decrease of impurity that each coding brings."""
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    kind: Any = RandomForestRegressor if y.dtype.kind == "f" else RandomForestClassifier
    # all codings are looked at in each split: one that tells nothing is then never split by
    forest = kind(50, min_samples_leaf=5, max_features=1.0, random_state=seed).fit(x, y)
    return forest.predict, forest.feature_importances_


def _linear(x: Array, y: Array, seed: int) -> Predictor:
    """Lassos: predictions, and the weight of each coding, over all values of a category."""
    from sklearn.linear_model import Lasso

    if y.dtype.kind == "f":
        lasso = Lasso(0.01).fit(x, (y - y.mean()) / y.std())
        return lambda x: lasso.predict(x) * y.std() + y.mean(), np.abs(lasso.coef_)
    values = np.unique(y)
    lasso = Lasso(0.01).fit(x, (y[:, None] == values).astype(x.dtype))
    return lambda x: values[lasso.predict(x).argmax(axis=1)], np.abs(lasso.coef_).sum(axis=0)


PREDICTORS = {"forest": _forest, "linear": _linear}


def _avoided(predicted: Array, known: Array, true: Array) -> float:
    """1 - error / error of a blind guess: squared errors, or for categories the share of wrong."""
    if true.dtype.kind == "f":
        return float(1 - ((predicted - true) ** 2).mean() / ((known.mean() - true) ** 2).mean())
    values, counts = np.unique(known, return_counts=True)
    blind = (true != values[counts.argmax()]).mean()
    return float(1 - (predicted != true).mean() / max(blind, 1 / len(true)))


def _check(codings: Array, factors: Mapping[str, Array]) -> Array:
    """The codings in float64; ValueError if they and the factors do not fit together."""
    codings = np.asarray(codings, np.float64)
    if codings.ndim != 2 or not codings.size:
        raise ValueError(f"codings must be (n, codings), not of shape {codings.shape}")
    if not factors:
        raise ValueError("there are no factors to compare the codings with; 'faces' has some")
    for name, values in factors.items():
        if np.shape(values) != codings.shape[:1]:
            raise ValueError(
                f"factor {name!r} has shape {np.shape(values)}, there are {len(codings)} codings"
            )
        if np.ptp(values) == 0:
            raise ValueError(f"factor {name!r} is the same everywhere: there is nothing to tell")
    return codings
