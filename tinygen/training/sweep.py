"""Sweeps: one setting, several values of it, several seeds, a run for each."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..backend import Array
from ..config import no_grad
from ..metrics import pca_errors
from ..models import Autoencoder
from .checkpoint import checkpoints
from .experiment import Experiment
from .measure import evaluate
from .run import Run, RunError, without_none

BATCH = 1000


class Member(NamedTuple):
    """One run of a sweep.

    Attributes:
        name: of its folder below that of the sweep.
        value: of the setting.
        seed: of weights, order and noise.
        settings: all of them, see `training.settings`.
    """

    name: str
    value: Any
    seed: int
    settings: dict[str, Any]


def plan_sweep(
    key: str,
    values: Sequence[Any],
    seeds: Sequence[int],
    settings: Callable[[Any, int], dict[str, Any]],
) -> list[Member]:
    """The runs of a sweep, value by value.

    Args:
        key: the setting.
        values: of it, no two alike.
        seeds: for each value.
        settings: all settings of the run with this value and seed.

    Raises ValueError for values that cannot be told apart.
    """
    names = [_text(value) for value in values]
    if len(set(names)) < len(names):
        raise ValueError(f"{key}: there are two alike among {', '.join(names)}")
    return [
        Member(f"{key}={name}/seed-{seed}", value, seed, settings(value, seed))
        for name, value in zip(names, values, strict=True)
        for seed in seeds
    ]


def train_member(member: Member, folder: Path, show: bool = False) -> dict[str, float]:
    """Train one run to its end, from wherever it is, and measure it on validation data.

    Without validation data the training data serve. Beside the model's measures there are "mse",
    the mean squared error of reconstructions, and, of models that aim at one, the mean
    "activation" of the codings.

    Args:
        member: what to train.
        folder: of the run; if there is one already, it goes on.
        show: a line an epoch.

    Raises RunError if the folder holds a run with other settings.
    """
    check_same(member, folder)
    experiment = Experiment.build(member.settings)
    begun = (folder / "config.toml").exists()
    run = Run.open(folder) if begun else Run.create(folder, experiment.settings)
    trainer = experiment.trainer(show=show)
    trainer.write_to(run)
    with run.locked():
        trainer.resume(next(reversed(checkpoints(folder)), None))
        trainer.train()
    model, arrays = experiment.model, experiment.valid or experiment.train
    figures, x = evaluate(model, *arrays, seed=trainer.rng.seed), arrays[0]
    if isinstance(model, Autoencoder):
        figures["mse"] = _mean(lambda x: np.square(model.reconstruct(x).numpy() - x), x)
        if "target" in model.config:
            figures["activation"] = _mean(lambda x: model.encode(x).numpy(), x)
    return figures


def check_same(member: Member, folder: Path) -> None:
    """Raise RunError if the folder holds a run with other settings."""
    if not (folder / "config.toml").exists():
        return
    wanted, found = (_flat(without_none(s)) for s in (member.settings, Run.open(folder).config))
    for name in {**found, **wanted}:
        if name != "config.image_shape" and found.get(name) != wanted.get(name):
            raise RunError(
                f"{folder} is a run with {name} {found.get(name)!r}, not {wanted.get(name)!r}; "
                "choose another --out"
            )


def pca_reference(settings: Mapping[str, Any], widths: Sequence[int]) -> list[float]:
    """PCA's mean squared errors with as many components, on the data of a run.

    The components come from its training data, the error from its validation data, as for the
    models; without validation data, both from the training data.
    """
    experiment = Experiment.build(settings)
    return pca_errors(experiment.train[0], experiment.samples, widths)


def _mean(function: Callable[[Array], Array], x: Array) -> float:
    """The mean of function(x), a batch at a time."""
    with no_grad():
        batches = [x[i : i + BATCH] for i in range(0, len(x), BATCH)]
        sums = [function(batch).mean(dtype=np.float64) * len(batch) for batch in batches]
    return float(np.sum(sums) / len(x))


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings in tables as one, by table.name."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        tables = {f"{name}.{k}": v for k, v in value.items()} if isinstance(value, dict) else None
        flat.update({name: value} if tables is None else tables)
    return flat


def _text(value: Any) -> str:
    """A value as part of the name of a folder."""
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return re.sub(r"[^\w.,\[\]+-]", "-", text)
