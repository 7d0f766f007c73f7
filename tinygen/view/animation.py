"""Animations: pictures one after the other in a WebP file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .plate import DPI

if TYPE_CHECKING:
    from PIL import Image


def save_animation(frames: Sequence[Any], path: Path, seconds_per_frame: float = 0.3) -> Path:
    """Write pictures of one size as an animated WebP that repeats, and give back where.

    Args:
        frames: of Pillow or matplotlib, at least one.
        path: of the file.
        seconds_per_frame: how long each is shown; the last stays three times as long.
    """
    if not frames:
        raise ValueError(f"{path}: an animation needs a picture")
    first, *rest = [_opened(frame) for frame in frames]
    path.parent.mkdir(parents=True, exist_ok=True)
    each = max(1, round(1000 * seconds_per_frame))
    first.save(
        path,
        save_all=True,
        append_images=rest,
        duration=[*[each] * len(rest), 3 * each],
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
