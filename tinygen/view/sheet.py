"""Sheets: tiles in rows, each an image with what is to be said of it below."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import Array
from .plate import CAPTION, INK, PAPER, to_pixels

if TYPE_CHECKING:
    from PIL import Image

SIDE = 64  # pixels that an image is at least wide or high
GAP = 6
FRAME = 3  # thickness
TITLE, SMALL = 18, 13  # pixels of a letter's height
LINE = SMALL + 3
ROOM = {"": 0, "|": 18, "+": 32, "-": 32, "=": 32}  # pixels that a sign takes
DARK = (40, 40, 46)


@dataclass(frozen=True)
class Tile:
    """An image on a sheet.

    Attributes:
        image: (h, w), (h, w, 1) or (h, w, 3), as `to_pixels` takes them.
        text: a line or more below it.
        sign: "+", "-" or "=" in front of it, or "|": some room.
        frame: its colour, such as "#3366aa"; none if empty.
    """

    image: Array
    text: str = ""
    sign: str = ""
    frame: str = ""


def sheet(
    rows: Sequence[Sequence[Tile]],
    *,
    title: str = "",
    note: str = "",
    captions: Sequence[str] = (),
) -> Image.Image:
    """Tiles side by side in rows; all images are of one size.

    Args:
        rows: the tiles of each row.
        title: a line on top.
        note: smaller lines below it.
        captions: a line or more in front of each row.
    """
    from PIL import Image, ImageDraw, ImageFont

    if not rows or not all(rows):
        raise ValueError("sheet: every row needs a tile at least")
    small, middle, large = (ImageFont.load_default(size) for size in (SMALL, CAPTION, TITLE))
    tiles = [tile for row in rows for tile in row]
    lines = [line for tile in tiles for line in tile.text.splitlines()]
    images = to_pixels(np.stack([tile.image for tile in tiles]))
    scale = max(1, -(-SIDE // max(images.shape[1:3])))
    images = images.repeat(scale, axis=1).repeat(scale, axis=2)
    cell = int(max([images.shape[2], *map(small.getlength, lines)]))
    each = iter(images)
    strips = [_strip(row, [next(each) for _ in row], cell, small) for row in rows]

    head = [(title, large, TITLE, DARK)] if title else []
    head += [(line, small, SMALL, INK) for line in note.splitlines()]
    told = [line for caption in captions for line in caption.splitlines()]
    margin = int(max(map(middle.getlength, told), default=-GAP)) + 2 * GAP
    top = 2 * GAP + sum(size + GAP for _, _, size, _ in head)
    widths = [margin + max(strip.width for strip in strips)]
    widths += [2 * GAP + int(font.getlength(text)) for text, font, _, _ in head]
    height = top + sum(strip.height + GAP for strip in strips)
    picture = Image.new("RGB", (max(widths) + GAP, height), (PAPER, PAPER, PAPER))
    pen = ImageDraw.Draw(picture)
    y = GAP
    for text, font, size, ink in head:
        pen.text((GAP, y), text, fill=ink, font=font)
        y += size + GAP
    y = top
    for i, strip in enumerate(strips):
        if captions:
            words = captions[i].splitlines()
            at = y + FRAME + images.shape[1] // 2 - (len(words) - 1) * (CAPTION + 3) // 2
            for j, line in enumerate(words):
                place = (margin - GAP, at + j * (CAPTION + 3))
                pen.text(place, line, fill=INK, font=middle, anchor="rm")
        picture.paste(strip, (margin, y))
        y += strip.height + GAP
    return picture


def _strip(row: Sequence[Tile], images: Sequence[Array], cell: int, font: Any) -> Image.Image:
    """A row of tiles, each `cell` pixels wide beside its frame."""
    from PIL import Image, ImageDraw

    height, width = images[0].shape[:2]
    lines = max(len(tile.text.splitlines()) for tile in row)
    across = sum(ROOM[tile.sign] + cell + 2 * FRAME + GAP for tile in row) - GAP
    strip = Image.new("RGB", (across, height + 2 * FRAME + lines * LINE), (PAPER, PAPER, PAPER))
    pen = ImageDraw.Draw(strip)
    x = 0
    for tile, image in zip(row, images, strict=True):
        _draw_sign(pen, tile.sign, x + (ROOM[tile.sign] - GAP) // 2, FRAME + height // 2)
        x += ROOM[tile.sign]
        left = x + FRAME + (cell - width) // 2
        if tile.frame:
            pen.rectangle(
                (left - FRAME, 0, left + width + FRAME - 1, height + 2 * FRAME - 1), fill=tile.frame
            )
        strip.paste(Image.fromarray(image), (left, FRAME))
        for i, line in enumerate(tile.text.splitlines()):
            place = (left + width // 2, height + 2 * FRAME + 2 + i * LINE)
            pen.text(place, line, fill=INK, font=font, anchor="mt")
        x += cell + 2 * FRAME + GAP
    return strip


def _draw_sign(pen: Any, sign: str, x: int, y: int) -> None:
    """The bars of a +, - or = with the middle at (x, y)."""
    for up in {"+": [0], "-": [0], "=": [-4, 4]}.get(sign, []):
        pen.rectangle((x - 8, y + up - 1, x + 8, y + up + 1), fill=INK)
    if sign == "+":
        pen.rectangle((x - 1, y - 8, x + 1, y + 8), fill=INK)
