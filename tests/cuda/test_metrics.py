"""Metrics take arrays, tensors, random streams and models that live on a card."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import metrics, nn, tensor
from tinygen.backend import to_device
from tinygen.ops.random import Random


class Generator(nn.Module):
    latents = 5

    def __init__(self):
        self.mapping, self.layer = nn.Dense(5, 6, rng=Random(0)), nn.Dense(6, 9, rng=Random(1))

    def map(self, z):
        return self.mapping(z)

    def synthesize(self, w, *, rng):
        return self.layer(w) + rng.normal((len(w), 9))


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize("space", ["z", "w"])
def test_path_length_of_a_model_on_the_card(space):
    def score(generator, rng):
        return metrics.perceptual_path_length(generator, lambda x: x, space, rng=rng, samples=80)

    generator = Generator().to(dtype="float64")
    expected = score(generator, Random(0))
    generator.to(device="cuda")
    assert score(generator, Random(0)) == pytest.approx(expected, rel=1e-6)
    assert score(generator, Random(0, device="cuda")) == pytest.approx(expected, rel=1e-6)


@pytest.mark.usefixtures("card")
def test_images_on_the_card():
    a, b = Random(0).uniform((2, 4, 16, 16))
    on_card = [to_device(x, "cuda") for x in (a, b)]
    for metric in (metrics.psnr, metrics.ssim, metrics.ms_ssim):
        assert metric(*on_card) == metric(a, tensor(on_card[1])) == metric(a, b)
    rng = Random(3, device="cuda")
    assert np.isfinite(metrics.ms_ssim_diversity(on_card[0], 5, rng=rng))
    distance = metrics.sliced_wasserstein(*on_card, rng=Random(3, device="cuda"))
    assert distance == metrics.sliced_wasserstein(a, b, rng=Random(3))
    noisy = metrics.disturb(on_card[0], "noise", 0.5, rng=Random(3, device="cuda"))
    np.testing.assert_array_equal(noisy, metrics.disturb(a, "noise", 0.5, rng=Random(3)))
