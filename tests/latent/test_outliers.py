"""Scores are the losses of single samples, and what looks like nothing known is worst."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import models, ops
from tinygen.latent import reconstruct, reconstruction_errors, threshold
from tinygen.ops.random import Random
from tinygen.training import fit


@pytest.mark.parametrize("error", ["mse", "binary_cross_entropy"])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_scores_are_the_losses_of_the_samples(error, shape):
    x, y = Random(0).uniform((6, *shape)), Random(1).uniform((6, *shape))
    scores = reconstruction_errors(x, y, error)
    loss = getattr(ops, error)
    pairs = zip(x.astype(float), y.astype(float), strict=True)
    expected = [loss(made, wanted).item() for wanted, made in pairs]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_perfect_reconstructions_of_black_and_white_score_nothing():
    x = Random(0).integers(0, 2, (3, 4, 4)).astype(np.float32)
    for error in ("mse", "binary_cross_entropy"):
        np.testing.assert_allclose(reconstruction_errors(x, x, error), 0, atol=1e-6)
    grey = np.full((1, 4, 4), 0.5)
    assert reconstruction_errors(grey, grey, "mse")[0] == 0
    assert reconstruction_errors(grey, grey, "binary_cross_entropy")[0] == pytest.approx(np.log(2))


@pytest.mark.parametrize("error", ["mse", "binary_cross_entropy"])
def test_an_image_of_noise_ranks_worst(error):
    """Among bars of a few positions, which a small autoencoder learns."""
    at = Random(0).integers(0, 8, (300,))
    bars = np.zeros((300, 8, 8), np.float32)
    bars[np.arange(300), at] = 1.0
    model = models.create("stacked-ae", image_shape=(8, 8), widths=(24,), codings=6)
    fit(model, bars[:250], epochs=12, batch_size=10, learning_rate=1.0, verbose=False)
    noise = Random(1).uniform((1, 8, 8))
    x = np.concatenate([bars[250:], noise])
    scores = reconstruction_errors(x, reconstruct(model, x), error)
    assert scores.argmax() == 50
    usual = reconstruction_errors(bars[:250], reconstruct(model, bars[:250]), error)
    assert scores[50] > threshold(usual, 99)


def test_the_threshold_is_exceeded_by_the_share_that_was_asked_for():
    errors = Random(0).uniform((1000,))
    for percentile, above in ((99, 10), (90, 100), (100, 0)):
        assert (errors > threshold(errors, percentile)).sum() == above


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: reconstruction_errors(x, x[1:]), r"samples \(2, 3\), reconstructions \(1, 3\)"),
        (lambda x: reconstruction_errors(x, x, "mae"), "mse or binary_cross_entropy, not 'mae'"),
        (lambda x: reconstruction_errors(x + 1, x, "binary_cross_entropy"), r"in \[0, 1\]"),
        (lambda x: threshold(x[0], 101), "from 0 to 100, not 101"),
        (lambda x: threshold(x[0] * np.nan), "finite scores"),
        (lambda x: threshold(x[0, :0]), "finite scores"),
    ],
)
def test_what_makes_no_sense(call, message):
    with pytest.raises(ValueError, match=message):
        call(np.full((2, 3), 0.5))
