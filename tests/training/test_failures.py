"""Training that cannot go on says so, and keeps what is good; signals."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest

from tests.training.toys import STEPS, Noisy, StopAt, images, run_in, stage, tiny, trainer
from tinygen import hooks, models, nn, ops
from tinygen.core import Parameter
from tinygen.data.plane import noisy_plane
from tinygen.models import Phase, Stage
from tinygen.ops.random import Random
from tinygen.training import (
    Callback,
    Interrupted,
    Run,
    Trainer,
    TrainingError,
    fit,
    load,
    loop,
)
from tinygen.training.checkpoint import checkpoints


def exploding(**options) -> Trainer:
    """A linear autoencoder with a mad learning rate."""
    given = {"batch_size": 32, "learning_rate": 1e9, "valid": [], **options}
    return trainer(models.create("linear-ae"), arrays=[noisy_plane()], **given)


def test_a_loss_that_is_no_number_stops_training(tmp_path):
    failing = run_in(tmp_path / "run", exploding())
    with pytest.raises(TrainingError, match=r"loss of phase 'train' became (nan|inf) in epoch 2"):
        failing.train()
    (kept,) = checkpoints(tmp_path / "run")
    assert all(np.isfinite(a).all() for a in load(kept).state_dict().values())
    assert [row["epoch"] for row in Run.open(tmp_path / "run").rows()] == [1]
    again = exploding()
    again.write_to(Run.open(tmp_path / "run"))
    again.resume(kept)
    with pytest.raises(TrainingError, match=f"The last good state is {kept}") as caught:
        again.train()
    assert "Lower the learning rate" in str(caught.value)


def test_in_the_first_epoch_there_is_nothing_to_keep(tmp_path):
    with pytest.raises(TrainingError, match="No state was saved yet"):
        run_in(tmp_path / "run", exploding(batch_size=8)).train()
    with pytest.raises(TrainingError, match=r"step \d+\. Lower"):
        exploding(batch_size=8).train()


def test_a_gradient_that_is_no_number_stops_training_before_it_does_harm(tmp_path):
    class Steep(nn.Module):
        """A loss that is a number, and a gradient that is none once a weight is below 0."""

        def __init__(self):
            self.weight = Parameter(np.float32([1.0, 0.1]))

        def loss(self, x, *, rng):
            return ops.sum(ops.sqrt(ops.relu(self.weight)))

    model = Steep()
    failing = run_in(tmp_path / "run", trainer(model, valid=[], clip_norm=1.0))
    with pytest.raises(TrainingError, match=r"epoch 1, step 3: SGD\.step: .* weight holds"):
        failing.train()
    assert np.isfinite(model.weight.numpy()).all()


class Spoil(Callback):
    """Makes a weight NaN after a step: what a last step of an epoch that goes wrong leaves."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step(self, trainer, losses):
        if trainer.step == self.step:
            trainer.model.parameters()[0].data[0, 0] = np.nan


@pytest.mark.parametrize(
    ("valid", "message"), [([], "holds NaN or infinity"), ([images()], "valid_loss became nan")]
)
def test_weights_that_are_no_numbers_are_never_saved(tmp_path, monkeypatch, valid, message):
    monkeypatch.setattr(loop, "EPOCH_SECONDS", 0)
    failing = run_in(tmp_path / "run", trainer(tiny(), valid=valid, callbacks=[Spoil(2 * STEPS)]))
    with pytest.raises(TrainingError, match=message):
        failing.train()
    (kept,) = checkpoints(tmp_path / "run")
    assert kept.stem == f"{STEPS:08d}"
    assert all(np.isfinite(a).all() for a in load(kept).state_dict().values())
    for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)  # NaN is no JSON


def test_it_may_be_the_data(tmp_path):
    x = images()
    x[5, 0, 0] = np.nan
    with pytest.raises(TrainingError, match="the training data holds NaN or infinity"):
        fit(tiny(), x, verbose=False)


def test_a_hook_names_the_op():
    points = noisy_plane()
    with (
        hooks.NaNFinder(),
        pytest.raises(FloatingPointError, match=r"the (forward|backward) of \w+"),
    ):
        fit(models.create("linear-ae"), points, learning_rate=1e9, verbose=False)


def test_there_must_be_something_to_train():
    with pytest.raises(ValueError, match="nothing to train"):
        Trainer(tiny(), [], [images()])
    with pytest.raises(ValueError, match="unknown optimizer 'sdg', did you mean 'sgd'"):
        trainer(tiny(), optimizer="sdg")


@pytest.mark.parametrize(
    ("result", "error", "message"),
    [
        (lambda y: y, ValueError, r"the loss of phase 'main' has shape \(\d, 6, 6\).* its mean"),
        (lambda y: (y.mean(), {"kl": y}), ValueError, "figure 'kl' of phase 'main' has shape"),
        (lambda y: (y.mean(), {"kl": 0.5}), TypeError, "figure 'kl' of phase .* not float"),
        (lambda y: y.mean().item(), TypeError, "loss of phase 'main' returned float; it must"),
        (lambda y: (y.mean(), y.mean()), TypeError, r"returned \(Tensor, Tensor\)"),
        (lambda y: (y.mean(), {}, {}), TypeError, r"returned \(Tensor, dict, dict\)"),
    ],
)
def test_a_loss_is_one_number(result, error, message):
    class Odd(Noisy):
        def loss(self, x, *, rng):
            return result(self.net(x, rng=rng) - x)

    model = Odd()
    step = Stage("train", [Phase("main", model, model.loss)], epochs=1)
    with pytest.raises(error, match=message):
        trainer(model, step).train()


# Signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_training_after_the_step(tmp_path, number):
    before = signal.getsignal(number)
    model = tiny()
    stopped = run_in(
        tmp_path / "run", trainer(model, stage(model), callbacks=[StopAt(STEPS + 2, number)])
    )
    with pytest.raises(
        Interrupted, match=r"stopped in epoch 2 of 3, after step 7; saved"
    ) as caught:
        stopped.train()
    assert caught.value.signal_number == number
    assert "Go on with: tinygen resume" in str(caught.value)
    assert [p.stem for p in checkpoints(tmp_path / "run")] == ["00000005", "00000007"]
    assert signal.getsignal(number) is before


def test_a_second_signal_does_not_wait(tmp_path):
    for number, error in ((signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)):
        stopped = run_in(
            tmp_path / str(int(number)), trainer(tiny(), callbacks=[StopAt(2, number, times=2)])
        )
        with pytest.raises(error) as caught:
            stopped.train()
        assert not isinstance(caught.value, Interrupted)
        assert not checkpoints(stopped.run.folder)
    assert caught.value.code == 128 + signal.SIGTERM


def test_without_a_folder_a_signal_just_ends_training():
    with pytest.raises(KeyboardInterrupt, match=r"^stopped in epoch 1 of 2, after step 1$"):
        fit(tiny(), images(), epochs=2, callbacks=[StopAt(1)], verbose=False)


def test_a_signal_during_validation_is_not_lost(tmp_path):
    model = tiny()
    stopped = trainer(model, stage(model))
    measures = model.measures

    def slow(x, **options):
        if stopped.step == STEPS:
            signal.raise_signal(signal.SIGINT)
        return measures(x, **options)

    model.measures = slow
    run_in(tmp_path / "run", stopped)
    with pytest.raises(Interrupted, match="stopped in epoch 2 of 3, after step 5"):
        stopped.train()
    assert len(stopped.run.rows()) == 1


# What is raised


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit])
def test_what_is_raised_has_the_history(error):
    class Raise(Callback):
        def on_step(self, trainer, losses):
            if trainer.step == 2 * STEPS + 1:
                raise error

    net = nn.Sequential(nn.Dropout(0.5), nn.Flatten(), nn.Dense(36, 36, rng=Random(0)))
    x = images()
    call = {"loss": "mse", "epochs": 3, "batch_size": 8, "verbose": False}
    y = x.reshape(len(x), -1)
    with pytest.raises(error) as caught:
        fit(net, x, y, **call, callbacks=[Raise()])
    assert [row["epoch"] for row in caught.value.history.rows] == [1, 2]
    assert caught.value.history["loss"][1] > 0
    assert not net.training
    assert not any(m.training for m in net.modules())


def test_an_interrupt_has_the_history():
    with pytest.raises(Interrupted) as caught:
        fit(tiny(), images(), epochs=9, batch_size=8, callbacks=[StopAt(STEPS + 1)], verbose=False)
    assert len(caught.value.history) == 1


def test_a_callback_sees_the_callers_own_module():
    net, seen = nn.Dense(4, 4, rng=Random(0)), []

    class Look(Callback):
        def on_begin(self, trainer):
            seen.append(trainer.model)

        def on_epoch(self, trainer, row):
            seen.append(trainer.model)
            trainer.model(np.zeros((1, 4), np.float32))

    x = Random(1).normal((8, 4))
    history = fit(net, x, loss="mse", validation_data=x, callbacks=[Look()], verbose=False)
    assert all(model is net for model in seen)
    assert len(seen) == 2
    assert history["valid_loss"][0] > 0


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_ignored_stays_ignored(number):
    """Under nohup, or in the background of a script."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        rows = trainer(tiny(), stage(tiny(), epochs=1), callbacks=[StopAt(2, number)]).train()
        assert len(rows) == 1
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


# Data is looked at before the first step


def spoilt(value: float = np.nan) -> np.ndarray:
    x = images(20)
    x[7, 2, 3] = value
    return x


class Never(Callback):
    def on_begin(self, trainer):
        pytest.fail("training began")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("part", ["training", "validation"])
@pytest.mark.parametrize("own", [False, True])
def test_damaged_data_is_told_before_the_first_step(tmp_path, part, own, value):
    data = {"training": images(20), "validation": images(20), part: spoilt(value)}
    net = nn.Sequential(nn.Flatten(), nn.Dense(36, 36, rng=Random(0)), nn.Reshape(6, 6))
    model, loss = (net, {"loss": "mse"}) if own else (tiny(), {})
    call = {"callbacks": [Never()], "out": tmp_path / "run", "verbose": False, **loss}
    # a value outside of [0, 1] is told first
    message = f"{part} data holds NaN or infinity: sample 7|needs targets in"
    with pytest.raises((TrainingError, ValueError), match=message):
        fit(model, data["training"], validation_data=data["validation"], **call)
    assert not (tmp_path / "run").exists()


def test_damaged_targets_are_told_as_such():
    x = images(20)
    with pytest.raises(TrainingError, match="the targets of sample 7"):
        fit(tiny(), x, validation_data=(x, spoilt()), callbacks=[Never()], verbose=False)


def test_ones_own_loss_may_mask_what_is_missing():
    net = nn.Sequential(nn.Flatten(), nn.Dense(36, 36, rng=Random(0)), nn.Reshape(6, 6))
    y = spoilt()

    def masked(prediction, target):
        known = np.isfinite(target)
        return ((prediction - np.where(known, target, 0)) ** 2 * known).mean()

    assert fit(net, images(20), y, loss=masked, verbose=False)["loss"][0] > 0


@pytest.mark.parametrize("own", [False, True])
def test_no_validation_samples_are_told_before_the_first_step(own):
    net = nn.Sequential(nn.Flatten(), nn.Dense(36, 36, rng=Random(0)), nn.Reshape(6, 6))
    model, loss = (net, {"loss": "mse"}) if own else (tiny(), {})
    call = {"validation_data": images()[:0], "callbacks": [Never()], "verbose": False, **loss}
    with pytest.raises(ValueError, match=r"no samples in the validation data.*leave validation"):
        fit(model, images(), **call)
    call["validation_data"] = images(5), images(4)
    with pytest.raises(ValueError, match="first axes differ"):
        fit(model, images(), images(), **call)
