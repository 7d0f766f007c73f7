"""Reconstructions by epoch: a row after each, and a plate of them when the run ends."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import Array
from ..data import Dataset
from ..latent import reconstruct
from ..models import Adversarial, Autoencoder
from ..training import Callback, Trainer
from .adversarial import SHOWN_POINTS, of_fixed_latents, of_plane
from .animation import save_animation
from .plate import SHOWN, plate, save_png
from .sequences import MOST, draw_sequences
from .subject import Subject, Unfit

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

ROWS = 4  # of samples of fixed latents
FRAMES = 100  # of an animation
WIDE = 600  # pixels; smaller pictures are enlarged to about so much


class Plates(Callback):
    """After every epoch, reconstructions or samples of fixed latents in the run's samples/.

    Args:
        images: samples of the data; those that are reconstructed.
        dataset: where they come from, for points of a plane.
    """

    def __init__(self, images: Array, dataset: Dataset | None = None) -> None:
        self.images, self.dataset = images[:SHOWN], dataset

    def on_epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Draw them, unless the samples are points of more dimensions than two."""
        model = trainer.model
        if trainer.run and isinstance(model, Adversarial) and self.images.ndim > 2:
            path = sample_of(trainer.run.folder, row)
            save_png(plate(of_fixed_latents(model, ROWS * SHOWN), SHOWN, scale=1, gap=0), path)
        if trainer.run and isinstance(model, Adversarial) and self.images.shape[1:] == (2,):
            figure = of_plane(model, of_fixed_latents(model, SHOWN_POINTS), self.dataset)
            save_png(figure, sample_of(trainer.run.folder, row))
        if trainer.run and isinstance(model, Autoencoder) and self.images.ndim > 2:
            made, of_images = reconstruct(model, self.images), model.kind == "images"
            drawn = (
                plate(made, SHOWN, scale=1, gap=0)
                if of_images
                else draw_sequences(model, self.images, made)
            )
            save_png(drawn, sample_of(trainer.run.folder, row))  # which may have been renamed


def by_epoch(subject: Subject) -> Image.Image | Figure:
    """Originals and reconstructions: of images after a few epochs, of sequences after the last."""
    subject.need("images", "series", "characters")
    model, originals = subject.model, subject.samples[:SHOWN]
    if subject.kind != "images":
        return draw_sequences(
            model, subject.samples[:MOST], reconstruct(model, subject.samples[:MOST])
        )
    strips, captions = after_epochs(subject, originals)
    strips.insert(0, _strip(plate(originals, SHOWN, scale=1, gap=0), originals))
    return plate(np.concatenate(strips), len(originals), captions=["original", *captions])


def progress(subject: Subject) -> Image.Image:
    """What the generator makes of the same latents after a few epochs."""
    subject.need("images")
    strips, captions = after_epochs(subject, np.empty((SHOWN, *subject.samples.shape[1:])))
    return plate(np.concatenate(strips), SHOWN, captions=captions)


def animate(subject: Subject) -> Path:
    """The pictures of the epochs one after the other, as progress.webp in the folder of the run."""
    from PIL import Image

    paths = [sample_of(subject.folder, row) for row in subject.rows]
    paths = [path for path in paths if path.exists()]
    if len(paths) < 2 or not isinstance(subject.model, Adversarial):
        raise Unfit(f"{subject.folder}: there are no pictures of two epochs of a generator")
    chosen = sorted({round(i) for i in np.linspace(0, len(paths) - 1, FRAMES)})
    frames = []
    for i in chosen:
        with Image.open(paths[i]) as picture:
            frame = picture.convert("RGB")
        times = max(1, WIDE // frame.width)
        size = frame.width * times, frame.height * times
        frames.append(frame.resize(size, Image.Resampling.NEAREST))
    canvas = max(f.width for f in frames), max(f.height for f in frames)
    on_canvas = []  # plots are a few pixels wider where a label is
    for frame in frames:
        on_canvas.append(Image.new("RGB", canvas, "white"))
        on_canvas[-1].paste(frame, (canvas[0] - frame.width, canvas[1] - frame.height))
    return save_animation(on_canvas, subject.folder / "progress.webp")


def after_epochs(subject: Subject, like: Array) -> tuple[list[Array], list[str]]:
    """The first row of the pictures of a few epochs, of images of the shape of `like`."""
    from PIL import Image

    drawn = [(row["epoch"], sample_of(subject.folder, row)) for row in subject.rows]
    drawn = [(epoch, path) for epoch, path in drawn if path.exists()]
    if not drawn:
        raise Unfit(f"{subject.folder}: there are no pictures of its epochs")
    strips, captions = [], []
    for number in sorted({round(i) for i in np.geomspace(1, len(drawn), 7)}):
        epoch, path = drawn[number - 1]
        with Image.open(path) as picture:
            strips.append(_strip(picture, like))
        captions.append(f"epoch {epoch}")
    return strips, captions


def sample_of(folder: Path, row: Mapping[str, Any]) -> Path:
    """The picture of an epoch in the folder of a run."""
    return folder / "samples" / f"epoch-{row['epoch']:04d}.png"


def _strip(picture: Any, images: Array) -> Array:
    """The images in a row that `plate` drew without gaps."""
    n, height, width = images.shape[:3]
    pixels = np.asarray(picture.convert("RGB"))[:height, : n * width]
    return pixels.reshape(height, n, width, 3).transpose(1, 0, 2, 3)
