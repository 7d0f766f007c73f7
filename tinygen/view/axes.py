"""What figures by matplotlib have in common: colours, and axes without any display."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BLUE, ORANGE, GREEN, GREY = "#3366aa", "#e07b39", "#4a9a62", "#8a8a90"


def side_by_side(
    count: int, first: dict[str, Any] | None = None, size: tuple[float, float] = (5.2, 4.0)
) -> tuple[Figure, list[Any]]:
    """A matplotlib figure and its axes in rows of two, without any display.

    Args:
        count: axes.
        first: options of the first one, such as its projection.
        size: width and height of each in inches.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns, lines = min(count, 2), -(-count // 2)
    figure = Figure(figsize=(size[0] * columns, size[1] * lines), layout="constrained")
    FigureCanvasAgg(figure)
    options: list[dict[str, Any]] = [first or {}, *[{}] * (count - 1)]
    axes = [figure.add_subplot(lines, columns, i + 1, **o) for i, o in enumerate(options)]
    for axis in axes:
        if not hasattr(axis, "get_zlim"):
            axis.spines[["top", "right"]].set_visible(False)
            axis.grid(alpha=0.25)
            axis.set_axisbelow(True)
    return figure, axes
