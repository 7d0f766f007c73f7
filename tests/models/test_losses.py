"""Adversarial losses: their formulas, their gradients, and the discriminators they ask for."""

from __future__ import annotations

import numpy as np
import pytest

import tinygen
from tinygen import Tensor
from tinygen.models import losses
from tinygen.models.losses import BY_NAME
from tinygen.ops.check import gradcheck, gradgradcheck

R = np.array([[1.5], [-0.3], [0.4], [-2.0]])
F = np.array([[0.7], [-1.2], [2.0], [0.1]])
LARGE = np.array([[800.0], [-800.0]])


def log_sigmoid(x):
    return -np.log1p(np.exp(-abs(x))) + np.minimum(x, 0)


def probability(x):
    return 1 / (1 + np.exp(-x))


# name -> losses of discriminator and generator, from the papers, of probabilities where they are
FORMULAS = {
    "minimax": (
        lambda r, f: -log_sigmoid(r).mean() - log_sigmoid(-f).mean(),
        lambda r, f: log_sigmoid(-f).mean(),
    ),
    "non_saturating": (
        lambda r, f: -log_sigmoid(r).mean() - log_sigmoid(-f).mean(),
        lambda r, f: -log_sigmoid(f).mean(),
    ),
    "least_squares": (
        lambda r, f: ((r - 1) ** 2).mean() / 2 + (f**2).mean() / 2,
        lambda r, f: ((f - 1) ** 2).mean() / 2,
    ),
    "hinge": (
        lambda r, f: -np.minimum(0, r - 1).mean() - np.minimum(0, -f - 1).mean(),
        lambda r, f: -f.mean(),
    ),
    "wasserstein": (lambda r, f: f.mean() - r.mean(), lambda r, f: -f.mean()),
    "relativistic": (
        lambda r, f: -log_sigmoid(r - f).mean(),
        lambda r, f: -log_sigmoid(f - r).mean(),
    ),
}
every_loss = pytest.mark.parametrize("name", BY_NAME)


def test_the_table_has_them_all():
    assert {*BY_NAME} == {*FORMULAS}
    for name, loss in BY_NAME.items():
        assert losses.get(name) is loss is getattr(losses, name)
        assert loss.needs_real == (name == "relativistic")
    with pytest.raises(ValueError, match="unknown adversarial loss 'hing', did you mean 'hinge'"):
        losses.get("hing")
    with pytest.raises(AttributeError):
        losses.hinge.real = 0.5


@every_loss
@pytest.mark.parametrize("shape", [(4, 1), (4,)])
def test_values_and_gradients(name, shape):
    loss, (of_discriminator, of_generator) = BY_NAME[name], FORMULAS[name]
    r, f = (Tensor(x.reshape(shape), requires_grad=True) for x in (R, F))
    found = loss.discriminator(r, f), loss.generator(f, r)
    assert [y.shape for y in found] == [(), ()]
    assert found[0].item() == pytest.approx(of_discriminator(R, F), rel=1e-12)
    assert found[1].item() == pytest.approx(of_generator(R, F), rel=1e-12)
    for fn in (loss.discriminator, lambda r, f: loss.generator(f, r)):
        assert gradcheck(fn, [r, f])
        assert gradgradcheck(fn, [r, f])
    large = Tensor(LARGE, requires_grad=True)
    for y in (loss.discriminator(large, -large), loss.generator(large, -large)):
        (gradient,) = tinygen.grad(y, large)
        assert np.isfinite([y.item(), *gradient.numpy().ravel()]).all()
    single = loss.discriminator(R.astype("float32"), F.astype("float32"))
    assert single.dtype == np.float32


@every_loss
def test_fakes_and_reals_are_averaged_apart(name):
    loss, (of_discriminator, _) = BY_NAME[name], FORMULAS[name]
    more = np.concatenate([F, F + 1])
    if loss.needs_real:
        for pairs in (lambda: loss.discriminator(R, more), lambda: loss.generator(more, R)):
            with pytest.raises(ValueError, match=r"in pairs, but .* \(8, 1\)"):
                pairs()
        with pytest.raises(ValueError, match=r"\(4, 1\) and \(4,\)"):  # not 16 pairs
            loss.discriminator(R, F[:, 0])
        with pytest.raises(ValueError, match="give real_scores too"):
            loss.generator(F)
    else:
        expected = of_discriminator(R, more)
        assert loss.discriminator(R, more).item() == pytest.approx(expected, rel=1e-12)
        assert loss.generator(F).item() == loss.generator(F, R).item()


def test_the_hinge_lets_go_of_what_is_beyond_its_margin_and_its_generator_never_does():
    r = Tensor(np.array([1.5, 0.5]), requires_grad=True)
    f = Tensor(np.array([-1.5, 0.5]), requires_grad=True)
    losses.hinge.discriminator(r, f).backward()
    np.testing.assert_array_equal(r.grad.numpy(), [0, -0.5])
    np.testing.assert_array_equal(f.grad.numpy(), [0, 0.5])
    f.grad = None
    losses.hinge.generator(f).backward()
    np.testing.assert_array_equal(f.grad.numpy(), [-0.5, -0.5])


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.4])
def test_smoothed_labels_of_reals_scale_the_best_discriminator(smoothing):
    """On two atoms: D = (1 - smoothing) p_data / (p_data + p_model)."""
    data, model = np.array([3, 1]), np.array([1, 4])  # how many of 4 reals, of 5 fakes
    best = (1 - smoothing) * (data / 4) / (data / 4 + model / 5)
    for name in ("minimax", "non_saturating", "least_squares"):
        scores = best if name == "least_squares" else np.log(best / (1 - best))
        atoms = Tensor(scores, requires_grad=True)
        r, f = atoms[np.repeat([0, 1], data)], atoms[np.repeat([0, 1], model)]
        BY_NAME[name].discriminator(r, f, smoothing).backward()
        np.testing.assert_allclose(atoms.grad.numpy(), [0, 0], atol=1e-12)


@every_loss
def test_what_has_no_label_cannot_be_smoothed(name):
    loss = BY_NAME[name]
    with pytest.raises(ValueError, match=f"{name}: smoothing must be at least 0 and below 1"):
        loss.discriminator(R, F, 1.0)
    if not loss.smooths:
        message = f"{name}: smoothing=0.1, .* losses with labels are minimax, non_saturating, least"
        with pytest.raises(ValueError, match=message):
            loss.discriminator(R, F, smoothing=0.1)
