"""The settings of a run: a recipe, what was asked for instead, and every default written out.

They are a plain dict, as config.toml holds it: `model`, `preset`, and the tables `config` (of the
model), `data`, `training`, `options` (of the optimisers) and `optimizers` (what differs for one of
several). The last three are a TrainingOptions, the data table is a DataOptions. A run is a pure
function of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import data as datasets
from .. import models
from ..backend import check_device
from ..data.registry import FACES
from ..models import Model, TrainingOptions
from ..models.kinds import check_kind, check_known, kinds_of
from ..models.stages import check_count, option_kinds
from ..names import nearest
from ..optim import BY_NAME
from .data_options import (
    DataOptions,
    check_samples_kind,
    count_classes,
    image_shape,
    lacking,
    settle,
)
from .run import RunError
from .step import check_names

QUICK_EPOCHS = 2
TABLES = ("config", "data", "training", "options")
FROM_DATA = ("image_shape", "kind", "alphabet", "classes")  # of a model, by default
FOREVER = 10**6  # epochs, where the number of steps is the limit
TOP = ("model", "preset", *TABLES, "optimizers")


class SettingsError(ValueError):
    """Settings of which no model, or no plan to train it, can be made."""


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
    size: int | None = None,
    channels: int | None = None,
    device: str = "cpu",
    precision: str = "float32",
    overrides: Mapping[str, Any] | None = None,
    quick: bool = False,
) -> dict[str, Any]:
    """All settings of a run, defaults written out.

    Args:
        name: of the model.
        preset: one of the model's recipes; by default the first that is made for the data, or the
            first.
        data: a data set's name, a folder of images, an .npz or a .txt file; by default the
            recipe's.
        epochs: passes over the data.
        steps: or training steps in all.
        images: or samples seen in all.
        batch_size: samples in a step.
        seed: of weights, order and noise.
        size: height and width to bring images to; by default the recipe's.
        channels: 1 for grey, 3 for RGB; by default the recipe's.
        device: "cpu" or "cuda".
        precision: of products: "float32" or "exact" (convolutions without Winograd's way); on a
            card also "3xtf32", "tf32" or "bf16".
        overrides: any of the settings by its name, or by table and name ("data.seed").
        quick: a small part of the data, and few epochs.

    Raises ValueError for unknown names, with the nearest known one, and for unfit values.
    """
    preset = preset or _preset(name, data)
    overrides = dict(overrides or {})
    optimizer = overrides.get("training.optimizer", overrides.get("optimizer"))
    result = recipe_settings(name, preset, optimizer)
    for key, value in (("source", data), ("size", size), ("channels", channels)):
        if value is not None:
            result["data"][key] = value
    training = result["training"]
    training["device"], training["precision"] = device, precision
    result["config"]["seed"] = training["seed"] = seed
    if quick:
        training["epochs"] = min(QUICK_EPOCHS, training["epochs"])
        result["config"] |= models.find(name).quick
    for key, value in overrides.items():
        _override(name, result, key, value)
    check_device(training["device"])
    if batch_size is not None:
        training["batch_size"] = batch_size
    _budget(training, epochs, steps, images)
    TrainingOptions.from_tables(result)  # which knows what the values may be
    DataOptions.from_table(result["data"])
    known = from_data(name)
    models.check_config(name, {k: v for k, v in result["config"].items() if k not in known})
    check_samples_kind(name, preset, result["data"]["source"])
    settle(result["data"], quick)
    result["config"]["image_shape"] = image_shape(result["data"])
    model, source = models.find(name), result["data"]["source"]
    if model.padded:
        result["config"]["kind"] = datasets.kind_of(source)
    if model.factored and source != FACES.name:
        raise ValueError(lacking(name, source))
    if model.learns_labels(result["config"]):
        classes, chosen = count_classes(name, source), result["config"]["classes"]
        if None not in (classes, chosen) and classes != chosen:
            raise ValueError(f"{source} has {classes} classes, not {chosen}: set classes={classes}")
        result["config"]["classes"] = classes or chosen
    return result


def from_data(name: str) -> tuple[str, ...]:
    """The settings of a model that come from the data; of some, `classes` says to learn labels."""
    return tuple(k for k in FROM_DATA if k != "classes" or models.find(name).labelled)


def recipe_settings(name: str, preset: str, optimizer: str | None = None) -> dict[str, Any]:
    """All settings as a recipe has them; the options are those of another optimiser, if asked."""
    recipe = models.find(name).recipe(preset)
    optimizer = recipe.optimizer if optimizer is None else optimizer
    own_options = recipe.options if optimizer == recipe.optimizer else {}
    tables = recipe.training(optimizer=recipe.optimizer).tables()
    return {
        "model": name,
        "preset": preset,
        "config": {**models.options(name), **recipe.config},
        "data": {
            "source": recipe.data,
            "size": recipe.size,
            "channels": recipe.channels,
            "count": None,
            "seed": 0,
        },
        "training": tables["training"],
        "options": {**_options(optimizer), **own_options},
        "optimizers": tables["optimizers"],
    }


def _preset(name: str, data: str | None) -> str:
    """The first recipe for such data, or the first."""
    recipes = models.find(name).recipes
    fit = [p for p, recipe in recipes.items() if data and recipe.data in (data, Path(data).suffix)]
    return (fit or list(recipes))[0]


def _options(optimizer: str) -> dict[str, Any]:
    """The options of an optimiser with their defaults."""
    option_kinds(optimizer)  # which knows the names
    own = inspect.signature(BY_NAME[optimizer]).parameters.values()
    defaults = {p.name: p.default for p in own if p.default is not p.empty}
    return {**defaults, "clip_norm": None, "clip_value": None}


def _override(name: str, result: dict[str, Any], key: str, value: Any) -> None:
    """Put one setting where it belongs."""
    *table, key = key.split(".", 1)
    if table and table[0] in models.find(name).networks:
        return _override_optimizer(result, table[0], key, value)
    found = [t for t in TABLES if key in result[t] and table in ([], [t])]
    if not found:
        known = [k for t in TABLES for k in result[t]]
        raise ValueError(f"{name} has no setting {key!r}{nearest(key, known)}")
    if len(found) > 1:
        choice = " or ".join(f"{t}.{key}" for t in found)
        raise ValueError(f"there is more than one {key}: say {choice}")
    if key in from_data(name):
        advice = "" if key == "classes" else ": set size and channels"
        raise ValueError(f"{key} comes from the data{advice}")
    kinds = {
        "config": models.kinds(name),
        "data": kinds_of(DataOptions),
        "training": kinds_of(TrainingOptions),
        "options": option_kinds(result["training"]["optimizer"]),
    }[found[0]]
    if key != "optimizer":  # whose name was looked up
        check_kind(key, value, kinds[key], result[found[0]][key])
    result[found[0]][key] = value


def _override_optimizer(result: dict[str, Any], network: str, key: str, value: Any) -> None:
    """Put one setting of the optimiser of one of several networks where it belongs."""
    own = result["optimizers"].setdefault(network, {})
    if key == "optimizer":
        result["optimizers"][network] = {key: value, **_options(value)}
        return
    kind = own.get("optimizer", result["training"]["optimizer"])
    kinds, known = option_kinds(kind), {**_options(kind), **own}
    check_known(f"the optimizer of {network} has no option", [key], kinds)
    check_kind(f"{network}.{key}", value, kinds[key], known[key])
    own[key] = value


def _budget(
    training: dict[str, Any], epochs: int | None, steps: int | None, images: int | None
) -> None:
    """How long to train: whichever of the three was given."""
    if sum(x is not None for x in (epochs, steps, images)) > 1:
        raise ValueError("give only one of epochs, steps and images")
    if images is not None:
        check_count("images", images)
        a_step = check_count("batch_size", training["batch_size"]) * check_count(
            "accumulate", training["accumulate"]
        )
        steps = -(-images // a_step)  # rounded up
    if epochs is not None:
        training["epochs"] = epochs
    if steps is not None:
        training["max_steps"], training["epochs"] = steps, FOREVER


def read_settings(config: Any, path: Path) -> dict[str, Any]:
    """The settings of a run as its config.toml holds them, checked, defaults written out.

    Args:
        config: what the file holds.
        path: of the file, for messages.

    Raises RunError that names the file, the table and the setting, for what `settings` would
    refuse too: names that are unknown, values of another kind or range.
    """
    check_tables(config, path)
    missing = [name for name in ("model", *TABLES, "preset") if name not in config]
    if missing:
        raise RunError(f"{path} has no {' and no '.join(missing)}; put back what it was")
    name = config["model"]
    with _told(path):
        check_known("there is no setting", config, TOP)
        models.find(name).recipe(config["preset"])
    with _told(path, "training"):
        tables = TrainingOptions.from_tables(config).tables()
    with _told(path, "data"):
        data = DataOptions.from_table(config["data"])
    with _told(path, "config"):
        models.check_config(name, config["config"])
    own = {"image_shape": None, **models.find(name).recipe(config["preset"]).config}
    if models.find(name).labelled:
        own["classes"] = None
    defaults = {**models.options(name), **own}
    return {
        "model": name,
        "preset": config["preset"],
        "config": {**defaults, **config["config"]},
        "data": asdict(data),
        **tables,
    }


def check_tables(config: Any, path: Path) -> None:
    """Raise RunError, naming the file, if what any run has is missing or of another kind.

    Runs that were made in a script have no more than this: a model's name and tables.
    """
    with _told(path):
        for name in ("model", "preset"):
            if name in config:
                check_kind(name, config[name], str)
        for name in (*TABLES, "optimizers", "script"):
            if name in config:
                check_kind(name, config[name], Mapping[str, Any])
    kinds = kinds_of(TrainingOptions)
    with _told(path, "training"):
        for name, value in config.get("training", {}).items():
            if name in kinds:
                check_kind(name, value, kinds[name])


def build_model(config: Mapping[str, Any], settings: Mapping[str, Any]) -> Model:
    """The model of a run, with `config`; raises SettingsError if there can be none, or no stages.

    What its layers cannot do with a shape of samples, and how it can be trained, only the model
    itself knows: it is asked before any data is fitted.
    """
    name = settings["model"]
    try:
        model = models.create(name, **config)
        options = TrainingOptions.from_tables(settings)
        check_names(model.stages(options), options.optimizers)
    except (TypeError, ValueError, OverflowError) as error:
        told = str(error)
        raise SettingsError(told if name in told else f"{name}: {told}") from error
    return model


@contextmanager
def _told(path: Path, table: str = "") -> Iterator[None]:
    """Errors become RunErrors that name the file and the table."""
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        where = f"{path}, [{table}]" if table else str(path)
        raise RunError(f"{where}: {error}; put back what it was") from error
