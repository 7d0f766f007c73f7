"""Precision, recall, density, coverage, the kernel distance, memorisation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tinygen import Random
from tinygen.metrics import (
    density_coverage,
    features,
    kernel_distance,
    nearest_neighbours,
    precision_recall,
    real_radii,
)
from tinygen.metrics.features import neighbour_radii, squared_distances


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return Random(seed).normal(shape, dtype="float64")


def plain_distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.square(a[:, None] - b[None]).sum(axis=2)


@pytest.mark.parametrize("block", [1, 50, 10**6])
def test_distances_by_blocks(monkeypatch, block):
    monkeypatch.setattr(features, "BLOCK", block)
    a, b = 1e4 + normal(13, 5), 1e4 + normal(9, 5, seed=1)
    b[3] = a[2]
    found = np.concatenate([rows.copy() for _, rows in squared_distances(a, b)])
    np.testing.assert_allclose(found, plain_distances(a, b), rtol=1e-6)
    assert found[2, 3] == 0.0
    radii = np.sort(plain_distances(a, a), axis=1)[:, 2]
    np.testing.assert_allclose(neighbour_radii(a, 2), radii, rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_they_are_the_plain_loops(seed):
    real, fake, k = normal(30, 3, seed=seed), 0.5 + normal(20, 3, seed=seed + 10), 3
    radius = [np.sort(plain_distances(x, x), axis=1)[:, k] for x in (real, fake)]
    apart = plain_distances(fake, real)
    found = precision_recall(real, fake, k)
    assert float(found.precision) == pytest.approx((apart <= radius[0]).any(axis=1).mean())
    assert float(found.recall) == pytest.approx((radius[1] >= apart.T).any(axis=1).mean())
    found = density_coverage(real, fake, k)
    assert float(found.density) == pytest.approx((apart < radius[0]).sum() / (k * 20))
    assert float(found.coverage) == pytest.approx((apart < radius[0]).any(axis=0).mean())


def test_those_of_the_authors():
    prdc = pytest.importorskip("prdc", reason="compares with prdc, which is not installed")
    real, fake = normal(300, 8), 0.3 + 0.8 * normal(200, 8, seed=1)
    theirs = prdc.compute_prdc(real, fake, nearest_k=5)
    ours = {
        **precision_recall(real, fake, k=5)._asdict(),
        **density_coverage(real, fake)._asdict(),
    }
    for name, value in ours.items():
        assert float(value) == pytest.approx(theirs[name], abs=1e-5), name


@pytest.mark.parametrize(("d", "n", "m"), [(1, 120, 60), (4, 60, 100), (16, 90, 90)])
def test_equal_laws_have_known_density_and_coverage(d, n, m):
    k, draws = 5, 40
    found = [
        density_coverage(normal(n, d, seed=2 * i), normal(m, d, seed=2 * i + 1))
        for i in range(draws)
    ]
    coverage = 1 - np.prod([(n - i) / (n + m - i) for i in range(1, k + 1)])
    for values, expected in (
        ([float(f.density) for f in found], 1.0),
        ([float(f.coverage) for f in found], coverage),
    ):
        assert abs(np.mean(values) - expected) < 4 * np.std(values, ddof=1) / np.sqrt(draws)


def test_sets_far_apart_and_the_same_twice():
    x = normal(50, 4)
    far = precision_recall(x, x + 100)
    assert (float(far.precision), float(far.recall)) == (0.0, 0.0)
    assert float(density_coverage(x, x + 100).coverage) == 0.0
    same = precision_recall(x, x)
    assert (float(same.precision), float(same.recall)) == (1.0, 1.0)
    assert float(density_coverage(x, x).coverage) == 1.0
    doubled = x.repeat(5, axis=0)  # every ball of its four copies is a point
    again = precision_recall(doubled, x.repeat(4, axis=0))
    assert (float(again.precision), float(again.recall)) == (1.0, 1.0)  # <=
    assert float(density_coverage(doubled, doubled, k=4).coverage) == 0.0  # <
    assert far.precision.standard_error == 0.0
    assert far.precision.count == 50


def test_recall_falls_as_classes_are_dropped():
    centres = 10 * np.eye(10)
    real = (centres[:, None] + 0.3 * normal(10, 40, 10)).reshape(-1, 10)
    recalls, coverages = [], []
    for dropped in range(10):
        fake = (centres[dropped:, None] + 0.3 * normal(10 - dropped, 40, 10, seed=1)).reshape(
            -1, 10
        )
        recalls.append(float(precision_recall(real, fake).recall))
        coverages.append(float(density_coverage(real, fake).coverage))
    for values in (recalls, coverages):
        assert all(a > b for a, b in itertools.pairwise(values))
        assert values[0] > 0.8
        assert values[9] < 0.1


def kernel(x: np.ndarray, y: np.ndarray) -> float:
    return (x @ y / len(x) + 1) ** 3


def test_the_kernel_distance_is_the_double_loop():
    x, y = normal(12, 4), 0.1 + normal(12, 4, seed=1)
    within = [
        np.mean([kernel(a, b) for i, a in enumerate(z) for j, b in enumerate(z) if i != j])
        for z in (x, y)
    ]
    expected = sum(within) - 2 * np.mean([kernel(a, b) for a in x for b in y])
    found = kernel_distance(x, y, subsets=1, rng=Random(0))  # a subset of all
    assert float(found) == pytest.approx(expected, rel=1e-10)
    assert found.count == 12
    assert np.isnan(kernel_distance(x, y).standard_error)  # a hundred times the same is no spread


def test_the_kernel_distance_of_equal_laws_is_0_and_may_be_negative():
    found = [
        kernel_distance(normal(60, 6, seed=2 * i), normal(60, 6, seed=2 * i + 1), 1, rng=Random(i))
        for i in range(60)
    ]
    assert min(found) < 0 < max(found)
    assert abs(np.mean(found)) < 4 * np.std(found, ddof=1) / np.sqrt(60)
    near, far = (
        kernel_distance(normal(200, 6), s + normal(150, 6, seed=1), 20, 50, rng=Random(0))
        for s in (0.2, 1.0)
    )
    assert 0 < near.standard_error < float(far) / 4
    assert float(near) < float(far)
    again = kernel_distance(normal(200, 6), 1.0 + normal(150, 6, seed=1), 20, 50, rng=Random(0))
    assert float(far) == float(again)


def test_what_was_learned_by_heart_is_found():
    real, held_out = normal(300, 4), normal(200, 4, seed=1)
    fake = normal(100, 4, seed=2)
    honest = nearest_neighbours(real, fake, held_out)
    np.testing.assert_array_equal(honest.indices, plain_distances(fake, real).argmin(axis=1))
    np.testing.assert_allclose(honest.distances**2, plain_distances(fake, real).min(axis=1))
    assert float(honest.memorised) < 0.06
    fake[:50] = real[100:150] + 1e-6
    copied = nearest_neighbours(real, fake, held_out)
    np.testing.assert_array_equal(copied.indices[:50], np.arange(100, 150))
    assert 0.5 <= float(copied.memorised) < 0.56
    assert np.isnan(nearest_neighbours(real, fake).memorised)


@pytest.mark.parametrize("metric", [precision_recall, density_coverage])
def test_radii_of_reals_may_be_known(metric):
    real, fake = normal(50, 3), normal(30, 3, seed=1)
    distances = plain_distances(real, real)
    np.testing.assert_allclose(real_radii(real, 4), np.sort(distances, axis=1)[:, 4])
    assert metric(real, fake, 4, radii=real_radii(real, 4)) == metric(real, fake, 4)
    none = np.zeros(50)  # balls that are points hold no other sample
    assert metric(real, fake, 4, radii=none)[0] == 0
    with pytest.raises(ValueError, match=r"one for each of 50 reals, not \(30,\)"):
        metric(real, fake, 4, radii=real_radii(fake, 4))
    with pytest.raises(ValueError, match="real_radii: real has 30 samples"):
        real_radii(fake, 30)


@pytest.mark.parametrize("metric", [precision_recall, density_coverage])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"k": 0}, "k must be a whole number of at least 1, not 0"),
        ({"k": 2.0}, "k must be a whole number"),
        ({"k": 20}, "has 20 samples, a neighbour number 20 needs 21"),
        ({"real": np.full((20, 3), np.inf)}, "real holds NaN or infinity in 20 of 20"),
        ({"fake": np.zeros((20, 4))}, "real has 3 features a sample, fake 4"),
        ({"fake": np.zeros((20, 3), int)}, "fake must hold floats"),
        ({"real": np.zeros((0, 3))}, "real has 0 samples"),
    ],
)
def test_what_has_no_neighbours(metric, change, message):
    given = {"real": normal(20, 3), "fake": normal(20, 3, seed=1), "k": 3, **change}
    with pytest.raises(ValueError, match=message):
        metric(**given)
