"""The built-in series are what their factors say."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import data
from tinygen.data import DataError
from tinygen.data.sequences import real_steps
from tinygen.data.series import KINDS, NOISE, STEPS, draw_series

N = 2000


@pytest.fixture(scope="module")
def series():
    return draw_series(N, seed=3)


def test_shapes_and_ranges(series):
    assert series.values.shape == (N, STEPS, 1)
    assert (series.values.dtype, series.kinds.dtype) == (np.float32, np.int64)
    assert set(series.factors) == {"frequency", "phase", "amplitude", "length"}
    for name, (low, high) in {
        "frequency": (1, 4),
        "phase": (0, 1),
        "amplitude": (0.5, 1),
        "length": (16, 48),
    }.items():
        values = series.factors[name]
        assert (values.shape, values.dtype) == ((N,), np.float32)
        assert low <= values.min() < low + 0.1 * (high - low)
        assert high >= values.max() > high - 0.1 * (high - low)
    counts = np.bincount(series.kinds, minlength=len(KINDS))
    assert (abs(counts - N / len(KINDS)) < 5 * np.sqrt(N / len(KINDS))).all()
    assert np.nanmax(abs(series.values)) < 1 + 6 * NOISE


def test_the_length_is_that_of_the_real_steps(series):
    np.testing.assert_array_equal(real_steps(series.values).sum(axis=1), series.factors["length"])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_left_without_the_curve_is_noise(series, kind):
    """The curves once more, otherwise written where that can be."""
    rows = series.kinds == KINDS.index(kind)
    f, p, a = (
        series.factors[name][rows, None].astype(float)
        for name in ("frequency", "phase", "amplitude")
    )
    t = np.arange(STEPS) / STEPS
    angle = 2 * np.pi * (f * t + p)
    curve = {
        "sine": lambda: np.imag(np.exp(1j * angle)),
        "chirp": lambda: np.sin(angle + 2 * np.pi * f * t * t),
        "sawtooth": lambda: 2 * np.remainder(f * t + p, 1) - 1,
        "square": lambda: np.where(np.remainder(f * t + p, 1) < 0.5, 1, -1),
        "damped": lambda: np.imag(np.exp(1j * angle - 3 * t)),
    }[kind]()
    noise = series.values[rows, :, 0] - a * curve
    noise = noise[~np.isnan(noise)]
    usual = abs(noise) < 6 * NOISE  # at a jump rounding decides on which side a step is
    assert usual.mean() > 0.9999
    assert noise[usual].std() == pytest.approx(NOISE, rel=0.05)
    assert abs(noise[usual].mean()) < 5 * NOISE / np.sqrt(usual.sum())


def test_a_series_is_the_same_however_many_are_drawn(series):
    few = draw_series(5, seed=3)
    np.testing.assert_array_equal(few.values, series.values[:5])
    np.testing.assert_array_equal(few.kinds, series.kinds[:5])
    assert not np.array_equal(draw_series(5, seed=4).kinds, few.kinds)


@pytest.mark.parametrize("steps", [1, 2, 7])
def test_short_series(steps):
    lengths = real_steps_of(draw_series(200, steps=steps).values)
    assert set(lengths) == set(range(-(-steps // 3), steps + 1))


def real_steps_of(values: np.ndarray) -> list[int]:
    return (~np.isnan(values[..., 0])).sum(axis=1).tolist()


def test_load():
    found = data.load("series", count=50, size=20)
    assert repr(found) == "Dataset('series', 50 series of up to 20 steps)"
    assert (found.kind, found.class_names, found.alphabet) == ("series", KINDS, "")
    assert [len(part) for part in (found.train, found.valid, found.test)] == [40, 5, 5]
    np.testing.assert_array_equal(found.train.floats(), found.images[:40])
    assert found.images.shape == (50, 20, 1)
    assert found.valid.kind == "series"
    np.testing.assert_array_equal(found.valid.factors["length"], found.factors["length"][40:45])
    assert len(data.load("series")) == 10_000
    assert data.is_here("series")
    assert "series" in data.names()
    assert data.kind_of("series") == "series"
    with pytest.raises(DataError, match="series have 1 channel, not 3"):
        data.load("series", channels=3)
