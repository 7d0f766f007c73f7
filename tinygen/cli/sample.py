"""tinygen sample."""

from __future__ import annotations

import argparse
from typing import Any

from ._parts import add_command, picture, positive

EXAMPLE = """examples:
  tinygen sample runs/stacked-ae                  reconstructions of 20 validation images
  tinygen sample runs/stacked-ae -n 50 --out plate.png
"""


def add_to(commands: Any) -> None:
    """The command."""
    command = add_command(
        commands,
        "sample",
        "Draw what a trained model makes; for an autoencoder, reconstructions.",
        EXAMPLE,
        run,
    )
    command.add_argument("run_folder", metavar="RUN", help="a run's folder, or a checkpoint in it")
    command.add_argument("-n", type=positive, default=20, help="how many (default 20)")
    command.add_argument(
        "--out", type=picture, metavar="FILE", help="a .png (default RUN/sample.png)"
    )


def run(options: argparse.Namespace) -> int:
    """Originals and reconstructions, in pairs of rows."""
    import numpy as np

    from ..training.experiment import restore
    from ..view import plate, save_png
    from ..view.epochs import SHOWN, reconstruction
    from ..view.sequences import draw_sequences

    experiment, folder = restore(options.run_folder)
    images = experiment.samples[: options.n]
    if images.ndim < 3:
        raise ValueError(f"{folder}: the model was trained on points, not on images")
    made: Any = reconstruction(experiment.model, images)  # type: ignore[arg-type]  # autoencoders
    path = options.out or folder / "sample.png"
    if experiment.model.kind != "images":  # type: ignore[attr-defined]
        print(draw_sequences(experiment.model, images, made, path))  # type: ignore[arg-type]
        return 0
    rows, captions = [], []
    for start in range(0, len(images), SHOWN):
        for caption, part in (("original", images), ("reconstruction", made)):
            row = part[start : start + SHOWN]
            blank = np.ones((min(SHOWN, len(images)) - len(row), *row.shape[1:]), row.dtype)
            rows.append(np.concatenate([row, blank]))
            captions.append(caption)
    print(save_png(plate(np.concatenate(rows), len(rows[0]), captions=captions), path))
    return 0
