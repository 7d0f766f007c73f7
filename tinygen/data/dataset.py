"""A data set in memory, and `load`, which makes one from a name, a folder or a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from ..backend import Array
from ..ops.random import Random
from .errors import MAX_BYTES, DataError, check_name
from .idx import read_idx
from .images import (
    as_floats,
    check_total,
    conform,
    format_of,
    in_words,
    list_folder,
    read_images,
    read_npz,
)
from .registry import (
    FACES,
    SERIES,
    SOURCES,
    Source,
    advice,
    cache_folder,
    check_hash,
    fetch,
    find,
    unknown,
)
from .series import draw_series
from .text import STEPS, alphabet_of, one_hot, read_lines

MAX_NUMBERS = 2**26  # of series that are drawn
TEXT = ".txt"  # the suffix of text files


@dataclass(frozen=True, eq=False, repr=False)
class Samples:
    """Images and what is known of each; or series, or lines of text.

    Attributes:
        name: of the data set.
        images: (n, height, width, channels), uint8, 1 or 3 channels. Series are (n, steps,
            features), float32, and have NaN after their last step; characters likewise, with 1 for
            the character of a step and 0 for the others.
        labels: (n,), int64, or None.
        factors: what each was drawn from, arrays of n rows by name (`faces` and `series` only).
        class_names: by label; empty if unknown.
        kind: "images", "series" or "characters".
        alphabet: the characters in the order of the features, of a text.
    """

    name: str
    images: Array
    labels: Array | None = None
    factors: Mapping[str, Array] = field(default_factory=dict)
    class_names: tuple[str, ...] = ()
    kind: str = "images"
    alphabet: str = ""

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        n, *sides = self.images.shape
        what = f"images of {' x '.join(map(str, sides))}"
        if self.kind != "images":
            what = f"{'series' if self.kind == 'series' else 'lines'} of up to {sides[0]} steps"
        return f"{type(self).__name__}({self.name!r}, {n:,} {what})"

    def floats(self) -> Array:
        """What models take, float32: images in [0, 1], (n, h, w) if they are grey, else (n, h, w,
        3); series and text as they are."""
        if self.kind != "images":
            return self.images
        return as_floats(self.images[..., 0] if self.images.shape[3] == 1 else self.images)


@dataclass(frozen=True, eq=False, repr=False)
class Dataset(Samples):
    """All samples of a data set, and which are for what.

    Attributes:
        splits: the slices "train", "valid" and "test", which do not overlap.
        found: the format of the images of a folder (of its first) or file before they were brought
            to this one, such as "32 x 32 RGB"; empty if they were made in this one.
    """

    splits: Mapping[str, slice] = field(default_factory=dict)
    found: str = ""

    @property
    def train(self) -> Samples:
        """The samples to fit, as views."""
        return self._view("train")

    @property
    def valid(self) -> Samples:
        """The samples to validate with, as views."""
        return self._view("valid")

    @property
    def test(self) -> Samples:
        """The samples to keep for the very end, as views."""
        return self._view("test")

    def _view(self, split: str) -> Samples:
        rows = self.splits[split]
        return Samples(
            f"{self.name}/{split}",
            self.images[rows],
            None if self.labels is None else self.labels[rows],
            {name: values[rows] for name, values in self.factors.items()},
            self.class_names,
            self.kind,
            self.alphabet,
        )


def class_labels(samples: Samples) -> tuple[Array, tuple[str, ...]]:
    """The label of each sample, from 0 on, (n,) int64, and the names of the classes.

    Where the names are unknown, or labels are none from 0 on, they are counted off in order.
    Raises ValueError for samples without labels.
    """
    labels = samples.labels
    if labels is None:
        raise ValueError(f"{samples.name} has no labels")
    most = int(labels.max(initial=-1)) + 1
    if len(samples.class_names) >= most and labels.min(initial=0) >= 0:
        return labels, samples.class_names
    values, labels = np.unique(labels, return_inverse=True)
    return labels.astype(np.int64), tuple(str(value) for value in values)


def kind_of(source: str | os.PathLike[str]) -> str:
    """What the samples of a source for `load` are: "images", "series" or "characters"."""
    if source == SERIES.name:
        return "series"
    return "characters" if os.fspath(source).endswith(TEXT) else "images"


def load(
    source: str | os.PathLike[str],
    *,
    size: int | None = None,
    channels: int | None = None,
    count: int | None = None,
    seed: int = 0,
) -> Dataset:
    """A data set by name, the images in a folder or an .npz file, or the lines of a .txt file.

    Published sets keep their official order: the first 55,000 of the training images are to fit,
    the last 5,000 to validate, the 10,000 test images to test. Of everything else 80 % are to fit,
    10 % to validate, 10 % to test; folders and files, which are often sorted by class, are put in
    a random order first.

    Args:
        source: one of `names()`, or a path. Files that are not here yet are fetched.
        size: height and width to bring the images to; of `faces`, what to draw (64 by default).
            Images that are not square lose what is outside their central square. Of `series`,
            the longest length (48 by default); of a text, that at which lines are cut (40).
        channels: 1 for grey, 3 for RGB; as the images are by default.
        count: how many images in all, shared among the splits as the whole is; of `faces` and
            `series`, how many to draw (10,000 by default).
        seed: of the drawing of `faces` and `series`, and of the random order of folders and files.

    Raises:
        DataError: nothing has that name, or the data is damaged or does not fit together.
        OSError: a file cannot be opened.
        ModuleNotFoundError: files have to be fetched and pooch is not installed.
    """
    for name, value in (("size", size), ("count", count)):
        if value is not None and value < 1:
            raise DataError(f"load: {name} must be at least 1, not {value}")
    if channels not in (None, 1, 3):
        raise DataError(f"load: channels must be 1 (grey) or 3 (RGB), not {channels}")
    if source == FACES.name:
        return _load_faces(size, channels, count, seed)
    if source == SERIES.name:
        return _load_series(size, channels, count, seed)
    if source in SOURCES:
        return _load_published(SOURCES[str(source)], size, channels, count)
    path = Path(source)
    check_name(path)
    if path.is_dir():
        return _load_folder(path, size, channels, count, seed)
    if path.suffix == ".npz" and path.exists():
        return _load_npz(path, size, channels, count, seed)
    if kind_of(path) == "characters" and path.exists():
        return _load_text(path, size, channels, count, seed)
    if path.exists():
        raise DataError(f"{path}: neither a folder of images nor an .npz or {TEXT} file")
    raise unknown(os.fspath(source), also=", and there is no such file or folder")


def _load_faces(size: int | None, channels: int | None, count: int | None, seed: int) -> Dataset:
    from .faces import cached_faces

    count = count or sum(FACES.splits.values())
    side, _, depth = FACES.shape
    check_total((count, size or side, size or side, channels or depth), MAX_BYTES)
    folder = cache_folder() / FACES.name
    drawn = cached_faces(
        count, size=size or side, channels=channels or depth, seed=seed, cache_dir=folder
    )
    return Dataset(FACES.name, drawn.images, factors=drawn.factors, splits=_tenths(count))


def _load_series(size: int | None, channels: int | None, count: int | None, seed: int) -> Dataset:
    if channels not in (None, 1):
        raise DataError(f"{SERIES.name} have 1 channel, not {channels}")
    count = count or sum(SERIES.splits.values())
    steps = size or SERIES.shape[0]
    if count * steps > MAX_NUMBERS:
        raise DataError(
            f"{count:,} series of up to {steps:,} steps are {count * steps:,} numbers; at most "
            f"{MAX_NUMBERS:,} are drawn. Give a smaller size= or count=."
        )
    drawn = draw_series(count, steps=steps, seed=seed)
    return Dataset(
        SERIES.name,
        drawn.values,
        drawn.kinds,
        factors=drawn.factors,
        class_names=SERIES.class_names,
        kind="series",
        splits=_tenths(count),
    )


def _load_text(
    path: Path, size: int | None, channels: int | None, count: int | None, seed: int
) -> Dataset:
    if channels is not None:
        raise DataError(f"{path}: a text has no channels; leave channels={channels} out")
    steps = size or STEPS
    lines = read_lines(path, steps)
    order = _order(path, len(lines), count, seed, "lines")
    lines = [lines[i] for i in order]
    alphabet = alphabet_of(lines)
    return Dataset(
        path.stem,
        one_hot(lines, alphabet, steps),
        kind="characters",
        alphabet=alphabet,
        splits=_tenths(len(lines)),
    )


def _load_published(
    source: Source, size: int | None, channels: int | None, count: int | None
) -> Dataset:
    train_images, train_labels, test_images, test_labels = _read_files(source)
    rows, splits = _shares(source, count)
    images = np.concatenate([train_images, test_images])[rows][..., np.newaxis]
    labels = np.concatenate([train_labels, test_labels])[rows].astype(np.int64)
    images = conform(images, size, channels)
    return Dataset(source.name, images, labels, class_names=source.class_names, splits=splits)


def _read_files(source: Source) -> list[Array]:
    """The arrays in the data set's files, which are fetched if any is missing."""
    found = [find(source, file) for file in source.sha256]
    paths = [path for path in found if path is not None]
    if len(paths) < len(found):
        paths = list(fetch(source.name))
    arrays = [read_idx(path, advice=advice(source)) for path in paths]
    for path in paths:  # only now: what the reader says of a damaged file is more use
        check_hash(source, path)
    return arrays


def _shares(source: Source, count: int | None) -> tuple[Array | slice, dict[str, slice]]:
    """The rows to keep of a published set, so that each split gives its share, and the splits."""
    ends = np.cumsum([0, *source.splits.values()])
    total = int(ends[-1])
    if count is None:
        return slice(None), _slices(source.splits, ends)
    _check_count(source.name, count, total)
    kept = ends * count // total
    starts = zip(ends[:-1], np.diff(kept), strict=True)
    rows = np.concatenate([np.arange(start, start + share) for start, share in starts])
    return rows, _slices(source.splits, kept)


def _load_folder(
    path: Path, size: int | None, channels: int | None, count: int | None, seed: int
) -> Dataset:
    folder = list_folder(path)
    order = _order(path, len(folder.paths), count, seed)
    images = read_images([folder.paths[i] for i in order], size=size, channels=channels)
    labels = None if folder.labels is None else folder.labels[order]
    splits = _tenths(len(order))
    return Dataset(
        path.name,
        images,
        labels,
        class_names=folder.class_names,
        splits=splits,
        found=format_of(folder.paths[order[0]]),
    )


def _load_npz(
    path: Path, size: int | None, channels: int | None, count: int | None, seed: int
) -> Dataset:
    images, labels = read_npz(path)
    order, found = _order(path, len(images), count, seed), in_words(*images.shape[1:])
    images = conform(images[order], size, channels)
    labels = None if labels is None else labels[order]
    return Dataset(path.stem, images, labels, splits=_tenths(len(order)), found=found)


def _order(path: Path, n: int, count: int | None, seed: int, what: str = "images") -> Array:
    """The rows of a folder or file in the order in which they are split."""
    _check_count(str(path), count or n, n, what)
    return Random(seed, "data/order").permutation(n)[:count]


def _check_count(name: str, count: int, n: int, what: str = "images") -> None:
    if count > n:
        raise DataError(f"{name} has {n:,} {what}; count={count:,} asks for more")


def _tenths(n: int) -> dict[str, slice]:
    """The last tenth of n samples to test, the tenth before it to validate, the rest to fit."""
    tenth = n // 10
    return _slices(FACES.splits, np.array([0, n - 2 * tenth, n - tenth, n]))


def _slices(names: Mapping[str, int], ends: Array) -> dict[str, slice]:
    """The slices between `ends`, by name."""
    return {
        name: slice(int(start), int(stop))
        for name, (start, stop) in zip(names, pairwise(ends), strict=True)
    }
