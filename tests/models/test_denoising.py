"""The input is disturbed in training only, and the target never."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import Random, models, ops
from tinygen.training import evaluate, fit

NOISES = ("gaussian", "dropout")


def small(noise: str, **config) -> models.Model:
    return models.create("denoising-ae", image_shape=(6, 6), noise=noise, **config)


@pytest.mark.parametrize("noise", NOISES)
def test_in_inference_it_is_a_stacked_autoencoder(noise):
    model = small(noise).eval()
    plain = models.create("stacked-ae", image_shape=(6, 6))
    for ours, theirs in zip(model.parameters(), plain.parameters(), strict=True):
        theirs.data[...] = ours.data
    x = Random(0).uniform((5, 6, 6))
    np.testing.assert_array_equal(model.reconstruct(x).numpy(), plain.reconstruct(x).numpy())
    assert evaluate(model, x) == evaluate(plain, x)


@pytest.mark.parametrize("noise", NOISES)
def test_in_training_it_sees_noise_and_is_held_against_the_clean_image(noise):
    model, x = small(noise), Random(0).uniform((5, 6, 6))
    seen = model.noise(x, rng=Random(1))
    seen = seen if isinstance(seen, np.ndarray) else seen.numpy()
    assert (seen != x).any()
    expected = ops.binary_cross_entropy(model.train(False).reconstruct(seen), x).item()
    assert model.train().loss(x, rng=Random(1)).item() == pytest.approx(expected, rel=1e-6)


def test_the_amounts_are_settings():
    x = np.full((1000, 6, 6), 0.5, np.float32)
    for std in (0.1, 0.4):
        seen = small("gaussian", std=std).noise(x, rng=Random(0)).numpy()
        assert (seen - x).std() == pytest.approx(std, rel=0.02)
    for rate in (0.2, 0.7):
        seen = small("dropout", rate=rate).noise(x, rng=Random(0)).numpy()
        assert (seen == 0).mean() == pytest.approx(rate, rel=0.02)


@pytest.mark.parametrize("noise", NOISES)
def test_it_learns_to_remove_noise(noise):
    rng = Random(3)
    x = np.repeat((rng.uniform((4, 6, 6)) > 0.5).astype(np.float32), 25, axis=0)  # four pictures
    model = small(noise, codings=4)
    fit(model, x, epochs=60, batch_size=20, optimizer="adam", verbose=False)
    noisy = model.train().noise(x, rng=Random(4)).numpy()
    cleaned = model.eval().reconstruct(noisy).numpy()
    assert abs(cleaned - x).mean() < 0.2 * abs(noisy - x).mean()
