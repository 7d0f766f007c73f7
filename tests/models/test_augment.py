"""Differentiable augmentation: against plain loops; gradients; what must not leak."""

from __future__ import annotations

from itertools import groupby
from typing import Any

import numpy as np
import pytest

from tinygen import Random, Tensor, gradcheck, gradgradcheck, models
from tinygen.models import augment as augmentation
from tinygen.models.adversarial import Adversarial
from tinygen.training import fit

POLICY = "color,translation,cutout"
SMALL = {"latents": 3, "widths": (2, 3), "kernel": 3, "discriminator_norm": None}


def images(*shape: int, dtype: Any = np.float64) -> np.ndarray:
    return Random(1).uniform(shape, -1.0, 1.0, dtype=dtype)


def color(x: np.ndarray, span: float, rng: Random) -> np.ndarray:
    n, colours = len(x), x.shape[3]
    draw = lambda low, high: rng.uniform((n,), low, high, dtype=x.dtype)  # noqa: E731
    light, strong = draw(-span / 4, span / 4), draw(0, 2) if colours > 1 else None
    hard = draw(0.5, 1.5)
    y = np.empty_like(x)
    for k in range(n):
        image = x[k] + light[k]
        if strong is not None:
            for i, j in np.ndindex(image.shape[:2]):
                grey = sum(image[i, j]) / colours
                image[i, j] = [grey + strong[k] * (v - grey) for v in image[i, j]]
        y[k] = image.mean() + hard[k] * (image - image.mean())
    return y


def translation(x: np.ndarray, rng: Random) -> np.ndarray:
    (n, h, w, _), y = x.shape, np.zeros_like(x)
    most = [int(side / 8 + 0.5) for side in (h, w)]
    down, right = (rng.integers(-m, m + 1, (n,)) for m in most)
    for k, i, j in np.ndindex(n, h, w):
        if 0 <= i + down[k] < h and 0 <= j + right[k] < w:
            y[k, i + down[k], j + right[k]] = x[k, i, j]
    return y


def cutout(x: np.ndarray, rng: Random) -> np.ndarray:
    (n, h, w, _), y = x.shape, x.copy()
    tall, wide = int(h / 2 + 0.5), int(w / 2 + 0.5)
    top = rng.integers(0, h + 1 - tall % 2, (n,)) - tall // 2
    left = rng.integers(0, w + 1 - wide % 2, (n,)) - wide // 2
    for k in range(n):
        y[k, max(top[k], 0) : top[k] + tall, max(left[k], 0) : left[k] + wide] = 0
    return y


@pytest.mark.parametrize("shape", [(9, 8, 12, 3), (9, 5, 7, 1), (6, 28, 28, 2), (3, 1, 1, 3)])
@pytest.mark.parametrize(
    ("policy", "loops"),
    [
        ("color", lambda x, rng: color(x, 2.0, rng)),
        ("translation", translation),
        ("cutout", cutout),
        ("translation, color,cutout", lambda x, r: cutout(color(translation(x, r), 2.0, r), r)),
    ],
)
def test_augmentation_is_what_plain_loops_make(policy, loops, shape):
    x = images(*shape)
    found = augmentation.augment(x, policy, rng=Random(3).at(7)).numpy()
    np.testing.assert_allclose(found, loops(x, Random(3).at(7)), atol=1e-12)
    assert found.shape == x.shape
    flat = augmentation.augment(x[..., 0], policy, rng=Random(3).at(7)).numpy()
    alone = augmentation.augment(x[..., :1], policy, rng=Random(3).at(7)).numpy()
    np.testing.assert_array_equal(flat, alone[..., 0])


def test_brightness_goes_with_the_range():
    x = images(5, 4, 4, 1)
    found = augmentation.augment(x, "color", span=1.0, rng=Random(0)).numpy()
    np.testing.assert_allclose(found, color(x, 1.0, Random(0)), atol=1e-12)


def test_how_far_and_how_much():
    """Over many draws all that may happen happens, and nothing else."""
    x = np.ones((4000, 16, 8, 1), np.float32)
    moved = augmentation.augment(x, "translation", rng=Random(0)).numpy()[..., 0]
    rows, columns = moved.any(axis=2), moved.any(axis=1)
    assert {*rows.sum(1)} == {14, 15, 16}
    assert {*columns.sum(1)} == {7, 8}
    assert abs(moved[:, 0, 4].mean() - 3 / 5) < 0.03  # there unless moved down by 1 or 2
    cut = augmentation.augment(x, "cutout", rng=Random(0)).numpy()[..., 0] == 0
    assert cut.any(axis=2).sum(1).min() == 4
    assert cut.any(axis=2).sum(1).max() == 8
    np.testing.assert_allclose(cut.mean(0), cut.mean(0)[::-1, ::-1], atol=0.05)
    light = augmentation.augment(x, "color", rng=Random(0)).numpy() - 1
    assert -0.5 <= light.min() < -0.49
    assert 0.49 < light.max() <= 0.5


def test_a_sample_has_the_numbers_of_its_place():
    """Whatever else is in the batch, and again whenever the step is done again."""
    x, rng = images(8, 6, 6, 3), Random(5, "phase")
    whole = augmentation.augment(x, POLICY, rng=rng.at(3)).numpy()
    np.testing.assert_array_equal(whole, augmentation.augment(x, POLICY, rng=rng.at(3)).numpy())
    part = augmentation.augment(x[:3], POLICY, rng=rng.at(3)).numpy()
    np.testing.assert_array_equal(part, whole[:3])
    same = np.repeat(x[:1], 8, axis=0)
    each = augmentation.augment(same, POLICY, rng=rng.at(3)).numpy()
    assert len({a.tobytes() for a in each}) == 8
    assert (whole != augmentation.augment(x, POLICY, rng=rng.at(4)).numpy()).any()


@pytest.mark.parametrize("shape", [(3, 4, 6, 3), (2, 5, 4)])
def test_gradients_of_first_and_second_order(shape):
    x = Tensor(images(*shape), requires_grad=True)
    for policy in (*augmentation.POLICIES, POLICY):

        def squares(x, policy=policy):
            y = augmentation.augment(x, policy, rng=Random(2).at(1))
            return y * y * y  # of which there is a second derivative

        assert gradcheck(squares, x)
        assert gradgradcheck(squares, x)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        ("colour", "augment: there is no 'colour', did you mean 'color'"),
        ("color,", "augment: there is no ''"),
        ("cutout,color,cutout", "a name comes twice in 'cutout,color,cutout'"),
        (["color"], "augment cannot be"),
    ],
)
def test_policies_that_cannot_be(policy, message):
    with pytest.raises(ValueError, match=message):
        models.create("dcgan", augment=policy)


def test_points_have_nothing_to_augment():
    with pytest.raises(ValueError, match="gan: augment is for images; leave it out"):
        models.create("gan", image_shape=(2,), augment="color")
    with pytest.raises(ValueError, match=r"images \(n, h, w\) or .*not \(4, 2\)"):
        augmentation.augment(np.zeros((4, 2)), "color")
    x = images(2, 3)
    np.testing.assert_array_equal(augmentation.augment(x, "").numpy(), x)


# Leaks


def create(name: str = "dcgan", **settings: Any) -> Adversarial:
    model = models.create(name, image_shape=(8, 8), **{**SMALL, "augment": POLICY, **settings})
    assert isinstance(model, Adversarial)
    return model


def watched(model: Adversarial, monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, Any]]:
    """What goes into augmentation and comes out, call by call."""
    calls = []

    def watch(x, policy, *, span, rng):
        y = augmentation.augment(x, policy, span=span, rng=rng)
        calls.append((Tensor(x).numpy() if not isinstance(x, Tensor) else x.numpy(), y.numpy()))
        return y

    monkeypatch.setattr("tinygen.models.adversarial.augment", watch)
    return calls


@pytest.mark.parametrize(
    ("settings", "calls"),
    [
        ({}, (2, 1)),
        ({"loss": "relativistic"}, (2, 2)),
        ({"feature_matching": 0.5}, (2, 2)),
        ({"r1": 1.0, "penalty_every": 2}, (2, 2, 1)),
    ],
)
def test_reals_and_fakes_never_share_their_changes(monkeypatch, settings, calls):
    """In each phase both are augmented; if they are the same images they come out different."""
    model = create(**settings)
    x = images(6, 8, 8, dtype=np.float32) / 2 + 0.5
    real = model._scaled(x)
    monkeypatch.setattr(model, "_generate", lambda *_: Tensor(real))
    seen = watched(model, monkeypatch)
    (stage,) = model.stages(model.recipe().training(batch_size=6))
    for phase, count in zip(stage.phases, calls, strict=True):
        seen.clear()
        phase.loss(x, rng=Random(4).at(2))
        assert len(seen) == count
        for given, _ in seen:
            np.testing.assert_array_equal(given, real)
        for (_, one), (_, other) in [seen] if count == 2 else []:
            assert all((a != b).any() for a, b in zip(one, other, strict=True))


def test_the_discriminator_sees_nothing_else(monkeypatch):
    """Its inputs, in the losses and in the penalties, are what augmentation gave."""
    model, inputs = create("wgan-gp", r1=1.0), []
    seen = watched(model, monkeypatch)
    pack = model.discriminator.pack
    monkeypatch.setattr(model.discriminator, "pack", lambda v: inputs.append(v.numpy()) or pack(v))
    x = images(4, 8, 8, dtype=np.float32) / 2 + 0.5
    model.discriminator_loss(x, rng=Random(0))
    (_, real), (_, fake) = seen
    # R1 has worked out what the loss needs of the reals
    for given, known in zip(inputs, (real, fake, fake), strict=True):
        np.testing.assert_array_equal(given, known)
    inputs.clear()
    model.generator_loss(x, rng=Random(0))
    assert len(inputs) == 1
    np.testing.assert_array_equal(inputs[0], seen[2][1])


@pytest.mark.parametrize("name", ["progan", "stylegan"])
def test_growing_networks_see_it_at_every_level(monkeypatch, name):
    """Shifts and holes are parts of the side of the level, and a run ends at finite losses."""
    small = {"latents": 2, "width": 2, "maps": 8, "phase_images": 8}
    small |= {"start": 4} if name == "stylegan" else {}
    model = models.create(name, image_shape=(8, 8), augment=POLICY, **small)
    seen = watched(model, monkeypatch)
    x = images(8, 8, 8, dtype=np.float32) / 2 + 0.5
    history = fit(model, x, epochs=1, batch_size=4, verbose=False)
    assert [s for s, _ in groupby(given.shape for given, _ in seen)] == [(4, 4, 4), (4, 8, 8)]
    assert np.isfinite(history["discriminator_loss"]).all()


def test_the_generator_learns_through_it():
    model = create()
    model.generator_loss(images(4, 8, 8, dtype=np.float32), rng=Random(0)).backward()
    for name, p in model.generator.named_parameters():
        assert p.grad is not None, name
        assert np.abs(p.grad.numpy()).max() > 0, name


def test_samples_are_not_augmented():
    """Drawn as without it, to the bit; scores of others are measured as those of training are."""
    model, plain = create(average=0.9), create(average=0.9, augment="")
    plain.load_state_dict(model.state_dict())
    x = images(6, 8, 8, dtype=np.float32) / 2 + 0.5
    for made in (model, plain):
        made.eval()
    np.testing.assert_array_equal(
        model.sample(6, rng=Random(3)).numpy(), plain.sample(6, rng=Random(3)).numpy()
    )
    found = model.measures(x, rng=Random(1))
    rng = Random(1)
    rng.normal((6, 3))  # the latents
    seen = augmentation.augment(model._scaled(x), POLICY, rng=rng)
    np.testing.assert_allclose(found["real_score"], model.discriminator(seen).numpy().mean())


def test_without_it_nothing_is_drawn():
    x = images(4, 8, 8, dtype=np.float32) / 2 + 0.5
    draws = []
    for policy in ("", "cutout"):
        rng = Random(0)
        create(augment=policy).discriminator_loss(x, rng=rng)
        draws.append(rng.draw)
    assert draws[1] == draws[0] + 4
