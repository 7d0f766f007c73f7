"""Small things to train, and ways to stop them."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tinygen import models, nn, ops
from tinygen.models import Phase, Stage, TrainingOptions
from tinygen.ops.random import Random
from tinygen.training import Callback, Run, Trainer

SAMPLES, BATCH = 38, 8  # five batches an epoch, the last of them smaller
STEPS = 5


def images(n: int = SAMPLES, seed: int = 0) -> np.ndarray:
    return Random(seed).uniform((n, 6, 6))


def tiny(**config) -> models.Model:
    return models.create("stacked-ae", **{"image_shape": (6, 6), "widths": (9,), **config})


class Noisy(nn.Module):
    """A module whose every step draws noise."""

    def __init__(self) -> None:
        rng = Random(0)
        self.net = nn.Sequential(
            nn.Flatten(),
            nn.GaussianNoise(0.1),
            nn.Dense(36, 9, "tanh", rng=rng),
            nn.Dropout(0.4),
            nn.Dense(9, 36, "sigmoid", rng=rng),
            nn.Reshape(6, 6),
        )

    def loss(self, x, *, rng):
        return ops.mse(self.net(x, rng=rng), x)

    def measures(self, x, *, rng):
        return {"loss": self.loss(x, rng=rng).item()}


def stage(model, epochs=3, **given) -> Stage:
    return Stage("train", [Phase("train", model, model.loss)], epochs=epochs, **given)


def options_of(**given) -> TrainingOptions:
    """Training options; whatever is none of them is an option of the optimiser."""
    fields = {f.name for f in dataclasses.fields(TrainingOptions)}
    known = {name: value for name, value in given.items() if name in fields}
    others = {name: value for name, value in given.items() if name not in fields}
    return TrainingOptions(
        **{"batch_size": BATCH, "seed": 3, "options": {"learning_rate": 0.1, **others}, **known}
    )


def trainer(
    model, *stages, arrays=None, valid=None, callbacks=(), progress=None, given=None, **options
) -> Trainer:
    """A trainer of `model`, on the images unless there are others."""
    return Trainer(
        model,
        stages or [stage(model)],
        [images()] if arrays is None else arrays,
        options_of(device=model.device, **options),
        valid=[images(11, seed=1)] if valid is None else valid,
        callbacks=callbacks,
        progress=progress,
        optimizers=given,
    )


def run_in(folder: Path, trainer: Trainer) -> Trainer:
    """The same trainer, writing to a new folder."""
    trainer.write_to(Run.create(folder, {"data": {}, "training": {}}))
    return trainer


class StopAt(Callback):
    """Sends the process a signal, so many times, after a step."""

    def __init__(self, step: int, number: int = signal.SIGINT, times: int = 1) -> None:
        self.step, self.number, self.times = step, number, times

    def on_step(self, trainer, losses):
        if trainer.step == self.step:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)


class States(Callback):
    """Keeps the whole state after each step, as a checkpoint would, and the names of its losses."""

    def __init__(self) -> None:
        self.taken: list[tuple[dict, str]] = []
        self.losses: list[set[str]] = []

    def on_step(self, trainer, losses):
        arrays, meta = trainer.state()
        self.taken.append((arrays, json.dumps(meta)))
        self.losses.append(set(losses))


def whole_state(trainer: Trainer) -> tuple[dict[str, bytes], dict]:
    """Everything that a checkpoint would hold, comparable."""
    arrays, meta = trainer.state()
    return {name: array.tobytes() for name, array in arrays.items()}, meta


def resumes_exactly(make: Callable[..., Trainer], *, steps: int, every: int = 1) -> States:
    """From each `every`-th step on, a trainer of `make(*callbacks)` ends as it did whole."""
    states = States()
    whole = make(states)
    whole.train()
    assert len(states.taken) == whole.step == steps
    for arrays, meta in states.taken[::every]:
        again = make()
        again.load_state(arrays, json.loads(meta))
        again.train()
        assert whole_state(again) == whole_state(whole)
    return states


def assert_same_end(a: Trainer, b: Trainer) -> None:
    """Two runs ended alike to the last bit, and their metrics to the last byte."""
    assert whole_state(a) == whole_state(b)
    assert (a.run.folder / "metrics.jsonl").read_bytes() == (
        b.run.folder / "metrics.jsonl"
    ).read_bytes()
