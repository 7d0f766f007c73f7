"""StyleGAN: styles, mixing, truncation, noise, path lengths, whole losses, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.training.toys import resumes_exactly
from tinygen import Random, Tensor, gradcheck, gradgradcheck, models, ops
from tinygen.models.penalties import path_lengths
from tinygen.models.stylegan import StyleGAN
from tinygen.training import Trainer, fit

SHAPE = (16, 16, 3)
SMALL = {
    "latents": 3,
    "width": 4,
    "maps": 32,
    "mapping_layers": 2,
    "phase_images": 24,
}
WHOLE = ("stylegan", "skip, growing")
LEVELS = [(0, 1.0), (1, 0.0), (1, 0.3), (1, 1.0)]
PRESETS = (None, "stylegan2")
VARIANTS = {
    "stylegan": {},
    "traditional": {"constant": False, "layer_noise": False, "mapping_layers": None, "mixing": 0.0},
    "modulation": {"style": "modulation"},
    "skip, growing": {"style": "modulation", "network": "skip", "path_length": 1.0},
    "adain, skip": {"network": "skip", "blur": False},
}


def create(shape: tuple[int, ...] = SHAPE, preset: str | None = None, **settings: Any) -> StyleGAN:
    model = models.create("stylegan", preset=preset, image_shape=shape, **{**SMALL, **settings})
    assert isinstance(model, StyleGAN)
    return model


def at(model: StyleGAN, level: int, alpha: float) -> StyleGAN:
    model.grow(level, fading=True)
    for network in model.growing:
        network.alpha.data[...] = alpha
    return model


def noisy(model: StyleGAN) -> StyleGAN:
    """With noise of some strength, and biases."""
    for i, p in enumerate(model.parameters()):
        p.data[...] += 0.1 * Random(i).normal(p.shape, dtype=p.dtype)
    return model


def images(n: int, shape: tuple[int, ...] = SHAPE, dtype: Any = np.float32) -> np.ndarray:
    return Random(1).uniform((n, *shape), dtype=dtype)


def z_of(n: int, seed: int = 2) -> np.ndarray:
    return Random(seed).normal((n, 3))


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_fade_is_the_smaller_network_first_and_the_larger_one_last(variant, alpha):
    model = noisy(create(**VARIANTS[variant]))
    w, x = model.generator.map(z_of(4)), images(4) * 2 - 1
    at(model, 2, alpha)
    faded = model.generator.synthesis(w).numpy(), model.discriminator(x).numpy()
    model.grow(2 if alpha else 1)
    plain = model.generator.synthesis(w), model.discriminator(x if alpha else ops.downsample2d(x))
    enlarged = plain[0] if alpha else ops.upsample2d(plain[0])
    for a, b in zip(faded, (enlarged.numpy(), plain[1].numpy()), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("preset", PRESETS)
def test_the_start_does_not_depend_on_noise(preset):
    model = create(preset=preset)
    w = model.map(z_of(3))
    first, second = (model.synthesize(w, rng=Random(i)).numpy() for i in (0, 1))
    np.testing.assert_array_equal(first, second)
    noisy(model)
    first, second = (model.synthesize(w, rng=Random(i)).numpy() for i in (0, 1))
    assert (first != second).any()
    fixed = model.synthesize(w).numpy()
    np.testing.assert_array_equal(fixed, model.synthesize(w).numpy())
    np.testing.assert_array_equal(fixed, model.synthesize(w, noise=model.fixed_noise()).numpy())
    # the maps of samples and of layers differ, so a sample's is another than its neighbour's
    same = model.synthesize(ops.broadcast_to(w[:1], (3, 3)), rng=Random(0)).numpy()
    assert (same[0] != same[1]).any()


@pytest.mark.parametrize("preset", PRESETS)
def test_each_style_reaches_its_own_layers(preset):
    """Two styles a level; a style that a layer does not have does not change what it makes."""
    model = noisy(create(preset=preset))
    assert model.layers == 6
    w = model.generator.spread(model.map(z_of(2))).numpy().copy()
    whole = model.synthesize(w).numpy()
    for layer in range(6):
        other = w.copy()
        other[:, layer] += 1.0
        assert (model.synthesize(other).numpy() != whole).any()
    model.grow(1)
    coarse, other = model.synthesize(w).numpy(), w.copy()
    other[:, 4:] += 1.0
    np.testing.assert_array_equal(model.synthesize(other).numpy(), coarse)


def test_mixing_takes_a_second_style_from_each_layer_as_often():
    model = create(mixing=0.75)
    u = np.stack(np.meshgrid((np.arange(100) + 0.5) / 100, (np.arange(100) + 0.5) / 100), -1)
    masks = np.array([model._taken(pair)[:, 0] for pair in u.reshape(-1, 2)])
    begins = np.where(masks.any(1), masks.argmax(1), 0)
    assert not masks[:, 0].any()
    np.testing.assert_array_equal(masks, (np.arange(6) >= begins[:, None]) & (begins > 0)[:, None])
    np.testing.assert_array_equal(np.bincount(begins), [2500] + [1500] * 5)
    at(model, 1, 1.0)
    assert model._taken(np.array([0.0, 0.999])).shape == (4, 1)
    model.grow(0)
    assert model._taken(np.array([0.0, 0.999]))[:, 0].tolist() == [False, True]


def test_mixing_a_style_with_itself_does_nothing(monkeypatch):
    model = create().train()
    z = z_of(4)
    monkeypatch.setattr(model, "draw_latents", lambda n, rng: z)
    mixed = model._styles(4, None, Random(0)).numpy()
    np.testing.assert_array_equal(mixed, model.generator.spread(model.generator.map(z)).numpy())


def test_a_batch_in_training_has_two_styles_at_most_and_one_in_inference():
    model = create(mixing=1.0)
    for training, found in ((True, 2), (False, 1)):
        w = model.train(training)._styles(5, None, Random(3)).numpy()
        assert {len(np.unique(sample, axis=0)) for sample in w} == {found}


def test_truncation():
    model = noisy(create(start=None))
    with pytest.raises(ValueError, match="truncation needs the mean of w"):
        model.sample(2, rng=Random(0), truncation=0.7)
    np.testing.assert_array_equal(
        model.sample(2, rng=Random(0), truncation=1.0), model.sample(2, rng=Random(0))
    )
    fit(model, images(8), epochs=3, batch_size=4, verbose=False)
    w = model.map(z_of(5))
    np.testing.assert_array_equal(model.truncate(w, 1.0), model.generator.spread(w))
    nearer, mean = model.truncate(w, 0.5).numpy(), model.mean_style.numpy()
    np.testing.assert_allclose(nearer[:, :3], (w.numpy()[:, None] + mean).repeat(3, 1) / 2, 1e-5)
    np.testing.assert_array_equal(nearer[:, 3:], model.generator.spread(w).numpy()[:, 3:])
    one = model.synthesize(model.truncate(w, 0.0, cutoff=6)).numpy()
    np.testing.assert_array_equal(one, one[:1].repeat(5, 0))
    with pytest.raises(ValueError, match="cutoff is at most 6"):
        model.truncate(w, 0.5, cutoff=7)
    assert create((32, 32)).truncate(w, 1.0).shape[1] == 8


def test_the_mean_of_w_is_that_of_the_averaged_mapping(monkeypatch):
    """At first the plain mean of all batches, then one with a decay of 0.995."""
    model = create(average=0.5).train()
    for p in model.average.parameters():
        p.data[...] *= 1.5
    seen = []
    for i in range(230):
        z = z_of(4, seed=i)
        seen.append(model.average.map(z).numpy().mean(0))
        model._track(z, None)
    expected = np.mean(seen[:200], axis=0)
    for row in seen[200:]:
        expected = 0.995 * expected + 0.005 * row
    np.testing.assert_allclose(model.mean_style.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_path_lengths_of_a_linear_generator():
    """E |A^T y|^2 is the square of A's norm over the pixels; a layer's styles are averaged."""
    A = np.random.default_rng(0).standard_normal((6, 4 * 5 * 3))
    linear = lambda w: ops.reshape(ops.matmul(w, A), (-1, 4, 5, 3))  # noqa: E731
    w = Tensor(np.zeros((4000, 6)), requires_grad=True)
    lengths = path_lengths(linear, w, rng=Random(0)).numpy()
    assert (lengths**2).mean() == pytest.approx((A**2).sum() / 20, rel=0.03)
    layered = lambda w: linear(ops.sum(w, axis=1))  # noqa: E731
    spread = Tensor(np.zeros((4000, 7, 6)), requires_grad=True)
    np.testing.assert_allclose(path_lengths(layered, spread, rng=Random(0)).numpy(), lengths)
    y = Random(0).normal((2, 4, 5, 3), dtype=np.float64) / np.sqrt(20)
    expected = np.linalg.norm(y.reshape(2, -1) @ A.T, axis=1)
    found = path_lengths(linear, np.zeros((2, 6)), rng=Random(0)).numpy()
    np.testing.assert_allclose(found, expected)
    with pytest.raises(ValueError, match="synthesis gives images"):
        path_lengths(lambda w: w, np.zeros((2, 6)))


def test_the_mean_of_path_lengths_is_tracked():
    model = create(preset="stylegan2").train()
    x, expected = images(4), 0.0
    for i in range(3):
        loss, figures = model.path_length_loss(x, rng=Random(i))
        length = figures["path_length"].item()
        expected = 0.99 * expected + 0.01 * length
        assert model.mean_length.item() == pytest.approx(expected, rel=1e-5)
        # two lengths around their mean: E (l - a)^2 is at least (E l - a)^2
        assert loss.item() >= 2.0 * 4 * (length - expected) ** 2 * (1 - 1e-5)


def test_stages_begin_where_they_are_told():
    options = create().recipe().training(epochs=3, batch_size=4)
    names = lambda **settings: [s.name for s in create(**settings).stages(options)]  # noqa: E731
    assert names() == ["train-8", "fade-16", "train-16"]
    assert names(start=4)[:2] == ["train-4", "fade-8"]
    assert names(start=16) == names(start=None) == ["train-16"]
    phases = create(preset="stylegan2", penalty_every=16).stages(options)[0].phases
    assert [(p.name, p.every) for p in phases] == [
        ("discriminator", 1), ("penalty", 16), ("generator", 1), ("path", 4)
    ]  # fmt: skip
    model = create()
    assert [model.at(n) for n in (0, 23, 24, 30, 48, 90)] == [
        (1, 1.0), (1, 1.0), (2, 0.0), (2, 0.25), (2, 1.0), (2, 1.0)
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variant", "level", "alpha"),
    [(v, *at) for v in VARIANTS for at in (LEVELS if v in WHOLE else [(1, 0.3)])],
)
def test_gradients_of_the_whole_losses(variant, level, alpha):
    settings = {
        "width": 1, "maps": 8, "latents": 2, "mapping_layers": 1, "activation": "tanh",
        "average": 0.0, "r1": 1.0, "start": 4, **VARIANTS[variant],
    }  # fmt: skip
    model = at(noisy(create((8, 8), **settings).to(dtype="float64")), level, alpha)
    x = images(2, (8, 8), np.float64)
    losses = [(model.generator, lambda: model.generator_loss(x, rng=Random(3)))]
    if variant in WHOLE:  # both kinds of discriminator
        losses.append((model.discriminator, lambda: model.discriminator_loss(x, rng=Random(3))[0]))
    if alpha == 0.3:
        losses.append((model.generator, lambda: ops.mean(ops.square(lengths_of(model) - 0.5))))
    for network, loss in losses:
        for p in model.parameters():
            p.grad = None
        loss().backward()
        used = [p for p in network.parameters() if p.grad is not None]
        assert len(used) >= 4
        assert gradcheck(lambda *_, loss=loss: loss(), used, epsilon=1e-5, rtol=1e-5)
        assert gradgradcheck(lambda *_, loss=loss: loss(), used, epsilon=1e-5, rtol=1e-5)


def lengths_of(model: StyleGAN) -> Tensor:
    w = model.generator.map(np.array([[0.3, -1.2]]))
    return path_lengths(lambda v: model.generator.synthesis(v), w, rng=Random(4))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_run_that_stops_anywhere_goes_on_exactly(preset):
    data, valid = [images(34)], [images(9)]

    def make(*callbacks):
        augment = "translation,color,cutout" if preset is None else ""
        model = create(preset=preset, average=0.9, augment=augment)
        options = model.recipe().training(epochs=1, batch_size=8, seed=3)
        stages = model.stages(options)
        return Trainer(model, stages, data, options, valid=valid, callbacks=callbacks)

    resumes_exactly(make, steps=10 if preset is None else 4, every=1)


def test_labels_are_part_of_the_style():
    model = create(classes=3).eval()
    z = z_of(1).repeat(3, 0)
    w = model.map(z, np.arange(3)).numpy()
    assert (w[0] != w[1]).any()
    assert (w[1] != w[2]).any()
    assert model.sample(4, rng=Random(0), label=2).shape == (4, *SHAPE)
    with pytest.raises(ValueError, match="labels go from 0 to 2"):
        model.sample(4, rng=Random(0), label=3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"style": "warp"}, "stylegan: style is one of adain, modulation"),
        ({"network": "u"}, "stylegan: network is one of growing, skip"),
        ({"style": "modulation", "constant": False}, "goes with constant and blur"),
        ({"start": 5}, "start is one of 4, 8, 16, or None"),
        ({"start": 32}, "start is one of 4, 8, 16, or None"),
        ({"mapping_layers": None, "styles": 7}, "without layers styles are 3, not 7"),
        ({"mixing": 1.5}, "mixing"),
        ({"path_length": -1.0}, "path_length"),
        ({"replay": 50}, "replay is not for growing networks"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        create(**settings)


@pytest.mark.parametrize("shape", [(12, 12), (16, 8), (16,), (2, 2)])
def test_images_of_other_sizes_are_refused(shape):
    with pytest.raises(ValueError, match="stylegan: growing networks make square images"):
        create(shape)


@pytest.mark.parametrize("w", [np.zeros((2, 4)), np.zeros((2, 5, 3)), np.zeros((2, 6, 4))])
def test_styles_of_other_lengths_are_refused(w):
    with pytest.raises(ValueError, match=r"styles are arrays \(n, 3\) or \(n, 6, 3\)"):
        create().synthesize(w.astype(np.float32))


def test_latents_and_noise_of_other_lengths_are_refused():
    model = create()
    with pytest.raises(ValueError, match=r"latents are arrays \(n, 3\)"):
        model.map(np.zeros((2, 4), np.float32))
    with pytest.raises(ValueError, match="noise is a list of 6 maps, not of 2"):
        model.synthesize(np.zeros((2, 3), np.float32), noise=model.fixed_noise()[:2])
