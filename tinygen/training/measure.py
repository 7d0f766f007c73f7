"""Evaluate a model; check that data suits its loss."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from .. import ops
from ..backend import Array, to_numpy
from ..config import no_grad
from ..data import Loader
from ..data.sequences import real_steps
from ..models import Model, Stage, TrainingOptions
from ..nn import Module
from ..ops.random import Random

ROWS = 1024  # samples that are looked at together


class TrainingError(RuntimeError):
    """Training cannot go on; the text says why, and what is kept."""


def evaluate(
    model: Module,
    *arrays: Array,
    seed: int = 0,
    batch_size: int | None = None,
    measures: Callable[..., Mapping[str, float]] | None = None,
) -> dict[str, float]:
    """The model's measures on data, in inference mode: means over all samples.

    Args:
        model: with a method `measures`, such as those of tinygen.models.
        arrays: the samples, and targets if the model takes them.
        seed: of the noise that a model such as a VAE draws.
        batch_size: samples at a time; by default the model's `validation_batch`.
        measures: what to measure instead of `model.measures`.
    """
    if measures is None:
        measures = model.measures  # type: ignore[attr-defined]  # which is asked for above
    was_training = model.training
    model.eval()
    totals: dict[str, float] = {}
    counts: Counter[str] = Counter()
    rng = Random(seed, "evaluation", device=model.device)
    if batch_size is None:
        batch_size = getattr(model, "validation_batch", Model.validation_batch)
    loader = Loader(*arrays, batch_size=batch_size, device=model.device)
    try:
        with no_grad():
            for i, batch in enumerate(loader):
                for name, value in measures(*batch, rng=rng.at(i)).items():
                    totals[name] = totals.get(name, 0.0) + value * len(batch[0])
                    counts[name] += len(batch[0])
    finally:
        model.train(was_training)
    # without what only some of the batches have
    whole = [name for name in totals if counts[name] == loader.samples]
    return {name: totals[name] / loader.samples for name in whole}


def check_data(model: Module, arrays: Sequence[Array], valid: Sequence[Array] = ()) -> None:
    """Raise an error for data that the model cannot be trained or measured on.

    That is TrainingError for NaN and infinities, but for NaN where padded sequences end, and
    ValueError for all else. A module of one's own may know what to do with NaN.
    """
    for data, part in ((arrays, "training"), (valid, "validation")):
        if any(not np.size(array) for array in data):
            advice = "leave validation_data out or " if data is valid else ""
            raise ValueError(
                f"there are no samples in the {part} data, of shape {np.shape(data[0])}; {advice}"
                "give it some"
            )
        check_samples(model, data)
        check_range(getattr(model, "criterion", None), data)
        if isinstance(model, Model):
            check_finite(model, data, part)
    if valid:
        Loader(*valid, batch_size=1)  # which knows whether arrays fit together


def check_range(criterion: object, arrays: Sequence[Array]) -> None:
    """Raise ValueError for targets that make the cross-entropy meaningless, if that is the loss."""
    if criterion not in (ops.binary_cross_entropy, ops.binary_cross_entropy_with_logits):
        return
    target = arrays[-1] if arrays else np.zeros(1)
    low = np.fmin.reduce(target, axis=None, initial=0)  # NaN, where sequences end, is neither
    high = np.fmax.reduce(target, axis=None, initial=1)
    if low < 0 or high > 1:
        raise ValueError(
            f"binary cross-entropy needs targets in [0, 1], the data goes from {low:.4g} to "
            f"{high:.4g}; pixels are divided by 255 (tinygen.data.as_floats)"
        )


def check_batches(
    model: Module, stages: Sequence[Stage], samples: int, options: TrainingOptions
) -> None:
    """Raise ValueError for a stage that leaves out all of the data, since no batch is full."""
    for stage in stages:
        size = stage.batch_size or options.batch_size
        if not stage.drop_remainder or size <= samples:
            continue
        name = getattr(model, "name", "") or type(model).__name__
        setting = "batch_size" if stage.batch_size is None else "its own batch size"
        if stage.batch_size is not None and "batch_sizes" in getattr(model, "config", {}):
            setting = "batch_sizes"
        raise ValueError(
            f"{name}: {samples} samples to fit do not fill one batch of {size} in stage "
            f"{stage.name!r}, and a batch that is not full is left out; set {setting} to "
            f"{samples} or less, or give more data"
        )


def check_samples(model: Module, arrays: Sequence[Array]) -> None:
    """Raise ValueError for samples that the model cannot take, before anything is trained."""
    if isinstance(model, Model) and arrays:
        labelled = model.learns_labels(getattr(model, "config", {}))
        if (labelled or model.factored) and len(arrays) < 2:
            what = "labels" if labelled else "factors"
            raise ValueError(
                f"{model.name} learns {what}, and was given samples alone; the {what} are the "
                "second array, as in fit(model, x, y)"
            )
        model.check(*arrays[:2])
    if getattr(model, "padded", False):
        for array in arrays:
            real_steps(array)


def check_finite(model: Module, arrays: Sequence[Array], part: str) -> None:
    """Raise TrainingError if that part of the data holds NaN or infinity, saying where."""
    padded = getattr(model, "padded", False)  # then the model has looked at where there are NaN
    for number, array in enumerate(map(to_numpy, arrays)):
        if array.dtype.kind != "f":
            continue
        for start in range(0, len(array), ROWS):
            rows = array[start : start + ROWS].reshape(len(array[start : start + ROWS]), -1)
            wrong = (np.isinf(rows) if padded else ~np.isfinite(rows)).any(axis=1)
            if wrong.any():
                which = "the targets of " if number else ""
                raise TrainingError(
                    f"the {part} data holds NaN or infinity: {which}sample "
                    f"{start + int(wrong.argmax())}; leave it out, or mend it"
                )
