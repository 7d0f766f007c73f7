"""Watch what a generator makes while it is trained: how varied it is, and which modes it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import Array
from ..metrics import modes_captured
from ..metrics.features import squared_distances
from ..ranges import positive, whole
from .callbacks import Callback
from .judge_samples import samples_of

if TYPE_CHECKING:
    from .loop import Trainer

SAMPLES = 200  # images
POINTS = 2_500


class Monitor(Callback):
    """After every epoch the diversity of samples of fixed latents, and the modes that they reach.

    "diversity" is the mean distance between two samples, as a share of that between two reals: 1
    where they are as varied, near 0 where the generator repeats itself. With the centres of a
    mixture "modes" and "high_quality" are those of `tinygen.metrics.modes_captured`. No stream of
    training is drawn from, so the run is the same to the bit with it or without.

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
        self.apart = mean_distance(real[:SAMPLES])
        self.centres, self.sigma = centres, positive("Monitor: sigma", sigma)

    def on_epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Add the figures to the line of metrics, of an epoch that is whole."""
        if trainer.batch:
            return
        made = samples_of(trainer.model, self.samples)  # type: ignore[arg-type]  # it is asked
        if self.apart:
            row["diversity"] = mean_distance(made[:SAMPLES]) / self.apart
        if self.centres is not None:
            found = modes_captured(made.astype(np.float64), self.centres, self.sigma)
            row["modes"] = float(found.captured)
            row["high_quality"] = float(found.high_quality)


def mean_distance(samples: Array) -> float:
    """The mean Euclidean distance between two different samples: (n, ...), n at least 2."""
    rows = samples.reshape(len(samples), -1).astype(np.float64)
    total = sum(float(np.sqrt(found).sum()) for _, found in squared_distances(rows, rows))
    return total / (len(rows) * (len(rows) - 1))
