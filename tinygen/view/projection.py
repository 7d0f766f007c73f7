"""Points in three dimensions, the plane that a model found, and their codings in two."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..backend import Array
from ..latent import decode
from .axes import BLUE, GREY, ORANGE, side_by_side
from .subject import Subject, Unfit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 300  # points that are drawn


def projection(subject: Subject) -> Figure:
    """Points in three dimensions with the plane found, and their codings in two."""
    subject.need("points")
    sides = subject.samples.shape[1]
    if sides != 3:
        raise Unfit(f"{subject.folder}: the points have {sides} dimensions, the figure needs 3")
    points, codings = subject.samples[:MOST], subject.codings[:MOST]
    made = decode(subject.model, codings)
    flat = codings.shape[1] > 1
    figure, axes = side_by_side(2, {"projection": "3d"})
    space, plane = axes
    space.scatter(*points.T, color=BLUE, s=12, label="data", depthshade=False)
    space.scatter(*made.T, color=ORANGE, s=8, label="reconstruction", depthshade=False)
    for a, b in zip(points, made, strict=True):
        space.plot(*np.stack([a, b]).T, color=GREY, linewidth=0.6)
    if flat:
        space.plot_surface(*_sheet(made), color=ORANGE, alpha=0.15, shade=False)
    space.set_box_aspect((4, 3, 2.2), zoom=1.03)
    space.view_init(elev=22, azim=-65)
    space.locator_params(nbins=4)
    space.set(xlabel="x1", ylabel="x2", zlabel="x3")
    space.legend(frameon=False, loc="upper left", bbox_to_anchor=(-0.05, 1.02), ncols=2)
    space.set_title("data in 3-D and the plane found" if flat else "data in 3-D", loc="left")
    second = codings[:, 1] if flat else np.zeros(len(codings))
    plane.scatter(codings[:, 0], second, color=BLUE, s=14)
    plane.set(xlabel="coding 1")
    if flat:
        plane.set(ylabel="coding 2")
        plane.set_aspect("equal", adjustable="datalim")
    else:
        plane.set(yticks=[])
    plane.set_title("codings in 2-D" if flat else "codings", loc="left")
    return figure


def _sheet(points: Array) -> tuple[Array, Array, Array]:
    """The corners of a rectangle in the plane of points in three dimensions, as 2 x 2 grids."""
    middle = points.mean(axis=0)
    axes = np.linalg.svd(points - middle, full_matrices=False)[2][:2]
    along = (points - middle) @ axes.T
    low, high = along.min(axis=0) - 0.1, along.max(axis=0) + 0.1
    corners = np.stack(np.meshgrid(*np.stack([low, high]).T), axis=-1) @ axes + middle
    x, y, z = np.moveaxis(corners, -1, 0)
    return x, y, z
