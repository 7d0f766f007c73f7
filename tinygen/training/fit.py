"""`fit`: train a model on arrays, in a script or a notebook."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array
from ..core import Tensor
from ..data import Samples
from ..models import Model, Phase, Recipe, Stage, TrainingOptions
from ..names import nearest
from ..nn import Module
from ..optim import Optimizer
from .callbacks import Callback
from .checkpoint import checkpoints
from .loop import Trainer
from .measure import check_finite, check_range
from .progress import Progress
from .run import Run, RunError, without_none

LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": ops.mse,
    "binary_cross_entropy": ops.binary_cross_entropy,
    "binary_cross_entropy_with_logits": ops.binary_cross_entropy_with_logits,
    "softmax_cross_entropy": ops.softmax_cross_entropy,
    "huber": ops.huber,
    "hinge": ops.hinge,
}


class History:
    """What happened: a dict of figures for every epoch in `rows`, or one figure by name.

    >>> history = History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    >>> history["loss"]
    [0.5, 0.25]
    """

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def __contains__(self, name: object) -> bool:
        return any(name in row for row in self.rows)

    def __getitem__(self, name: str) -> list[Any]:
        known = {key for row in self.rows for key in row}
        if name not in known:
            raise KeyError(f"no figure {name!r}{nearest(name, known)}")
        return [row.get(name) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        last = self.rows[-1] if self.rows else {}
        return f"History({len(self.rows)} epochs, last: {last})"


class Criterion:
    """A loss that was given by hand, of the predictions of a module."""

    def __init__(self, module: Module, criterion: Callable[..., Tensor]) -> None:
        self.module, self.criterion = module, criterion

    def loss(self, x: Array, y: Array | None = None, *, rng: Any) -> Tensor:
        """The loss of one batch, and the penalties of activity regularisers."""
        loss = self.criterion(self.module(x, rng=rng), x if y is None else y)
        return loss + self.module.penalty()

    def measures(self, x: Array, y: Array | None = None, *, rng: Any) -> dict[str, float]:
        """The loss as a number."""
        return {"loss": self.loss(x, y, rng=rng).item()}

    def check(self, arrays: Sequence[Array], valid: Sequence[Array]) -> None:
        """Raise an error for data that the loss cannot take, if it is one of the library."""
        if self.criterion in LOSSES.values():
            for data, part in ((arrays, "training"), (valid, "validation")):
                check_range(self.criterion, data)
                check_finite(self.module, data, part)


def fit(
    model: Module,
    x: Any,
    y: Any = None,
    *,
    preset: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    optimizer: Optimizer | str | None = None,
    learning_rate: float | None = None,
    loss: str | Callable[..., Tensor] | None = None,
    validation_data: Any = None,
    callbacks: Sequence[Callback] = (),
    accumulate: int = 1,
    precision: str = "float32",
    capture: bool = True,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    verbose: bool = True,
) -> History:
    """Train a model on arrays and return the figures of every epoch.

    It leaves the model in inference mode. Ctrl-C raises KeyboardInterrupt after the current step.
    That and every other exception that ends training has the figures of the epochs that were done
    in its attribute `history`.

    Args:
        model: from `tinygen.models`, which knows its loss and its recipe, or any Module.
        x: samples, (n, ...); images as floats in [0, 1].
        y: targets, (n, ...); an autoencoder's are x unless others are given.
        preset: one of the recipes of a model from `tinygen.models`; by default the one that it
            was made for, or the first.
        epochs: passes over the data; by default the recipe's, or 1.
        batch_size: samples in a step; by default the recipe's, or 32.
        optimizer: one of `tinygen.optim`, or its name; by default the recipe's, or "sgd".
        learning_rate: for an optimiser given by name.
        loss: for a plain Module: a name such as "mse", or a function of (prediction, target).
        validation_data: samples, or a pair of samples and targets.
        callbacks: such as EarlyStopping.
        accumulate: batches whose gradients are averaged before the parameters change.
        precision: of products: "float32", "exact" (convolutions without Winograd's way; see
            `tinygen.using_precision`); on a card (`model.to(device="cuda")`) also "3xtf32" (almost
            as precise as float32), "tf32" or "bf16".
        capture: on a card, replay recorded steps, which is faster. A loss of your own then must not
            read values (item, numpy, if), and must draw random numbers from its `rng` alone.
        seed: of the order of the samples and of noise.
        out: a folder for metrics and checkpoints; needs `pip install "tinygen[app]"`.
        resume: go on from the last checkpoint in `out`, if there is one, with all else the same
            but perhaps more epochs.
        verbose: print a line an epoch.

    >>> import numpy as np, tinygen
    >>> model = tinygen.models.create("stacked-ae", image_shape=(8, 8), codings=4)
    >>> x = np.random.default_rng(0).random((64, 8, 8), dtype=np.float32)
    >>> history = fit(model, x, epochs=2, verbose=False)
    >>> history["loss"][1] < history["loss"][0]
    True
    """
    criterion, recipe = _trained(model, loss, preset)
    options = _options(
        recipe,
        model,
        optimizer,
        learning_rate,
        {
            "epochs": epochs,
            "batch_size": batch_size,
            "accumulate": accumulate,
            "seed": seed,
            "device": model.device,
            "precision": precision,
            "capture": capture,
        },
    )
    if isinstance(model, Model):
        stages = model.stages(options)
    else:
        assert criterion is not None
        phases = [Phase("train", model, criterion.loss)]
        measures = criterion.measures
        stages = [Stage("train", phases, epochs=options.epochs, measures=measures)]
    own = optimizer if isinstance(optimizer, Optimizer) else None
    wanted = [name for stage in stages for name in stage.trained]
    if own and len(wanted) > 1:
        raise ValueError(
            f"fit: {' and '.join(wanted)} need an optimizer each, and one was given; give its name"
        )
    if resume and out is None:
        raise ValueError("fit: resume=True needs out=, the folder to go on with")
    arrays, valid = _arrays(model, x, y), _validation(model, validation_data)
    if len(valid) == 1 < len(arrays):
        raise ValueError("fit: validation_data needs targets too: a pair of samples and targets")
    if criterion is not None:
        criterion.check(arrays, valid)
    trainer = Trainer(
        model,
        stages,
        arrays,
        options,
        valid=valid,
        callbacks=callbacks,
        progress=Progress(verbose),
        optimizers=own,
    )
    if out is None:
        return _history(trainer)
    config = {
        "model": getattr(model, "name", type(model).__name__),
        **options.tables(),
        "script": {"samples": len(arrays[0])},
    }
    if own:
        config["training"]["optimizer"] = type(own).__name__
        config["options"] = {"learning_rate": _rate_of(own)}
    run = _run(out, resume, config)
    with run.locked():
        trainer.write_to(run)
        trainer.resume(next(reversed(checkpoints(run.folder)), None))
        return _history(trainer)


def _history(trainer: Trainer) -> History:
    """Train; what is raised meanwhile has the history of the epochs before it."""
    try:
        return History(trainer.train())
    except BaseException as error:
        with suppress(AttributeError, TypeError):  # an exception that takes no attributes
            error.history = History(list(trainer.rows))  # type: ignore[attr-defined]
        raise


def _trained(model: Module, loss: Any, preset: str | None) -> tuple[Criterion | None, Recipe]:
    """The loss, unless the model has its own, and the recipe."""
    if isinstance(model, Model):
        if loss is not None:
            raise ValueError(f"fit: {model.name} has a loss of its own; leave loss= out")
        recipe = model.recipe(preset or model.preset)
        if preset not in (None, model.preset):
            _check_config(model, preset, recipe)
        return None, recipe
    if loss is None:
        raise ValueError(f"fit: {type(model).__name__} has no loss of its own; give loss=")
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(f"unknown loss {loss!r}{nearest(loss, LOSSES)}")
        loss = LOSSES[loss]
    return Criterion(model, loss), Recipe(epochs=1, options={"learning_rate": 0.01})


def _check_config(model: Model, preset: str, recipe: Recipe) -> None:
    """Raise ValueError if a recipe is for a model with other settings."""
    config = getattr(model, "config", {})
    other = [k for k, value in recipe.config.items() if config.get(k) != value]
    if other:
        wanted = ", ".join(f"{k}={recipe.config[k]!r}" for k in other)
        raise ValueError(
            f"fit: preset {preset!r} is for a {model.name} with {wanted}; make it with "
            f"models.create({model.name!r}, preset={preset!r})"
        )


def _options(
    recipe: Recipe,
    model: Module,
    given: Optimizer | str | None,
    rate: float | None,
    settings: Mapping[str, Any],
) -> TrainingOptions:
    """The options of the recipe, with what was given instead."""
    changes = {name: value for name, value in settings.items() if value is not None}
    options = dict(recipe.options)
    if isinstance(given, str):
        changes["optimizer"], options = given, {}
    elif isinstance(given, Optimizer):
        if rate is not None:
            raise ValueError("fit: the optimizer has a learning rate already; leave it out")
        if not set(map(id, model.parameters())) & set(map(id, given.parameters)):
            raise ValueError("fit: the optimizer was made for the parameters of another model")
        options = {}  # it has its own
    elif given is not None:
        raise TypeError(f"fit: optimizer must be a name or an optimizer, not {given!r}")
    if rate is not None:
        options["learning_rate"] = rate
    try:
        return recipe.training(**changes, options=options)
    except ValueError as error:
        raise ValueError(f"fit: {error}") from None


def _rate_of(optimizer: Optimizer) -> float | str:
    """The learning rate of an optimiser as settings can hold it: a number, or a schedule's name."""
    schedule = optimizer.schedule
    if not callable(schedule):
        return float(schedule)
    return str(getattr(schedule, "__qualname__", None) or repr(schedule))


def _arrays(model: Module, x: Any, y: Any) -> list[Array]:
    """Samples, and targets if there are any, as arrays; floats in the type of the model."""
    given = [x] if y is None or y is x else [x, y]
    if any(isinstance(values, Samples) for values in given):
        raise TypeError("fit: give the images as an array: images.train.floats()")
    arrays = [np.asarray(values) for values in given]
    if arrays[0].dtype.kind in "iu":
        raise ValueError(
            f"fit: x holds integers ({arrays[0].dtype}); images should be floats in [0, 1], "
            "see tinygen.data.as_floats"
        )
    for name, array in zip("xy", arrays, strict=False):
        if array.dtype.kind not in "fiub" or not array.ndim:
            raise ValueError(f"fit: {name} is no array of numbers with an axis for the samples")
    return [a.astype(model.dtype, copy=False) if a.dtype.kind == "f" else a for a in arrays]


def _validation(model: Module, data: Any) -> list[Array]:
    if data is None:
        return []
    pair = isinstance(data, tuple) or (
        isinstance(data, list) and len(data) == 2 and all(hasattr(d, "shape") for d in data)
    )
    return _arrays(model, *data) if pair else _arrays(model, data, None)


def _run(out: str | os.PathLike[str], resume: bool, config: dict[str, Any]) -> Run:
    """The folder of the run: a new one, or that of the same call before."""
    if not resume or not (Path(out) / "config.toml").exists():
        return Run.create(out, config)
    run = Run.open(out)
    if "training" not in run.config:
        raise RunError(
            f"{out} is a run of an earlier version of tinygen: its model can be loaded, but it "
            "cannot go on; choose another folder"
        )
    for table, settings in _tables(config).items():
        for key, value in settings.items():
            before = _tables(run.config).get(table, {}).get(key)
            if (table, key) not in LENGTHS and before != value:
                raise RunError(
                    f"{out} is a run with {key} {before!r}, not {value!r}; "
                    "it can only go on with the same"
                )
    for table, key in LENGTHS:
        run.change(table, **{key: config[table][key]})
    return run


LENGTHS = ("training", "epochs"), ("training", "max_steps")  # may change when a run goes on


def _tables(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The settings by table, as TOML gives them back; what stands in none by itself."""
    plain = without_none(config)
    return {k: v if isinstance(v, dict) else {k: v} for k, v in plain.items()}
