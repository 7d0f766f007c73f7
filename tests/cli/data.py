"""Data for the shell to train on, small enough to be quick, and a place for runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinygen.cli import main
from tinygen.ops.random import Random

CODES = {0, 1, 2, 130, 143}  # of which a command may end


def write_images(folder: Path, n: int = 60) -> str:
    """An .npz file of images of 6 x 6 pixels, with labels."""
    images = Random(0).integers(0, 255, (n, 6, 6)).astype(np.uint8)
    path = folder / "images.npz"
    np.savez(path, images=images, labels=np.arange(n) % 3)
    return str(path)


def small(folder: Path) -> list[str]:
    """Arguments for `train` that make it quick: 6 x 6 pixels, few units."""
    return ["--data", write_images(folder), "--set", "size=6", "--set", "codings=4"]


def called(capsys, *arguments: str) -> tuple[int, str]:
    """The exit code, and the one line of a command that fails; argparse puts its usage before."""
    capsys.readouterr()
    try:
        code = main(arguments)
        usage = False
    except SystemExit as left:
        code, usage = left.code, True
    out, err = capsys.readouterr()
    assert code in CODES, arguments
    assert "Traceback" not in out + err
    lines = err.splitlines()
    if code and not usage:
        assert len(lines) == 1, (arguments, err)
        assert len(lines[0]) < 1200
    return code, lines[-1] if lines else ""
