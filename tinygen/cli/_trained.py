"""What the commands that look at a trained autoencoder share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ._parts import usage

if TYPE_CHECKING:
    from ..backend import Array
    from ..models import Autoencoder
    from ..training.experiment import Experiment


def restored(run_folder: str, *, images: bool = True) -> tuple[Experiment, Autoencoder, Path]:
    """A run's experiment, its trained autoencoder, and its folder.

    With `images`, raises ValueError if it is one of series or characters.
    """
    from ..models import Autoencoder
    from ..training.experiment import restore

    experiment, folder = restore(run_folder)
    model = experiment.model
    if not isinstance(model, Autoencoder):
        raise ValueError(f"{folder}: {model.name} has no codings; an autoencoder does")
    if experiment.samples.ndim < 3:
        raise ValueError(f"{folder}: the model was trained on points, not on images")
    if images and model.kind != "images":
        raise ValueError(f"{folder}: the model was trained on {model.kind}, not on images")
    return experiment, model, folder


class Classes(NamedTuple):
    """The classes of the samples to fit and of those to show, and the names of all classes."""

    train: Array
    shown: Array
    names: tuple[str, ...]


def find_classes(experiment: Experiment, by: str | None) -> Classes:
    """By label, or by a factor of faces. Raises ValueError, also for data that has neither."""
    from ..latent import classes

    dataset = experiment.dataset
    if dataset is None:
        raise ValueError(f"{experiment.settings['data']['source']} is no set of labelled images")
    labels, names = usage(classes, dataset, by)  # of all: a class may be missing in a split
    shown = "valid" if experiment.valid else "train"
    return Classes(labels[dataset.splits["train"]], labels[dataset.splits[shown]], names)


def classes_if_any(experiment: Experiment, by: str | None) -> Classes | None:
    """The same, or None for data without labels if no factor was asked for."""
    labelled = experiment.dataset is not None and experiment.dataset.labels is not None
    return find_classes(experiment, by) if labelled or by is not None else None
