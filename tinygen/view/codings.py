"""Plates of what is done with codings: walks, look-alikes, outliers, arithmetic, traversals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ..backend import Array
from .axes import BLUE, GREEN, ORANGE
from .sheet import Tile, sheet

if TYPE_CHECKING:
    from PIL import Image


def walks(originals: Array, steps: Array, *, title: str = "", note: str = "") -> Image.Image:
    """A row a walk: where it begins, the decoded steps, where it ends.

    Args:
        originals: the images at both ends, (rows, 2, h, w[, c]).
        steps: what was decoded on the way, (rows, steps, h, w[, c]).
        title: a line on top.
        note: a smaller line below it.
    """
    rows = [
        [
            Tile(first, frame=BLUE),
            *(Tile(image, sign="" if i else "|") for i, image in enumerate(way)),
            Tile(last, sign="|", frame=BLUE),
        ]
        for (first, last), way in zip(originals, steps, strict=True)
    ]
    return sheet(rows, title=title, note=note)


def square(images: Array, *, title: str = "", note: str = "") -> Image.Image:
    """A grid between four codings, the decoded corners framed: (rows, columns, h, w[, c])."""
    last = (len(images) - 1, images.shape[1] - 1)
    rows = [
        [
            Tile(image, frame=BLUE if i in (0, last[0]) and j in (0, last[1]) else "")
            for j, image in enumerate(row)
        ]
        for i, row in enumerate(images)
    ]
    return sheet(rows, title=title, note=note)


def look_alikes(
    queries: Array,
    found: Array,
    texts: Sequence[Sequence[str]],
    names: Sequence[str] = (),
    same: Array | None = None,
    *,
    title: str = "",
    note: str = "",
) -> Image.Image:
    """A row a query: the image asked for, and the nearest with a text below each.

    Args:
        queries: (rows, h, w[, c]).
        found: (rows, k, h, w[, c]), nearest first.
        texts: k of them for each row.
        names: what the queries are, below them.
        same: bool, (rows, k): whether an image is of the query's class (green frame) or of another
            (orange); None without classes.
        title: a line on top.
        note: a smaller line below it.
    """
    rows = []
    for i, (query, near) in enumerate(zip(queries, found, strict=True)):
        row = [Tile(query, names[i] if names else "query", frame=BLUE)]
        for j, image in enumerate(near):
            frame = "" if same is None else GREEN if same[i, j] else ORANGE
            row.append(Tile(image, texts[i][j], "" if j else "|", frame))
        rows.append(row)
    return sheet(rows, title=title, note=note)


def outliers(
    images: Array,
    reconstructions: Array,
    scores: Array,
    threshold: float,
    *,
    shown: int = 10,
    title: str = "",
    note: str = "",
) -> Image.Image:
    """The images with the highest scores, and those with the lowest, over their reconstructions.

    Args:
        images: (n, h, w[, c]).
        reconstructions: of the same shape.
        scores: (n,).
        threshold: images above it get an orange frame.
        shown: how many of each.
        title: a line on top.
        note: a smaller line below it.
    """
    order = np.argsort(-scores, kind="stable")
    rows = []
    for chosen in (order[:shown], order[::-1][:shown]):
        rows.append(
            [Tile(images[i], frame=ORANGE if scores[i] > threshold else "") for i in chosen]
        )
        rows.append([Tile(reconstructions[i], f"{scores[i]:.4f}") for i in chosen])
    captions = ["worst", "reconstruction", "best", "reconstruction"]
    return sheet(rows, title=title, note=note, captions=captions)


def traversals(
    decoded: Array,
    values: Array,
    now: Array,
    captions: Sequence[str],
    *,
    image: tuple[Array, Array] | None = None,
    title: str = "",
    note: str = "",
) -> Image.Image:
    """A row a coding: what is decoded as it takes the values, and the others stay.

    Args:
        decoded: (rows, values, h, w[, c]).
        values: (values,), below the last row.
        now: (rows,), the value of each coding where the walk began; the nearest gets a blue frame.
        captions: what to say of each coding.
        image: that from whose codings the walk began, and its reconstruction.
        title: a line on top.
        note: smaller lines below it.
    """
    nearest = np.abs(values - now[:, np.newaxis]).argmin(axis=1)
    rows = [
        [Tile(tile, frame=BLUE if j == nearest[i] else "") for j, tile in enumerate(way)]
        for i, way in enumerate(decoded)
    ]
    rows[-1] = [replace(t, text=f"{v:.2g}") for t, v in zip(rows[-1], values, strict=True)]
    if image is not None:
        rows.insert(0, [Tile(image[0]), Tile(image[1], sign="|", frame=BLUE)])
        captions = ["image, reconstruction", *captions]
    return sheet(rows, title=title, note=note, captions=captions)


def arithmetic(
    means: Array,
    images: Array,
    moved: Array,
    names: tuple[str, str, str],
    *,
    title: str = "",
    note: str = "",
) -> Image.Image:
    """An equation of class means, to + add - remove = result; below it images, moved likewise.

    Args:
        means: what the three means and the result are decoded to, (4, h, w[, c]).
        images: of the class that is added to, (n, h, w[, c]), and what they are decoded to without
            being moved, (2, n, h, w[, c]); n may be 0.
        moved: what their codings are decoded to after the move, (n, h, w[, c]).
        names: of the classes `to`, `add` and `remove`.
        title: a line on top.
        note: a smaller line below it.
    """
    to, add, remove = names
    texts, signs = (to, add, remove, "result"), ("", "+", "-", "=")
    equation = [
        Tile(image, text, sign, BLUE if sign == "=" else "")
        for image, text, sign in zip(means, texts, signs, strict=True)
    ]
    rows, captions = [equation], ["means"]
    if len(moved):
        rows += [[Tile(image) for image in some] for some in images]
        rows.append([Tile(image, frame=BLUE) for image in moved])
        captions += [to, "reconstruction", "moved"]
    return sheet(rows, title=title, note=note, captions=captions)
