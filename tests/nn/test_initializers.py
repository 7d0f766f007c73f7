"""The initializers: moments within five standard errors, bounds, fans, orthogonality."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinygen import Random
from tinygen.nn import initializers

DENSE, CONV = (80, 50), (3, 5, 16, 24)  # fans (80, 50) and (3*5*16, 3*5*24)
FANS = {DENSE: (80, 50), CONV: (240, 360)}
SIGMAS = 5  # a right initializer misses such a limit once in two million draws

VARIANCES = {
    "glorot": lambda fan_in, fan_out: 2 / (fan_in + fan_out),
    "he": lambda fan_in, fan_out: 2 / fan_in,
    "lecun": lambda fan_in, fan_out: 1 / fan_in,
}
# The fourth moment over the squared second, of which the error of a variance is made: exactly
# 9/5 for a uniform variable; for a normal one cut off at 2, by integrating x^2 and x^4.
CUT_DENSITY = 2 * math.exp(-2) / math.sqrt(2 * math.pi) / math.erf(math.sqrt(2))
CUT_SECOND = 1 - 2 * CUT_DENSITY
CUT_FOURTH = 3 * CUT_SECOND - 8 * CUT_DENSITY
KURTOSIS = {"uniform": 9 / 5, "normal": CUT_FOURTH / CUT_SECOND**2}


def check_moments(x: np.ndarray, mean: float, variance: float, kurtosis: float) -> None:
    x = x.astype(np.float64)
    assert abs(x.mean() - mean) < SIGMAS * math.sqrt(variance / x.size)
    error = variance * math.sqrt((kurtosis - 1) / x.size)
    assert abs(((x - mean) ** 2).mean() - variance) < SIGMAS * error


@pytest.mark.parametrize("shape", [DENSE, CONV], ids=["dense", "conv"])
@pytest.mark.parametrize("kind", ["uniform", "normal"])
@pytest.mark.parametrize("rule", VARIANCES)
def test_mean_variance_and_bounds(rule, kind, shape):
    x = initializers.get(f"{rule}_{kind}")(shape, Random(1))
    assert x.shape == shape
    assert x.dtype == np.float32
    variance = VARIANCES[rule](*FANS[shape])
    check_moments(x, 0.0, variance, KURTOSIS[kind])

    bound = math.sqrt(3 * variance) if kind == "uniform" else 2 * math.sqrt(variance / CUT_SECOND)
    assert np.abs(x).max() <= bound * (1 + 1e-6)
    if kind == "uniform":  # no draw in the outermost 30/n: a chance of (1 - 30/n)^n < e^-30
        assert np.abs(x).max() > bound * (1 - 30 / x.size)


def test_the_cut_off_normal_is_cut_at_two_and_not_squeezed():
    """Between 0 and the cut, the parts below 1/2, 1, 3/2 deviations are those of a normal."""
    x = np.abs(initializers.he_normal((200, 400), Random(2))).ravel() / math.sqrt(2 / 200)
    x *= math.sqrt(CUT_SECOND)  # deviations of the normal that was cut
    for limit in (0.5, 1.0, 1.5):
        part = math.erf(limit / math.sqrt(2)) / math.erf(math.sqrt(2))
        error = math.sqrt(part * (1 - part) / x.size)
        assert abs((x < limit).mean() - part) < SIGMAS * error


def test_normal_zeros_and_ones():
    check_moments(initializers.normal()((100, 300), Random(3)), 0.0, 0.02**2, 3.0)
    check_moments(initializers.normal(0.5, mean=2.0)((100, 300), Random(3)), 2.0, 0.25, 3.0)
    for name, value in (("zeros", 0), ("ones", 1)):
        x = initializers.get(name)((3, 4), Random(0))
        assert x.dtype == np.float32
        np.testing.assert_array_equal(x, np.full((3, 4), value))


@pytest.mark.parametrize(
    "shape", [(20, 20), (30, 7), (7, 30), (3, 3, 4, 10), (2, 2, 2, 50), (1, 1)]
)
def test_orthogonal_rows_or_columns(shape):
    x = initializers.orthogonal(shape, Random(4))
    assert x.shape == shape
    assert x.dtype == np.float32
    matrix = x.reshape(-1, shape[-1]).astype(np.float64)
    rows, columns = matrix.shape
    product = matrix.T @ matrix if rows >= columns else matrix @ matrix.T
    np.testing.assert_allclose(product, np.eye(min(rows, columns)), atol=1e-6)


def test_orthogonal_matrices_are_uniform():
    """Over all orthogonal 2x2 matrices the first column is uniform on the circle.

    Then its mean vanishes in every harmonic (a QR without the signs of R fails in the first).
    """
    n = 2000
    first = np.array([initializers.orthogonal((2, 2), Random(i))[:, 0] for i in range(n)])
    angle = np.arctan2(first[:, 1], first[:, 0])
    for harmonic in (1, 2, 3):
        for wave in (np.cos(harmonic * angle), np.sin(harmonic * angle)):
            assert abs(wave.mean()) < SIGMAS * math.sqrt(0.5 / n)


@pytest.mark.parametrize("name", [n for n in initializers.BY_NAME if n not in ("zeros", "ones")])
def test_the_rng_decides(name):
    make = initializers.get(name)
    np.testing.assert_array_equal(make((9, 8), Random(5)), make((9, 8), Random(5)))
    assert (make((9, 8), Random(5)) != make((9, 8), Random(6))).any()
    rng = Random(5)
    assert (make((9, 8), rng) != make((9, 8), rng)).any()


def test_get_passes_functions_and_explains_unknown_names():
    make = initializers.normal(0.1)
    assert initializers.get(make) is make
    with pytest.raises(ValueError, match=r"unknown initializer 'glorot', did you mean 'glorot_"):
        initializers.get("glorot")
