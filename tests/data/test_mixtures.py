"""Data without images: rings and grids of Gaussians, stacked digits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinygen import data
from tinygen.data.digits import base_digits
from tinygen.data.mixtures import SIGMA
from tinygen.metrics import modes_captured


@pytest.mark.parametrize(("name", "modes"), [("ring", 8), ("grid", 25)])
def test_points_of_a_mixture(name, modes):
    found = data.load(name, count=20_000)
    points, labels = found.floats(), found.labels
    centres, sigma = data.centres(name), SIGMA[name]
    assert (points.shape, points.dtype, found.kind) == ((20_000, 2), np.float32, "points")
    assert centres.shape == (modes, 2)
    assert len(np.unique(centres.round(6), axis=0)) == modes  # the ends of the circle are one
    counts = np.bincount(labels, minlength=modes)
    assert abs(counts - 20_000 / modes).max() < 5 * math.sqrt(20_000 / modes)
    apart = (points - centres[labels]) / sigma
    assert abs(apart.mean()) < 0.03
    assert apart.std() == pytest.approx(1, abs=0.02)
    modes_found = modes_captured(points, centres, sigma)
    assert modes_found.captured == modes
    error = modes_found.high_quality.standard_error
    assert abs(float(modes_found.high_quality) - (1 - math.exp(-4.5))) < 4 * error
    assert [len(part) for part in (found.train, found.valid, found.test)] == [16_000, 2_000, 2_000]
    np.testing.assert_array_equal(data.load(name, count=500).floats(), points[:500])
    other = data.load(name, count=500, seed=1).floats()
    assert (other != points[:500]).any()


def test_stacked_digits_are_what_their_labels_say():
    found = data.load("stacked-digits", count=300)
    digits, values = base_digits()
    known = {digit.tobytes(): value for digit, value in zip(digits, values, strict=True)}
    assert len(known) == len(digits)  # no digit is there twice
    assert found.images.shape == (300, 8, 8, 3)
    seen = {}
    for split in ("train", "valid", "test"):
        part = getattr(found, split)
        channels = [
            [np.ascontiguousarray(image[..., c]).tobytes() for c in range(3)]
            for image in part.images
        ]
        expected = [100 * known[a] + 10 * known[b] + known[c] for a, b, c in channels]
        np.testing.assert_array_equal(part.labels, expected)
        seen[split] = {digit for image in channels for digit in image}
    assert not seen["train"] & seen["valid"]
    assert not seen["train"] & seen["test"]
    assert not seen["valid"] & seen["test"]
    assert {found.images.min(), found.images.max()} == {0, 255}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "ring", "size": 8}, "ring has points, which have no size"),
        ({"source": "plane", "channels": 1}, "plane has points, which have no size"),
        ({"source": "grid", "count": 0}, "count must be at least 1"),
        ({"source": "grid", "count": 2**40}, "at most .* points are drawn"),
        ({"source": "stacked-digits", "count": 2**40}, "at most"),
    ],
)
def test_what_cannot_be_drawn(arguments, message):
    with pytest.raises(data.DataError, match=message):
        data.load(**arguments)
