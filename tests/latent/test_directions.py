"""Directions: planted ones are found again; how far they move factors."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import Random, models
from tinygen.latent import (
    effects,
    fitted_direction,
    mean_direction,
    moved,
    pca_directions,
    weight_directions,
    without,
)

RNG = np.random.default_rng(0)
PLANTED = RNG.standard_normal(6)
PLANTED /= np.linalg.norm(PLANTED)
CODES = RNG.standard_normal((4000, 6))


def angle(a, b):
    return abs(float(a @ b))


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("scaled", [False, True])
def test_a_planted_factor_is_found(binary, scaled):
    scales = np.array([1, 2, 0.5, 1, 3, 1.0]) if scaled else np.ones(6)
    codes = CODES * scales
    values = codes @ PLANTED
    values = (values > 0).astype(float) if binary else values
    found = fitted_direction(codes, values)
    assert found.direction @ PLANTED > 0.995
    assert found.score > 0.97
    np.testing.assert_allclose(np.linalg.norm(found.direction), 1)
    if not scaled:  # else the mean leans to where codes vary most
        assert mean_direction(codes, values) @ PLANTED > 0.99


def test_a_factor_that_codes_say_nothing_of_has_no_score():
    found = fitted_direction(CODES, RNG.integers(0, 2, 4000))
    assert abs(found.score - 0.5) < 0.06


def test_principal_axes():
    rotation, _ = np.linalg.qr(RNG.standard_normal((6, 6)))
    scales = np.array([5.0, 3, 2, 1, 0.5, 0.1])
    found = pca_directions((CODES * scales) @ rotation)
    for i in range(6):
        assert angle(found.directions[i], rotation[i]) > 0.99
    np.testing.assert_allclose(found.shares, scales**2 / (scales**2).sum(), rtol=0.1)
    np.testing.assert_allclose(found.directions @ found.directions.T, np.eye(6), atol=1e-12)
    assert pca_directions(CODES, 2).directions.shape == (2, 6)


def test_a_planted_weight_is_the_first_direction():
    noise = [0.02 * RNG.standard_normal((6, n)) for n in (10, 7)]
    planted = [
        np.outer(PLANTED, RNG.standard_normal(n)) + e for n, e in zip((10, 7), noise, strict=True)
    ]
    found = weight_directions(planted, 3)
    assert angle(found.directions[0], PLANTED) > 0.98
    assert found.shares[0] > 0.9
    stacked = np.concatenate(planted, axis=1)
    stacked /= np.linalg.norm(stacked, axis=0)
    stretched = np.linalg.norm(found.directions @ stacked, axis=1)
    np.testing.assert_allclose(stretched, np.linalg.svd(stacked)[1][:3])


def test_a_direction_without_others():
    others = RNG.standard_normal((2, 6))
    found = without(PLANTED, others)
    np.testing.assert_allclose(others @ found, 0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found), 1)
    np.testing.assert_allclose(
        without(PLANTED, np.stack([others[0]] * 2)) @ others[0], 0, atol=1e-12
    )
    with pytest.raises(ValueError, match="there is no direction"):
        without(PLANTED, np.stack([PLANTED, others[0]]))


def test_codes_are_moved_in_the_layers_that_are_chosen():
    w = RNG.standard_normal((3, 4, 6)).astype(np.float32)
    way = moved(w, PLANTED, np.array([0.0, 2.0]), [1, 3])
    assert (way.shape, way.dtype) == ((3, 2, 4, 6), np.float32)
    np.testing.assert_array_equal(way[:, 0], w)
    np.testing.assert_array_equal(way[:, 1, [0, 2]], w[:, [0, 2]])
    np.testing.assert_allclose(
        way[:, 1, [1, 3]] - w[:, [1, 3]],
        np.broadcast_to(2 * PLANTED, (3, 2, 6)),
        rtol=1e-4,
        atol=1e-6,
    )


def test_effects_of_planted_factors():
    """Images are the codes: a factor of weight a moves by a step in its own standard deviations."""
    matrix = np.array([[2.0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 0, 0]])
    judge = lambda images: dict(zip("ab", (images @ matrix.T).T, strict=True))  # noqa: E731
    directions = {"a": np.eye(6)[0], "b": np.eye(6)[1], "other": np.eye(6)[5]}
    found = effects(lambda codes: codes, judge, CODES, directions, 1.5)
    expected = 1.5 / np.array([[1, np.inf], [np.inf, np.sqrt(2)], [np.inf, np.inf]])
    np.testing.assert_allclose(found.shifts, expected, rtol=0.05, atol=1e-12)
    np.testing.assert_allclose(found.errors, 0, atol=1e-12)  # all codes move alike
    assert found.leakage("a") == pytest.approx(0)
    curved = lambda images: {"a": images[:, 0] ** 2 + images[:, 1], "b": images[:, 1]}  # noqa: E731
    uneven = effects(lambda codes: codes, curved, CODES[:50], directions, 0.5)
    assert uneven.errors[0, 0] > 0
    assert uneven.leakage("b") == pytest.approx(abs(uneven.shifts[1, 0] / uneven.shifts[1, 1]))


def test_weights_of_styles_are_those_of_every_layer():
    model = models.create("stylegan", image_shape=(8, 8, 3), latents=3, width=4, maps=16)
    weights = model.style_weights()
    assert len(weights) == model.layers
    assert {w.shape[0] for w in weights.values()} == {3}
    assert weight_directions([*weights.values()]).directions.shape == (3, 3)
    second = models.create(
        "stylegan", preset="stylegan2", image_shape=(8, 8, 3), latents=3, width=4, maps=16
    )
    assert len(second.style_weights()) == 3 + 2  # of layers, and of layers to RGB


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_direction(CODES, np.ones(4000)), "one of the two halves is empty"),
        (lambda: fitted_direction(CODES, np.ones(4000)), "the factor is the same of all codes"),
        (lambda: fitted_direction(CODES, np.ones(3)), "4000 codes, and values of shape"),
        (lambda: fitted_direction(CODES, np.full(4000, np.nan)), "NaN or infinite"),
        (lambda: pca_directions(CODES[0]), r"codes are an array \(n, d\)"),
        (lambda: pca_directions(np.ones((5, 2))), "there is no variance"),
        (lambda: pca_directions(CODES, 7), "count is from 1 to 6, not 7"),
        (lambda: weight_directions([]), "there are no weights"),
        (lambda: weight_directions([np.ones((2, 3)), np.ones((3, 3))]), "weights are matrices"),
        (lambda: moved(CODES, np.ones(5), np.ones(2)), "and a direction"),
        (lambda: moved(CODES, np.ones(6), np.ones(2), [0]), "codes without layers"),
        (
            lambda: effects(lambda c: c, lambda i: {"a": i[:, 0] * 0}, CODES, {}, 1.0),
            "the images do not differ in a",
        ),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_random_codes_of_a_model_can_be_moved():
    model = models.create("stylegan", image_shape=(8, 8, 3), latents=3, width=4, maps=16).eval()
    w = model.map(Random(0).normal((2, 3))).numpy()
    way = moved(w, np.array([1.0, 0, 0]), np.linspace(-2, 2, 5))
    assert model.synthesize(way.reshape(-1, 3)).shape == (10, 8, 8, 3)
