"""What the figures of a run are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from ..backend import Array
from ..latent import CodingIndex, HashIndex, classes, encode, hash_codes
from ..training.experiment import Experiment


class Unfit(ValueError):
    """There is no such figure of this model and its data."""


class Classes(NamedTuple):
    """The classes of the samples to fit and of those to show, and the names of all classes."""

    train: Array
    shown: Array
    names: tuple[str, ...]


def classes_of(experiment: Experiment, by: str | None = None) -> Classes:
    """By label, or by a factor of faces. Raises ValueError for data that has no such thing."""
    dataset = experiment.dataset
    if dataset is None:
        raise ValueError(f"{experiment.settings['data']['source']} is no set of labelled images")
    labels, names = classes(dataset, by)  # of all: a class may be missing in a split
    shown = "valid" if experiment.valid else "train"
    return Classes(labels[dataset.splits["train"]], labels[dataset.splits[shown]], names)


@dataclass(frozen=True, eq=False)
class Subject:
    """A trained model with the data of its run. What it says of them is computed once.

    Attributes:
        experiment: with its model trained.
        folder: of the run.
        rows: the metrics of the run by epoch.
        by: the factor that classes go by, instead of labels.
    """

    experiment: Experiment
    folder: Path
    rows: Sequence[Mapping[str, Any]] = ()
    by: str | None = None

    @property
    def model(self) -> Any:
        """The model."""
        return self.experiment.model

    @property
    def samples(self) -> Array:
        """What to show: samples that the model was not trained on, if there are any."""
        return self.experiment.samples

    @property
    def train(self) -> Array:
        """The samples that it was trained on."""
        return self.experiment.train[0]

    @property
    def source(self) -> str:
        """The name of the data."""
        return Path(self.experiment.settings["data"]["source"]).stem

    @property
    def kind(self) -> str:
        """What the samples are: "points", "images", "series" or "characters"."""
        return "points" if self.samples.ndim < 3 else str(self.model.kind)

    @cached_property
    def classes(self) -> Classes | None:
        """By label, or as `by` says; None for data without labels."""
        dataset = self.experiment.dataset
        labelled = dataset is not None and dataset.labels is not None
        return classes_of(self.experiment, self.by) if labelled or self.by is not None else None

    @cached_property
    def codings(self) -> Array:
        """Of the samples."""
        return encode(self.model, self.samples)

    def nearest(self, n: int, k: int) -> tuple[Array, Array]:
        """For n samples the rows of the k training samples with the nearest codes, and how far.

        Near is in few bits of a hashing autoencoder's codes, of any other's in Euclid's sense.
        """
        find = hash_codes if hasattr(self.model, "hash") else encode
        return self.index.query(find(self.model, self.samples[:n]), k)

    @cached_property
    def index(self) -> HashIndex | CodingIndex:
        """The codes of the training samples, to look up."""
        if hasattr(self.model, "hash"):
            return HashIndex(hash_codes(self.model, self.train))
        return CodingIndex(encode(self.model, self.train))

    def need(self, *kinds: str, least: int = 1) -> None:
        """Raise Unfit unless the samples are of one of these kinds, and there are enough."""
        if self.kind not in kinds:
            wanted = " or ".join(kinds)
            raise Unfit(f"{self.folder}: the model was trained on {self.kind}, not on {wanted}")
        if len(self.samples) < least:
            few = f"{len(self.samples)} {self.kind} are too few"
            raise Unfit(f"{self.folder}: {few}, the figure needs {least}")
