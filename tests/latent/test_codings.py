"""Codings in batches, arithmetic with them, histograms, maps, classes, likelihoods."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from tinygen import data, latent, models, ops
from tinygen.data import Samples
from tinygen.latent import codings as batches
from tinygen.ops.random import Random


def linear(shape: tuple[int, ...] = (6,), codings: int = 3) -> models.Autoencoder:
    model = models.create("linear-ae", image_shape=shape, codings=codings, seed=1)
    assert isinstance(model, models.Autoencoder)
    return model


# In batches


def test_batches_make_no_difference(monkeypatch):
    model = models.create("stacked-ae", image_shape=(4, 5), codings=3).train()
    x = Random(0).uniform((7, 4, 5))
    codings, made = latent.encode(model, x), latent.reconstruct(model, x)
    monkeypatch.setattr(batches, "BATCH", 3)
    np.testing.assert_allclose(latent.encode(model, x), codings, rtol=1e-5)
    np.testing.assert_allclose(latent.reconstruct(model, x), made, rtol=1e-5)
    np.testing.assert_allclose(latent.decode(model, codings.astype(np.float64)), made, rtol=1e-5)
    assert model.training  # as it was


def test_it_is_inference_without_a_graph():
    class Noisy(type(linear())):
        def encode(self, x, *, rng=None):
            assert not self.training
            z = super().encode(x, rng=rng)
            assert not z.requires_grad
            return z

    model = Noisy((6,)).train()
    latent.encode(model, Random(0).uniform((2, 6)))
    assert model.training


def test_without_samples_there_are_no_codings():
    with pytest.raises(ValueError, match="linear-ae: there are no samples"):
        latent.encode(linear(), np.zeros((0, 6), np.float32))


def test_binary_codes_are_those_of_the_model():
    class Hashing(type(linear())):
        def hash(self, x):
            return self.encode(x).numpy() > 0

    model, x = Hashing((6,)), Random(0).normal((5, 6))
    np.testing.assert_array_equal(latent.hash_codes(model, x), latent.encode(model, x) > 0)
    with pytest.raises(ValueError, match="linear-ae makes no binary codes; hashing-ae does"):
        latent.hash_codes(linear(), x)


# Arithmetic


def test_arithmetic_through_a_linear_autoencoder_is_exact():
    """decode(c + mean(a) - mean(b)) = decode(c) + decode(mean a) - decode(mean b), as it is affine.

    With encoder and decoder each other's inverse, it is the arithmetic of the images themselves.
    """
    model = linear((4,), 4).to(dtype="float64")
    x, labels = Random(0).normal((30, 4), dtype=np.float64), np.arange(30) % 3
    to = latent.encode(model, x[labels == 2])
    found = latent.decode(model, latent.analogy(latent.encode(model, x), labels, 0, 1, to))
    weight = model.encoder[1].weight.numpy() @ model.decoder[0].weight.numpy()
    move = (x[labels == 0].mean(axis=0) - x[labels == 1].mean(axis=0)) @ weight
    np.testing.assert_allclose(found - latent.decode(model, to), np.tile(move, (10, 1)), atol=1e-12)


def test_the_mean_of_the_class_taken_away_moves_to_the_one_added():
    codings, labels = Random(0).normal((20, 5)), np.arange(20) % 4
    start, end = (latent.class_mean(codings, labels, i) for i in (1, 3))
    np.testing.assert_allclose(latent.analogy(codings, labels, 3, 1, start), end)
    np.testing.assert_allclose(end, codings[3::4].mean(axis=0), rtol=1e-6)


def test_classes_without_samples_have_no_mean():
    with pytest.raises(ValueError, match="none of the 4 samples has the label 7"):
        latent.class_mean(np.zeros((4, 2)), np.arange(4), 7)
    with pytest.raises(ValueError, match="4 codings and 3 labels"):
        latent.class_mean(np.zeros((4, 2)), np.arange(3), 1)


# Activations


def test_shares_are_those_of_counting():
    values = Random(0).uniform((50, 4), -1, 2)
    found, edges = latent.shares(values, 6, -1, 2)
    np.testing.assert_allclose(edges, np.linspace(-1, 2, 7))
    bins = np.minimum(((values.ravel() + 1) * 2).astype(int), 5)
    np.testing.assert_allclose(found, np.bincount(bins, minlength=6) / 200)
    assert latent.shares(values)[0].sum() == pytest.approx(1)


def test_values_outside_are_not_left_out_in_silence():
    for values in (np.array([0.5, 1.5]), np.array([0.5, np.nan])):
        with pytest.raises(ValueError, match="not from 0 to 1"):
            latent.shares(values, 4, 0, 1)


def test_mean_activations_are_by_unit():
    codings = np.array([[0.0, 1.0], [0.5, 3.0]], np.float32)
    assert latent.mean_activations(codings).tolist() == [0.25, 2.0]
    with pytest.raises(ValueError, match=r"codings are \(n, d\)"):
        latent.mean_activations(np.zeros((0, 3)))


# Maps


def test_a_map_repeats_and_keeps_groups_together():
    middles = 20 * Random(0).normal((3, 10))
    kinds = np.arange(60) % 3
    codings = middles[kinds] + Random(1).normal((60, 10))
    points = latent.tsne(codings, perplexity=10, seed=3)
    assert (points.shape, points.dtype) == ((60, 2), np.float32)
    np.testing.assert_array_equal(points, latent.tsne(codings, perplexity=10, seed=3))
    apart = np.square(points[:, None] - points).sum(axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (kinds[apart.argmin(axis=1)] == kinds).all()


def test_maps_of_little(monkeypatch):
    assert latent.tsne(Random(0).normal((5, 3))).shape == (5, 2)
    assert latent.tsne(Random(0).normal((9, 1))).shape == (9, 2)
    for same in (np.zeros((9, 3)), np.full((9, 1), 2.0)):  # as saturated codings may be
        assert np.isfinite(latent.tsne(same)).all()
    for codings, message in (
        (np.zeros((3, 2)), "at least 4 codings"),
        (np.full((9, 2), np.nan), "NaN or infinite"),
    ):
        with pytest.raises(ValueError, match=message):
            latent.tsne(codings)
    with pytest.raises(ValueError, match="above 0 and below 9, not 9"):
        latent.tsne(np.zeros((9, 2)), perplexity=9)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    for call in (latent.tsne, latent.fit_mixture):
        with pytest.raises(ModuleNotFoundError, match=r'pip install "tinygen\[app\]"'):
            call(np.zeros((9, 2)))


# Classes


def samples(labels=None, names=(), **factors) -> Samples:
    return Samples("these", np.zeros((4, 2, 2, 1), np.uint8), labels, factors, names)


def test_classes_by_label():
    known = samples(np.array([0, 1, 1, 0]), ("cat", "dog"))
    labels, names = latent.classes(known)
    assert (labels.tolist(), names) == ([0, 1, 1, 0], ("cat", "dog"))
    labels, names = latent.classes(samples(np.array([7, -2, 7, 9])))
    assert (labels.tolist(), names) == ([1, 0, 1, 2], ("-2", "7", "9"))


def test_classes_by_the_factors_of_faces():
    faces = data.load("faces", size=8, count=30)
    labels, names = latent.classes(faces, "glasses")
    assert names == ("none", "round", "square", "cat-eye")
    np.testing.assert_array_equal(labels, faces.factors["glasses"])
    labels, names = latent.classes(faces, "age")
    assert names == ("low age", "high age")
    np.testing.assert_array_equal(labels, faces.factors["age"] > 49)


def test_what_there_is_to_go_by_is_said():
    with pytest.raises(ValueError, match=r"these has no labels$"):
        latent.classes(samples())
    with pytest.raises(ValueError, match="no labels; go by one of its factors: smile, age"):
        latent.classes(samples(smile=np.zeros(4), age=np.zeros(4)))
    with pytest.raises(ValueError, match="no factor 'smlie', did you mean 'smile'"):
        latent.classes(samples(smile=np.zeros(4)), "smlie")
    with pytest.raises(ValueError, match="no factor 'age'; it has no factors at all"):
        latent.classes(samples(), "age")


def test_classes_are_found_by_the_beginning_of_their_names():
    names = ("T-shirt/top", "Shirt", "Sneaker", "Shirt dress")
    found = [latent.index_of(name, names) for name in ("T-SHIRT", "shirt", "sn", "shirt d")]
    assert found == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="more than one class is called 's'"):
        latent.index_of("s", names)
    with pytest.raises(ValueError, match="no class 'snaeker', did you mean 'Sneaker'"):
        latent.index_of("snaeker", names)


# Likelihood


class Known(type(linear())):
    """log p(x) = minus the first feature."""

    def log_likelihood(self, x, *, samples, rng, progress=None):
        assert not self.training
        return -x[:, 0].astype(np.float64) + 0 * rng.normal((samples,)).sum()


def test_the_mean_of_the_likelihood_and_its_standard_error():
    model = Known((6,)).train()
    model.criterion = ops.binary_cross_entropy
    x = Random(0).normal((50, 6))
    found = latent.negative_log_likelihood(model, x, 3)
    assert found.mean == pytest.approx(x[:, 0].mean())
    assert found.standard_error == pytest.approx(x[:, 0].std(ddof=1) / np.sqrt(50), rel=1e-5)
    assert model.training
    with pytest.raises(ValueError, match="at least 2 samples are needed, not 1"):
        latent.negative_log_likelihood(model, x[:1])


def test_what_has_no_likelihood():
    for model in (linear(), Known((6,))):
        assert not latent.has_likelihood(model)
        with pytest.raises(ValueError, match="knows no likelihood; a VAE"):
            latent.negative_log_likelihood(model, np.zeros((2, 6)))
