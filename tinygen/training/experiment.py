"""From settings to a run: what the shell trains, and how it is built again to go on.

Settings are a plain dict with every default written out, as config.toml holds it: model, preset,
config (of the model), data, training. A run is a pure function of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import models
from ..backend import Array, check_device
from ..data import load as load_data
from ..data.plane import noisy_plane
from ..models import Model, Recipe
from ..names import nearest
from ..optim import BY_NAME
from .callbacks import Callback, EarlyStopping
from .checkpoint import load_arrays, model_state, newest
from .loop import Trainer
from .progress import Progress
from .run import Run, RunError

QUICK_SAMPLES, QUICK_EPOCHS = 2000, 2
PLANE = "plane"


def settings(
    name: str,
    *,
    preset: str | None = None,
    data: str | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    images: int | None = None,
    batch_size: int | None = None,
    seed: int = 0,
    device: str = "cpu",
    overrides: Mapping[str, Any] | None = None,
    quick: bool = False,
) -> dict[str, Any]:
    """All settings of a run, defaults written out.

    Args:
        name: of the model.
        preset: one of the model's recipes; by default its first.
        data: a data set's name, a folder of images or an .npz file; by default the recipe's.
        epochs: passes over the data.
        steps: or training steps in all.
        images: or samples seen in all.
        batch_size: samples in a step.
        seed: of weights, order and noise.
        device: "cpu" or "cuda".
        overrides: settings of the model, the recipe, or the optimiser, by name.
        quick: a small part of the data, and few epochs.

    Raises ValueError for unknown names, with the nearest known one.
    """
    recipes = models.find(name).recipes
    preset = preset or next(iter(recipes))
    if preset not in recipes:
        raise ValueError(f"{name} has no preset {preset!r}{nearest(preset, recipes)}")
    check_device(device)
    recipe = recipes[preset]
    result: dict[str, Any] = {
        "model": name,
        "preset": preset,
        "config": {**models.options(name), "seed": seed},
        "data": {"source": data or recipe.data, "size": recipe.size, "channels": recipe.channels}
        | {"count": None, "seed": 0},
        "training": {
            "epochs": recipe.epochs,
            "max_steps": None,
            "batch_size": recipe.batch_size,
            "accumulate": 1,
            "patience": None,
            "seed": seed,
            "device": device,
            "greedy": recipe.greedy,
            "optimizer": recipe.optimizer,
        },
        "options": dict(recipe.options),
    }
    training = result["training"]
    if quick:
        training["epochs"] = min(QUICK_EPOCHS, recipe.epochs)
        result["data"]["count"] = None if result["data"]["source"] == PLANE else QUICK_SAMPLES
    if batch_size is not None:
        training["batch_size"] = batch_size
    _budget(training, epochs, steps, images)
    for key, value in (overrides or {}).items():
        _override(name, result, key, value)
    for key in ("epochs", "batch_size", "accumulate"):
        if not isinstance(training[key], int) or training[key] < 1:
            raise ValueError(f"{key} must be a whole number of at least 1, not {training[key]!r}")
    return result


def _budget(
    training: dict[str, Any], epochs: int | None, steps: int | None, images: int | None
) -> None:
    """How long to train: whichever of the three was given."""
    if sum(x is not None for x in (epochs, steps, images)) > 1:
        raise ValueError("give only one of epochs, steps and images")
    if images is not None:
        steps = math.ceil(images / training["batch_size"])
    if epochs is not None:
        training["epochs"] = epochs
    if steps is not None:
        if steps < 1:
            raise ValueError(f"steps must be at least 1, not {steps}")
        training["max_steps"] = steps
        training["epochs"] = 10**6  # more than it takes: the steps are the limit


def _override(name: str, result: dict[str, Any], key: str, value: Any) -> None:
    """Put one setting where it belongs."""
    for part in ("config", "options", "training", "data"):
        if key in result[part]:
            result[part][key] = value
            return
    optimizer = BY_NAME[result["training"]["optimizer"]]
    known = [*result["config"], *result["options"], *result["training"], *result["data"]]
    accepted = set(optimizer.__init__.__annotations__) | {"clip_norm", "clip_value"}
    if key in accepted:
        result["options"][key] = value
        return
    raise ValueError(f"{name} has no setting {key!r}{nearest(key, known)}")


@dataclass
class Experiment:
    """A model, what to train it on, and the trainer that will."""

    settings: Mapping[str, Any]
    model: Model
    train: Sequence[Array]
    valid: Sequence[Array]

    @classmethod
    def build(cls, settings: Mapping[str, Any]) -> Experiment:
        """Load the data and make the model for it."""
        train, valid = _data(settings["data"])
        config = dict(settings["config"])
        config["image_shape"] = list(train[0].shape[1:])
        return cls(settings, models.create(settings["model"], **config), train, valid)

    def trainer(
        self, run: Run | None = None, callbacks: Sequence[Callback] = (), show: bool = True
    ) -> Trainer:
        """The trainer, at the beginning."""
        training = {"max_steps": None, "patience": None, **self.settings["training"]}
        recipe = Recipe(
            epochs=training["epochs"],
            optimizer=training["optimizer"],
            options=self.settings["options"],
            greedy=training["greedy"],
        )
        own: list[Callback] = []
        if training["patience"] is not None:
            monitor = "valid_loss" if self.valid else "loss"
            own.append(EarlyStopping(monitor, training["patience"]))
        return Trainer(
            self.model,
            self.model.stages(recipe),
            self.train,
            valid=self.valid,
            batch_size=training["batch_size"],
            seed=training["seed"],
            callbacks=[*own, *callbacks],
            run=run,
            progress=Progress(show, run.log if run else None),
            accumulate=training["accumulate"],
            max_steps=training["max_steps"],
        )


def _data(wanted: Mapping[str, Any]) -> tuple[list[Array], list[Array]]:
    """The arrays to fit and those to validate with."""
    wanted = {"size": None, "channels": None, "count": None, **wanted}
    if wanted["source"] == PLANE:
        return [noisy_plane(wanted["count"] or 60, wanted["seed"])], []
    dataset = load_data(
        wanted["source"],
        size=wanted["size"],
        channels=wanted["channels"],
        count=wanted["count"],
        seed=wanted["seed"],
    )
    return [dataset.train.floats()], [dataset.valid.floats()]


def reopen(source: str | Path, epochs: int | None = None) -> tuple[Run, Path]:
    """The run that a folder, or a checkpoint in one, belongs to, and the checkpoint to go on from.

    Args:
        source: the folder (its newest checkpoint is taken), or a checkpoint.
        epochs: a new total of epochs for the run.
    """
    path = Path(source)
    run = Run.open(path.parent.parent if path.is_file() else path)
    if "data" not in run.config:
        raise RunError(f"{run.folder} was made by fit() in a script, which alone can go on with it")
    if epochs is not None:
        if run.config["training"]["greedy"]:
            raise RunError(f"{run.folder} has several stages; their epochs cannot be changed now")
        run.change("training", "epochs", epochs)
    return run, path if path.is_file() else newest(run.folder)


def restore(source: str | Path) -> tuple[Experiment, Path]:
    """The experiment of a run, with the weights of a checkpoint, and the run's folder."""
    run, checkpoint = reopen(source)
    experiment = Experiment.build(run.config)
    arrays, meta = load_arrays(checkpoint)
    experiment.model.load_state_dict(model_state(arrays, meta))
    return experiment, run.folder
