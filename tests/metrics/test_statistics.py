"""Intervals against scipy's and against chance; PCA against the singular values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from tinygen import metrics
from tinygen.ops.random import Random


def test_the_interval_is_students():
    values = Random(0).normal((9,), dtype=np.float64).tolist()
    for level in (0.5, 0.95):
        mean, half = metrics.interval(values, level)
        low, high = stats.t.interval(level, 8, np.mean(values), stats.sem(values))
        assert (mean - half, mean + half) == pytest.approx((low, high))


def test_it_covers_the_true_mean_as_often_as_it_says():
    samples = Random(1).normal((2000, 4), 3.0, 2.0)
    covered = [abs(m - 3) < half for m, half in map(metrics.interval, samples)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def test_one_value_tells_nothing():
    with pytest.raises(ValueError, match="1 value tells nothing of the spread"):
        metrics.interval([1.0])
    with pytest.raises(ValueError, match="between 0 and 1, not 95"):
        metrics.interval([1.0, 2.0], 95)


def test_scores_of_other_counts_have_no_common_mean():
    one, other = (metrics.Score(2.0, count=n) for n in (100, 2_000))
    with pytest.raises(ValueError, match="scores of 100 and of 2,000 samples cannot be compared"):
        metrics.interval([one, other])
    alike = [one, metrics.Score(3.0, count=100), 1.0]
    assert metrics.interval(alike) == metrics.interval([2.0, 3.0, 1.0])


@pytest.mark.parametrize("n", [50, 8])  # more samples than features, and fewer
def test_pca_leaves_the_rest_of_the_singular_values(n):
    x = Random(0).normal((n, 3, 4), dtype=np.float64)
    flat = x.reshape(n, 12)
    values = np.linalg.svd(flat - flat.mean(axis=0), compute_uv=False)
    widths = [1, 4, 12]
    expected = [(values[k:] ** 2).sum() / x.size for k in widths]
    np.testing.assert_allclose(metrics.pca_errors(x, x, widths), expected, atol=1e-12)


def test_pca_of_other_samples_is_that_of_scikit_learn():
    pca = pytest.importorskip("sklearn.decomposition", reason="an independent one").PCA(3)
    train, valid = Random(0).normal((2, 40, 7), dtype=np.float64)
    made = pca.fit(train).inverse_transform(pca.transform(valid))
    (found,) = metrics.pca_errors(train, valid, [3])
    assert found == pytest.approx(np.square(made - valid).mean())


def test_what_pca_cannot_do():
    x = np.zeros((4, 3))
    with pytest.raises(ValueError, match="train has 3 features, valid 2"):
        metrics.pca_errors(x, x[:, :2], [1])
    for width in (0, 4):
        with pytest.raises(ValueError, match=f"from 1 to 3, not {width}"):
            metrics.pca_errors(x, x, [width])
