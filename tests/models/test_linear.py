"""The linear autoencoder finds the plane of PCA, which is computed here from singular values."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import Random, models, ops
from tinygen.data.plane import noisy_plane
from tinygen.training import evaluate, fit


def pca(points: np.ndarray, codings: int) -> tuple[float, np.ndarray]:
    """The least mean squared error, and an orthonormal basis (codings, features) of the plane."""
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    _, s, axes = np.linalg.svd(centred, full_matrices=False)
    return float((s[codings:] ** 2).sum() / points.size), axes[:codings]


def largest_angle(a: np.ndarray, b: np.ndarray) -> float:
    """The largest principal angle between the spaces that the rows of a and of b span."""
    a, b = (np.linalg.qr(rows.T.astype(np.float64))[0] for rows in (a, b))
    outside = b - a @ (a.T @ b)  # what of b is not in a; its norm is the sine
    return float(np.arcsin(min(1.0, np.linalg.norm(outside, 2))))


def test_the_angle_between_planes_is_known():
    tilt = 0.3
    a = np.array([[1.0, 0, 0], [0, 1, 0]])
    b = np.array([[1.0, 0, 0], [0, np.cos(tilt), np.sin(tilt)]])
    assert largest_angle(a, 5 * b[::-1]) == pytest.approx(tilt)


def test_the_noisy_plane_is_centred_and_repeats():
    points = noisy_plane(seed=3)
    assert (points.shape, points.dtype) == ((60, 3), np.float32)
    np.testing.assert_allclose(points.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_array_equal(points, noisy_plane(seed=3))
    assert (points != noisy_plane(seed=4)).any()


@pytest.mark.parametrize(
    "seed",
    [s if s < 2 else pytest.param(s, marks=pytest.mark.slow) for s in range(10)],
)
def test_the_default_recipe_reaches_pca(seed):
    points = noisy_plane(seed=seed)
    model = models.create("linear-ae", seed=seed)
    fit(model, points, seed=seed, verbose=False)
    least, plane = pca(points, 2)
    found = evaluate(model, points)["loss"]
    assert least * (1 - 1e-5) <= found <= 1.01 * least
    assert largest_angle(model.decoder[0].weight.numpy(), plane) < 0.01


def test_the_recipe_of_the_text_ends_far_above_the_optimum():
    points = noisy_plane()
    model = models.create("linear-ae")
    fit(model, points, preset="text", verbose=False)
    assert evaluate(model, points)["loss"] > 2 * pca(points, 2)[0]


def test_images_are_flattened_and_come_back_as_images():
    model = models.create("linear-ae", image_shape=(4, 3), codings=2)
    x = Random(0).uniform((5, 4, 3))
    assert model.encode(x).shape == (5, 2)
    assert model.reconstruct(x).shape == (5, 4, 3)
    w, b = (p.numpy() for p in model.encoder.parameters())
    np.testing.assert_allclose(model.encode(x).numpy(), x.reshape(5, 12) @ w + b, rtol=1e-5)
    assert model.loss(x, rng=Random(0)).item() == ops.mse(model.reconstruct(x), x).item()
