"""Data for the shell to train on, small enough to be quick, and a place for runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinygen.ops.random import Random


def write_images(folder: Path, n: int = 60) -> str:
    """An .npz file of images of 6 x 6 pixels, with labels."""
    images = Random(0).integers(0, 255, (n, 6, 6)).astype(np.uint8)
    path = folder / "images.npz"
    np.savez(path, images=images, labels=np.arange(n) % 3)
    return str(path)


def small(folder: Path) -> list[str]:
    """Arguments for `train` that make it quick: 6 x 6 pixels, few units."""
    return ["--data", write_images(folder), "--set", "size=6", "--set", "codings=4"]
