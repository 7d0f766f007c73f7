"""Stages: their lengths, batches, growth of networks and optimisers, ends."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.training.toys import images, options_of, resumes_exactly, tiny, trainer
from tinygen import nn, ops
from tinygen.models import Phase, Stage, TrainingOptions
from tinygen.ops.random import Random
from tinygen.optim import EMA
from tinygen.training import Callback, CheckpointError, EarlyStopping, Trainer


class Growing(nn.Module):
    """A network on flat images that gets another layer with each stage."""

    def __init__(self) -> None:
        self.layers: list[nn.Module] = []
        self.grow(1)

    def grow(self, layers: int) -> None:
        for i in range(len(self.layers), layers):
            layer = nn.Dense(36, 36, rng=Random(i))
            layer.weight.data[...] += np.eye(36, dtype="float32")
            self.layers.append(layer)

    def loss(self, x, *, rng):
        flat = ops.reshape(x, (-1, 36))
        y = flat
        for layer in self.layers:
            y = layer(y)
        return ops.mse(y, flat)

    def measures(self, x, *, rng):
        return {"loss": self.loss(x, rng=rng).item()}

    def stages(self, seen=None) -> list[Stage]:
        phases = [Phase("train", self, self.loss)]

        def prepare(x):
            if seen is not None:
                seen.append((len(x), float(abs(x).max())))
            return (x / 2,)

        return [
            Stage("first", phases, steps=7, prepare=prepare),
            Stage(
                "second",
                phases,
                images=50,
                batch_size=10,
                begin=lambda: self.grow(2),
                keep_optimizers=True,
                averages=[EMA(self, 0.5)],
            ),
            Stage("third", phases, epochs=1, batch_size=12, drop_remainder=True),
        ]


def growing(*callbacks, seen=None) -> Trainer:
    model = Growing()
    return trainer(model, *model.stages(seen), optimizer="adam", callbacks=callbacks, options={})


def test_stages_have_lengths_and_batches_of_their_own():
    seen = []
    made = growing(seen=seen)
    rows = made.train()
    # five steps make an epoch of the first stage, and four of the second: 38 images
    assert [(r["epoch"], r["step"], r["stage"]) for r in rows] == [
        (1, 5, "first"),
        (2, 7, "first"),
        (3, 11, "second"),
        (4, 13, "second"),  # 38 + 20 images: the first step to reach 50
        (5, 16, "third"),  # 3 batches of 12, and 2 images are left out
    ]
    assert made.images == (38 + 16) + 58 + 36
    assert [n for n, _ in seen] == [8, 8, 8, 8, 6, 8, 8]
    assert made.epochs == 5
    assert len(made.model.layers) == 2
    assert made.done


def test_optimisers_are_kept_or_begin_anew():
    class Look(Callback):
        def on_stage_end(self, trainer):
            (optimizer,) = trainer.optimizers.values()
            ends.append((optimizer.steps, len(optimizer.parameters), optimizer))

    ends = []
    growing(Look()).train()
    assert [(steps, n) for steps, n, _ in ends] == [(7, 2), (13, 4), (3, 4)]
    assert ends[0][2] is ends[1][2]
    assert ends[1][2] is not ends[2][2]


def test_a_growing_run_goes_on_from_any_step():
    states = resumes_exactly(growing, steps=16)
    assert "average.0.layers.1.weight" in states.taken[8][0]


def test_a_trainer_does_not_go_back():
    first, last = growing(), growing()
    last.train()
    with pytest.raises(ValueError, match="cannot go back to an earlier stage"):
        last.load_state(*first.state())


def test_a_state_of_an_earlier_version_is_refused():
    made = trainer(tiny())
    arrays, meta = made.state()
    del meta["version"]
    with pytest.raises(CheckpointError, match=r"an earlier version .*train anew"):
        trainer(tiny()).load_state(arrays, meta)


def test_early_stopping_ends_one_stage_and_the_next_begins():
    """Greedy training: the rate of the first layers is 0, so each of these stages ends at once."""
    model = tiny()
    options = options_of(epochs=6, greedy=True, learning_rate=0.0)
    stages = model.stages(options)
    made = trainer(
        model, *stages, learning_rate=0.0, callbacks=[EarlyStopping("valid_loss", 2, 1e-6)]
    )
    said = []
    made.progress.log = said.append
    rows = made.train()
    lengths = {s.name: sum(r["stage"] == s.name for r in rows) for s in stages}
    assert lengths["layer 1"] == 3  # one is the best, two are no better
    assert lengths["fine-tune"] == 6
    assert any("stopped early of layer 1: valid_loss" in line for line in said)
    assert [r["epoch"] for r in rows] == list(range(1, len(rows) + 1))


def test_a_stage_is_validated_by_what_it_trains():
    model = tiny()
    options = options_of(epochs=1, greedy=True, learning_rate=1.5)
    x = images(11, seed=1)
    made = trainer(model, *model.stages(options), learning_rate=1.5, valid=[x])
    rows = made.train()
    assert "valid_rounded_accuracy" in rows[-1]  # of the whole model
    assert all(set(row) & {"valid_loss"} for row in rows)
    assert "valid_rounded_accuracy" not in rows[0]


def test_the_best_weights_of_each_stage_are_what_the_next_begins_with():
    class Worse(EarlyStopping):
        """Spoils the weights after the first epoch of a stage."""

        def on_epoch(self, trainer, row):
            super().on_epoch(trainer, row)
            if trainer.stage_epoch == 1:
                best.append(trainer.model.state_dict())
                trainer.model.layers[0].bias.data[...] += 9.0

        def on_stage(self, trainer):
            super().on_stage(trainer)
            begun.append(trainer.model.state_dict())

    best, begun = [], []
    model = Growing()
    phases = [Phase("train", model, model.loss)]
    stages = [Stage(name, phases, epochs=2) for name in ("a", "b")]
    trainer(model, *stages, learning_rate=0.0, callbacks=[Worse("loss")]).train()
    for name, array in begun[1].items():
        np.testing.assert_array_equal(array, best[0][name])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, not 0"),
        ({"accumulate": 1.5}, "accumulate must be a whole number"),
        ({"patience": 0}, "patience must be a whole number"),
        ({"max_steps": True}, "max_steps must be a whole number"),
        ({"epochs": None}, "epochs must be a whole number of at least 1, not None"),
        ({"capture": 1}, "capture must be true or false, not 1"),
        ({"device": "gpu"}, "device must be 'cpu' or 'cuda', not 'gpu'"),
        ({"precision": "tf32"}, "for device 'cuda'"),
        ({"optimizer": "sdg"}, "unknown optimizer 'sdg', did you mean 'sgd'"),
        ({"options": {"learning_rate": -1.0}}, "learning_rate"),
        ({"optimizers": {"judge": {"optimizer": "adma"}}}, "did you mean 'adam'"),
        ({"optimizers": {"judge": {"learning_rate": -1.0}}}, "learning_rate"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
    ],
)
def test_options_are_checked_in_one_place(given, message):
    with pytest.raises(ValueError, match=message):
        TrainingOptions(**given)


def test_options_go_to_the_settings_and_back():
    options = TrainingOptions(
        epochs=3,
        seed=7,
        optimizer="adam",
        options={"learning_rate": 0.1},
        optimizers={"judge": {"optimizer": "sgd", "momentum": 0.5}},
    )
    assert TrainingOptions.from_tables(json.loads(json.dumps(options.tables()))) == options
    assert options.optimizer_of("make") == ("adam", {"learning_rate": 0.1})
    assert options.optimizer_of("judge") == ("sgd", {"momentum": 0.5})
    with pytest.raises(ValueError, match="no option 'epoch', did you mean 'epochs'"):
        TrainingOptions.from_tables({"training": {"epoch": 3}})
    with pytest.raises(ValueError, match="there is no optimizer 'jugde'"):
        trainer(tiny(), optimizers={"jugde": {"learning_rate": 0.1}})
