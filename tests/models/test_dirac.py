"""The Dirac-GAN, whose training is known in closed form (Mescheder et al. 2018).

Data are the point 0, the generator makes the point theta, the discriminator is D(x) = psi x. The
tests play the game by the real loop, with the library's losses and penalties.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.toys import options_of
from tinygen import Parameter, nn, ops
from tinygen.models import Phase, Stage, losses
from tinygen.models.penalties import gradient_penalty, r1
from tinygen.training import Callback, Trainer

ETA = 0.1


class Point(nn.Module):
    """A number that is trained."""

    def __init__(self, value):
        self.value = Parameter(np.array([float(value)]))


class Dirac(nn.Module):
    """The game, with phases one after the other or both players at once."""

    def __init__(self, theta, psi, loss=losses.minimax, gamma=0.0, weight=0.0):
        self.theta, self.psi = Point(theta), Point(psi)
        self.adversarial, self.gamma, self.weight = loss, gamma, weight

    def critic(self, x, psi=None):
        return x * (self.psi.value if psi is None else psi)

    def judge(self, x, *, rng):
        """The discriminator's loss; fakes are constants."""
        real, fake = np.zeros(len(x)), ops.broadcast_to(self.theta.value.detach(), (len(x),))
        loss = self.adversarial.discriminator(self.critic(real), self.critic(fake))
        if self.gamma:
            loss = loss + r1(self.critic, real, gamma=self.gamma)
        if self.weight:
            loss = loss + gradient_penalty(self.critic, real, fake, rng=rng, weight=self.weight)
        return loss

    def make(self, x, *, rng):
        """The generator's loss; the discriminator is a constant."""
        fake = ops.broadcast_to(self.theta.value, (len(x),))
        return self.adversarial.generator(self.critic(fake, self.psi.value.detach()))

    def both(self, x, *, rng):
        """Each player sees the other as a constant, so one update moves both at once."""
        return self.judge(x, rng=rng) + self.make(x, rng=rng)

    def phases(self, simultaneous, critic_steps):
        if simultaneous:
            return [Phase("both", self, self.both)]
        judge = Phase("judge", self.psi, self.judge)
        return [judge, Phase("make", self.theta, self.make, every=critic_steps)]


class Path(Callback):
    """The position after each step."""

    def __init__(self):
        self.places = []

    def on_step(self, trainer, losses):
        self.places.append(place(trainer.model))


def place(game):
    return np.array([game.theta.value.item(), game.psi.value.item()])


def play(start, steps, *, simultaneous=True, critic_steps=1, eta=ETA, **game):
    """Positions before and after each step, by the training loop."""
    model, path = Dirac(*start, **game), Path()
    stage = Stage("play", model.phases(simultaneous, critic_steps), steps=steps)
    options = options_of(batch_size=4, optimizer="sgd", learning_rate=eta)
    Trainer(model, [stage], [np.zeros((4, 1))], options, valid=[], callbacks=[path]).train()
    return np.array([start, *path.places])


def jacobian(**game):
    """The derivative of a step at the origin, by differences."""
    h = 1e-4
    columns = []
    for direction in np.eye(2) * h:
        ahead, behind = play(direction, 1, **game)[-1], play(-direction, 1, **game)[-1]
        columns.append((ahead - behind) / (2 * h))
    return np.array(columns).T


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("loss", ["minimax", "wasserstein"])
def test_simultaneous_steps_grow_by_the_square_of_the_field(loss):
    path = play((1.0, 0.5), 40, loss=losses.get(loss))
    theta, psi = path[:-1].T
    slope = sigmoid(theta * psi) if loss == "minimax" else 1.0
    field = np.stack([slope * psi, -slope * theta])
    np.testing.assert_allclose(np.diff(path, axis=0), ETA * field.T, rtol=1e-10)
    grown = np.diff((path**2).sum(axis=1))
    np.testing.assert_allclose(grown, ETA**2 * (field**2).sum(axis=0), rtol=1e-8)
    assert (path[-1] ** 2).sum() > 1.05 * 1.25


@pytest.mark.parametrize("loss", ["minimax", "non_saturating"])
@pytest.mark.parametrize("gamma", [0.0, 0.3, 0.9, 1.0, 1.5])
def test_eigenvalues_of_a_step_with_r1(loss, gamma):
    """1 + eta (-gamma / 2 +- sqrt(gamma^2 / 4 - l'(0)^2)), where l'(0) = 1/2."""
    found = np.linalg.eigvals(jacobian(loss=losses.get(loss), gamma=gamma))
    root = np.sqrt(complex(gamma**2 / 4 - 1 / 4))
    expected = 1 + ETA * np.array([-gamma / 2 - root, -gamma / 2 + root])
    # at gamma 1 both are one, where a rounding error e moves them by sqrt(e)
    accuracy = 1e-4 if gamma == 1 else 1e-7
    np.testing.assert_allclose(np.sort_complex(found), np.sort_complex(expected), atol=accuracy)


def turns(path):
    """How often the path crosses the axis of theta."""
    return int((np.diff(np.sign(path[:, 1])) != 0).sum())


def test_r1_spirals_in_below_gamma_one_and_does_not_turn_above():
    below = play((0.1, 0.0), 600, gamma=0.2, loss=losses.non_saturating)
    critical = play((0.1, 0.0), 600, gamma=1.0, loss=losses.non_saturating)
    assert turns(below[1:]) >= 3
    assert turns(critical[1:]) == 0
    for path in (below, critical):
        assert np.linalg.norm(path[-1]) < 0.01 * np.linalg.norm(path[0])


@pytest.mark.parametrize("critic_steps", [1, 5])
def test_wgan_gp_does_not_converge(critic_steps):
    path = play(
        (0.5, 0.9),
        600,
        simultaneous=False,
        critic_steps=critic_steps,
        loss=losses.wasserstein,
        weight=0.1,  # the authors' for points in the plane
    )
    late = path[-300:]
    assert np.isfinite(late).all()
    assert np.linalg.norm(late, axis=1).min() > 0.1  # it keeps away from the equilibrium
    assert np.ptp(late, axis=0).min() > 0.1  # and does not come to rest


def test_alternating_steps_circle():
    game = {"simultaneous": False, "loss": losses.minimax}
    found = np.linalg.eigvals(jacobian(**game))
    np.testing.assert_allclose(abs(found), [1, 1], atol=1e-8)
    assert abs(found.imag).min() == pytest.approx(ETA / 2, rel=1e-2)
    lengths = np.linalg.norm(play((0.1, 0.0), 600, **game), axis=1)
    assert lengths.min() > 0.09
    assert lengths.max() < 0.11
    assert turns(play((0.1, 0.0), 300, **game)[1:]) >= 4
