"""The Fréchet distance against closed forms, its expectation, and independent packages."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import Random, tensor
from tinygen.metrics import FeatureStatistics, frechet_distance, frechet_floor


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return Random(seed).normal(shape, dtype="float64")


def exact(n: int, mean: np.ndarray, root: np.ndarray, seed: int = 0) -> np.ndarray:
    """n samples whose own mean and covariance are `mean` and root^T root."""
    x = normal(n, len(mean), seed=seed)
    x = np.linalg.qr(x - x.mean(axis=0))[0] * np.sqrt(n - 1)
    return mean + x @ root


def orthogonal(d: int, seed: int = 9) -> np.ndarray:
    return np.linalg.qr(normal(d, d, seed=seed))[0]


@pytest.mark.parametrize(("d", "n"), [(1, 9), (6, 7), (6, 8), (24, 500), (128, 300)])
def test_gaussians_whose_distance_is_known(d, n):
    """Covariances with the same eigenvectors: |m|^2 + sum (a - b)^2 of the deviations."""
    turn, mean = orthogonal(d), normal(d, seed=3)
    a, b = (Random(s).uniform((d,), 0.1, 3.0, dtype="float64") for s in (1, 2))
    real = exact(n, np.zeros(d), (a * turn).T, seed=4)
    fake = exact(n, mean, (b * turn).T, seed=5)
    expected = mean @ mean + ((a - b) ** 2).sum()
    assert float(frechet_distance(real, fake)) == pytest.approx(expected, rel=1e-9)


def test_shift_scale_and_turn():
    real = normal(400, 10)
    shift = normal(10, seed=1)
    assert float(frechet_distance(real, real)) < 1e-9
    assert float(frechet_distance(real, real + shift)) == pytest.approx(shift @ shift, rel=1e-8)
    unit = exact(50, np.zeros(10), np.eye(10))
    assert float(frechet_distance(unit, 3 * unit)) == pytest.approx(10 * 4.0, rel=1e-9)
    turn, other = orthogonal(10), normal(300, 10, seed=2) * 2 + 1
    before, after = frechet_distance(real, other), frechet_distance(real @ turn, other @ turn)
    assert float(after) == pytest.approx(float(before), rel=1e-10)
    assert float(frechet_distance(other, real)) == pytest.approx(float(before), rel=1e-10)
    assert before.count == 300


@pytest.mark.parametrize("rank", [1, 3, 8])
@pytest.mark.parametrize("n", [9, 10, 40])
def test_covariances_without_full_rank(rank, n):
    """In a plane of 8 dimensions the distance is that within the plane."""
    a, b = normal(n, rank, seed=1), 2 * normal(n, rank, seed=2) + 1
    basis = orthogonal(8)[:rank]
    expected = float(frechet_distance(a, b))
    assert float(frechet_distance(a @ basis, b @ basis)) == pytest.approx(expected, abs=1e-6)
    streams = FeatureStatistics(), FeatureStatistics()
    for stream, x in zip(streams, (a @ basis, b @ basis), strict=True):
        stream.update(x)
    assert float(frechet_distance(*streams)) == pytest.approx(expected, abs=1e-6)


def test_roots_of_scipy():
    linalg = pytest.importorskip("scipy.linalg")
    real, fake = normal(90, 12) @ normal(12, 12, seed=1), normal(70, 12, seed=2)
    s1, s2 = np.cov(real, rowvar=False), np.cov(fake, rowvar=False)
    apart = real.mean(axis=0) - fake.mean(axis=0)
    expected = apart @ apart + np.trace(s1 + s2 - 2 * np.real(linalg.sqrtm(s1 @ s2)))
    assert float(frechet_distance(real, fake)) == pytest.approx(expected, rel=1e-8)
    as_tensors = frechet_distance(tensor(real), tensor(fake))
    assert float(as_tensors) == float(frechet_distance(real, fake))


def test_moments_of_a_stream_are_those_of_all_samples():
    x = 1e6 + normal(103, 5)
    stream = FeatureStatistics()
    for start in range(0, 103, 20):
        stream.update(x[start : start + 20])
    np.testing.assert_allclose(stream.mean, x.mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(stream.covariance, np.cov(x, rowvar=False), rtol=1e-7, atol=1e-9)
    assert float(frechet_distance(stream, x)) < 1e-6
    with pytest.raises(ValueError, match="batches of 5 and of 4 features"):
        stream.update(x[:, :4])
    one = FeatureStatistics()
    with pytest.raises(ValueError, match="no samples yet"):
        _ = one.mean
    one.update(x[:1])
    with pytest.raises(ValueError, match="1 samples have no covariance"):
        _ = one.covariance


@pytest.mark.parametrize("d", [2, 16])
def test_the_floor_is_what_equal_laws_give(d):
    n, root = 400, np.diag(np.linspace(0.2, 2.0, d))
    draws = [
        float(
            frechet_distance(normal(n, d, seed=2 * i) @ root, normal(n, d, seed=2 * i + 1) @ root)
        )
        for i in range(60)
    ]
    error = np.std(draws, ddof=1) / np.sqrt(60)
    expected = frechet_floor(root.T @ root, n)
    assert abs(np.mean(draws) - expected) < 4 * error + 0.02 * expected
    assert frechet_floor(np.eye(d), n) == pytest.approx(2 * d / n + d * (d + 1) / (2 * n))
    assert frechet_floor(np.diag([1.0] * d + [0.0] * 3), n) == pytest.approx(
        frechet_floor(np.eye(d), n)
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: frechet_distance(np.ones((4, 2)), np.ones((4, 3))), "2 features a sample, fake 3"),
        (lambda: frechet_distance(np.ones((1, 2)), np.ones((4, 2))), "real has 1 samples, 2 are"),
        (lambda: frechet_distance(np.ones((4, 2), int), np.ones((4, 2))), "real must hold floats"),
        (
            lambda: frechet_distance(np.full((4, 2), np.nan), np.ones((4, 2))),
            "NaN or infinity in 4",
        ),
        (lambda: frechet_distance(np.ones((4, 2, 2)), np.ones((4, 2))), r"features \(n, d\)"),
        (lambda: frechet_floor(np.ones((2, 3)), 9), r"must be \(d, d\)"),
        (lambda: frechet_floor(np.array([[1.0, 2.0], [0.0, 1.0]]), 9), "is symmetric"),
        (lambda: frechet_floor(-np.eye(2), 9), "no negative eigenvalue"),
        (lambda: frechet_floor(np.eye(2), 1), "n must be a whole number of at least 2"),
    ],
)
def test_what_has_no_distance(call, message):
    with pytest.raises(ValueError, match=message):
        call()
