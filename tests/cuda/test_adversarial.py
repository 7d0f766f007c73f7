"""What adversarial networks are made of, recorded for a card: the same bits as without."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.toys import trainer, whole_state
from tinygen import Random, models, nn, ops
from tinygen.models import Phase, ReplayPool, Stage, losses, pack
from tinygen.models.penalties import gradient_penalty, r1, r2
from tinygen.training import Trainer


class Duel(nn.Module):
    """A game of points in the plane with every remedy at once."""

    def __init__(self) -> None:
        rng = Random(0)
        self.generator = nn.Dense(2, 2, rng=rng)
        self.critic = nn.spectral_norm(
            nn.Sequential(
                nn.Dense(4, 6, "tanh", rng=rng),
                nn.MinibatchDiscrimination(6, 3, 2, rng=rng),
                nn.Dense(9, 1, rng=rng),
            )
        )
        self.slopes = nn.spectral_norm(nn.Sequential(nn.Dense(4, 5, "tanh", rng=rng)))
        self.last = nn.spectral_norm(nn.Dense(5, 1, rng=rng))
        self.pool = ReplayPool(6, 2)

    def fakes(self, x, rng):
        return self.generator(rng.normal((len(x), 2), dtype="float64"))

    def judge(self, x, *, rng):
        fake = self.pool(self.fakes(x, rng), rng=rng)
        return losses.non_saturating.discriminator(
            self.critic(pack(x, 2)), self.critic(pack(fake, 2)), smoothing=0.1
        )

    def score(self, x):
        return self.last(self.slopes(x))

    def penalise(self, x, *, rng):
        real, fake = pack(x, 2), pack(self.fakes(x, rng), 2)
        penalty = gradient_penalty(self.score, real, fake, rng=rng)
        slopes = r1(self.score, real, 2.0) + r2(self.score, fake, 0.5)
        return penalty + slopes + losses.hinge.discriminator(self.score(real), self.score(fake))

    def make(self, x, *, rng):
        fake = pack(self.fakes(x, rng), 2)
        real = pack(x, 2)
        return losses.relativistic.generator(
            self.critic(fake) + self.score(fake), self.critic(real) + self.score(real)
        ) + ops.mean(losses.wasserstein.generator(self.critic(fake)))

    def stage(self) -> Stage:
        slopes = nn.Sequential(self.slopes, self.last)
        return Stage(
            "play",
            [
                Phase("judge", self.critic, self.judge),
                Phase("penalise", slopes, self.penalise),
                Phase("make", self.generator, self.make),
            ],
            epochs=2,
        )


def play(device, **options):
    model = Duel().to(device=device, dtype="float64")
    reals = [Random(7).normal((24, 2), dtype="float64")]
    return trainer(model, model.stage(), arrays=reals, valid=[], batch_size=4, **options)


@pytest.mark.usefixtures("card")
def test_a_recorded_duel_is_the_same_to_the_bit():
    on_cpu = play("cpu")
    on_cpu.train()
    ends = []
    for capture in (False, True):
        made = play("cuda", capture=capture)
        made.train()
        ends.append(whole_state(made))
    assert ends[0] == ends[1]
    found = made.model.state_dict()
    assert found["critic.layers.1.initialized"]
    assert found["pool.count"] == 6
    for name, array in on_cpu.model.state_dict().items():
        np.testing.assert_allclose(found[name], array, rtol=1e-9, atol=1e-9, err_msg=name)


GROWING = {"latents": 2, "width": 2, "maps": 16, "phase_images": 8, "activation": "tanh"}
STYLED = {**GROWING, "mapping_layers": 1, "start": 4}
PLAYED = {
    "augmented": ("gan", (4, 4, 3), {
        "latents": 2, "widths": (4,), "activation": "tanh", "r1": 0.5, "output": "sigmoid",
        "augment": "translation,color,cutout",
    }),
    "progan": ("progan", (8, 8), GROWING),
    "stylegan": ("stylegan", (8, 8), STYLED),
    "stylegan2": ("stylegan", (8, 8), {
        **STYLED, "style": "modulation", "network": "skip", "path_length": 2.0, "path_every": 2,
    }),
}  # fmt: skip


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize("case", PLAYED)
def test_recorded_steps_have_the_bits_of_others_and_agree_with_the_cpu(case):
    """Without a look at the data, across levels and fades, with the numbers of their own step."""
    name, shape, settings = PLAYED[case]
    ends = []
    for device, capture in (("cpu", False), ("cuda", False), ("cuda", True)):
        model = models.create(name, image_shape=shape, **settings)
        model = model.to(device=device, dtype="float64")
        options = model.recipe().training(
            epochs=2, batch_size=4, seed=3, device=device, capture=capture
        )
        reals = [Random(7).uniform((16, *shape), dtype="float64")]
        made = Trainer(model, model.stages(options), reals, options)
        made.train()
        ends.append((whole_state(made), model.state_dict()))
    assert ends[1][0] == ends[2][0]
    for name, array in ends[0][1].items():
        # Adam makes steps of one size of gradients however small, rounding included
        np.testing.assert_allclose(ends[2][1][name], array, rtol=1e-5, atol=1e-7, err_msg=name)


def test_a_duel_that_goes_on_is_the_one_that_never_stopped():
    whole = play("cpu")
    whole.train()
    first = play("cpu", max_steps=5)
    first.train()
    arrays, meta = first.state()
    again = play("cpu")
    again.load_state(arrays, meta)
    again.train()
    assert whole_state(again) == whole_state(whole)
