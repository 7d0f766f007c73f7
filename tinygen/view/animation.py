"""Animations: pictures one after the other in a WebP file."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .plate import DPI

if TYPE_CHECKING:
    from PIL import Image


def save_animation(frames: Iterable[Any], path: Path | str, seconds_per_frame: float = 0.3) -> Path:
    """Write pictures of one size as an animated WebP that repeats, and give back where.

    Neighbours that are equal become one frame that is shown as long as both.

    Args:
        frames: of Pillow or matplotlib, at least one.
        path: of the file.
        seconds_per_frame: how long each is shown, above 0; the last stays three times as long.

    Raises ValueError if there is no frame, if their sizes differ, or if the time is not above 0.
    """
    path, pictures = Path(path), [_opened(frame) for frame in frames]
    if not pictures:
        raise ValueError(f"{path}: an animation needs a picture")
    if not 0 < seconds_per_frame < math.inf:
        raise ValueError(f"{path}: seconds_per_frame must be above 0, not {seconds_per_frame}")
    for i, picture in enumerate(pictures):
        if picture.size != pictures[0].size:
            raise ValueError(
                f"{path}: frame {i} has {picture.size} pixels, the first {pictures[0].size}; "
                "draw all in one size"
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    each = max(1, round(1000 * seconds_per_frame))
    pictures[0].save(
        path,
        save_all=True,
        append_images=pictures[1:],
        duration=[*[each] * (len(pictures) - 1), 3 * each],
        loop=0,
        method=4,
        quality=80,
    )
    return path


def _opened(frame: Any) -> Image.Image:
    """A picture of Pillow, whichever library drew it."""
    from PIL import Image

    if hasattr(frame, "savefig"):
        stream = io.BytesIO()
        frame.savefig(stream, dpi=DPI)
        frame = Image.open(stream)
    picture: Image.Image = frame.convert("RGB")
    return picture
