"""The state of a training run: all that its next step depends on, as arrays and JSON.

Weights, buffers, optimisers, callbacks, counters. Noise comes from (seed, phase, step) and the
order of samples from (seed, epoch), so neither needs any state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..backend import Array
from ..models.kinds import fits
from ..models.stages import LONGEST
from .callbacks import Callback
from .checkpoint import CheckpointError, describe
from .fingerprint import data_differs, model_differs, plain, setting_differs
from .run import ROW, RunError, lacking

if TYPE_CHECKING:
    from .loop import Trainer

VERSION = 3  # of what `meta` holds; the first counted batches as steps, the second had no hashes


def collect(trainer: Trainer) -> tuple[dict[str, Array], dict[str, Any]]:
    """Arrays by name, and values that JSON can hold."""
    arrays = {f"model.{k}": v for k, v in trainer.model.state_dict().items()}
    for i, average in enumerate(trainer.loose_averages):
        arrays.update({f"average.{i}.{k}": v for k, v in average.state_dict().items()})
    counts = {}
    for name, optimizer in trainer.optimizers.items():
        state = optimizer.state_dict()
        counts[name] = {k: v for k, v in state.items() if not hasattr(v, "shape")}
        own = {k: v for k, v in state.items() if hasattr(v, "shape")}
        arrays.update({f"optimizer.{name}.{k}": v for k, v in own.items()})
    kept = {}
    for name, callback in _named(trainer.callbacks):
        own, values = callback.state_dict()
        arrays.update({f"callback.{name}.{k}": v for k, v in own.items()})
        if own or values:
            kept[name] = values
    meta = {
        "version": VERSION,
        **describe(trainer.model),
        "options": _lasting(trainer),
        "data": trainer.fingerprints,
        **{name: getattr(trainer, name) for name in COUNTERS},
        "sums": {name: list(total) for name, total in trainer.sums.items()},
        "rows": list(trainer.rows),
        "optimizers": counts,
        "callbacks": kept,
    }
    return arrays, meta


# What a Trainer counts, and why it ends.
COUNTERS = (
    "stage",
    "epoch",
    "batch",
    "step",
    "images",
    "stage_epoch",
    "stage_step",
    "stage_images",
    "ended",
    "stop",
)


# What `meta` of this version holds.
KINDS: dict[str, Any] = {
    "model": str,
    "config": Mapping[str, Any] | None,
    "options": Mapping[str, Any],
    "data": Mapping[str, Sequence[Mapping[str, Any]]],
    **dict.fromkeys(COUNTERS, int),
    "ended": str | None,
    "stop": str | None,
    "sums": Mapping[str, tuple[float, int]],
    "rows": Sequence[Mapping[str, Any]],
    "optimizers": Mapping[str, Mapping[str, Any]],
    "callbacks": Mapping[str, Mapping[str, Any]],
}


def check(meta: Mapping[str, Any], path: Path) -> None:
    """Raise CheckpointError, naming the file, for values of another kind than `collect` gave."""
    if meta.get("version") != VERSION:
        return  # which `restore` tells
    for name, kind in KINDS.items():
        value: Any = meta.get(name)
        wrong = not fits(value, kind) or name not in meta
        if wrong or (kind is int and not 0 <= value <= LONGEST):
            raise CheckpointError(
                f"{path}: {name} is {value!r:.80}, which no run writes; use an older checkpoint"
            )
    if any(lacking(row, ROW) for row in meta["rows"]):
        raise CheckpointError(
            f"{path}: its rows of metrics are none that a run writes; use an older checkpoint"
        )


def restore(trainer: Trainer, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
    """Bring a trainer that has not begun to a state that `collect` gave.

    Raises CheckpointError for a state of another version, RunError for one of other data, or of
    other settings of the model or of training.
    """
    if meta.get("version") != VERSION:
        raise CheckpointError(
            "the state was written by an earlier version of tinygen (or by a later one), which "
            "kept other things: its model can be loaded, sampled and evaluated, but training "
            "cannot go on from it; train anew"
        )
    _check_same(trainer, meta)
    if meta["stage"] >= len(trainer.stages):
        raise CheckpointError(
            f"the state is one of stage {meta['stage'] + 1}, the run has {len(trainer.stages)}"
        )
    if trainer.stage > meta["stage"]:
        raise ValueError("a trainer cannot go back to an earlier stage; make a new one")
    while trainer.stage < meta["stage"]:  # networks grow again as they did
        trainer.begin_stage(trainer.stage + 1)
    for name in COUNTERS:
        setattr(trainer, name, meta[name])
    trainer.sums = {name: (total, samples) for name, (total, samples) in meta["sums"].items()}
    trainer.rows = list(meta["rows"])
    trainer.model.load_state_dict(_part(arrays, "model."))
    for i, average in enumerate(trainer.loose_averages):
        average.load_state_dict(_part(arrays, f"average.{i}."))
    for name, optimizer in trainer.optimizers.items():
        own = _part(arrays, f"optimizer.{name}.")
        if name not in meta["optimizers"]:
            raise CheckpointError(f"the state has no optimizer {name!r}")
        optimizer.load_state_dict({**own, **meta["optimizers"][name]})
    for name, callback in _named(trainer.callbacks):
        if name in meta["callbacks"]:
            own, values = _part(arrays, f"callback.{name}."), meta["callbacks"][name]
            try:
                callback.load_state_dict(own, values)
            except (KeyError, TypeError) as error:
                raise CheckpointError(f"the state of {name} cannot be used: {error}") from error


def _check_same(trainer: Trainer, meta: Mapping[str, Any]) -> None:
    """Raise RunError if a state is one of another model, other data or other options."""
    now, only = describe(trainer.model), "; it can only go on with the same"
    if now["model"] != meta["model"]:
        raise RunError(f"the run trains {meta['model']}, not {now['model']}{only}")
    differs = model_differs(meta["model"], meta["config"], now["config"])
    if differs:
        raise RunError(f"the weights were trained with {differs}{only}")
    differs = setting_differs(meta["options"], _lasting(trainer))
    if differs:
        raise RunError(f"the run was made with {differs}{only}")
    differs = data_differs(meta["data"], trainer.fingerprints)
    if differs:
        raise RunError(f"the run {differs}{only}")


def _lasting(trainer: Trainer) -> Any:
    """The options that a run keeps: all but its length, and what changes no bit."""
    tables = trainer.options.tables()
    other = "epochs", "max_steps", "capture"
    kept = {k: v for k, v in tables["training"].items() if k not in other}
    return plain({**tables, "training": kept})


def restore_file(
    trainer: Trainer, path: Path, arrays: Mapping[str, Array], meta: Mapping[str, Any]
) -> None:
    """Bring a trainer to the state that a file holds; raises CheckpointError that names it."""
    check(meta, path)
    try:
        trainer.load_state(arrays, meta)
    except RunError as error:
        raise RunError(f"{path}: {error}") from error
    except (KeyError, ValueError) as error:
        raise CheckpointError(f"{path}: {error}") from error


def _part(arrays: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """The arrays whose names begin so, without that."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _named(callbacks: list[Callback]) -> list[tuple[str, Callback]]:
    """The callbacks with names for a checkpoint: that of the class, and which of it."""
    kinds = [type(callback).__name__ for callback in callbacks]
    numbers = [kinds[:i].count(kind) for i, kind in enumerate(kinds)]
    return [(f"{kind}.{n}", c) for kind, n, c in zip(kinds, numbers, callbacks, strict=True)]
