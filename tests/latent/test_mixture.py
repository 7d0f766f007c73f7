"""A Gaussian mixture is found in points drawn from one, and sampling repeats it."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen.latent import Mixture, fit_mixture
from tinygen.latent.mixture import AXES, CODINGS
from tinygen.ops.random import Random

KNOWN = Mixture(
    np.array([0.2, 0.5, 0.3]),
    np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 9.0]]),
    np.array([[[1.0, 0.0], [0.8, 0.5]], [[0.4, 0.0], [0.0, 2.0]], [[1.5, 0.0], [-1.0, 0.7]]]),
)


def moments(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return points.mean(axis=0), np.cov(points.T)


def test_samples_have_the_weights_means_and_covariances_of_their_components():
    points = KNOWN.sample(30_000, rng=Random(3))
    nearest = np.square(points[:, None] - KNOWN.means).sum(axis=2).argmin(axis=1)
    np.testing.assert_allclose(np.bincount(nearest) / 30_000, KNOWN.weights, atol=0.01)
    for i, factor in enumerate(KNOWN.factors):
        alone = Mixture(np.ones(1), KNOWN.means[i : i + 1], factor[None])
        mean, covariance = moments(alone.sample(30_000, rng=Random(i)))
        np.testing.assert_allclose(mean, KNOWN.means[i], atol=0.05)
        np.testing.assert_allclose(covariance, factor @ factor.T, atol=0.1)


def test_a_known_mixture_is_recovered():
    points = KNOWN.sample(6000, rng=Random(0)).astype(np.float32)
    found = fit_mixture(points, 3, seed=1)
    order = [np.square(found.means - mean).sum(axis=1).argmin() for mean in KNOWN.means]
    assert sorted(order) == [0, 1, 2]
    np.testing.assert_allclose(found.weights[order], KNOWN.weights, atol=0.02)
    np.testing.assert_allclose(found.means[order], KNOWN.means, atol=0.15)
    squares = found.factors @ found.factors.transpose(0, 2, 1)
    expected = KNOWN.factors @ KNOWN.factors.transpose(0, 2, 1)
    np.testing.assert_allclose(squares[order], expected, atol=0.3)


def test_one_component_has_the_moments_of_the_codings():
    points = Random(0).normal((500, 3), dtype=np.float64) @ np.diag([1.0, 2.0, 3.0])
    found = fit_mixture(points, 1)
    mean, covariance = moments(points)
    np.testing.assert_allclose(found.means[0], mean, atol=1e-9)
    wanted = covariance * 499 / 500
    np.testing.assert_allclose(found.factors[0] @ found.factors[0].T, wanted, atol=1e-4)


def test_samples_repeat_and_more_begin_with_the_same():
    found = fit_mixture(KNOWN.sample(300, rng=Random(0)), 3)
    again = fit_mixture(KNOWN.sample(300, rng=Random(0)), 3)
    first = found.sample(10, rng=Random(5))
    np.testing.assert_array_equal(first, again.sample(10, rng=Random(5)))
    np.testing.assert_array_equal(first, found.sample(25, rng=Random(5))[:10])
    assert not np.array_equal(first, found.sample(10, rng=Random(6)))


def test_many_wide_codings_keep_mean_and_covariance():
    width = AXES + 20
    turn = np.linalg.qr(Random(1).normal((width, width), dtype=np.float64))[0]
    spread = np.linspace(3, 0.1, width)
    points = Random(2).normal((CODINGS + 500, width), dtype=np.float64) * spread @ turn + 5
    reports: list[int] = []
    found = fit_mixture(points, 2, seed=2**40, progress=reports.append)
    assert found.means.shape == (2, AXES)
    assert reports == sorted(reports) != []
    mean, covariance = moments(found.sample(40_000, rng=Random(3)))
    np.testing.assert_allclose(mean, points.mean(axis=0), atol=0.15)
    np.testing.assert_allclose(covariance, turn.T * spread**2 @ turn, atol=0.3)


@pytest.mark.parametrize(
    ("codings", "components", "message"),
    [
        (np.zeros((3, 2)), 4, "4 components need as many codings"),
        (np.zeros((3, 2)), 0, "0 components need"),
        (np.zeros(3), 1, r"not \(3,\)"),
        (np.array([[1.0], [np.nan]]), 1, "NaN or infinite"),
        (np.ones((20, 2)), 3, "no mixture of 3 fits these codings; try fewer"),
    ],
)
def test_what_makes_no_sense(codings, components, message):
    with pytest.raises(ValueError, match=message):
        fit_mixture(codings, components)
