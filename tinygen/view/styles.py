"""Pictures of StyleGAN: mixing grids, truncation sweeps, what noise leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import Array, to_numpy
from ..config import no_grad
from ..latent.mixing import layers_of, mixed_styles, variation
from ..ops.random import Random
from .plate import plate
from .subject import Subject, Unfit

if TYPE_CHECKING:
    from PIL import Image

ROWS, COLUMNS = 6, 5  # of a mixing grid
RANGES = ("coarse", "middle", "fine")
TRUNCATIONS = (1.0, 0.7, 0.5, 0.3, 0.0, -0.7)
SWEPT, DRAWS = 8, 6
LOUD = 4.0  # standard deviations are shown so many times as large


def styles_of(model: Any, n: int, seed: int, truncation: float = 1.0) -> Array:
    """Styles of n latents drawn by chance, with labels in turn: (n, layers, styles)."""
    z = model.draw_latents(n, rng=Random(seed, "styles"))
    labels = np.arange(n) % model.classes if model.classes else None
    with no_grad():
        return to_numpy(model.truncate(model.map(z, labels), truncation).array)


def images_of(model: Any, w: Array) -> Array:
    """The images of styles, with the fixed noise: (..., layers, styles) -> (..., h, w, c)."""
    with no_grad():
        made = to_numpy(model.synthesize(w.reshape(-1, *w.shape[-2:])).array)
    return np.clip(made.reshape(*w.shape[:-2], *made.shape[1:]), 0, 1)


def mixing_grid(model: Any, rows: Array, columns: Array, layers: Sequence[int]) -> Image.Image:
    """Images of rows' styles with those of columns in some layers; sources left and on top.

    Args:
        model: a StyleGAN.
        rows: styles (n, layers, styles).
        columns: styles (m, layers, styles).
        layers: which come from the column.
    """
    sources, tops = images_of(model, rows), images_of(model, columns)
    inside = images_of(model, mixed_styles(rows, columns, layers))
    blank = np.ones((1, *tops.shape[1:]), tops.dtype)
    lines = [blank, tops]
    for source, line in zip(sources, inside, strict=True):
        lines += [source[np.newaxis], line]
    return plate(np.concatenate(lines), len(columns) + 1)


def mixing(subject: Subject) -> Image.Image:
    """What styles bring along: rows with the coarse, middle and fine styles of the columns."""
    model = _styled(subject)
    w = styles_of(model, ROWS + COLUMNS, 0)
    rows, columns = w[:ROWS], w[ROWS:]
    tops = images_of(model, columns)
    blank = np.ones((1, *tops.shape[1:]), tops.dtype)
    lines, captions = [blank, tops], ["source of"]
    for i, row in enumerate(rows):
        name = RANGES[i * len(RANGES) // ROWS]
        chosen = layers_of(name, model.layers)
        line = mixed_styles(row[np.newaxis], columns, chosen)[0]
        lines += [images_of(model, row[np.newaxis]), images_of(model, line)]
        captions.append(f"{name} styles" if i * len(RANGES) % ROWS == 0 else "")
    return plate(np.concatenate(lines), COLUMNS + 1, captions=captions)


def truncation(subject: Subject) -> Image.Image:
    """The same latents with styles nearer and nearer to their mean, and on its other side."""
    model = _styled(subject)
    if not float(model.tracked.numpy()):
        raise Unfit(f"{subject.folder}: the mean of w was not tracked")
    every = model.layers
    z = model.draw_latents(SWEPT, rng=Random(0, "styles"))
    labels = np.arange(SWEPT) % model.classes if model.classes else None
    with no_grad():
        w = model.map(z, labels)
        rows = [images_of(model, model.truncate(w, t, every).numpy()) for t in TRUNCATIONS]
    captions = [f"{t:g}" for t in TRUNCATIONS]
    return plate(np.concatenate(rows), SWEPT, captions=captions)


def noise(subject: Subject) -> Image.Image:
    """One style a row: without noise, with several draws of it, and their deviation."""
    model = _styled(subject)
    w = styles_of(model, ROWS, 1)
    still, drawn, spread = variation(model, w, DRAWS, rng=Random(0, "noise"))
    loud = np.clip(LOUD * spread, 0, 1).astype(still.dtype)
    loud = np.broadcast_to(loud.reshape(*spread.shape[:3], *[1] * (still.ndim - 3)), still.shape)
    rows = np.concatenate([still[:, None], drawn, loud[:, None]], axis=1)
    return plate(np.clip(rows.reshape(-1, *still.shape[1:]), 0, 1), DRAWS + 2)


def _styled(subject: Subject) -> Any:
    subject.need("images")
    if not hasattr(subject.model, "truncate"):
        raise Unfit(f"{subject.folder}: {subject.model.name} has no styles")
    return subject.model
