"""Traversals, and what each coding of a VAE carries."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import latent, models
from tinygen.ops.random import Random


def test_one_number_varies_and_the_others_stay():
    start, values = np.array([0.5, -1.0, 2.0], np.float32), np.array([-3.0, 0.0, 3.0])
    found = latent.traverse(start, [2, 0], values)
    assert (found.shape, found.dtype) == ((2, 3, 3), np.float32)
    for row, dimension in zip(found, [2, 0], strict=True):
        np.testing.assert_array_equal(row[:, dimension], values)
        rest = [i for i in range(3) if i != dimension]
        np.testing.assert_array_equal(row[:, rest], np.tile(start[rest], (3, 1)))
    assert start.tolist() == [0.5, -1.0, 2.0]
    with pytest.raises(ValueError, match=r"a coding is an array \(d,\), not \(2, 3\)"):
        latent.traverse(np.zeros((2, 3)), [0], values)


def test_divergences_are_those_of_the_formula_and_sum_up_to_the_latent_loss(monkeypatch):
    model = models.create("vae", image_shape=(4, 4), widths=(5,), codings=3)
    x = Random(0).uniform((7, 4, 4))
    mean, log_var = (t.numpy().astype(np.float64) for t in model.posterior(x))
    kl = -0.5 * (1 + log_var - np.exp(log_var) - mean**2)
    found = latent.divergences(model, x)
    np.testing.assert_allclose(found, kl.mean(axis=0), rtol=1e-4)
    assert found.sum() / 16 == pytest.approx(model.measures(x, rng=Random(0))["latent_loss"])
    monkeypatch.setattr("tinygen.latent.codings.BATCH", 3)
    np.testing.assert_allclose(latent.divergences(model, x), found, rtol=1e-5)


def test_a_coding_at_the_prior_carries_nothing():
    model = models.create("vae", image_shape=(4, 4), widths=(5,), codings=3)
    for layer in (model.mean, model.log_var):
        layer.weight.data[:, 1] = 0
    carried = latent.divergences(model, Random(0).uniform((7, 4, 4)))
    assert carried[1] == 0 < min(carried[0], carried[2])


def test_points_carry_no_nats():
    with pytest.raises(ValueError, match=r"stacked-ae has single points for codings.*vae has"):
        latent.divergences(models.create("stacked-ae"), np.zeros((2, 28, 28), np.float32))
