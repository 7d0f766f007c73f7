"""A line chart as SVG text for an HTML page, whose style sheet gives it its colours."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from html import escape

from .curves import FEW, Curve, Stroke, spans_far, strokes

WIDTH, HEIGHT = 440, 280
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 34, 42
ROW = 18  # of the legend


def line_chart(
    curves: Sequence[Curve], *, level: float | None = None, starts: Sequence[int] = ()
) -> str:
    """Lines over epochs, with a legend; a dot tells its figure when the pointer rests on it.

    Args:
        curves: at least one; those of validation get another class than those of training.
        level: a height to mark across the chart: what was published.
        starts: epochs where a stage of training begins, each a vertical line before it.
    """
    xs = [x for curve in curves for x in curve.epochs]
    ys = [y for curve in curves for y in curve.values] + ([] if level is None else [level])
    log = spans_far(curves)
    ticks = log_ticks(min(ys), max(ys)) if log else even_ticks(min(ys), max(ys))
    across = _scale(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    down = _scale(ticks[0], ticks[-1], HEIGHT - BOTTOM, TOP, math.log if log else float)
    names = escape(", ".join(curve.title for curve in curves))
    parts = []
    for tick in ticks:
        parts.append(f'<path class="grid" d="M{LEFT} {down(tick):.1f}H{WIDTH - RIGHT}"/>')
        parts.append(_text(LEFT - 8, down(tick) + 4, f"{tick:.6g}", "end"))
    for tick in even_ticks(min(xs), max(xs), whole=True):
        if min(xs) <= tick <= max(xs):
            parts.append(_text(across(tick), HEIGHT - BOTTOM + 18, f"{tick:g}", "middle"))
    parts.append(_text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6, "epoch", "middle"))
    for epoch in starts:
        x = across(epoch - 0.5)
        parts.append(f'<path class="start" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
    if level is not None:
        parts.append(f'<path class="level" d="M{LEFT} {down(level):.1f}H{WIDTH - RIGHT}"/>')
    kinds = [_kind(stroke) for stroke in strokes(curves)]
    for curve, kind in zip(curves, kinds, strict=True):
        parts += _drawn(curve, kind, across, down)
    named = [(f"line {kind}", curve.title) for curve, kind in zip(curves, kinds, strict=True)]
    named += [] if level is None else [("level", f"published {level:g}")]
    legend, above = _legend(named)
    box = f"0 {-above} {WIDTH} {HEIGHT + above}"
    head = f'<svg class="chart" viewBox="{box}" role="img" aria-label="{names} by epoch">'
    return "\n".join([head, *parts, *legend, "</svg>"])


def _kind(stroke: Stroke) -> str:
    """The class of a curve: "training", "training2" ..., or "validation"; "held" for dashes."""
    if stroke.place is None:
        return "validation"
    number = str(stroke.place + 1) if stroke.place else ""
    return f"training{number}" + (" held" if stroke.dashed else "")


def _drawn(
    curve: Curve, kind: str, across: Callable[[float], float], down: Callable[[float], float]
) -> list[str]:
    """The line, and if there are few values a dot for each."""
    points = [(across(x), down(y)) for x, y in zip(curve.epochs, curve.values, strict=True)]
    path = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    parts = [f'<path class="line {kind}" d="M{path}"/>']
    if len(points) <= FEW:
        for (x, y), epoch, value in zip(points, curve.epochs, curve.values, strict=True):
            told = f"<title>{escape(curve.title)} in epoch {epoch}: {value:.5g}</title>"
            parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3">{told}</circle>')
    return parts


def _legend(named: Sequence[tuple[str, str]]) -> tuple[list[str], int]:
    """Names beside short strokes of a class, in rows over the chart, and how high they reach."""
    rows: list[list[tuple[float, str, str]]] = [[]]
    x = float(LEFT)
    for kind, name in named:
        width = 24 + 6.6 * len(name)  # about that of the letters
        if rows[-1] and x + width > WIDTH:
            rows.append([])
            x = float(LEFT)
        rows[-1].append((x, kind, name))
        x += width + 16
    parts = []
    for y, row in zip(range(14 - ROW * (len(rows) - 1), 15, ROW), rows, strict=True):
        for x, kind, name in row:
            parts.append(f'<path class="{kind}" d="M{x:.0f} {y}h18"/>')
            parts.append(_text(x + 24, y + 4, name, "start"))
    return parts, ROW * (len(rows) - 1)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _scale(
    low: float, high: float, start: float, end: float, shape: Callable[[float], float] = float
) -> Callable[[float], float]:
    """The function that takes low to start, high to end; a single value goes to the middle."""
    if low == high:
        return lambda value: (start + end) / 2
    a, b = shape(low), shape(high)
    return lambda value: start + (end - start) * (shape(value) - a) / (b - a)


def even_ticks(low: float, high: float, count: int = 5, whole: bool = False) -> list[float]:
    """About `count` round numbers (1, 2 or 5 times a power of ten apart) around low and high.

    >>> even_ticks(0.26, 0.33)
    [0.26, 0.28, 0.3, 0.32, 0.34]
    >>> even_ticks(1, 10, whole=True)
    [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
    >>> even_ticks(3, 3)
    [3]
    """
    if low == high:
        return [low]
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(m for m in (1, 2, 5, 10) if m * power >= rough)
    step = max(step, 1.0) if whole else step
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(first, last + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """The powers of ten around low and high, which are above 0.

    >>> log_ticks(0.02, 30)
    [0.01, 0.1, 1.0, 10.0, 100.0]
    """
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    return [float(f"1e{i}") for i in range(first, last + 1)]
