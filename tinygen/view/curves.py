"""The figures of a run by epoch: as a picture, and grouped for other charts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..training.judging import NAMES
from .axes import BLUE, GREEN, GREY, ORANGE, side_by_side
from .subject import Subject

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHARES = ("precision", "recall", "coverage")  # from 0 to 1
WATCHED = (
    "diversity",
    "nearest_sample",
    "nearest_real",
    "modes",
    "high_quality",
)  # see training.Monitor
FEW = 20  # values that get a dot each
COLORS = (BLUE, GREEN, GREY)  # of curves of training, in turn
FAR = 20  # values further apart than this factor are drawn on a logarithmic axis


class Curve(NamedTuple):
    """One figure by epoch."""

    name: str
    epochs: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def of_validation(self) -> bool:
        """Whether it was measured on data that was not trained on."""
        return self.name.startswith("valid_")

    @property
    def title(self) -> str:
        """The name as a person would say it."""
        plain = self.name.replace("_", " ").replace("valid ", "validation ")
        return plain.replace("frechet", "Fréchet").replace("ms ssim", "MS-SSIM")


class Stroke(NamedTuple):
    """How a curve is drawn.

    Attributes:
        place: of its colour among those of training; None for the colour of validation.
        dashed: whether it is.
    """

    place: int | None
    dashed: bool


def grouped(rows: Sequence[Mapping[str, Any]]) -> list[list[Curve]]:
    """What belongs on one axis: losses, scores of discriminators, shares of judged samples.

    Each other figure has an axis to itself; one of validation that has a twin in training is on the
    axis of that.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        for name, value in row.items():
            if isinstance(value, float) and math.isfinite(value):
                found.setdefault(name, []).append((row["epoch"], value))
    curves = [Curve(name, *zip(*points, strict=True)) for name, points in found.items()]
    trained = {c.name for c in curves if not c.of_validation}
    shared: dict[str, list[Curve]] = {"loss": [], "score": []}
    alone = []
    for curve in curves:
        plain = curve.name.removeprefix("valid_")
        if plain in trained:
            shared.setdefault(_axis(plain), []).append(curve)
        else:
            alone.append([curve])
    return [group for group in [*shared.values(), *alone] if group]


def _axis(name: str) -> str:
    """Which axis a figure of training is on."""
    if name in SHARES:
        return "share"
    if name in NAMES or name in WATCHED:
        return name
    if name.endswith("_gradient"):
        return "gradient"
    return "score" if name.endswith("_score") else "loss"


def stage_starts(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows in which another stage of training begins."""
    return [b for a, b in itertools.pairwise(rows) if a["stage"] != b["stage"]]


def curves(subject: Subject) -> Figure:
    """Losses, and other figures of validation, by epoch; a line where a stage begins."""
    from matplotlib.ticker import MaxNLocator

    name, rows = subject.model.name, subject.rows
    groups, starts = grouped(rows), stage_starts(rows)
    figure, axes = side_by_side(len(groups))
    for axis, group in zip(axes, groups, strict=True):
        for curve, stroke in zip(group, strokes(group), strict=True):
            line = "--" if stroke.dashed else "-"
            look = f"o{line}" if len(curve.values) <= FEW else line
            color = ORANGE if stroke.place is None else COLORS[stroke.place]
            axis.plot(curve.epochs, curve.values, look, ms=4, color=color, label=curve.title)
        if spans_far(group):
            axis.set_yscale("log")
        for row in starts:
            axis.axvline(row["epoch"] - 0.5, color=GREY, linewidth=0.8, linestyle=":")
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.legend(frameon=False, loc="best")
    stages = " | ".join(row["stage"] for row in [*rows[:1], *starts])
    axes[0].set_title(f"{name}: {stages}" if starts else name, loc="left")
    return figure


def spans_far(group: Sequence[Curve]) -> bool:
    """Whether the values are so far apart that only a logarithmic axis shows the small ones."""
    values = [value for curve in group for value in curve.values]
    return 0 < FAR * min(values) < max(values)


def strokes(group: Sequence[Curve]) -> list[Stroke]:
    """How the curves of one axis are told apart.

    Those of training have colours in turn. One of validation that is alone, or has no twin in
    training, has the colour of validation; several have those of their twins, and are dashed.
    """
    places = (place % len(COLORS) for place in itertools.count())
    trained = {curve.name: next(places) for curve in group if not curve.of_validation}
    single = sum(curve.of_validation for curve in group) == 1
    found = []
    for curve in group:
        twin = trained.get(curve.name.removeprefix("valid_"))
        place = None if curve.of_validation and single else twin
        found.append(Stroke(place, dashed=curve.of_validation and place is not None))
    return found
