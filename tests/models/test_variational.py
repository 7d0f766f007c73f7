"""The bound and the likelihood against integrals, closed forms and chance."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import Random, models
from tinygen.models import variational
from tinygen.training import evaluate, fit


def small(codings: int = 2, **config) -> models.Model:
    """Four pixels, float64; pixels that depend on codings, and codings a little on pixels."""
    model = models.create("vae", image_shape=(2, 2), widths=(5,), codings=codings, **config)
    model.to(dtype="float64")
    for layer in (model.mean, model.log_var):
        layer.weight.data *= 0.2
        layer.bias.data += 0.3
    for layer in (model.decoder[0], model.decoder[1]):
        layer.weight.data *= 2
    return model


def pixels(n: int) -> np.ndarray:
    return np.round(Random(5).uniform((n, 2, 2), dtype=np.float64))


def by_integration(model: models.Model, x: np.ndarray) -> np.ndarray:
    """log p(x) = log of the integral of p(x|z) p(z) over a fine grid of z."""
    codings = model.config["codings"]
    axis = np.linspace(-7, 7, 4001 if codings == 1 else 281)
    z = np.stack(np.meshgrid(*[axis] * codings, indexing="ij"), axis=-1).reshape(-1, codings)
    prior = np.exp(-(z**2).sum(axis=1) / 2) / (2 * np.pi) ** (codings / 2)
    p = model.decode(z).numpy().reshape(len(z), -1)
    flat = x.reshape(len(x), 1, -1)
    likelihood = np.prod(np.where(flat == 1, p, 1 - p), axis=2)
    return np.log((likelihood * prior).sum(axis=1) * (axis[1] - axis[0]) ** codings)


# The loss


def test_the_latent_loss_is_the_divergence_from_the_prior_by_the_number_of_pixels():
    for beta in (0.0, 1.0, 4.0):
        model, x = small(beta=beta), pixels(6)
        mean, log_var = (t.numpy() for t in model.posterior(x))
        kl = -0.5 * (1 + log_var - np.exp(log_var) - mean**2).sum(axis=1).mean()
        found = model.measures(x, rng=Random(0))
        assert found["latent_loss"] == pytest.approx(beta * kl / 4)
        assert found["loss"] == found["reconstruction_loss"] + found["latent_loss"]
        assert found["loss"] == pytest.approx(model.loss(x, rng=Random(0)).item())


def test_codings_are_drawn_from_the_posterior(monkeypatch):
    model, x = small(), np.repeat(pixels(1), 20000, axis=0)
    mean, log_var = (t.numpy() for t in model.posterior(x[:1]))
    drawn = []
    decode = model.decode
    monkeypatch.setattr(model, "decode", lambda z, rng=None: drawn.append(z.numpy()) or decode(z))
    model.loss(x, rng=Random(2))
    (z,) = drawn
    np.testing.assert_allclose(z.mean(axis=0), mean[0], atol=0.03)
    np.testing.assert_allclose(z.var(axis=0), np.exp(log_var[0]), rtol=0.05)


def test_a_target_of_its_own():
    model, x = small(), pixels(6)
    same = model.measures(x, x, rng=Random(0))
    other = model.measures(x, 1 - x, rng=Random(0))
    assert same == model.measures(x, rng=Random(0))
    assert other["latent_loss"] == same["latent_loss"]
    assert other["rounded_accuracy"] == pytest.approx(1 - same["rounded_accuracy"])
    loss = model.loss(x, 1 - x, rng=Random(0)).item()
    assert loss == pytest.approx(other["loss"]) != same["loss"]


def test_without_a_latent_loss_the_posterior_narrows_and_with_much_it_is_the_prior():
    x = Random(1).uniform((64, 6, 6)).round()
    deviations = []
    for beta in (0.0, 100.0):
        model = models.create("vae", image_shape=(6, 6), codings=3, beta=beta)
        fit(model, x, epochs=60, optimizer="adam", learning_rate=3e-3, verbose=False)
        mean, log_var = (t.numpy() for t in model.posterior(x))
        deviations.append(np.exp(log_var / 2).mean())
    assert deviations[0] < 0.2
    assert deviations[1] == pytest.approx(1, abs=0.02)
    assert abs(mean).max() < 0.1


# New images


def test_samples_are_decoded_from_the_prior():
    model = models.create("vae", image_shape=(5, 4, 3))
    found = model.sample(7, rng=Random(3))
    assert (found.shape, found.dtype) == ((7, 5, 4, 3), np.float32)
    z = Random(3).normal((7, 10))
    np.testing.assert_array_equal(found.numpy(), model.decode(z).numpy())
    assert model.to(dtype="float64").sample(2, rng=Random(3)).dtype == np.float64


def test_trained_samples_are_like_the_data():
    first, second = np.zeros((6, 6), np.float32), np.zeros((6, 6), np.float32)
    first[:3], second[:, :3] = 1, 1
    x = np.stack([first, second] * 100)
    model = models.create("vae", image_shape=(6, 6), codings=1)
    fit(model, x, epochs=80, optimizer="adam", learning_rate=3e-3, verbose=False)
    made = model.sample(200, rng=Random(0)).numpy()
    distances = abs(made[:, None] - x[:2]).mean(axis=(2, 3))
    nearest = distances.argmin(axis=1)
    assert np.median(distances.min(axis=1)) < 0.05
    assert 50 < nearest.sum() < 150  # both kinds


# The likelihood


@pytest.mark.parametrize("codings", [1, 2])
def test_the_likelihood_is_the_integral_over_the_codings(codings):
    model, x = small(codings), pixels(6)
    exact = by_integration(model, x)
    every = np.stack(np.meshgrid(*[[0.0, 1.0]] * 4, indexing="ij"), -1).reshape(16, 2, 2)
    assert np.exp(by_integration(model, every)).sum() == pytest.approx(1)  # the oracle is one
    assert exact.std() > 0.1
    found = model.log_likelihood(x, samples=4000, rng=Random(1))
    assert (found.shape, found.dtype) == ((6,), np.float64)
    np.testing.assert_allclose(found, exact, atol=0.1)
    few = model.log_likelihood(np.repeat(x, 4000, axis=0), samples=50, rng=Random(2))
    mean = np.exp(few).reshape(6, 4000).mean(axis=1)  # the likelihood itself is unbiased
    np.testing.assert_allclose(np.log(mean), exact, atol=0.01)


def test_more_draws_tighten_the_bound():
    model, one = small(), pixels(3)[2:]
    x, exact = np.repeat(one, 4000, axis=0), by_integration(model, one)[0]
    bounds = [model.log_likelihood(x, samples=k, rng=Random(1)).mean() for k in (1, 2, 4, 16, 64)]
    assert bounds[0] < exact - 0.05  # or there would be nothing to tighten
    assert (np.diff(bounds) > 0).all()
    assert bounds[-1] < exact + 0.005
    assert exact - bounds[-1] < 0.1 * (exact - bounds[0])


def test_one_draw_is_the_bound_that_training_raises():
    model, x = small(), np.repeat(pixels(1), 200_000, axis=0)
    bound = model.log_likelihood(x, samples=1, rng=Random(1))
    error = bound.std() / np.sqrt(len(x))
    loss = np.mean([model.loss(x, rng=Random(seed)).item() for seed in range(8)])
    assert bound.mean() == pytest.approx(-4 * loss, abs=5 * error)
    assert 5 * error < 0.05


def test_a_posterior_that_is_exact_needs_one_draw():
    model, x = small(), pixels(6)
    for p in (*model.mean.parameters(), *model.log_var.parameters()):
        p.data[...] = 0  # the prior itself
    model.decoder[0].weight.data[...] = 0  # and images that have nothing to do with codings
    p = model.decode(np.zeros((1, 2))).numpy()[0]
    exact = np.where(x == 1, np.log(p), np.log(1 - p)).sum(axis=(1, 2))
    for samples in (1, 3):
        found = model.log_likelihood(x, samples=samples, rng=Random(1))
        np.testing.assert_allclose(found, exact, rtol=1e-12)


def test_it_does_not_matter_how_many_images_are_taken_at_a_time(monkeypatch):
    model, x = small(), pixels(10)
    whole = model.log_likelihood(x, samples=5, rng=Random(1))
    monkeypatch.setattr(variational, "BLOCK", 3)
    np.testing.assert_allclose(model.log_likelihood(x, samples=5, rng=Random(1)), whole, rtol=1e-12)
    np.testing.assert_allclose(
        model.log_likelihood(x[:4], samples=5, rng=Random(1)), whole[:4], rtol=1e-12
    )
    assert (model.log_likelihood(x, samples=5, rng=Random(2)) != whole).all()
    assert model.log_likelihood(x[:0], rng=Random(1)).shape == (0,)


def test_far_out_weights_do_not_underflow():
    model = models.create("vae")
    x = np.ones((2, 28, 28), np.float32)
    found = model.log_likelihood(x, samples=3, rng=Random(0))
    assert np.isfinite(found).all()
    assert (found < -400).all()  # e^-400 is 0 in float32


def test_what_has_no_likelihood():
    x = pixels(2)
    with pytest.raises(ValueError, match="trained with loss 'binary_cross_entropy'"):
        small(loss="mse").log_likelihood(x, rng=Random(0))
    with pytest.raises(ValueError, match="samples must be a whole number of at least 1, not 0"):
        small().log_likelihood(x, samples=0, rng=Random(0))


# The convolutional variant


def test_convolutions_halve_and_double():
    model = models.create("vae", image_shape=(5, 7), filters=(4, 6))
    x = Random(0).uniform((2, 5, 7))
    h = x
    shapes = []
    for layer in model.encoder:
        h = layer(h)
        shapes.append(h.shape[1:])
    assert shapes == [(5, 7, 1), (3, 4, 4), (2, 2, 6), (24,), (150,), (100,)]
    assert model.reconstruct(x).shape == x.shape


def test_evaluation_draws_the_same_noise_every_time():
    model, x = small(), pixels(50)
    assert evaluate(model, x) == evaluate(model, x) != evaluate(model, x, seed=1)
