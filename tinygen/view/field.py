"""Points of the plane: what a generator makes, over the true density and the discriminator."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from ..backend import Array
from .axes import BLUE, GREY, ORANGE, side_by_side

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE = 80  # points of a side of the grid on which the field is worked out
MARGIN = 0.35  # of the plane around the data, as a share of its width
CIRCLE = 3.0  # standard deviations


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
    """
    figure, (axis,) = side_by_side(1, size=(6.0, 5.2))
    shown = [
        x for x in (centres, real, samples if centres is real is None else None) if x is not None
    ]
    low, high = np.min([x.min(axis=0) for x in shown], 0), np.max([x.max(axis=0) for x in shown], 0)
    wide = max(float((high - low).max()), 1e-3) * MARGIN
    low, high = low - wide, high + wide
    axis.grid(visible=False)
    if field is not None:
        x, y = (np.linspace(a, b, SIDE) for a, b in zip(low, high, strict=True))
        grid = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        values = np.asarray(field(grid.astype(np.float32))).reshape(SIDE, SIDE)
        mesh = axis.pcolormesh(
            x, y, values, cmap="PuOr_r", vmin=0, vmax=1, alpha=0.7, shading="auto"
        )
        figure.colorbar(mesh, label="discriminator: probability of real", shrink=0.85)
    if real is not None:
        axis.scatter(*real.T, s=5, color=GREY, linewidths=0, label="data")
    if centres is not None:
        turns = np.linspace(0, 2 * np.pi, 60)
        circle = np.stack([np.cos(turns), np.sin(turns)]) * max(CIRCLE * sigma, 0.01 * wide)
        for i, centre in enumerate(centres):
            label = "3 sigma of a mode" if i == 0 else None
            axis.plot(*(centre[:, None] + circle), color=ORANGE, linewidth=1.2, label=label)
    inside = ((samples >= low) & (samples <= high)).all(axis=1)
    left_out = f" ({np.count_nonzero(~inside):,} outside)" if not inside.all() else ""
    axis.scatter(*samples.T, s=6, color=BLUE, linewidths=0, alpha=0.6, label=f"samples{left_out}")
    axis.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]), xlabel="x1", ylabel="x2")
    axis.set_aspect("equal")
    axis.legend(frameon=True, loc="upper right", fontsize="small")
    axis.set_title(title, loc="left")
    return figure
