"""tinygen project."""

from __future__ import annotations

import argparse
from typing import Any

from ._parts import UsageError, add_command, at_most, picture, progress_bar, seed
from ._trained import looked_at

EXAMPLE = """examples:
  tinygen project runs/stylegan 7                         a validation image
  tinygen project runs/stylegan face.png --steps 500      a picture of one's own
  tinygen project runs/stylegan face.png --layered        a style for each layer: nearer
"""


def add_to(commands: Any) -> None:
    """The command."""
    what = "Find the style whose image is most like a picture, and draw the way to it."
    command = add_command(commands, "project", what, EXAMPLE, run)
    command.add_argument("run_folder", metavar="RUN", help="a run's folder, or a checkpoint in it")
    command.add_argument(
        "picture", metavar="PICTURE", help="an image file, or the number of a validation image"
    )
    command.add_argument(
        "--steps", type=at_most(100_000), default=1000, metavar="N", help="default 1000"
    )
    command.add_argument("--layered", action="store_true", help="a style for each layer (W+)")
    command.add_argument(
        "--pixels-alone", action="store_true", help="without features of the network that judges"
    )
    command.add_argument("--seed", type=seed, default=0, metavar="S", help="default 0")
    command.add_argument(
        "--out", type=picture, metavar="FILE", help="a .png (default RUN/projection.png)"
    )


def run(options: argparse.Namespace) -> int:
    """The picture, images on the way, and what was found; styles go into an .npz beside."""
    import numpy as np

    from ..latent import project
    from ..training.feature_network import judging_model
    from ..view import plate, save_png

    subject = looked_at(options.run_folder, "images")
    model, dataset = subject.model, subject.experiment.dataset
    if not hasattr(model, "truncate"):
        raise UsageError(f"{model.name} has no styles to project into; stylegan has")
    features = None
    if not options.pixels_alone:
        if dataset is None or (dataset.labels is None and not dataset.factors):
            raise UsageError(
                "features are those of a network that learned labels or factors, and the data has "
                "neither: take --pixels-alone"
            )
        features = judging_model(dataset).features
    target = _target(options, subject)
    with progress_bar("projecting", options.steps) as show:
        found = project(
            model,
            target,
            features,
            steps=options.steps,
            layered=options.layered,
            seed=options.seed,
            progress=show,
        )
    path = options.out or subject.folder / "projection.png"
    row = np.concatenate([target[np.newaxis], found.steps])
    print(save_png(plate(row, len(row)), path))
    np.savez(path.with_suffix(".npz"), w=found.w, distances=found.distances)
    print(f"{path.with_suffix('.npz')}: the style, and the distance at each step")
    print(f"{found.psnr:.1f} dB, distance {found.distances[0]:.4f} to {found.distances[-1]:.4f}")
    return 0


def _target(options: argparse.Namespace, subject: Any) -> Any:
    """The picture, as the model makes them."""
    from ..data.images import as_floats, read_images

    shape = subject.model.image_shape
    given = options.picture
    if not given.isdecimal() or len(given) > 9:
        channels = shape[2] if len(shape) == 3 else 1
        return as_floats(read_images([given], size=shape[0], channels=channels)).reshape(shape)
    if int(given) >= len(subject.samples):
        raise UsageError(
            f"validation images are from 0 to {len(subject.samples) - 1}, there is none {given}"
        )
    return subject.samples[int(given)]
