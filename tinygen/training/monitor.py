"""Watch what a generator makes while it is trained: how varied it is, how far from the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import Array
from ..metrics import modes_captured
from ..metrics.features import squared_distances
from ..models import Adversarial
from ..ranges import positive, whole
from .callbacks import Callback
from .judge_samples import samples_of
from .measure import evaluate

if TYPE_CHECKING:
    from .loop import Trainer

SAMPLES = 200  # images
POINTS = 2_500


class Monitor(Callback):
    """Diversity, nearest neighbours and modes of samples of fixed latents, after every epoch.

    Distances are Euclidean, of up to 200 samples and as many reals:

    - "diversity": the mean distance between two samples, as a share of that between two reals. It
      is near 0 where all samples are alike, and small where they are pale, such as those of an
      average of a generator early in training;
    - "nearest_sample": the mean distance from a sample to its nearest other one as a share of the
      mean distance, over that of reals: 1 where samples are as evenly spread, near 0 where each has
      a twin, whatever the contrast. Images only;
    - "nearest_real": the mean distance from a sample to the nearest real, over that from a real to
      the nearest other: about 1 where samples are like the data, high for noise. Images only.

    With the centres of a mixture "modes" and "high_quality" are those of
    `tinygen.metrics.modes_captured`. In a run with validation data "seen_real_score" is the mean
    score of up to 200 reals of the training data, in inference mode as "valid_real_score" is. No
    stream of training is drawn from, so the run is the same to the bit with it or without.

    Args:
        real: samples to compare with, (n, ...).
        centres: of the modes of a mixture, (modes, d); None for other data.
        sigma: the standard deviation of a mode.
        samples: how many are drawn; at least 2.
    """

    def __init__(
        self,
        real: Array,
        *,
        centres: Array | None = None,
        sigma: float = 1.0,
        samples: int | None = None,
    ) -> None:
        default = SAMPLES if centres is None else POINTS
        self.samples = whole("Monitor: samples", default if samples is None else samples, least=2)
        if len(real) < 2:
            raise ValueError(f"Monitor: at least 2 reals are needed, not {len(real)}")
        self.real = real[: min(SAMPLES, self.samples)]
        self.apart, self.near = spacing(self.real)
        self.centres, self.sigma = centres, positive("Monitor: sigma", sigma)

    def on_epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Add the figures to the line of metrics, of an epoch that is whole."""
        if trainer.batch:
            return
        made = samples_of(trainer.model, self.samples)  # type: ignore[arg-type]  # it is asked
        few = made[: len(self.real)]
        apart, near = spacing(few)
        if self.apart:
            row["diversity"] = apart / self.apart
        if self.centres is None and self.near:
            row["nearest_sample"] = near / apart * self.apart / self.near if apart else 0.0
            row["nearest_real"] = nearest_distance(few, self.real) / self.near
        if self.centres is not None:
            found = modes_captured(made.astype(np.float64), self.centres, self.sigma)
            row["modes"] = float(found.captured)
            row["high_quality"] = float(found.high_quality)
        if trainer.valid and isinstance(trainer.model, Adversarial):
            seen = evaluate(trainer.model, *(array[:SAMPLES] for array in trainer.loader.arrays))
            if "real_score" in seen:
                row["seen_real_score"] = seen["real_score"]


def spacing(samples: Array) -> tuple[float, float]:
    """Mean Euclidean distances of samples (n, ...), n at least 2.

    Returns:
        That between two different samples, and that from a sample to its nearest other one.
    """
    rows = _rows(samples)
    total, nearest = 0.0, 0.0
    for some, squares in squared_distances(rows, rows):
        distances = np.sqrt(squares)
        total += float(distances.sum())
        distances[np.arange(len(distances)), np.arange(some.start, some.stop)] = np.inf
        nearest += float(distances.min(axis=1).sum())
    return total / (len(rows) * (len(rows) - 1)), nearest / len(rows)


def nearest_distance(samples: Array, others: Array) -> float:
    """The mean Euclidean distance from a sample to the nearest of others: (n, ...), (m, ...)."""
    blocks = squared_distances(_rows(samples), _rows(others))
    return sum(float(np.sqrt(found.min(axis=1)).sum()) for _, found in blocks) / len(samples)


def _rows(samples: Array) -> Array:
    return samples.reshape(len(samples), -1).astype(np.float64)
