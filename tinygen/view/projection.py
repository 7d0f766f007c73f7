"""Points in three dimensions, the plane that a model found, and their codings in two."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array
from ..config import no_grad
from ..models import Autoencoder, Model
from .axes import BLUE, GREY, ORANGE, side_by_side

MOST = 300  # points that are drawn


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
    figure, axes = side_by_side(2, {"projection": "3d"})
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
