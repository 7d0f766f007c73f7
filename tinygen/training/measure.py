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
from ..models import Autoencoder, Model
from ..nn import Module
from ..ops.random import Random


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


def check_range(model: Module, arrays: Sequence[Array]) -> None:
    """Raise ValueError for targets that make the cross-entropy of a model meaningless."""
    criterion = getattr(model, "criterion", None)
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


def check_samples(model: Module, arrays: Sequence[Array]) -> None:
    """Raise ValueError for samples that the model cannot take, before anything is trained."""
    if isinstance(model, Autoencoder) and arrays:
        model.check(arrays[0])
    if getattr(model, "padded", False):
        for array in arrays:
            real_steps(array)


def check_finite(model: Module, batch: Sequence[Array]) -> None:
    """Raise TrainingError if it is the data that is to blame."""
    padded = getattr(model, "padded", False)  # then the model has looked at where there are NaN
    arrays = map(to_numpy, batch)
    if any((np.isinf(a) if padded else ~np.isfinite(a)).any() for a in arrays):
        raise TrainingError("the training data holds NaN or infinity")
