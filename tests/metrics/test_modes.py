"""Classes and modes: the classifier score, histograms, mixtures, separability."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinygen import Random
from tinygen.metrics import (
    classifier_score,
    linear_separability,
    mode_histogram,
    modes_captured,
)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return Random(seed).normal(shape, dtype="float64")


def ring() -> np.ndarray:
    angles = 2 * np.pi * np.arange(8) / 8
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def test_scores_of_sure_and_of_unsure_classifiers():
    sure = np.eye(7)[np.arange(70) % 7]
    assert float(classifier_score(sure)) == pytest.approx(7.0)
    assert float(classifier_score(np.full((70, 7), 1 / 7))) == pytest.approx(1.0)
    assert float(classifier_score(np.eye(7)[np.zeros(70, int)])) == pytest.approx(1.0)
    p = Random(0).uniform((30, 4), dtype="float64")
    p /= p.sum(axis=1, keepdims=True)
    parts = [
        math.exp(np.mean([(q * np.log(q / part.mean(axis=0))).sum() for q in part]))
        for part in (p[:10], p[10:20], p[20:])
    ]
    found = classifier_score(p, splits=3)
    assert float(found) == pytest.approx(np.mean(parts))
    assert found.standard_error == pytest.approx(np.std(parts, ddof=1) / math.sqrt(3))
    assert found.count == 30


def test_dropped_classes_are_counted_and_lower_the_score():
    scores = []
    for dropped in range(10):
        labels = dropped + np.arange(2520) % (10 - dropped)
        counts = mode_histogram(labels, 10)
        assert counts.sum() == 2520
        assert (counts == 0).sum() == dropped
        scores.append(float(classifier_score(np.eye(10)[labels], splits=1)))
    np.testing.assert_allclose(scores, 10.0 - np.arange(10))


def test_true_samples_of_a_mixture():
    n, sigma, centres = 20_000, 0.01, ring()
    labels = Random(1).integers(0, 8, (n,))
    found = modes_captured(centres[labels] + sigma * normal(n, 2), centres, sigma)
    expected = 1 - math.exp(-4.5)
    assert found.captured == float(found) == 8
    assert abs(float(found.high_quality) - expected) < 4 * found.high_quality.standard_error
    assert 0 < found.divergence < 0.002
    one = modes_captured(centres[:1] + sigma * normal(50, 2), centres, sigma)
    assert one.captured == 1
    assert one.divergence == pytest.approx(math.log(8))
    nowhere = modes_captured(np.zeros((9, 2)), centres, sigma)
    assert (nowhere.captured, float(nowhere.high_quality)) == (0, 0.0)


def test_separability_of_halves_and_of_chance():
    z = normal(400, 5)
    separable = 1 / (1 + np.exp(-50 * z[:, 1]))
    chance = Random(2).uniform((400,), dtype="float64")
    assert float(linear_separability(z, separable)) == pytest.approx(1.0, abs=1e-6)
    assert 1.85 < float(linear_separability(z, chance)) <= 2.0
    both = linear_separability(z, np.stack([separable, chance], axis=1))
    assert float(both) == pytest.approx(float(linear_separability(z, chance)), rel=1e-6)
    assert both.count == 200


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: classifier_score(np.full((9, 3), 0.5)), "row 0 has sum 1.5"),
        (lambda: classifier_score(np.eye(3), splits=4), "3 samples make no 4 splits"),
        (lambda: classifier_score(np.eye(3) * 2 - 1), r"in \[0, 1\], these go from -1 to 1"),
        (lambda: classifier_score(np.full((9, 3), np.nan)), r"must be in \[0, 1\]"),
        (lambda: classifier_score(np.ones(3)), r"must be \(n, classes\)"),
        (lambda: mode_histogram(np.array([0, 3]), 3), "labels go from 0 to 2, these from 0 to 3"),
        (lambda: mode_histogram(np.array([0.0]), 3), r"integers \(n,\)"),
        (lambda: modes_captured(np.zeros((3, 2)), ring(), 0.0), "sigma must be positive"),
        (lambda: modes_captured(np.zeros((3, 3)), ring(), 0.1), "3 features a sample, centres 2"),
        (lambda: linear_separability(normal(9, 2), np.ones(8) / 2), r"must be \(9,\)"),
    ],
)
def test_what_has_no_classes(call, message):
    with pytest.raises(ValueError, match=message):
        call()
