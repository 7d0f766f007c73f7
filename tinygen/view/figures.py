"""The figures of a run: what a model's `figures` names, drawn when it ends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ..models import Adversarial
from . import adversarial, autoencoders, styles
from .autoencoders import activations, codings_map, denoising, nearest_images
from .curves import curves
from .epochs import animate, by_epoch, progress
from .plate import save_png
from .predictions import confusion, factors, mistakes
from .projection import projection
from .subject import Subject, Unfit

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image


def samples(subject: Subject) -> Image.Image:
    """New images; of a model with labels a row for each class."""
    adversary = isinstance(subject.model, Adversarial)
    return adversarial.samples(subject) if adversary else autoencoders.samples(subject)


def interpolation(subject: Subject) -> Image.Image:
    """What is made on the way between four codings or latents, which are framed."""
    if isinstance(subject.model, Adversarial):
        return adversarial.interpolation(subject)
    return autoencoders.interpolation(subject)


FIGURES: Mapping[str, Callable[[Subject], Image.Image | Figure]] = {
    "projection": projection,
    "denoising": denoising,
    "activations": activations,
    "look-alikes": nearest_images,
    "samples": samples,
    "plane": adversarial.plane,
    "progress": progress,
    "interpolation": interpolation,
    "mixing": styles.mixing,
    "truncation": styles.truncation,
    "noise": styles.noise,
    "nearest": adversarial.nearest,
    "reconstructions": by_epoch,
    "tsne": codings_map,
    "confusion": confusion,
    "mistakes": mistakes,
    "factors": factors,
    "curves": curves,
}


def draw_figures(subject: Subject) -> list[Path]:
    """The figures of the model that its data allows, in the folder of its run; returns their paths.

    A run that has not done an epoch yet has none. t-SNE needs scikit-learn. Of a generator also the
    animation of its epochs.
    """
    paths = []
    for name in subject.model.figures if subject.rows else ():
        try:
            picture = FIGURES[name](subject)
        except Unfit:
            continue
        paths.append(save_png(picture, subject.folder / f"{name}.png"))
    with suppress(Unfit):
        paths.append(animate(subject))
    return paths
