"""The sliced Wasserstein distance against plain loops, and what it is blind to; the pyramid."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from tinygen import metrics, tensor
from tinygen.metrics.pyramid import laplacian_pyramid, reconstruct
from tinygen.ops.random import Random

KERNEL = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1])[:, :, np.newaxis] / 256


def images(n, height=32, width=32, channels=1, seed=0):
    """Smooth random images in [0, 1]."""
    x = Random(seed).uniform((n, height, width, channels), dtype=np.float64)
    return np.clip(0.5 + 4 * (ndimage.gaussian_filter(x, (0, 3, 3, 0)) - 0.5), 0, 1)


def plain_levels(image):
    """The Laplacian pyramid of one image (h, w, c)."""
    levels = []
    while min(image.shape[:2]) >= 31:
        smaller = ndimage.convolve(image, KERNEL, mode="mirror")[::2, ::2]
        spread = np.zeros_like(image)
        spread[::2, ::2] = smaller
        levels.append(image - ndimage.convolve(spread, 4 * KERNEL, mode="mirror"))
        image = smaller
    return [*levels, image]


def plain_distances(real, fake, rng, patches, directions, normalize):
    """Level by level, patch by patch, direction by direction."""
    channels = real.shape[3]
    sets = [list(zip(*map(plain_levels, s), strict=True)) for s in (real, fake)]
    found = []
    for a, b in zip(*sets, strict=True):
        height, width, _ = a[0].shape
        rows = rng.integers(0, height - 6, (len(a), patches))
        columns = rng.integers(0, width - 6, (len(a), patches))
        slopes = rng.normal((directions, channels * 49), dtype=np.float64)
        cut = []
        for level in (a, b):
            cut.append([])
            for image, places in zip(level, zip(rows, columns, strict=True), strict=True):
                for i, j in zip(*places, strict=True):
                    cut[-1].append(image[i : i + 7, j : j + 7].transpose(2, 0, 1))
        p, q = map(np.array, cut)
        axes, shape = (0, 2, 3), (1, channels, 1, 1)
        base = p if normalize == "reals" else q
        mean, std = base.mean(axes).reshape(shape), base.std(axes).reshape(shape)
        q = (q - mean) / std
        p = (p - p.mean(axes).reshape(shape)) / p.std(axes).reshape(shape)
        distances = []
        for slope in slopes:
            u = slope / np.sqrt((slope**2).sum())
            one, other = (sorted(float(u @ patch.ravel()) for patch in s) for s in (p, q))
            distances.append(np.mean([abs(x - y) for x, y in zip(one, other, strict=True)]))
        found.append(1000 * np.mean(distances))
    return found


@pytest.mark.parametrize("channels", [1, 2, 3])
@pytest.mark.parametrize("normalize", ["own", "reals"])
def test_it_is_the_plain_loops(channels, normalize):
    real, fake = images(3, 33, 41, channels), 0.7 * images(3, 33, 41, channels, seed=1)
    score = metrics.sliced_wasserstein(
        real, fake, rng=Random(5), normalize=normalize, patches=6, directions=4
    )
    expected = plain_distances(real, fake, Random(5), 6, 4, normalize)
    assert len(expected) == 2
    assert score.levels == pytest.approx(expected, rel=1e-4)
    assert float(score) == pytest.approx(np.mean(expected), rel=1e-4)


def test_it_is_the_same_in_blocks(monkeypatch):
    real, fake = images(7), images(7, seed=1)

    def score():
        return metrics.sliced_wasserstein(real, fake, rng=Random(5), patches=9, directions=10)

    whole = score()
    monkeypatch.setattr("tinygen.metrics.images.BLOCK", 2000)
    monkeypatch.setattr("tinygen.metrics.wasserstein.PROJECTIONS", 200)
    parts = score()
    assert parts.levels == pytest.approx(whole.levels, rel=1e-4)
    assert parts.standard_error == pytest.approx(whole.standard_error, rel=1e-3)


@pytest.mark.parametrize("side", [16, 28, 31, 32, 33, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_pyramid_can_be_put_together_again(side, channels):
    x = images(2, side, side + 5, channels)
    levels = laplacian_pyramid(x)
    heights = {28: [28], 16: [16], 31: [31, 16], 32: [32, 16], 33: [33, 17], 64: [64, 32, 16]}
    assert [level.shape[1] for level in levels] == heights[side]
    np.testing.assert_allclose(reconstruct(levels), x, atol=1e-14)


@pytest.fixture(scope="module")
def halves():
    return images(300), images(300, seed=1)


def score(real, fake, normalize="own"):
    return metrics.sliced_wasserstein(
        real, fake, rng=Random(0), normalize=normalize, patches=32, directions=64
    )


@pytest.mark.parametrize("normalize", ["own", "reals"])
def test_identical_sets_have_no_distance(halves, normalize):
    real, other = halves
    assert score(real, real.copy(), normalize).levels == (0.0, 0.0)
    assert score(tensor(real), real, normalize) == 0.0
    floor = score(real, other, normalize)
    assert 0 < floor < 60
    assert 0 < floor.standard_error < floor / 4
    assert floor.count == 300


@pytest.mark.parametrize("kind", ["contrast", "brightness"])
def test_contrast_and_brightness_are_seen_by_the_statistics_of_the_reals_alone(halves, kind):
    real, other = halves
    changed = metrics.disturb(other, kind, 0.6, rng=Random(0))
    assert score(real, changed) == pytest.approx(score(real, other), rel=1e-3)
    assert score(real, changed, "reals") > 5 * score(real, other, "reals")


def test_noise_is_seen_at_the_fine_level_alone(halves):
    real, other = halves
    fine, coarse = score(real, metrics.disturb(other, "noise", 0.05, rng=Random(0))).levels
    floors = score(real, other).levels
    assert fine > 5 * floors[0]
    assert coarse < 1.2 * floors[1]


def test_a_generator_of_one_grey_is_only_centred():
    real = images(20)
    grey = score(real, np.full_like(real, 0.3))
    assert grey.levels == score(real, np.full_like(real, 0.7)).levels  # no rounding was magnified
    assert np.isfinite(grey)
    assert score(np.full_like(real, 0.3), np.full_like(real, 0.7)) == 0


def test_what_it_refuses():
    x = images(4)
    with pytest.raises(ValueError, match="4 real and 3 fake images"):
        score(x, x[:3])
    with pytest.raises(ValueError, match="unknown normalize 'real', did you mean 'reals'"):
        score(x, x, "real")
    with pytest.raises(ValueError, match="patches must be a whole number of at least 1"):
        metrics.sliced_wasserstein(x, x, rng=Random(0), patches=0)
