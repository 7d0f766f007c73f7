"""Training that cannot go on says so, and keeps what is good; signals."""

from __future__ import annotations

import json
import signal

import numpy as np
import pytest

from tests.training.toys import STEPS, Noisy, StopAt, images, run_in, stage, tiny, trainer
from tinygen import hooks, models
from tinygen.data.plane import noisy_plane
from tinygen.models import Phase, Stage
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
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
