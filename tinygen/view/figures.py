"""The figures of a run: what a model's `figures` names, drawn when it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .autoencoders import (
    activations,
    codings_map,
    denoising,
    interpolation,
    nearest_images,
    samples,
)
from .curves import curves
from .epochs import by_epoch
from .plate import save_png
from .predictions import confusion, factors, mistakes
from .projection import projection
from .subject import Subject, Unfit

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

FIGURES: Mapping[str, Callable[[Subject], Image.Image | Figure]] = {
    "projection": projection,
    "denoising": denoising,
    "activations": activations,
    "look-alikes": nearest_images,
    "samples": samples,
    "interpolation": interpolation,
    "reconstructions": by_epoch,
    "tsne": codings_map,
    "confusion": confusion,
    "mistakes": mistakes,
    "factors": factors,
    "curves": curves,
}


def draw_figures(subject: Subject) -> list[Path]:
    """The figures of the model that its data allows, in the folder of its run; returns their paths.

    A run that has not done an epoch yet has none. t-SNE needs scikit-learn.
    """
    paths = []
    for name in subject.model.figures if subject.rows else ():
        try:
            picture = FIGURES[name](subject)
        except Unfit:
            continue
        paths.append(save_png(picture, subject.folder / f"{name}.png"))
    return paths
