"""The settings of a run: a recipe, what was asked for instead, and every default written out.

They are a plain dict, as config.toml holds it: `model`, `preset`, and the tables `config` (of the
model), `data`, `training`, `options` (of the optimisers) and `optimizers` (what differs for one of
several). The last three are a TrainingOptions. A run is a pure function of them.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .. import data as datasets
from .. import models
from ..backend import check_device
from ..data.dataset import TEXT
from ..data.registry import SERIES, unknown
from ..data.text import STEPS, read_lines
from ..models import TrainingOptions
from ..names import nearest
from ..ops.random import Random
from ..optim import BY_NAME

QUICK_SAMPLES, QUICK_EPOCHS = 2000, 2
PLANE = "plane"  # the data of the linear autoencoder, which is no set of images
TABLES = ("config", "data", "training", "options")
FROM_DATA = ("image_shape", "kind", "alphabet")  # settings of a model that nobody chooses
FOREVER = 10**6  # epochs, where the number of steps is the limit
OPTIONAL = ("size", "channels", "count", "max_steps", "patience", "clip_norm", "clip_value")


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
        device: "cpu" or "cuda".
        precision: of products: "float32" or "exact" (convolutions without Winograd's way); on a
            card also "3xtf32", "tf32" or "bf16".
        overrides: any of the settings by its name, or by table and name ("data.seed").
        quick: a small part of the data, and few epochs.

    Raises ValueError for unknown names, with the nearest known one, and for unfit values.
    """
    preset = preset or _preset(name, data)
    overrides = dict(overrides or {})
    result = recipe_settings(name, preset, overrides.get("optimizer"))
    if data is not None:
        result["data"]["source"] = data
    _check_kind(name, preset, result["data"]["source"])
    training = result["training"]
    training["device"], training["precision"] = device, precision
    result["config"]["seed"] = training["seed"] = seed
    if quick:
        training["epochs"] = min(QUICK_EPOCHS, training["epochs"])
    for key, value in overrides.items():
        _override(name, result, key, value)
    check_device(training["device"])
    if batch_size is not None:
        training["batch_size"] = batch_size
    _budget(training, epochs, steps, images)
    TrainingOptions.from_tables(result)  # which knows what the values may be
    for table in ("config", "data"):
        Random(result[table]["seed"])  # which knows what a seed may be
    _settle(result["data"], quick)
    result["config"]["image_shape"] = _image_shape(result["data"])
    if models.find(name).padded:
        result["config"]["kind"] = datasets.kind_of(result["data"]["source"])
    return result


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


def _check_kind(name: str, preset: str, source: str) -> None:
    """Raise ValueError for samples that model or preset cannot take, or a file that has no name."""
    if source == TEXT:
        raise ValueError(f"preset {preset!r} is for a text of yours: --data FILE{TEXT}")
    model = models.find(name)
    kind, usual = datasets.kind_of(source), datasets.kind_of(model.recipe(preset).data)
    if kind != "images" and not model.padded:
        able = " and ".join(n for n in models.names() if models.find(n).padded)
        raise ValueError(f"{name} takes no {kind}, which {source} has; {able} do")
    if kind != usual:
        raise ValueError(f"preset {preset!r} is for {usual}, not for {kind}, which {source} has")


def _options(optimizer: str) -> dict[str, Any]:
    """The options of an optimiser with their defaults."""
    if optimizer not in BY_NAME:
        raise ValueError(f"unknown optimizer {optimizer!r}{nearest(optimizer, BY_NAME)}")
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
    if key in FROM_DATA:
        raise ValueError(f"{key} comes from the data: set size and channels")
    old = result[found[0]][key]
    if not (_fits(value, old) or (value is None and key in OPTIONAL)):
        raise ValueError(f"{key} cannot be {value!r}; an example is {old!r}")
    result[found[0]][key] = value


def _override_optimizer(result: dict[str, Any], network: str, key: str, value: Any) -> None:
    """Put one setting of the optimiser of one of several networks where it belongs."""
    own = result["optimizers"].setdefault(network, {})
    if key == "optimizer":
        result["optimizers"][network] = {key: value, **_options(value)}
        return
    known = {**_options(own.get("optimizer", result["training"]["optimizer"])), **own}
    if key not in known:
        raise ValueError(f"the optimizer of {network} has no option {key!r}{nearest(key, known)}")
    if not (_fits(value, known[key]) or (value is None and key in OPTIONAL)):
        raise ValueError(f"{network}.{key} cannot be {value!r}; an example is {known[key]!r}")
    own[key] = value


def _fits(value: Any, old: Any) -> bool:
    """Whether a value is of the kind of the one it replaces; what is None may be a number."""
    if isinstance(old, str):  # an activation may be a name or a pair
        return isinstance(value, (str, list))
    if isinstance(old, (list, tuple)):
        return isinstance(value, list) and all(_fits(v, o) for v in value for o in old[:1])
    if isinstance(value, bool) or isinstance(old, bool):
        return isinstance(value, bool) and isinstance(old, bool)
    if isinstance(old, int):
        return isinstance(value, int)
    return isinstance(value, (int, float))


def _budget(
    training: dict[str, Any], epochs: int | None, steps: int | None, images: int | None
) -> None:
    """How long to train: whichever of the three was given."""
    if sum(x is not None for x in (epochs, steps, images)) > 1:
        raise ValueError("give only one of epochs, steps and images")
    if images is not None:
        steps = math.ceil(images / (training["batch_size"] * training["accumulate"]))
    if epochs is not None:
        training["epochs"] = epochs
    if steps is not None:
        training["max_steps"], training["epochs"] = steps, FOREVER


def _settle(data: dict[str, Any], quick: bool) -> None:
    """Find out whether the data is there, and how much of it to take."""
    source = data["source"]
    if source == PLANE:
        return
    check_source(source)
    available = None
    if source not in datasets.names():
        path = Path(source).resolve()
        data["source"] = str(path)  # a run may be resumed from elsewhere
        if path.is_dir():
            available = len(datasets.list_folder(path).paths)
        elif datasets.kind_of(path) == "characters":
            available = len(read_lines(path, data["size"] or STEPS))
        else:
            available = 0  # of an .npz file all is read in any case
    if quick and data["count"] is None:
        count = QUICK_SAMPLES if available is None else min(QUICK_SAMPLES, available)
        data["count"] = count or None


def check_source(source: str) -> None:
    """Raise DataError if there is neither a data set nor a file or folder of that name."""
    if source not in datasets.names() and not Path(source).exists():
        raise unknown(source, also=", and there is no such file or folder")


def _image_shape(data: Mapping[str, Any]) -> list[int] | None:
    """The shape of a sample, as far as it is known before the data is read."""
    if data["source"] == PLANE:
        return [3]
    size, channels = data["size"], data["channels"]
    kind = datasets.kind_of(data["source"])
    if kind == "characters":
        return None
    if kind == "series":
        return [size or SERIES.shape[0], 1]
    if data["source"] in datasets.names():
        height, _, depth = datasets.describe(data["source"]).shape
        size, channels = size or height, channels or depth
    if size is None or channels is None:
        return None
    return [size, size] if channels == 1 else [size, size, channels]
