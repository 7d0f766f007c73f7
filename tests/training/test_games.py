"""Two networks against each other, with a lazy phase, an average, schedules: the loop is exact."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from tests.training.games import (
    BATCH,
    EPOCHS,
    EVERY,
    SAMPLES,
    Game,
    play,
    reals,
    spread,
    written_out,
)
from tests.training.toys import States, trainer, whole_state
from tinygen import hooks, models, nn
from tinygen.models import Phase, Stage
from tinygen.optim import SGD
from tinygen.training import Callback, fit


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_game_is_what_a_plain_loop_makes_of_it_also_after_resume(accumulate):
    states = States()
    made = play(accumulate, [states])
    rows = made.train()
    expected, losses = written_out(accumulate)
    found = made.model.state_dict()
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-12, atol=1e-12, err_msg=name)
    names = {"judge_loss": "judge", "penalty_loss": "penalty", "make_loss": "make"}
    for row, other in zip(rows, losses, strict=True):
        got = {names.get(k, k): v for k, v in row.items() if isinstance(v, float)}
        assert got == pytest.approx(other, rel=1e-12)
    steps = math.ceil(6 / accumulate) * EPOCHS
    assert len(states.taken) == made.step == steps
    assert made.images == EPOCHS * SAMPLES
    always = {"judge", "make", "score"}
    lazy = [{"penalty"} if (i + 1) % EVERY == 0 else set() for i in range(steps)]
    assert states.losses == [always | more for more in lazy]
    for arrays, meta in states.taken:
        again = play(accumulate)
        again.load_state(arrays, json.loads(meta))
        again.train()
        assert whole_state(again) == whole_state(made)


class Gradients(hooks.Hook):
    """Counts the gradients that the backward passes of dense layers compute."""

    def __init__(self) -> None:
        self.count = 0

    def after(self, op, phase, inputs, outputs):
        if phase == "backward" and op.name == "dense":
            self.count += sum(gradient is not None for gradient in outputs)


def test_what_is_frozen_gets_no_gradient_and_costs_nothing():
    model = Game().to(dtype="float64")
    seen = {}

    def watched(name, loss):
        def watching(x, *, rng):
            required = [k for k, p in model.named_parameters() if p.requires_grad]
            seen[name] = {k.split(".")[0] for k in required}
            return loss(x, rng=rng)

        return watching

    play_stage = model.stage()
    phases = [p._replace(loss=watched(p.name, p.loss)) for p in play_stage.phases]

    class NoGradients(Callback):
        def on_step(self, trainer, losses):
            assert all(p.grad is None for p in model.parameters())

    made = trainer(
        model,
        Stage("play", phases, steps=EVERY),
        arrays=[reals()],
        valid=[],
        batch_size=4,
        callbacks=[NoGradients()],
    )
    counts = []
    for phase in made.train_step.phases:
        with Gradients() as computed:
            phase.gradients([(reals()[:4],)], 0, made.losses)
        counts.append(computed.count)
        own = {id(p) for p in phase.optimizer.parameters}
        reached = {id(p) for p in model.parameters() if p.grad is not None}
        last = {id(model.discriminator[1].bias)}  # which the slope does not depend on
        assert reached == (own - last if phase.name == "penalty" else own)
        phase.optimizer.zero_grad()
    # judge: weight and bias of both layers, and the second one's input, for reals and for fakes;
    # make: the inputs of both layers, and weight and bias of the generator's
    assert (counts[0], counts[2]) == (2 * 5, 4)
    made.train()
    assert seen == {
        "judge": {"discriminator"},
        "penalty": {"discriminator"},
        "make": {"generator"},
    }
    trainable = {k.split(".")[0] for k, p in model.named_parameters() if p.requires_grad}
    assert trainable == {"generator", "discriminator"}  # as before


def test_what_a_user_froze_stays_frozen():
    made = play()
    made.model.discriminator[0].freeze()
    before = made.model.state_dict()
    made.train()
    after = made.model.state_dict()
    changed = {k for k in before if (before[k] != after[k]).any()}
    assert "discriminator.layers.0.weight" not in changed
    assert {"discriminator.layers.1.weight", "generator.plane.weight"} <= changed


def test_schedules_are_functions_of_images_seen():
    seen = []

    class Look(Callback):
        def on_step(self, trainer, losses):
            seen.append((trainer.model.spread.item(), trainer.optimizers["judge"].learning_rate))

    play(callbacks=[Look()]).train()
    images = [0, 4, 8, 12, 16, 20, 22, 26, 30, 34, 38, 42]
    assert [s for s, _ in seen] == [spread(n) for n in images]
    model = Game()
    for wrong, message in (
        ("spred", "no buffer of the model without axes, did you mean 'spread'"),
        ("generator.mean", "no buffer of the model without axes"),
        ("jugde.learning_rate", "no optimizer 'jugde', did you mean 'judge'"),
    ):
        stage = Stage("play", model.stage().phases, epochs=1, schedules={wrong: lambda images: 1.0})
        with pytest.raises(ValueError, match=message):
            trainer(model, stage, arrays=[reals()], valid=[])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "its length is one of epochs, steps and images, got none"),
        ({"epochs": 1, "steps": 3}, "got epochs and steps"),
        ({"steps": 0}, "steps must be a whole number of at least 1, not 0"),
        ({"images": 2.5}, "images must be a whole number"),
        ({"epochs": 1, "batch_size": -1}, "batch_size must be a whole number"),
        ({"epochs": 1, "phases": ()}, "there is nothing to train: no phases"),
        ({"epochs": 1, "every": 0}, "every of phase 'judge' must be a whole number"),
        ({"epochs": 1, "twice": True}, "two phases have one name: judge, judge"),
    ],
)
def test_stages_that_make_no_sense(given, message):
    model = Game()
    phase = Phase("judge", model.discriminator, model.judge, given.pop("every", 1))
    phases = [phase] * (1 + given.pop("twice", False))
    with pytest.raises(ValueError, match=message):
        Stage("play", **{"phases": phases, **given})


def of(network: nn.Module, kind=SGD):
    return kind(network, 0.1)


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (
            lambda game: of(game),
            ValueError,
            r"one optimizer cannot serve several modules.*=\{'judge': ..., 'make': ...\}",
        ),
        (
            lambda game: {"jugde": of(game.discriminator)},
            ValueError,
            "there is no optimizer 'jugde', did you mean 'judge'",
        ),
        (
            lambda game: {"penalty": of(game.discriminator)},  # which shares that of "judge"
            ValueError,
            "there is no optimizer 'penalty'; known are judge, make",
        ),
        (
            lambda game: {"judge": of(game.generator)},
            ValueError,
            "optimizer of 'judge' does not hold any of the 4 parameters of Sequential",
        ),
        (
            lambda game: {"judge": of(game.discriminator[0])},
            ValueError,
            "optimizer of 'judge' does not hold layers.1.weight of the 4 parameters",
        ),
        (
            lambda game: {"judge": of(Game().discriminator)},
            ValueError,
            "optimizer of 'judge' does not hold any of the 4 parameters",
        ),
        (
            lambda game: dict.fromkeys(("judge", "make"), of(game)),
            ValueError,
            "judge and make have the same optimizer",
        ),
        (lambda game: {"judge": "adam"}, TypeError, "'judge' must be an optimizer, not 'adam'"),
        (lambda game: "adam", TypeError, "optimizers must be one or a dict of them by name"),
    ],
)
def test_optimisers_that_do_not_fit_the_modules(given, error, message):
    game = Game().to(dtype="float64")
    with pytest.raises(error, match=message):
        trainer(game, game.stage(), arrays=[reals()], valid=[], given=given(game))


def test_optimisers_of_the_caller_serve_their_modules():
    game = Game().to(dtype="float64")
    game.discriminator[0].freeze()
    trainable = [p for p in game.discriminator.parameters() if p.requires_grad]
    own = {"judge": SGD(trainable, 0.1), "make": SGD(game, 0.1)}
    made = trainer(game, game.stage(), arrays=[reals()], valid=[], given=own, batch_size=BATCH)
    made.train()
    assert made.optimizers == own
    assert [o.steps for o in own.values()] == [6 * EPOCHS + 3, 6 * EPOCHS]  # 3 of the penalty


def test_options_of_an_optimiser_that_no_stage_has():
    game = Game()
    with pytest.raises(ValueError, match="there is no optimizer 'penalty'; known are judge, make"):
        trainer(game, game.stage(), arrays=[reals()], optimizers={"penalty": {"momentum": 0.5}})


def test_fit_names_the_modules_that_need_an_optimiser_each():
    class Played(Game, models.Model):
        def stages(self, options):
            return [self.stage()]

    game = Played()
    with pytest.raises(ValueError, match="fit: judge and make need an optimizer each"):
        fit(game, reals(), optimizer=SGD(game, 0.1), verbose=False)
