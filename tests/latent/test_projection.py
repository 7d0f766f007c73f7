"""Projection: what a model made is found again; noise stays noise; what is refused."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from tinygen import Random, Tensor, models, ops
from tinygen.latent import project, projection

project = partial(project, steps=150, shown=4)


@pytest.fixture(scope="module")
def model():
    """A generator whose images differ with the style."""
    made = models.create(
        "stylegan", image_shape=(8, 8, 3), latents=4, width=8, maps=32, mapping_layers=2, average=0
    ).eval()
    for i, p in enumerate(made.generator.parameters()):
        p.data[...] += 0.1 * Random(i).normal(p.shape)
    for layer in made.generator.to_rgb:  # pixels that are in [0, 1]
        layer.weight.data[...] *= 0.05
    return made


def features(images: Tensor) -> Tensor:
    """A pyramid of means."""
    parts = [ops.downsample2d(images, f) for f in (1, 2, 4)]
    return ops.concatenate([ops.reshape(p, (p.shape[0], -1)) for p in parts], axis=1)


@pytest.mark.parametrize("layered", [False, True])
def test_what_a_model_made_is_found_again(model, layered):
    w = model.map(Random(5).normal((1, 4))).numpy()
    picture = np.clip(model.synthesize(w).numpy()[0], 0, 1)
    before = model.state_dict()
    steps = 300 if layered else 150
    found = project(model, picture, features, steps=steps, optimize_noise=False, layered=layered)
    assert found.psnr > 35
    assert found.psnr == pytest.approx(-10 * np.log10(((found.image - picture) ** 2).mean()))
    assert found.distances[-1] < 0.02 * found.distances[0]
    assert found.w.shape == ((4, 4) if layered else (4,))
    assert found.steps.shape == (4, 8, 8, 3)
    again = model.synthesize(found.w[None], noise=found.noise).numpy()[0]
    np.testing.assert_array_equal(np.clip(again, 0, 1), found.image)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_maps_of_noise_stay_noise(model):
    picture = np.clip(model.synthesize(model.map(Random(6).normal((1, 4)))).numpy()[0], 0, 1)
    steps = []
    found = project(model, picture, steps=20, progress=steps.append)
    assert steps == [*range(1, 21)]
    for m in found.noise:
        assert m.mean() == pytest.approx(0, abs=1e-5)
        assert m.std() == pytest.approx(1, abs=1e-4)
    again = project(model, picture, steps=20)
    np.testing.assert_array_equal(found.w, again.w)


def test_pattern_is_the_likeness_of_neighbours():
    x = np.random.default_rng(0).standard_normal((1, 16, 16, 1))
    expected = 0.0
    for size in (16, 8):
        small = x.reshape(1, size, 16 // size, size, 16 // size, 1).mean((2, 4))
        for axis in (1, 2):
            expected += (small * np.roll(small, 1, axis)).mean() ** 2
    assert projection.pattern(Tensor(x)).item() == pytest.approx(expected)
    assert projection.pattern(Tensor(np.ones((1, 4, 4, 1)))).item() == pytest.approx(2)


def test_the_middle_is_that_of_styles(model):
    mean, deviation = projection._middle(model, Random(0))
    w = model.map(Random(9).normal((20_000, 4))).numpy()
    np.testing.assert_allclose(mean, w.mean(0), atol=0.05)
    assert deviation == pytest.approx(np.sqrt(((w - w.mean(0)) ** 2).sum(1).mean()), rel=0.03)


@pytest.mark.parametrize(
    ("picture", "settings", "message"),
    [
        (np.zeros((8, 8)), {}, r"the model makes images \(8, 8, 3\), not \(8, 8\)"),
        (np.zeros((8, 8, 3), np.uint8), {}, r"floats in \[0, 1\]; divide"),
        (np.full((8, 8, 3), 1.5), {}, r"floats in \[0, 1\]; divide"),
        (np.zeros((8, 8, 3)), {"steps": 0}, "project: steps"),
        (np.zeros((8, 8, 3)), {"pixels": 0.0}, "without features pixels must count"),
        (np.zeros((8, 8, 3)), {"learning_rate": 0}, "project: learning_rate"),
    ],
)
def test_what_makes_no_sense_is_refused(model, picture, settings, message):
    with pytest.raises(ValueError, match=message):
        project(model, picture, **settings)
