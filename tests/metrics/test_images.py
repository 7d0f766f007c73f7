"""Which sets of images may be compared, and how they are disturbed."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import metrics
from tinygen.ops.random import Random

X = Random(0).uniform((4, 16, 18, 3), dtype=np.float64)
BYTES = np.round(255 * X).astype(np.uint8)
HOLED = X.copy()
HOLED[2, 0, 0, 0] = np.nan


def distance(real, fake):
    return metrics.sliced_wasserstein(real, fake, rng=Random(0), patches=4, directions=4)


METRICS = [distance, metrics.psnr, metrics.ssim, metrics.ms_ssim]

WRONG = {
    "size": (X[:, :15], "16 x 18 pixels and 3 channels, .* of 15 x 18 pixels and 3 channels"),
    "channels": (X[..., :1], "16 x 18 pixels and 1 channel; resize"),
    "no channels": (X[..., 0], "16 x 18 pixels and 1 channel; resize"),
    "empty": (X[:0], "is empty"),
    "NaN": (HOLED, "NaN or infinity in 1 of 4 images, first in number 2"),
    "infinite": (np.where(X > 0.5, np.inf, X), "NaN or infinity in 4 of 4 images"),
    "bytes": (BYTES, "holds float64, .* uint8; .* bring both to one range and type"),
    "0..255": (255.0 * X, r"from 0.\d+ to 25\d.*divide 0..255 by 255"),
    "[-1, 1]": (2 * X - 1, r"from -0.99\d+ to 0.99.*shift \[-1, 1\] to \[0, 1\]"),
    "early tanh": ((2 * X - 1) / 20, r"shift \[-1, 1\] to \[0, 1\]"),
    "axes": (X[0, 0], "must be .n, height, width. or .n, height, width, channels., got shape"),
    "small": (X[:, :7], "sides must have at least 8 pixels; a single image is a set of one"),
    "complex": (X * 1j, "must hold real numbers, not complex128"),
}


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_compared(metric, wrong):
    fake, message = WRONG[wrong]
    with pytest.raises(ValueError, match=message):
        metric(X, fake)
    with pytest.raises(ValueError):  # noqa: PT011  # and the other way around, in other words
        metric(fake, X)


@pytest.mark.parametrize("metric", METRICS)
def test_what_can_be_compared(metric):
    score = metric(X, X[::-1])
    for change in (
        lambda x: x.astype(np.float32),
        lambda x: metrics.disturb(x, "brightness", 1.0, rng=Random(0)),
        lambda x: x + 0.1 * Random(1).normal(x.shape),  # overshoots
        lambda x: 0 * x,
    ):
        assert np.isfinite(metric(X, change(X[::-1])))
    assert metric(X.astype(np.float32), X[::-1].astype(np.float32)) == pytest.approx(score, 1e-3)


@pytest.mark.parametrize("kind", metrics.DISTURBANCES)
def test_disturbances_grow_from_nothing(kind):
    rng = Random(3)
    strengths = (0.0, 0.25, 0.5, 0.75, 1.0)
    changed = [metrics.disturb(X, kind, strength, rng=Random(3)) for strength in strengths]
    np.testing.assert_array_equal(changed[0], X)
    distances = [np.abs(y - X).mean() for y in changed]
    if kind == "shift":  # of white noise one shift is as far as another
        step = metrics.disturb(X, kind, 0.5, rng=rng)
        np.testing.assert_array_equal(step[:, 2:, 2:], X[:, :-2, :-2])
        assert min(distances[1:]) > 0
    else:
        assert distances == sorted(distances)
        assert len({*distances}) == 5
    for y in changed:
        assert y.shape == X.shape
        assert y.min() >= 0
        assert y.max() <= 1 + 1e-12
    grey = metrics.disturb(X[..., 0], kind, 0.5, rng=Random(3))
    assert grey.shape == X.shape[:3]


def test_disturbances_by_their_formulas():
    def disturb(x, kind, strength):
        return metrics.disturb(x, kind, strength, rng=Random(0))

    np.testing.assert_allclose(disturb(X, "contrast", 1.0), 0.375 + X / 4)
    np.testing.assert_allclose(disturb(X, "brightness", 1.0), 0.5 + X / 2)
    flat = np.full((1, 24, 24), 0.5)
    np.testing.assert_allclose(disturb(flat, "blur", 1.0), flat)
    assert np.std(disturb(flat, "noise", 0.2)) == pytest.approx(0.1, rel=0.1)
    point = np.zeros((1, 41, 41))
    point[0, 20, 20] = 1
    soft = disturb(point, "blur", 0.5)[0]
    places = np.arange(41) - 20
    assert soft.sum() == pytest.approx(1)
    assert (soft.sum(axis=0) * places**2).sum() == pytest.approx(2.05**2, rel=0.05)


def test_what_disturb_refuses():
    with pytest.raises(ValueError, match="unknown disturbance 'blurr', did you mean 'blur'"):
        metrics.disturb(X, "blurr", 0.5, rng=Random(0))
    with pytest.raises(ValueError, match="strength must be from 0 to 1, not 2"):
        metrics.disturb(X, "blur", 2, rng=Random(0))
    with pytest.raises(ValueError, match=r"is not \[0, 1\]"):
        metrics.disturb(BYTES, "blur", 0.5, rng=Random(0))
