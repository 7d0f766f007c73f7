"""The figures of a run: what a model's `figures` names, drawn when it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..backend import Array
from ..models import Model
from .autoencoders import activations, denoising, hash_look_alikes, interpolation, samples
from .curves import curves
from .epochs import by_epoch
from .projection import projection

FIGURES: dict[str, Callable[[Any, Array, Sequence[Any], Path], Path | None]] = {
    "denoising": denoising,
    "activations": activations,
    "look-alikes": hash_look_alikes,
    "samples": samples,
    "interpolation": interpolation,
    "reconstructions": by_epoch,
    "curves": curves,
    "projection": projection,
}


def draw_figures(
    model: Model, images: Array, rows: Sequence[dict[str, Any]], folder: Path
) -> list[Path]:
    """The figures of the model that its data allows; returns their paths.

    Args:
        model: trained.
        images: samples that it was not trained on, or points.
        rows: the metrics of its run, by epoch.
        folder: of the run.
    """
    drawn = [FIGURES[name](model, images, rows, folder) for name in model.figures] if rows else []
    return [path for path in drawn if path is not None]
