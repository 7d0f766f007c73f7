"""Perceptual path length where it is known in closed form: linear generators, circles, noise."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import metrics, nn
from tinygen.metrics.path_length import lerp, slerp
from tinygen.ops.random import Random

SIZE = 5
A = Random(1).normal((SIZE, 12), dtype=np.float64)


def flat(images):
    return np.asarray(images).reshape(len(images), -1)


class Mapped:
    """w = z B, images = w A + noise, or of noise alone; remembers the latents that it was given."""

    latents = SIZE
    B = Random(2).normal((SIZE, SIZE), dtype=np.float64)

    def __init__(self, weight=1.0, dtype=np.float64):
        self.weight, self.dtype, self.seen = weight, dtype, []

    def map(self, z):
        return z @ self.B

    def synthesize(self, w, *, rng):
        self.seen.append(w)
        images = self.weight * w @ A + rng.normal((len(w), 12), dtype=np.float64)
        return images.reshape(-1, 2, 3, 2).astype(self.dtype)


def pairs(samples, size=SIZE):
    """The latents of one batch, as they are drawn."""
    return Random(0).normal((2, samples, size), dtype=np.float64)


@pytest.mark.parametrize("ends", ["full", "end"])
@pytest.mark.parametrize("epsilon", [1e-4, 0.1])
def test_of_a_linear_generator_it_is_the_squared_distance_in_w(ends, epsilon):
    first, second = pairs(500)
    squared = (((second - first) @ Mapped.B @ A) ** 2).sum(axis=1)
    inner = np.sort(squared)[4:-4]  # the 1st percentile is number 4.99 of 0..499, taken as 4
    score = metrics.perceptual_path_length(
        Mapped(), flat, "w", ends, rng=Random(0), samples=500, batch=500, epsilon=epsilon
    )
    assert score == pytest.approx(inner.mean(), rel=1e-9 if epsilon > 0.01 else 1e-6)
    assert score.standard_error == pytest.approx(inner.std(ddof=1) / np.sqrt(492), rel=1e-6)
    assert score.count == 492


def test_ends_say_where_the_steps_begin():
    first, second = (z @ Mapped.B for z in pairs(6))
    for ends in ("full", "end"):
        generator = Mapped()
        metrics.perceptual_path_length(
            generator, flat, "w", ends, rng=Random(0), samples=6, batch=6, epsilon=0.25
        )
        start, stop = generator.seen[-2:]
        t = ((start - first) / (second - first)).mean(axis=1)
        np.testing.assert_allclose(start, lerp(first, second, t[:, np.newaxis]), atol=1e-12)
        np.testing.assert_allclose(stop - start, 0.25 * (second - first), atol=1e-12)
        assert (np.ptp(t) > 0.1 and t.min() >= 0) if ends == "full" else not np.abs(t).max() > 1e-12


@pytest.mark.parametrize("space", ["z", "w"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_noise_that_both_ends_share_is_no_path(space, dtype):
    generator = Mapped(weight=0.0, dtype=dtype)
    score = metrics.perceptual_path_length(generator, flat, space, rng=Random(0), samples=100)
    assert score == 0.0
    fresh = [g for g in generator.seen if len(g) == 36]
    assert len(fresh) == 2  # the last batch holds the rest


def test_noise_moves_on_from_batch_to_batch():
    drawn = []

    def generator(z, rng):
        drawn.append(rng.normal((2,)).tolist())
        return z

    metrics.perceptual_path_length(generator, flat, rng=Random(0), samples=9, batch=3, latents=SIZE)
    starts, stops = drawn[2::2], drawn[3::2]  # after a batch that was asked for twice
    assert starts == stops
    assert len({*map(tuple, starts)}) == 3


def test_on_a_circle_it_is_the_squared_arc():
    first, second = pairs(300, 2)
    a, b = (z / np.linalg.norm(z, axis=1, keepdims=True) for z in (first, second))
    angle = np.arccos((a * b).sum(axis=1))
    arc = (2 * np.sin(1e-4 * angle / 2) / 1e-4) ** 2

    def normalising(z):
        return z / np.linalg.norm(z, axis=1, keepdims=True)

    score = metrics.perceptual_path_length(
        normalising, flat, rng=Random(0), samples=300, batch=300, latents=2
    )
    assert score == pytest.approx(np.sort(arc)[2:-2].mean(), rel=1e-6)
    norms = [np.linalg.norm(z, axis=1) for z in (first, second)]
    whole = metrics.perceptual_path_length(
        lambda z: z, flat, "z", "end", rng=Random(0), samples=300, batch=300, latents=2
    )
    step = norms[1] - norms[0]  # the norm changes evenly while the direction turns
    along = step**2 + 4 * norms[0] * (norms[0] + 1e-4 * step) * (np.sin(5e-5 * angle) / 1e-4) ** 2
    assert whole == pytest.approx(np.sort(along)[2:-2].mean(), rel=1e-6)


def test_slerp_keeps_the_norm_and_turns_evenly():
    a, b = Random(3).normal((2, 40, 7), dtype=np.float64)
    b *= np.linalg.norm(a, axis=1, keepdims=True) / np.linalg.norm(b, axis=1, keepdims=True)
    t = Random(4).uniform((40, 1), dtype=np.float64)
    middle = slerp(a, b, t)
    norm = np.linalg.norm(a, axis=1)
    np.testing.assert_allclose(np.linalg.norm(middle, axis=1), norm)
    np.testing.assert_allclose(slerp(a, b, 0 * t), a)
    np.testing.assert_allclose(slerp(a, b, 0 * t + 1), b)
    angles = [np.arccos((a * x).sum(axis=1) / norm**2) for x in (middle, b)]
    np.testing.assert_allclose(angles[0], t[:, 0] * angles[1])
    np.testing.assert_allclose(slerp(a, 2 * a, t), (1 + t) * a)  # parallel


class Straight(nn.Module):
    """A model of the library whose w is z, so that paths are straight."""

    latents = SIZE

    def __init__(self, model):
        self.synthesize = model

    def map(self, z):
        return z


def test_models_of_the_library_are_measured_in_inference_mode():
    model = nn.Sequential(nn.Dense(SIZE, 12, rng=Random(0)), nn.Dropout(0.5)).to(dtype="float64")
    features = nn.Sequential(nn.Dropout(0.5), nn.Dense(12, 12, rng=Random(1))).to(dtype="float64")
    features.eval()
    first, second = pairs(64)
    weight = model[0].weight.numpy() @ features[1].weight.numpy()
    squared = (((second - first) @ weight) ** 2).sum(axis=1)
    generator = Straight(model)
    score = metrics.perceptual_path_length(generator, features, "w", rng=Random(0), samples=64)
    assert score == pytest.approx(squared.mean(), rel=1e-6)
    assert generator.training
    assert model.training
    assert not features.training


def test_what_it_refuses():
    def refused(error, match, generator=None, features=flat, space="z", **options):
        with pytest.raises(error, match=match):
            metrics.perceptual_path_length(
                generator or Mapped(), features, space, rng=Random(0), samples=8, **options
            )

    def plain(z):
        return z @ A

    refused(ValueError, "unknown space 'x'", space="x")
    refused(ValueError, "unknown ends 'ful', did you mean 'full'", ends="ful")
    refused(ValueError, "epsilon must be positive", epsilon=0.0)
    refused(TypeError, "no attribute `latents`; give latents=", plain)
    refused(TypeError, r"needs the methods map\(z\) and synthesize", plain, space="w", latents=SIZE)
    refused(ValueError, "the images are float32, which rounds away", Mapped(dtype=np.float32))
    single = lambda x: flat(x).astype(np.float32)  # noqa: E731
    refused(ValueError, "the features are float32, which rounds away", features=single)
    refused(ValueError, "the images are uint8", Mapped(0.0, np.uint8))
    refused(ValueError, "NaN or infinity", features=lambda x: flat(x) * np.nan)
    refused(ValueError, r"features must be \(8, d\)", features=lambda x: flat(x)[:3])
    state = Random(9)
    refused(
        ValueError,
        "other images for the same latents",
        lambda z: z + state.normal(z.shape),
        latents=SIZE,
    )
