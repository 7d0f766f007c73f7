"""PSNR, SSIM and MS-SSIM against closed forms, plain loops, scikit-image and pytorch-msssim."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import metrics
from tinygen.metrics.similarity import WEIGHTS
from tinygen.ops.random import Random

PAIRED = [metrics.psnr, metrics.ssim, metrics.ms_ssim]


def images(n=6, height=28, width=28, channels=1, seed=0):
    """Random images in [0, 1] with structure at several scales."""
    rng = Random(seed)
    x = np.zeros((n, height, width, channels))
    for size in (1, 2, 4, 8):
        coarse = rng.uniform((n, height // size + 1, width // size + 1, channels), 0, 0.25)
        x += coarse.repeat(size, axis=1).repeat(size, axis=2)[:, :height, :width]
    return x


def noisy(x, strength, seed=9):
    return metrics.disturb(x, "noise", strength, rng=Random(seed))


def plain_similarity(a, b):
    """SSIM and CS of one pair (h, w), place by place."""
    size = min(11, *a.shape)
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    window = np.exp(-(x**2 + y**2) / (2 * (1.5 * size / 11) ** 2))
    window /= window.sum()
    found = []
    for i in range(a.shape[0] - size + 1):
        for j in range(a.shape[1] - size + 1):
            p, q = a[i : i + size, j : j + size], b[i : i + size, j : j + size]
            m, k = (window * p).sum(), (window * q).sum()
            v, w = (window * (p - m) ** 2).sum(), (window * (q - k) ** 2).sum()
            covariance = (window * (p - m) * (q - k)).sum()
            luminance = (2 * m * k + 1e-4) / (m**2 + k**2 + 1e-4)
            structure = (2 * covariance + 9e-4) / (v + w + 9e-4)
            found.append((luminance * structure, structure))
    return np.mean(found, axis=0)


@pytest.mark.parametrize("metric", PAIRED)
@pytest.mark.parametrize("channels", [1, 3])
def test_identical_images_and_growing_noise(metric, channels):
    x = images(channels=channels)
    assert metric(x, x) == (np.inf if metric is metrics.psnr else pytest.approx(1, abs=1e-12))
    scores = [metric(x, noisy(x, strength)) for strength in (0.05, 0.1, 0.2, 0.4, 0.8)]
    assert scores == sorted(scores, reverse=True)
    assert len({*scores}) == 5
    assert scores[0].count == len(x)


@pytest.mark.parametrize("metric", PAIRED)
def test_one_definition_for_all_forms_and_ranges(metric):
    a = images(4)
    b = noisy(a, 0.2)
    score = metric(a, b)
    assert metric(b, a) == pytest.approx(score)
    assert metric(a[..., 0], b[..., 0]) == score
    each = [metric(p, q) for p, q in zip(a[..., 0], b[..., 0], strict=True)]  # lone images
    assert np.mean(each) == pytest.approx(score)
    assert np.std(each, ddof=1) / 2 == pytest.approx(score.standard_error)
    assert np.isnan(each[0].standard_error)
    assert metric(255 * a, 255 * b, data_range=255) == pytest.approx(score)
    rounded = (np.round(255 * x).astype(np.uint8) for x in (a, b))  # whose squares do not overflow
    assert metric(*rounded, data_range=255) == pytest.approx(score, rel=0.01)


def test_flat_images():
    a, b = np.full((1, 16, 16), 0.5), np.full((1, 16, 16), 0.6)
    assert metrics.psnr(a, b) == pytest.approx(20)
    luminance = (2 * 0.5 * 0.6 + 1e-4) / (0.5**2 + 0.6**2 + 1e-4)
    assert metrics.ssim(a, b) == pytest.approx(luminance)
    assert metrics.ms_ssim(a, b) == pytest.approx(luminance ** WEIGHTS[-1])


@pytest.mark.parametrize(("height", "width"), [(28, 28), (12, 17), (8, 8)])
def test_they_are_the_plain_loops(height, width):
    a = images(1, height, width)[0, ..., 0]
    b = noisy(a[np.newaxis], 0.3)[0]
    assert metrics.ssim(a, b) == pytest.approx(plain_similarity(a, b)[0])
    weights = WEIGHTS if height > 8 else WEIGHTS[-3:]
    unit = 2 ** len(weights)
    pads = []
    for side in (height, width):
        missing = max(unit, -(-side // (unit // 2)) * (unit // 2)) - side
        pads.append((missing // 2, missing - missing // 2))
    p, q = np.pad(a, pads, "reflect"), np.pad(b, pads, "reflect")
    expected = 1.0
    for level, weight in enumerate(weights, 1):
        expected *= plain_similarity(p, q)[int(level < len(weights))] ** weight
        p, q = (x[::2, ::2] / 4 + x[1::2, ::2] / 4 + x[::2, 1::2] / 4 + x[1::2, 1::2] / 4
                for x in (p, q))  # fmt: skip
    assert metrics.ms_ssim(a, b, weights=weights) == pytest.approx(expected)


def test_28_pixels_become_32_and_176_stay():
    a = images(3)
    b = noisy(a, 0.2)
    p, q = (np.pad(x, [(0, 0), (2, 2), (2, 2), (0, 0)], "reflect") for x in (a, b))
    assert metrics.ms_ssim(a, b) == metrics.ms_ssim(p, q)


def test_negative_structure_counts_as_none():
    x = images(2)
    assert metrics.ssim(x, 1 - x) < 0
    assert metrics.ms_ssim(x, 1 - x) == 0


@pytest.mark.parametrize("channels", [1, 3])
def test_ssim_is_that_of_scikit_image(channels):
    skimage = pytest.importorskip("skimage.metrics", reason="an independent implementation")
    a = images(3, 28, 33, channels)
    b = noisy(a, 0.2)
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    for p, q in zip(a, b, strict=True):
        expected = skimage.structural_similarity(p, q, channel_axis=-1, data_range=1.0, **options)
        assert metrics.ssim(p[np.newaxis], q[np.newaxis]) == pytest.approx(expected, abs=1e-9)
        noise_ratio = skimage.peak_signal_noise_ratio(p, q, data_range=1.0)
        assert metrics.psnr(p[np.newaxis], q[np.newaxis]) == pytest.approx(noise_ratio)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("weights", [WEIGHTS, (0.2, 0.5, 0.3)])
def test_ms_ssim_is_that_of_pytorch_msssim(channels, weights):
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    theirs = pytest.importorskip("pytorch_msssim", reason="an independent implementation")
    a = images(2, 176, 192, channels)
    b = noisy(a, 0.3)
    p, q = (torch.from_numpy(x.transpose(0, 3, 1, 2).copy()) for x in (a, b))
    expected = theirs.ms_ssim(p, q, data_range=1.0, weights=list(weights)).item()
    assert metrics.ms_ssim(a, b, weights=weights) == pytest.approx(expected, abs=1e-6)


def test_diversity_is_the_mean_over_pairs_of_different_images():
    x = images(5)
    every = [metrics.ms_ssim(x[[i]], x[[j]]) for i in range(5) for j in range(5) if i != j]
    score = metrics.ms_ssim_diversity(x, 4000, rng=Random(0))
    assert abs(score - np.mean(every)) < 4 * score.standard_error
    assert score.count == 4000
    assert score == metrics.ms_ssim_diversity(x, 4000, rng=Random(0))
    alike = np.concatenate([x[:1]] * 4)
    assert metrics.ms_ssim_diversity(alike, 50, rng=Random(0)) == pytest.approx(1)
    one_of_two = [metrics.ms_ssim_diversity(x[:2], 1, rng=Random(i)) for i in range(5)]
    assert one_of_two == pytest.approx([metrics.ms_ssim(x[:1], x[1:2])] * 5)


def test_what_they_refuse():
    x = images(2)
    for metric in PAIRED:
        with pytest.raises(ValueError, match="2 images cannot be paired with 1"):
            metric(x, x[:1])
        with pytest.raises(ValueError, match=r"from -1 to 1, .*shift \[-1, 1\]"):
            metric(np.sign(x - 0.5), np.sign(x - 0.5))
        with pytest.raises(ValueError, match=r"is not \[0, 1\]; .*or give data_range="):
            metric(255 * x, 255 * x)
        with pytest.raises(ValueError, match="data_range must be positive"):
            metric(x, x, data_range=0)
    with pytest.raises(ValueError, match="11 pixels are too small for 5 levels: give fewer"):
        metrics.ms_ssim(x[:, :11, :11], x[:, :11, :11])
    with pytest.raises(ValueError, match="a number for each level"):
        metrics.ms_ssim(x, x, weights=())
    with pytest.raises(ValueError, match="a weight must be positive"):
        metrics.ms_ssim(x, x, weights=(0.5, -0.5))
    with pytest.raises(ValueError, match="one image has no other"):
        metrics.ms_ssim_diversity(x[:1], rng=Random(0))
    with pytest.raises(ValueError, match="pairs must be a whole number of at least 1"):
        metrics.ms_ssim_diversity(x, 0, rng=Random(0))
