"""The figures of a run: what a model's `figures` names, drawn when it ends; plates by epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array
from ..config import no_grad
from ..models import Autoencoder, Model
from ..training import Callback, Trainer
from .plate import plate, save_png

SHOWN = 10  # images in a row of a plate
BLUE, ORANGE, GREY = "#3366aa", "#e07b39", "#8a8a90"


def reconstruction(model: Autoencoder, images: Array) -> Array:
    """What an autoencoder makes of images, in inference mode."""
    was_training = model.training
    with no_grad():
        result = model.eval().reconstruct(images).numpy()
    model.train(was_training)
    return result


class Plates(Callback):
    """After every epoch, a row of reconstructions in the run's samples/."""

    def __init__(self, images: Array) -> None:
        self.images = images[:SHOWN]

    def on_epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Draw it, if the model makes images."""
        model = trainer.model
        if trainer.run and isinstance(model, Autoencoder) and self.images.ndim > 2:
            images = reconstruction(model, self.images)
            name = f"epoch-{row['epoch']:04d}"
            save_png(plate(images, SHOWN, scale=1, gap=0), trainer.run.sample(name))


def by_epoch(model: Model, images: Array, rows: Sequence[Any], folder: Path) -> Path:
    """Originals on top, below them the reconstructions of a few epochs, the last at the bottom."""
    from PIL import Image

    samples = sorted((folder / "samples").glob("epoch-*.png"))
    chosen = sorted({round(i) for i in np.geomspace(1, max(len(samples), 1), 7)})
    originals = images[:SHOWN]
    strips, captions = [_strip(plate(originals, SHOWN, scale=1, gap=0), originals)], ["original"]
    for number in chosen[: len(samples)]:
        with Image.open(samples[number - 1]) as picture:
            strips.append(_strip(picture, originals))
        captions.append(f"epoch {int(samples[number - 1].stem.split('-')[1])}")
    sheet = plate(np.concatenate(strips), SHOWN, captions=captions)
    return save_png(sheet, folder / "reconstructions.png")


def _strip(picture: Any, images: Array) -> Array:
    """The images in a row that `plate` drew without gaps."""
    n, height, width = images.shape[:3]
    pixels = np.asarray(picture.convert("RGB"))[:height, -n * width :]
    return pixels.reshape(height, n, width, 3).transpose(1, 0, 2, 3)


def curves(model: Model, images: Array, rows: Sequence[dict[str, Any]], folder: Path) -> Path:
    """Losses, and other figures of validation, by epoch."""
    names = [k for k in rows[-1] if isinstance(rows[-1][k], float)]
    losses = [k for k in names if k.endswith("loss")]
    others = [k for k in names if k not in losses]
    with _axes(2 if others else 1) as (figure, axes):
        for axis, group in zip(axes, [losses, others], strict=False):
            for name in group:
                points = [(r["epoch"], r[name]) for r in rows if name in r]
                color = ORANGE if name.startswith("valid") else BLUE
                axis.plot(*zip(*points, strict=True), color=color, label=name.replace("_", " "))
            axis.set_xlabel("epoch")
            axis.legend(frameon=False)
        axes[0].set_title(model.name, loc="left")
        figure.savefig(folder / "curves.png", dpi=120)
    return folder / "curves.png"


def projection(model: Model, points: Array, rows: Sequence[Any], folder: Path) -> Path:
    """The data in three dimensions with its reconstruction, and the codings in two."""
    assert isinstance(model, Autoencoder)
    with no_grad():
        codings = model.eval().encode(points).numpy()
        made = model.decode(codings).numpy()
    with _axes(2, {"projection": "3d"}) as (figure, axes):
        axes[0].scatter(*points.T, color=BLUE, s=12, label="data", depthshade=False)
        axes[0].scatter(*made.T, color=ORANGE, s=8, label="reconstruction", depthshade=False)
        for a, b in zip(points, made, strict=True):
            axes[0].plot(*np.stack([a, b]).T, color=GREY, linewidth=0.6)
        axes[0].legend(frameon=False, loc="upper left")
        axes[0].set_title("3-D data and the plane found", loc="left")
        axes[1].scatter(*codings[:, :2].T, color=BLUE, s=14)
        axes[1].set(xlabel="coding 1", ylabel="coding 2", aspect="equal")
        axes[1].set_title("2-D codings", loc="left")
        figure.savefig(folder / "projection.png", dpi=120)
    return folder / "projection.png"


FIGURES: dict[str, Callable[[Any, Array, Sequence[dict[str, Any]], Path], Path]] = {
    "reconstructions": by_epoch,
    "curves": curves,
    "projection": projection,
}


def draw_figures(
    model: Model, images: Array, rows: Sequence[dict[str, Any]], folder: Path
) -> list[Path]:
    """All figures of the model, from samples and the metrics of its run; returns their paths."""
    drawn = []
    for name in model.figures:
        if rows and not (name == "reconstructions" and images.ndim < 3):
            drawn.append(FIGURES[name](model, images, rows, folder))
    return drawn


@contextmanager
def _axes(count: int, first: dict[str, Any] | None = None) -> Iterator[tuple[Any, Any]]:
    """A matplotlib figure with axes side by side, without any display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * count, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = [
        figure.add_subplot(1, count, i + 1, **(first or {} if i == 0 else {}))
        for i in range(count)
    ]
    for axis in axes:
        if not hasattr(axis, "get_zlim"):
            axis.spines[["top", "right"]].set_visible(False)
            axis.grid(alpha=0.25)
    yield figure, axes
