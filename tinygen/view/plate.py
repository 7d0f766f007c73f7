"""Plates: many small images on one sheet, with captions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import Array

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

SHOWN = 10  # images in a row, of a figure
DPI = 120  # of what matplotlib draws
PAPER, INK = 255, (90, 90, 96)
CAPTION = 15  # pixels of a letter's height, at scale 1


def to_pixels(images: Any) -> Array:
    """Images (n, h, w), (n, h, w, 1) or (n, h, w, 3) as (n, h, w, 3) uint8.

    Floats show what they have between 0 and 1; integers are uint8.
    """
    images = np.asarray(images)
    if images.dtype.kind in "iu" and images.dtype != np.uint8:
        raise ValueError(f"to_pixels: pixels are uint8, or floats in [0, 1], not {images.dtype}")
    if images.dtype != np.uint8:
        images = np.round(np.clip(np.nan_to_num(images), 0, 1) * 255).astype(np.uint8)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[3] not in (1, 3):
        raise ValueError(
            f"to_pixels: expected (n, h, w), (n, h, w, 1) or (n, h, w, 3), got {images.shape}"
        )
    return np.broadcast_to(images, (*images.shape[:3], 3))


def plate(
    images: Any,
    columns: int | None = None,
    *,
    captions: Sequence[str] = (),
    scale: int | None = None,
    gap: int = 4,
) -> Image.Image:
    """Images side by side in rows.

    Args:
        images: see `to_pixels`.
        columns: images in a row; by default as near to a square as it gets.
        captions: a text in front of each row.
        scale: how many pixels of the sheet one pixel takes; by default the least that makes an
            image 56 wide or high.
        gap: pixels between images.
    """
    from PIL import Image, ImageDraw, ImageFont

    pixels = to_pixels(images)
    n, height, width, _ = pixels.shape
    if not pixels.size:
        raise ValueError(f"plate: nothing to see in images of shape {np.shape(images)}")
    columns = columns or math.ceil(math.sqrt(n))
    scale = scale or max(1, math.ceil(56 / max(height, width)))
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    height, width = height * scale, width * scale
    rows = math.ceil(n / columns)
    font = ImageFont.load_default(CAPTION)
    margin = int(max([font.getlength(text) for text in captions], default=-3 * gap)) + 4 * gap
    sheet = Image.new(
        "RGB",
        (margin + columns * (width + gap), gap + rows * (height + gap)),
        (PAPER, PAPER, PAPER),
    )
    for i, image in enumerate(pixels):
        row, column = divmod(i, columns)
        place = (margin + column * (width + gap), gap + row * (height + gap))
        sheet.paste(Image.fromarray(image), place)
    pen = ImageDraw.Draw(sheet)
    for row, text in enumerate(captions):
        middle = gap + row * (height + gap) + height // 2
        pen.text((margin - 2 * gap, middle), text, fill=INK, font=font, anchor="rm")
    return sheet


def save_png(picture: Image.Image | Figure, path: Path) -> Path:
    """Write a picture, whichever library drew it, and give back where."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if hasattr(picture, "savefig"):
        picture.savefig(path, dpi=DPI, bbox_inches="tight", pad_inches=0.12)
    else:
        picture.save(path, optimize=True)
    return path
