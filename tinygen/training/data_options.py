"""The data of a run: its options, whether it is there, and what is known before it is read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .. import data as datasets
from .. import models
from ..data.dataset import TEXT
from ..data.registry import FACES, SERIES, unknown
from ..data.text import STEPS, read_lines
from ..models.kinds import check_kind, check_known, kinds_of
from ..models.stages import check_count
from ..ops.random import Random

LONGEST_PATH = 4095  # bytes that Linux takes
QUICK_SAMPLES = 2000


@dataclass(frozen=True)
class DataOptions:
    """What a model is trained on.

    Attributes:
        source: a data set's name, a folder of images, an .npz or a .txt file.
        size: height and width to bring images to; None as they are.
        channels: 1 for grey, 3 for RGB; None as they are.
        count: how many samples in all; None for all.
        seed: of data that is drawn, and of the order of folders and files.

    Raises ValueError for values of another kind, or that make no sense, with the name of the
    option.
    """

    source: str
    size: int | None = None
    channels: int | None = None
    count: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        kinds = kinds_of(DataOptions)
        for field in fields(self):
            check_kind(field.name, getattr(self, field.name), kinds[field.name])
        if not 0 < len(self.source) <= LONGEST_PATH or "\0" in self.source:
            raise ValueError(
                f"source must be a data set's name, a folder or a file, not {self.source!r:.80}"
            )
        for name in ("size", "count"):
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name))
        if self.channels not in (None, 1, 3):
            raise ValueError(f"channels must be 1 (grey) or 3 (RGB), not {self.channels!s:.80}")
        Random(self.seed)  # which knows what a seed may be

    @classmethod
    def from_table(cls, table: Any) -> DataOptions:
        """The options in the table `data` of the settings of a run."""
        check_kind("data", table, Mapping[str, Any])
        check_known("data has no setting", table, kinds_of(cls))
        if "source" not in table:
            raise ValueError("source is missing")
        return cls(**table)


def check_samples_kind(name: str, preset: str, source: str) -> None:
    """Raise ValueError for samples that model or preset cannot take, or a file that has no name."""
    if source == TEXT:
        raise ValueError(f"preset {preset!r} is for a text of yours: --data FILE{TEXT}")
    model = models.find(name)
    kind, usual = datasets.kind_of(source), datasets.kind_of(model.recipe(preset).data)
    if kind not in model.kinds:
        able = " and ".join(n for n in models.names() if kind in models.find(n).kinds)
        raise ValueError(f"{name} takes no {kind}, which {source} has; {able} do")
    if kind != usual and model.padded:
        raise ValueError(f"preset {preset!r} is for {usual}, not for {kind}, which {source} has")


def settle(data: dict[str, Any], quick: bool) -> None:
    """Find out whether the data is there, and how much of it to take."""
    source = data["source"]
    check_source(source)
    available = None
    if (
        source in datasets.names()
        and sum(datasets.describe(source).splits.values()) < QUICK_SAMPLES
    ):
        available = 0  # all of it is little
    if source not in datasets.names():
        path = Path(source).resolve()
        data["source"] = str(path)  # a run may be resumed from elsewhere
        if path.is_dir():
            available = len(datasets.list_folder(path).paths)
        elif datasets.kind_of(path) == "characters":
            available = len(read_lines(path, data["size"] or STEPS))
        else:
            available = 0  # of an .npz file all is read in any case
    if quick and data["count"] is None:
        count = QUICK_SAMPLES if available is None else min(QUICK_SAMPLES, available)
        data["count"] = count or None


def check_source(source: str) -> None:
    """Raise DataError if there is neither a data set nor a file or folder of that name."""
    if source not in datasets.names() and not os.path.exists(source):
        raise unknown(source, also=", and there is no such file or folder")


def image_shape(data: Mapping[str, Any]) -> list[int] | None:
    """The shape of a sample, as far as it is known before the data is read."""
    size, channels = data["size"], data["channels"]
    kind = datasets.kind_of(data["source"])
    if kind == "points":
        if size is not None or channels is not None:
            raise ValueError(f"{data['source']} has points, which have no size and no channels")
        return [datasets.describe(data["source"]).shape[0]]
    if kind == "characters":
        return None
    if kind == "series":
        return [size or SERIES.shape[0], 1]
    if data["source"] in datasets.names():
        height, _, depth = datasets.describe(data["source"]).shape
        size, channels = size or height, channels or depth
    if size is None or channels is None:
        return None
    return [size, size] if channels == 1 else [size, size, channels]


def lacking(name: str, source: str) -> str:
    """What to say of data without the labels or factors that a model learns."""
    if models.find(name).factored:
        return (
            f"{name} learns the factors that images were drawn from, and those of {source} are not "
            f"known; {FACES.name} has them"
        )
    labelled = [n for n in datasets.names() if _class_names(n) and datasets.kind_of(n) == "images"]
    return (
        f"{name} learns from labels, and {source} has none; {', '.join(labelled)} have, a folder "
        "of images with a subfolder for each class, or an .npz file with an array `labels`"
        + ("" if models.find(name).labelled else "; or leave classes out")
    )


def count_classes(name: str, source: str) -> int | None:
    """How many classes the data has; None if that is known only when it is read.

    Raises ValueError if it is known to have no labels.
    """
    names = _class_names(source)
    if names is None:
        return None
    if not names:
        raise ValueError(lacking(name, source))
    return len(names)


def _class_names(source: str) -> tuple[str, ...] | None:
    """The names of a source's classes; None for a file, which has to be read first."""
    if source in datasets.names():
        return datasets.describe(source).class_names
    return datasets.list_folder(source).class_names if Path(source).is_dir() else None
