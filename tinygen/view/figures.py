"""The figures of a run: what a model's `figures` names, drawn when it ends; plates by epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array
from ..config import no_grad
from ..models import Autoencoder, Model
from ..training import Callback, Trainer
from .plate import plate, save_png

SHOWN = 10  # images in a row of a plate
BLUE, ORANGE, GREEN, GREY = "#3366aa", "#e07b39", "#4a9a62", "#8a8a90"
MOST = 300  # points that are drawn
FEW = 20  # values that get a dot each
FAR = 20  # a loss that falls by more than this factor is drawn on a logarithmic axis


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
            save_png(plate(images, SHOWN, scale=1, gap=0), sample_of(trainer.run.folder, row))


def by_epoch(model: Model, images: Array, rows: Sequence[Any], folder: Path) -> Path | None:
    """Originals on top, below them the reconstructions of a few epochs, the last at the bottom."""
    from PIL import Image

    drawn = [(row["epoch"], sample_of(folder, row)) for row in rows]
    drawn = [(epoch, path) for epoch, path in drawn if path.exists()]
    if images.ndim < 3 or not drawn:
        return None
    originals = images[:SHOWN]
    strips, captions = [_strip(plate(originals, SHOWN, scale=1, gap=0), originals)], ["original"]
    for number in sorted({round(i) for i in np.geomspace(1, len(drawn), 7)}):
        epoch, path = drawn[number - 1]
        with Image.open(path) as picture:
            strips.append(_strip(picture, originals))
        captions.append(f"epoch {epoch}")
    sheet = plate(np.concatenate(strips), len(originals), captions=captions)
    return save_png(sheet, folder / "reconstructions.png")


def sample_of(folder: Path, row: Mapping[str, Any]) -> Path:
    """The picture of an epoch in the folder of a run."""
    return folder / "samples" / f"epoch-{row['epoch']:04d}.png"


def _strip(picture: Any, images: Array) -> Array:
    """The images in a row that `plate` drew without gaps."""
    n, height, width = images.shape[:3]
    pixels = np.asarray(picture.convert("RGB"))[:height, : n * width]
    return pixels.reshape(height, n, width, 3).transpose(1, 0, 2, 3)


def curves(model: Model, images: Array, rows: Sequence[Any], folder: Path) -> Path:
    """Losses, and other figures of validation, by epoch; a line where a stage begins."""
    from matplotlib.ticker import MaxNLocator

    names = dict.fromkeys(k for row in rows for k in row if isinstance(row[k], float))
    losses = [k for k in names if k.endswith("loss")]
    others = [k for k in names if k not in losses]
    starts = [b for a, b in pairwise(rows) if a["stage"] != b["stage"]]
    with axes_of(2 if others else 1) as (figure, axes):
        for axis, group in zip(axes, [losses, others], strict=False):
            for name, color in zip(group, _colors(group), strict=True):
                epochs, values = zip(
                    *((r["epoch"], r[name]) for r in rows if name in r), strict=True
                )
                look = "o-" if len(values) <= FEW else "-"
                axis.plot(epochs, values, look, ms=4, color=color, label=_title(name))
            if group == losses and 0 < FAR * min(values) < max(values):
                axis.set_yscale("log")
            for row in starts:
                axis.axvline(row["epoch"] - 0.5, color=GREY, linewidth=0.8, linestyle=":")
            axis.set_xlabel("epoch")
            axis.xaxis.set_major_locator(MaxNLocator(integer=True))
            axis.legend(frameon=False)
        stages = " | ".join(row["stage"] for row in [*rows[:1], *starts])
        axes[0].set_title(f"{model.name}: {stages}" if starts else model.name, loc="left")
        figure.savefig(folder / "curves.png", dpi=120)
    return folder / "curves.png"


def _title(name: str) -> str:
    return name.replace("_", " ").replace("valid", "validation")


def _colors(names: Sequence[str]) -> list[str]:
    """Blue for training, orange for validation, and grey for what there is besides."""
    plain = iter([BLUE, GREEN, GREY] * len(names))
    return [ORANGE if name.startswith("valid") else next(plain) for name in names]


def projection(model: Model, points: Array, rows: Sequence[Any], folder: Path) -> Path | None:
    """Points in three dimensions with the plane found, and their codings in two."""
    if points.ndim != 2 or points.shape[1] != 3:
        return None
    assert isinstance(model, Autoencoder)
    points = points[:MOST]
    with no_grad():
        codings = model.eval().encode(points).numpy()
        made = model.decode(codings).numpy()
    flat = codings.shape[1] > 1
    with axes_of(2, {"projection": "3d"}) as (figure, axes):
        space, plane = axes
        space.scatter(*points.T, color=BLUE, s=12, label="data", depthshade=False)
        space.scatter(*made.T, color=ORANGE, s=8, label="reconstruction", depthshade=False)
        for a, b in zip(points, made, strict=True):
            space.plot(*np.stack([a, b]).T, color=GREY, linewidth=0.6)
        if flat:
            space.plot_surface(*_sheet(made), color=ORANGE, alpha=0.15, shade=False)
        space.set_box_aspect((4, 3, 2.2), zoom=0.95)
        space.view_init(elev=22, azim=-65)
        space.locator_params(nbins=4)
        space.set(xlabel="x1", ylabel="x2", zlabel="x3")
        space.legend(frameon=False, loc="upper left", bbox_to_anchor=(-0.1, 1.02))
        space.set_title("data in 3-D and the plane found" if flat else "data in 3-D", loc="left")
        second = codings[:, 1] if flat else np.zeros(len(codings))
        plane.scatter(codings[:, 0], second, color=BLUE, s=14)
        plane.set(xlabel="coding 1")
        if flat:
            plane.set(ylabel="coding 2", aspect="equal")
        else:
            plane.set(yticks=[])
        plane.set_title("codings in 2-D" if flat else "codings", loc="left")
        figure.savefig(folder / "projection.png", dpi=120)
    return folder / "projection.png"


def _sheet(points: Array) -> tuple[Array, Array, Array]:
    """The corners of a rectangle in the plane of points in three dimensions, as 2 x 2 grids."""
    middle = points.mean(axis=0)
    axes = np.linalg.svd(points - middle, full_matrices=False)[2][:2]
    along = (points - middle) @ axes.T
    low, high = along.min(axis=0) - 0.1, along.max(axis=0) + 0.1
    corners = np.stack(np.meshgrid(*np.stack([low, high]).T), axis=-1) @ axes + middle
    x, y, z = np.moveaxis(corners, -1, 0)
    return x, y, z


FIGURES: dict[str, Callable[[Any, Array, Sequence[Any], Path], Path | None]] = {
    "reconstructions": by_epoch,
    "curves": curves,
    "projection": projection,
}


def draw_figures(
    model: Model, images: Array, rows: Sequence[dict[str, Any]], folder: Path
) -> list[Path]:
    """The figures of the model that its data allows; returns their paths.

    Args:
        model: trained.
        images: samples that it was not trained on, or points.
        rows: the metrics of its run, by epoch.
        folder: of the run.
    """
    drawn = [FIGURES[name](model, images, rows, folder) for name in model.figures] if rows else []
    return [path for path in drawn if path is not None]


@contextmanager
def axes_of(count: int, first: dict[str, Any] | None = None) -> Iterator[tuple[Any, Any]]:
    """A matplotlib figure with axes side by side, without any display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * count, 4), layout="constrained")
    FigureCanvasAgg(figure)
    options: list[dict[str, Any]] = [first or {}, *[{}] * (count - 1)]
    axes = [figure.add_subplot(1, count, i + 1, **o) for i, o in enumerate(options)]
    for axis in axes:
        if not hasattr(axis, "get_zlim"):
            axis.spines[["top", "right"]].set_visible(False)
            axis.grid(alpha=0.25)
    yield figure, axes
