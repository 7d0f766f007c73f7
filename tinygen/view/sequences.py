"""Pictures of sequences and their reconstructions: series as curves, text as lines."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..backend import Array
from ..data import as_text
from ..models import Autoencoder
from .axes import BLUE, GREY, ORANGE

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

MOST = 20  # sequences on a picture
COLUMNS = 5  # panels of series in a row
LETTER, LINE, PAIR = 16, 21, 56  # pixels: of a letter, a line, a line with its reconstruction
MARK = "#fbe3d4"
SMALL, STROKE = (80, 112), 5  # height and width of a small curve, and how thick it is


def draw_sequences(model: Autoencoder, x: Array, made: Array) -> Figure | Image.Image:
    """Sequences with what the model makes of them, as the model's kind asks for."""
    if model.kind == "series":
        return draw_series(x, made)
    alphabet = model.config["alphabet"]
    return draw_text(as_text(x, alphabet), as_text(made, alphabet))


def draw_series(series: Array, made: Array | None = None) -> Figure:
    """A panel for each series (n, steps, features), with its reconstruction over it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns = min(COLUMNS, len(series))
    rows = -(-len(series) // columns)
    figure = Figure(figsize=(2.3 * columns, 1.4 * rows + 0.4), layout="constrained")
    FigureCanvasAgg(figure)
    low, high = np.nanmin(series), np.nanmax(series)
    room = 0.1 * float(high - low) or 1.0
    for i, wave in enumerate(series):
        axis = figure.add_subplot(rows, columns, i + 1)
        lines = axis.plot(wave, color=BLUE, linewidth=1.6)[:1]
        if made is not None:
            lines += axis.plot(made[i], color=ORANGE, linewidth=1.6)[:1]
        axis.set(xlim=(0, max(len(wave) - 1, 1)), ylim=(low - room, high + room))
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.25)
        axis.tick_params(labelbottom=i >= len(series) - columns, labelleft=i % columns == 0)
    if made is not None:
        names = ["series", "reconstruction"]
        figure.legend(lines, names, loc="outside upper left", ncols=2, frameon=False)
    return figure


def draw_text(lines: Sequence[str], made: Sequence[str]) -> Image.Image:
    """Lines of text, under each its reconstruction, in which what differs is marked."""
    from matplotlib import get_data_path
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.truetype(Path(get_data_path()) / "fonts/ttf/DejaVuSansMono.ttf", LETTER)
    width = math.ceil(font.getlength("m"))
    columns = max(len(line) for line in (*lines, *made))
    size = width * columns + 2 * LETTER, PAIR * len(lines) + LETTER
    sheet = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(sheet)
    for i, (line, other) in enumerate(zip(lines, made, strict=True)):
        top = LETTER + i * PAIR
        for column, (right, letter) in enumerate(zip_longest(line, other, fillvalue="")):
            left, below = LETTER + column * width, top + LINE
            if letter != right:
                pen.rectangle((left, below, left + width - 1, below + LINE - 1), MARK)
            pen.text((left, top), right, BLUE, font)
            pen.text((left, below), letter, GREY if letter == right else ORANGE, font)
    return sheet


def small_curves(series: Array) -> Array:
    """A small picture of each series, white on black: (n, steps, features) -> (n, h, w), uint8."""
    from PIL import Image, ImageDraw

    height, width = SMALL
    low, high = np.nanmin(series), np.nanmax(series)
    across = np.linspace(STROKE, width - STROKE, series.shape[1])
    down = STROKE + (high - series) / ((high - low) or 1.0) * (height - 2 * STROKE)
    pictures = []
    for waves in down:
        picture = Image.new("L", (width, height))
        pen = ImageDraw.Draw(picture)
        for wave in waves.T:
            real = np.isfinite(wave)
            pen.line(list(zip(across[real], wave[real], strict=True)), 255, STROKE, "curve")
        pictures.append(np.asarray(picture))
    return np.stack(pictures)
