"""What figures by matplotlib have in common: colours, and axes without any display."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

BLUE, ORANGE, GREEN, GREY = "#3366aa", "#e07b39", "#4a9a62", "#8a8a90"


@contextmanager
def side_by_side(count: int, first: dict[str, Any] | None = None) -> Iterator[tuple[Any, Any]]:
    """A matplotlib figure with axes in rows of two, without any display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    columns, lines = min(count, 2), -(-count // 2)
    figure = Figure(figsize=(5.2 * columns, 4 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    options: list[dict[str, Any]] = [first or {}, *[{}] * (count - 1)]
    axes = [figure.add_subplot(lines, columns, i + 1, **o) for i, o in enumerate(options)]
    for axis in axes:
        if not hasattr(axis, "get_zlim"):
            axis.spines[["top", "right"]].set_visible(False)
            axis.grid(alpha=0.25)
    yield figure, axes
