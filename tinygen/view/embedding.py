"""A map of the codings with thumbnails, and histograms of activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import Array
from ..latent import mean_activations, shares
from .axes import BLUE, GREY, ORANGE, side_by_side
from .plate import to_pixels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 25  # of a histogram
BLACK = 32  # grey images of which most pixels are below it have a black background
ROOM = 0.055  # between the middles of two thumbnails, as a part of the map
THUMBNAIL = 0.042  # a thumbnail's longer side
TEN = (
    "#3366aa", "#e07b39", "#4a9a62", "#c44e52", "#8a6bbd",
    "#8c6d4f", "#d684bd", "#7f7f86", "#b5a430", "#2fa8b8",
)  # fmt: skip


def draw_map(
    points: Array,
    images: Array,
    labels: Array | None = None,
    names: Sequence[str] = (),
    *,
    title: str = "",
) -> Figure:
    """Points of a plane coloured by class, with a thumbnail wherever there is room for one.

    Args:
        points: (n, 2).
        images: (n, h, w[, c]).
        labels: the class of each, an index into `names`; None leaves all of one colour.
        names: of the classes.
        title: a line on top.
    """
    figure, (axis,) = side_by_side(1, size=(10.5, 9.0))
    places = _unit(points)
    colors = [TEN[i % len(TEN)] for i in range(len(names))] or [GREY]
    kinds = np.zeros(len(points), np.int64) if labels is None else labels
    for kind, color in enumerate(colors):
        some = places[kinds == kind]
        if len(some):
            label = names[kind] if names else None
            axis.scatter(*some.T, s=14, color=color, alpha=0.6, linewidths=0, label=label)
    pixels = to_pixels(images)
    if (images.ndim == 3 or images.shape[-1] == 1) and np.median(pixels) < BLACK:
        pixels = 255 - pixels  # dark on light paper
    for i in with_room(places):
        _thumbnail(axis, pixels[i], places[i], colors[kinds[i]])
    low, high = places.min(axis=0) - THUMBNAIL, places.max(axis=0) + THUMBNAIL
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), aspect="equal")
    axis.axis("off")
    axis.set_title(title, loc="left", fontsize=13)
    if names:
        legend = axis.legend(
            frameon=False, loc="center left", bbox_to_anchor=(1, 0.5), markerscale=2.5, fontsize=11
        )
        for handle in legend.legend_handles:
            handle.set_alpha(1)
    return figure


def with_room(places: Array, room: float = ROOM) -> list[int]:
    """Points that are at least `room` apart from each other, taken in their order."""
    chosen: list[int] = []
    for i, place in enumerate(places):
        if not chosen or np.square(places[chosen] - place).sum(axis=1).min() >= room**2:
            chosen.append(i)
    return chosen


def _unit(points: Array) -> Array:
    """The points in a square from 0 to 1, the shorter side of their box in its middle."""
    low, high = points.min(axis=0), points.max(axis=0)
    side = (high - low).max() or 1.0
    return np.asarray((points - (low + high) / 2) / side + 0.5)


def _thumbnail(axis: Any, pixels: Array, place: Array, color: str) -> None:
    """An image in a thin frame with its middle at a point."""
    height, width = pixels.shape[:2]
    half = np.array([width, height]) / max(height, width) * THUMBNAIL / 2
    (left, bottom), (right, top) = place - half, place + half
    axis.imshow(pixels, extent=(left, right, bottom, top), zorder=2, interpolation="antialiased")
    frame = axis.patch.__class__((left, bottom), right - left, top - bottom)
    frame.set(fill=False, edgecolor=color, linewidth=1.4, zorder=3)
    axis.add_patch(frame)


def draw_activations(codings: Array, target: float | None = None, *, title: str = "") -> Figure:
    """Two histograms, of all activations and of the mean activation of each unit.

    Args:
        codings: (n, units).
        target: the mean activation that training aimed at, if it did.
        title: a line on top.
    """
    means = mean_activations(codings)
    mean, most = float(means.mean()), 1.1 * float(max(means.max(), target or 0.0))
    inside = codings.min() >= 0 and codings.max() <= 1  # those of a sigmoid
    figure, axes = side_by_side(2)
    for axis, values, high, what, whole in (
        (axes[0], codings, 1.0, "activation", "all activations"),
        (axes[1], means, most, "mean activation of a unit", "units"),
    ):
        height, edges = shares(values, BINS, *((0.0, high) if inside and high else ()))
        axis.bar(
            edges[:-1],
            100 * height,
            np.diff(edges),
            align="edge",
            color=BLUE,
            alpha=0.85,
            edgecolor="white",
        )
        axis.axvline(mean, color=ORANGE, linewidth=1.6, label=f"mean {mean:.3g}")
        if target is not None:
            axis.axvline(target, color=GREY, linestyle="--", label=f"target {target:.3g}")
        axis.set(xlabel=what, ylabel=f"% of {whole}")
        axis.legend(frameon=False, loc="best")
    axes[0].set_title(title, loc="left")
    return figure
