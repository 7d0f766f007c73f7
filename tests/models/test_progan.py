"""Progressive growing: levels, fades, the schedule, losses at every level, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.training.toys import resumes_exactly
from tinygen import Random, gradcheck, gradgradcheck, models, ops
from tinygen.models.progan import ProGAN
from tinygen.training import Trainer, fit

SHAPE = (16, 16, 3)
LEVELS = [(0, 1.0)] + [(level, alpha) for level in (1, 2) for alpha in (0.0, 0.3, 1.0)]
SMALL = {"latents": 3, "width": 2, "maps": 16, "phase_images": 24}


def create(shape: tuple[int, ...] = SHAPE, **settings: Any) -> ProGAN:
    model = models.create("progan", image_shape=shape, **{**SMALL, **settings})
    assert isinstance(model, ProGAN)
    return model


def at(model: ProGAN, level: int, alpha: float, fading: bool = True) -> ProGAN:
    model.grow(level, fading)
    for network in model.growing:
        network.alpha.data[...] = alpha if fading and level else 1.0
    return model


def images(n: int, shape: tuple[int, ...] = SHAPE, dtype: Any = np.float32) -> np.ndarray:
    return Random(1).uniform((n, *shape), dtype=dtype)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("level", [1, 2])
def test_a_fade_is_the_smaller_network_first_and_the_larger_one_last(level, alpha):
    model = create()
    z, x = Random(2).normal((4, 3)), images(4) * 2 - 1
    at(model, level, alpha)
    side = 4 << level
    seen = ops.downsample2d(x, 16 // side).numpy() if side < 16 else x
    faded = model.generator(z).numpy(), model.discriminator(seen).numpy()
    reals = model._scaled(images(4))
    if alpha:
        at(model, level, 1.0, fading=False)
        plain = model.generator(z).numpy(), model.discriminator(seen).numpy()
        known = model._scaled(images(4))
    else:
        at(model, level - 1, 1.0, fading=False)
        plain = (
            ops.upsample2d(model.generator(z)).numpy(),
            model.discriminator(ops.downsample2d(seen)).numpy(),
        )
        known = ops.upsample2d(model._scaled(images(4))).numpy()
    for a, b in zip(faded, plain, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(reals, known, atol=1e-6)


def test_reals_are_faded_by_their_mean_of_two_by_two():
    model, x = at(create(), 1, 0.25), images(2)
    small = x.reshape(2, 8, 2, 8, 2, 3).mean((2, 4)) * 2 - 1
    coarse = small.reshape(2, 4, 2, 4, 2, 3).mean((2, 4)).repeat(2, 1).repeat(2, 2)
    np.testing.assert_allclose(model._scaled(x), 0.75 * coarse + 0.25 * small, atol=1e-6)


@pytest.mark.parametrize(
    ("images_seen", "level", "alpha"),
    [
        (0, 0, 1.0),
        (599_999, 0, 1.0),
        (600_000, 1, 0.0),
        (750_000, 1, 0.25),
        (900_000, 1, 0.5),
        (1_200_000, 1, 1.0),
        (1_799_999, 1, 1.0),
        (1_800_000, 2, 0.0),
        (2_100_000, 2, 0.5),
        (2_400_000, 2, 1.0),
        (9_000_000, 2, 1.0),
    ],
)
def test_the_schedule_of_the_paper(images_seen, level, alpha):
    assert create(phase_images=600_000).at(images_seen) == (level, alpha)


def test_stages_follow_the_schedule():
    model = create(batch_sizes=(16, 8))
    options = model.recipe().training(epochs=3, batch_size=4)
    stages = model.stages(options)
    assert [s.name for s in stages] == ["train-4", "fade-8", "train-8", "fade-16", "train-16"]
    assert [s.images for s in stages] == [24, 24, 24, 24, None]
    assert [s.batch_size for s in stages] == [16, 8, 8, None, None]
    assert stages[-1].epochs == 3
    for i, stage in enumerate(stages):
        stage.begin()
        level, alpha = model.at(24 * i)
        assert {n.level for n in model.growing} == {level}
        assert {n.alpha.item() for n in model.growing} == {alpha}
        for f in (f for k, f in stage.schedules.items() if k.endswith("alpha")):
            assert [f(k) for k in (0, 6, 30)] == [model.at(24 * i + k)[1] for k in (0, 6)] + [1.0]
    assert not any(s.keep_optimizers for s in stages)
    kept = create(reset_optimizers=False).stages(options)
    assert [s.keep_optimizers for s in kept] == [False, True, True, True, True]


@pytest.mark.slow
@pytest.mark.parametrize(("level", "alpha"), LEVELS)
def test_gradients_of_the_whole_losses(level, alpha):
    settings = {"width": 1, "latents": 2, "activation": "tanh", "average": 0.0}
    model = at(create((16, 16), **settings).to(dtype="float64"), level, alpha)
    x = images(2, (16, 16), np.float64)
    for network, loss in (
        (model.discriminator, lambda: model.discriminator_loss(x, rng=Random(3))[0]),
        (model.generator, lambda: model.generator_loss(x, rng=Random(3))),
    ):
        for p in model.parameters():
            p.grad = None
        loss().backward()
        used = [p for p in network.parameters() if p.grad is not None]
        assert len(used) >= 6 + 2 * level
        assert gradcheck(lambda *_, loss=loss: loss(), used, epsilon=1e-5, rtol=1e-5)
        assert gradgradcheck(lambda *_, loss=loss: loss(), used, epsilon=1e-5, rtol=1e-5)


@pytest.mark.parametrize("reset", [True, False])
def test_a_run_that_stops_in_a_fade_goes_on_exactly(reset):
    data, valid = [images(34)], [images(9)]

    def make(*callbacks):
        model = create(reset_optimizers=reset)
        options = model.recipe().training(epochs=1, batch_size=8, seed=3)
        stages = model.stages(options)
        return Trainer(model, stages, data, options, valid=valid, callbacks=callbacks)

    resumes_exactly(make, steps=16, every=1)


def test_there_are_no_styles_to_truncate():
    model = create()
    same = model.sample(2, rng=Random(0), truncation=1.0).numpy()
    np.testing.assert_array_equal(same, model.sample(2, rng=Random(0)).numpy())
    np.testing.assert_array_equal(
        model.synthesize(model.map(np.ones((1, 3), np.float32))).numpy(),
        model.generate(np.ones((1, 3), np.float32)).numpy(),
    )
    with pytest.raises(ValueError, match="progan has no styles to truncate"):
        model.sample(2, rng=Random(0), truncation=0.7)


def test_a_model_in_a_fade_is_sampled_and_loaded():
    model = at(create(average=0.5), 1, 0.3)
    made = model.sample(3, rng=Random(0)).numpy()
    assert made.shape == (3, *SHAPE)
    np.testing.assert_array_equal(made[:, ::2, ::2], made[:, 1::2, 1::2])  # of 8 x 8 pixels
    other = create(average=0.5, seed=5)
    other.load_state_dict(model.state_dict())
    np.testing.assert_array_equal(other.sample(3, rng=Random(0)).numpy(), made)
    assert model.layer_rows() == create(average=0.5).layer_rows()
    assert model.growing[0].level == 1


def test_labels_reach_both_networks():
    model = create(classes=3)
    x, label = images(6), np.arange(6) % 3
    history = fit(model, x, label, epochs=1, batch_size=3, verbose=False)
    assert np.isfinite(history["discriminator_loss"]).all()
    made = [model.sample(2, rng=Random(0), label=k).numpy() for k in (0, 1)]
    assert (made[0] != made[1]).any()
    scores = [model.discriminator(x * 2 - 1, label * 0 + k).numpy() for k in (0, 1)]
    assert (scores[0] != scores[1]).any()
    with pytest.raises(ValueError, match="takes no labels; cgan does, and progan with classes="):
        fit(create(), x, label, verbose=False)


@pytest.mark.parametrize("shape", [(24, 24, 3), (2, 2), (16, 8, 3), (5, 5), (16,), (16, 16, 3, 1)])
def test_sizes_that_do_not_grow(shape):
    with pytest.raises(ValueError, match=r"progan: growing networks make square images of 4, 8, 1"):
        create(shape)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"replay": 5}, "replay is not for growing networks"),
        ({"spectral_norm": True}, "spectral_norm is not for growing"),
        ({"minibatch": "discrimination"}, "minibatch 'discrimination' is not for growing"),
        ({"packing": 2, "classes": 3}, "packing must be 1"),
        ({"phase_images": 0}, "phase_images must be"),
        ({"classes": -1}, "classes must be"),
    ],
)
def test_settings_that_cannot_be(settings, message):
    with pytest.raises(ValueError, match=message):
        create(**settings)


def test_data_that_does_not_fill_a_batch_of_some_level():
    """It is known before the first step of the first level."""
    model = create(batch_sizes=(8, 16))
    with pytest.raises(
        ValueError,
        match=r"progan: 10 samples to fit do not fill one batch of 16 in stage 'fade-8', and a .*; "
        "set batch_sizes to 10 or less, or give more data",
    ):
        fit(model, images(10), batch_size=4, verbose=False)
    with pytest.raises(ValueError, match=r"each of batch_sizes .* 'stddev' .* not 7"):
        fit(create(batch_sizes=(8, 7)), images(10), batch_size=4, verbose=False)


def test_images_that_are_not_square():
    with pytest.raises(ValueError, match=r"made for samples of shape \(16, 16, 3\).*size="):
        fit(create(), images(4, (16, 24, 3)), batch_size=4, verbose=False)


def test_what_is_refused_later():
    model = create(packing=2, batch_sizes=(3,))
    with pytest.raises(ValueError, match="batch_sizes must be a multiple of packing, 2, not 3"):
        model.stages(model.recipe().training(batch_size=4))
    with pytest.raises(ValueError, match="levels go from 0 to 2, not 3"):
        model.grow(3)
    model.grow(1)
    with pytest.raises(ValueError, match=r"at a level of images \(8, 8, 3\), not \(16, 16, 3\)"):
        model.discriminator(images(2))
    with pytest.raises(ValueError, match=r"latents are arrays \(n, 3\)"):
        model.generate(np.zeros((2, 4), np.float32))
