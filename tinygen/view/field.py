"""Points of the plane: what a generator makes, over the true density and the discriminator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..backend import Array
from .axes import BLUE, GREY, side_by_side

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 80  # points of a side of the grid on which the field is worked out
MARGIN = 0.35  # of the plane around the data, as a share of its width
CIRCLE = 3.0  # standard deviations
BLACK = "#202020"  # of circles: dark on both ends of the field, whatever colours an eye tells apart


def draw_points(
    samples: Array,
    centres: Array | None = None,
    sigma: float = 0.0,
    field: Callable[[Array], Array] | None = None,
    *,
    real: Array | None = None,
    title: str = "",
) -> Figure:
    """Samples over the true density, and behind them the discriminator's output.

    Args:
        samples: points (n, 2) that were made.
        centres: of the Gaussians that the data comes from, (modes, 2), with circles of three
            standard deviations.
        sigma: the standard deviation.
        field: function of points (n, 2) that gives the probability (n,) that each is real.
        real: points of the data, (n, 2).
        title: a line on top.

    Raises ValueError if the samples are no points (n, 2), or nothing finite says where to look.
    """
    if samples.ndim != 2 or samples.shape[1] != 2:
        raise ValueError(f"draw_points: samples are points (n, 2), not {samples.shape}")
    figure, (axis,) = side_by_side(1, size=(6.0, 5.2))
    shown = [
        x for x in (centres, real, samples if centres is real is None else None) if x is not None
    ]
    shown = [x[np.isfinite(x).all(axis=1)] for x in shown]
    if not all(map(len, shown)):
        raise ValueError("draw_points: no finite points; give centres, or samples that are numbers")
    low, high = np.min([x.min(axis=0) for x in shown], 0), np.max([x.max(axis=0) for x in shown], 0)
    wide = max(float((high - low).max()), 1e-3) * MARGIN
    low, high = low - wide, high + wide
    axis.grid(visible=False)
    if field is not None:
        x, y = (np.linspace(a, b, SIDE) for a, b in zip(low, high, strict=True))
        grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        values = np.asarray(field(grid.astype(np.float32))).reshape(SIDE, SIDE)
        half = (high - low) / (SIDE - 1) / 2  # a pixel of the image is around its point
        image = axis.imshow(
            values,
            cmap="PuOr_r",
            vmin=0,
            vmax=1,
            alpha=0.45,
            origin="lower",
            extent=np.stack([low - half, high + half], axis=1).ravel(),
            interpolation="bilinear",
        )
        figure.colorbar(image, label="discriminator: probability of real", shrink=0.85)
    if real is not None:
        axis.scatter(*real.T, s=5, color=GREY, linewidths=0, label="data")
    if centres is not None:
        turns = np.linspace(0, 2 * np.pi, 60)
        circle = np.stack([np.cos(turns), np.sin(turns)]) * max(CIRCLE * sigma, 0.01 * wide)
        for i, centre in enumerate(centres):
            label = "3 sigma of a mode" if i == 0 else None
            axis.plot(*(centre[:, None] + circle), color=BLACK, linewidth=1.2, label=label)
    inside = ((samples >= low) & (samples <= high)).all(axis=1)
    left_out = f" ({np.count_nonzero(~inside):,} outside)" if not inside.all() else ""
    edge = {"edgecolors": "white", "linewidths": 0.3}  # keeps points apart from the field
    axis.scatter(*samples.T, s=10, color=BLUE, **edge, label=f"samples{left_out}")
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="x1", ylabel="x2")
    axis.set_aspect("equal")
    axis.legend(frameon=True, loc="upper right", fontsize="small")
    axis.set_title(title, loc="left")
    return figure
