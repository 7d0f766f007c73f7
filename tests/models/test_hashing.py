"""Codings become bits, because nothing else is heard above the noise."""

from __future__ import annotations

import numpy as np

from tinygen import Random, models
from tinygen.training import fit


def pictures() -> np.ndarray:
    """Sixteen black and white pictures, and 19 grey copies of each: (320, 6, 6)."""
    first = (Random(3).uniform((16, 6, 6)) > 0.5).astype(np.float32)
    return np.repeat(first, 20, axis=0) * Random(4).uniform((320, 1, 1), 0.8, 1.0)


def trained(noise: float) -> models.Model:
    model = models.create("hashing-ae", image_shape=(6, 6), noise=noise, seed=1)
    fit(model, pictures(), epochs=100, learning_rate=3e-3, verbose=False)
    return model


def test_the_noise_makes_bits_of_the_codings():
    x = pictures()
    undecided = [
        (abs(trained(noise).encode(x).numpy() - 0.5) < 0.4).mean() for noise in (0.0, 15.0)
    ]
    assert undecided[1] < 0.05 < 0.2 < undecided[0]


def test_look_alikes_have_the_same_hash():
    x = pictures()
    bits = trained(15.0).hash(x)
    distances = (bits[:, None] != bits).sum(axis=2)
    same = np.arange(320)[:, None] // 20 == np.arange(320) // 20
    assert distances[same].mean() < 0.5 < 4 < distances[~same].mean()


def test_a_hash_is_the_rounded_code_without_noise():
    model = models.create("hashing-ae", image_shape=(6, 6))
    x = Random(0).uniform((9, 6, 6))
    bits = model.hash(x)
    assert (bits.shape, bits.dtype) == ((9, 16), bool)
    assert model.training  # as it was
    np.testing.assert_array_equal(bits, np.round(model.eval().encode(x).numpy()) == 1)
    model.hash(x)
    assert not model.training
    assert models.create("hashing-ae", codings=5).hash(np.zeros((2, 28, 28))).shape == (2, 5)
