"""Trained models, for the commands that look at their codings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._parts import usage

if TYPE_CHECKING:
    from ..view import Subject


def restored(run_folder: str, *kinds: str, by: str | None = None) -> Subject:
    """A run's trained autoencoder, with its data; see `looked_at`."""
    from ..models import Autoencoder

    subject = looked_at(run_folder, *kinds, by=by)
    if not isinstance(subject.model, Autoencoder):
        name = subject.model.name
        raise ValueError(f"{subject.folder}: {name} has no codings; an autoencoder does")
    return subject


def looked_at(run_folder: str, *kinds: str, by: str | None = None) -> Subject:
    """A run's trained model, with its data.

    Args:
        run_folder: or a checkpoint in it.
        kinds: what it may have been trained on; raises ValueError for anything else.
        by: a factor to make classes by.
    """
    from ..training.experiment import restore
    from ..view import Subject
    from ..view.subject import classes_of

    experiment, folder = restore(run_folder)
    subject = Subject(experiment, folder, by=by)
    subject.need(*kinds)
    if by is not None:
        usage(classes_of, experiment, by)
    return subject
