"""MIG and DCI against codes whose scores are known: copies of factors, noise, rotations."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tinygen import metrics
from tinygen.ops.random import Random

N = 3000
NAMES = ("size", "age", "colour", "shape")


def factors(n: int = N) -> dict[str, np.ndarray]:
    """Two continuous factors and two categories, independent of each other."""
    rng = Random(0)
    uniform = rng.uniform((2, n), -1, 1, dtype=np.float64)
    kinds = rng.integers(0, 4, (2, n))
    return dict(zip(NAMES, (*uniform, *kinds), strict=True))


def copies(known: dict[str, np.ndarray]) -> np.ndarray:
    """A coding a factor: the factor itself, to another scale."""
    return np.stack([3 * values - 1 for values in known.values()], axis=1).astype(np.float64)


def rotated(codings: np.ndarray) -> np.ndarray:
    """The same, standardised and turned so that every coding is a mixture of all."""
    turn = np.linalg.qr(Random(1).normal((codings.shape[1],) * 2, dtype=np.float64))[0]
    return (codings - codings.mean(axis=0)) / codings.std(axis=0) @ turn


# Information


def test_intervals_have_one_width():
    values = np.array([0.0, 0.9, 1.0, 1.1, 4.0])
    assert metrics.discretize(values, 4).tolist() == [0, 0, 1, 1, 3]
    assert metrics.discretize(np.array([7, -2, 7]), 2).tolist() == [1, 0, 1]  # categories
    assert metrics.discretize(np.full(3, 2.5)).max() == metrics.discretize(np.full(3, 2.5)).min()
    with pytest.raises(ValueError, match="NaN or infinity"):
        metrics.discretize(np.array([1.0, np.nan]))


def test_mutual_information_is_that_of_the_definition():
    joint = Random(0).uniform((3, 5), dtype=np.float64)
    p = joint / joint.sum()
    product = p.sum(axis=1, keepdims=True) * p.sum(axis=0)
    assert metrics.mutual_information(joint) == pytest.approx((p * np.log(p / product)).sum())
    assert metrics.mutual_information(joint.T) == pytest.approx(metrics.mutual_information(joint))
    assert metrics.entropy(np.ones(8)) == pytest.approx(np.log(8))
    for table in (np.ones(3), np.zeros((2, 2)), np.array([[1.0, -1.0]])):
        with pytest.raises(ValueError, match="table of counts"):
            metrics.mutual_information(table)


def test_information_against_scikit_learn():
    sklearn = pytest.importorskip("sklearn.metrics", reason="an independent implementation")
    known = factors(400)
    codings = rotated(copies(known))
    found = metrics.information(codings, known, bins=7)
    for i, values in enumerate(known.values()):
        for j, coding in enumerate(codings.T):
            a, b = metrics.discretize(values, 7), metrics.discretize(coding, 7)
            whole = sklearn.mutual_info_score(a, a)
            assert found[i, j] == pytest.approx(sklearn.mutual_info_score(a, b) / whole)


def test_each_copy_tells_all_of_its_factor_and_nothing_of_the_others():
    known = factors()
    found = metrics.information(copies(known), known)
    np.testing.assert_allclose(np.diag(found), 1, atol=1e-9)
    assert found[~np.eye(4, dtype=bool)].max() < 0.03


# MIG


def test_the_gap_is_one_for_copies_and_falls_as_they_are_mixed():
    known = factors()
    codings = copies(known)
    perfect = metrics.mig(codings, known)
    mixed = metrics.mig(rotated(codings), known)
    noise = metrics.mig(Random(2).normal((N, 4)), known)
    assert perfect.score > 0.97
    assert mixed.score < 0.3
    assert noise.score < 0.02
    assert tuple(perfect.gaps) == NAMES
    assert perfect.score == pytest.approx(np.mean(list(perfect.gaps.values())))


def test_the_gap_is_zero_where_two_codings_tell_the_same():
    known = factors()
    codings = copies(known)
    found = metrics.mig(np.concatenate([codings, codings[:, :1]], axis=1), known).gaps
    assert found["size"] == 0
    assert found["age"] > 0.97


def test_a_single_coding_has_no_rival():
    known = factors()
    found = metrics.mig(copies(known)[:, :1], known)
    assert found.gaps["size"] == pytest.approx(1)
    assert found.information.shape == (4, 1)


# DCI


@pytest.mark.parametrize("predictor", ["forest", "linear"])
def test_dci_is_one_for_copies_and_falls_as_they_are_mixed(predictor):
    known = {name: values[:1000] for name, values in factors().items()}
    codings = copies(known)
    perfect = metrics.dci(codings, known, rng=Random(0), predictor=predictor)
    mixed = metrics.dci(rotated(codings), known, rng=Random(0), predictor=predictor)
    noise = metrics.dci(Random(2).normal((1000, 4)), known, rng=Random(0), predictor=predictor)
    assert min(perfect.disentanglement, perfect.completeness) > 0.9
    assert max(mixed.disentanglement, mixed.completeness) < 0.6
    assert max(noise.disentanglement, noise.completeness) < 0.3
    assert noise.informativeness < 0.1 < 0.4 < mixed.informativeness
    told = perfect.by_factor
    assert min(told["size"], told["age"]) > 0.95
    if predictor == "forest":  # no line separates the middle ones of four values on an axis
        assert perfect.informativeness > 0.95
    np.testing.assert_allclose(perfect.importance.argmax(axis=0), range(4))


def test_one_coding_of_two_factors_is_complete_but_not_disentangled():
    """Eastwood & Williams, section 2: each score sees what the other does not."""
    rng = Random(0)
    a, b = rng.integers(0, 4, (2, 1000))
    both = (4 * a + b).astype(np.float64)
    together = metrics.dci(np.stack([both, rng.normal((1000,))], axis=1), {"a": a, "b": b}, rng=rng)
    assert together.completeness > 0.85
    assert together.disentanglement < 0.1
    # and one factor that it takes two codings to tell
    x, y, c = rng.normal((3, 1000), dtype=np.float64)
    parted = metrics.dci(np.stack([x, y, c], axis=1), {"sum": x + y, "c": c}, rng=rng)
    assert parted.disentanglement > 0.85
    assert parted.completeness < 0.8


def test_dci_repeats():
    known = {name: values[:300] for name, values in factors().items()}
    codings = rotated(copies(known))
    first, second, other = (metrics.dci(codings, known, rng=Random(s)) for s in (0, 0, 1))
    assert first[:4] == second[:4]
    assert first[:4] != other[:4]


# What does not fit


@pytest.mark.parametrize(
    ("codings", "known", "message"),
    [
        (np.zeros((4, 2, 1)), {"a": np.arange(4)}, r"must be \(n, codings\), not of shape"),
        (np.zeros((4, 2)), {}, "no factors to compare the codings with; 'faces' has some"),
        (np.zeros((4, 2)), {"a": np.arange(3)}, r"'a' has shape \(3,\), there are 4 codings"),
        (np.zeros((4, 2)), {"a": np.ones(4)}, "'a' is the same everywhere"),
        (np.full((4, 2), np.inf), {"a": np.arange(4)}, "NaN or infinity"),
    ],
)
def test_what_does_not_fit(codings, known, message):
    with pytest.raises(ValueError, match=message):
        metrics.mig(codings, known)


def test_dci_needs_two_of_each_and_a_predictor(monkeypatch):
    known = {name: values[:40] for name, values in factors().items()}
    with pytest.raises(ValueError, match="two codings and two factors or more, not 1 and 4"):
        metrics.dci(np.arange(40.0)[:, None], known, rng=Random(0))
    with pytest.raises(ValueError, match="'forrest', did you mean 'forest'"):
        metrics.dci(copies(known), known, rng=Random(0), predictor="forrest")
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "tinygen\[app\]"'):
        metrics.dci(copies(known), known, rng=Random(0))
