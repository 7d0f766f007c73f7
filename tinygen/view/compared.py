"""Comparisons over seeds: what pre-training is worth, and how a setting matters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..metrics import interval
from ..training.pretrain import Outcome, summarize
from .axes import BLUE, GREY, ORANGE, side_by_side

FAR = 12  # values that span more than this factor are drawn on a logarithmic axis


def draw_pretraining(
    outcomes: Sequence[Outcome], frozen_epochs: int, path: Path, *, title: str, figure: str
) -> Path:
    """Left, both arms by epoch; right, where each seed ended in both, and the mean of all.

    Args:
        outcomes: of two seeds or more.
        frozen_epochs: a line marks where the encoder was unfrozen.
        path: of the picture.
        title: a line on top.
        figure: what was measured.
    """
    looks = (("pretrained", "pretrained", BLUE), ("scratch", "from scratch", ORANGE))
    summary = summarize(outcomes)._asdict()
    sheet, (by_epoch, ends) = side_by_side(2)
    by_epoch.axvline(frozen_epochs + 0.5, color=GREY, linewidth=0.8, linestyle=":")
    for name, label, color in looks:
        curves = np.array([getattr(outcome, name) for outcome in outcomes])
        spread = [interval(column) for column in curves.T]
        mean, half = np.array(spread).T
        epochs = outcomes[0].epochs
        by_epoch.plot(epochs, mean, "o-", ms=4, color=color, label=label)
        by_epoch.fill_between(epochs, mean - half, mean + half, color=color, alpha=0.2, lw=0)
    by_epoch.set(xlabel="epoch", ylabel=figure)
    by_epoch.annotate(
        "unfrozen",
        (frozen_epochs + 0.5, 0.03),
        (4, 0),
        xycoords=("data", "axes fraction"),
        textcoords="offset points",
        color=GREY,
        fontsize=9,
    )
    by_epoch.legend(frameon=False, loc="best")
    by_epoch.set_title(title, loc="left")
    pairs = np.array([[outcome.pretrained[-1], outcome.scratch[-1]] for outcome in outcomes])
    ends.plot([0, 1], pairs.T, "-", color=GREY, linewidth=0.7, alpha=0.6)
    for place, (name, _, color) in enumerate(looks):
        ends.plot(np.full(len(pairs), place), pairs[:, place], "o", ms=5, color=color, alpha=0.7)
        mean, half = summary[name]
        aside = place + (-0.15, 0.15)[place]
        ends.errorbar(aside, mean, half, fmt="D", color=color, capsize=5, ms=6)
    ends.set(xlim=(-0.5, 1.5), xticks=[0, 1], ylabel=f"{figure} at the end")
    ends.set_xticklabels([label for _, label, _ in looks])
    mean, half = summary["difference"]
    ends.set_title(f"difference {mean:+.3g} ± {half:.2g} (95 %)", loc="left")
    sheet.savefig(path, dpi=120)
    return path


def draw_sweep(
    key: str,
    values: Sequence[Any],
    figures: Mapping[str, Sequence[Sequence[float]]],
    references: Mapping[str, tuple[str, Sequence[float]]],
    path: Path,
    *,
    title: str,
) -> Path:
    """A panel a figure: a point for every run, and the mean; from three runs on its interval.

    Args:
        key: the setting.
        values: of it.
        figures: by name, for each value those of all its runs.
        references: by name of the figure, what to compare it with: a label, and one for each value.
        path: of the picture.
        title: a line on top.
    """
    order = sorted(range(len(values)), key=lambda i: values[i]) if _numbers(values) else None
    places, ticks = _places(values)
    sheet, axes = side_by_side(len(figures))
    for axis, (name, runs) in zip(axes, figures.items(), strict=True):
        rows = order or range(len(values))
        x = [places[i] for i in rows]
        for i in rows:
            axis.plot([places[i]] * len(runs[i]), runs[i], "o", ms=4, color=BLUE, alpha=0.45)
        axis.plot(x, [np.mean(runs[i]) for i in rows], "-", color=BLUE, label=name_of(name))
        if min(map(len, runs)) > 2:  # of two, it is wider than all that there is to see
            spread = [interval(runs[i]) for i in rows]
            mean, half = np.array(spread).T
            axis.fill_between(x, mean - half, mean + half, color=BLUE, alpha=0.15, lw=0)
        if name in references:
            label, known = references[name]
            axis.plot(x, [known[i] for i in rows], "s--", ms=4, color=ORANGE, label=label)
        shown = [*np.concatenate(runs), *references.get(name, ("", []))[1]]
        if min(shown) > 0 and max(shown) > FAR * min(shown):
            axis.set_yscale("log")
        if _numbers(values) and min(places) > 0 and max(places) > FAR * min(places):
            axis.set_xscale("log")
        axis.set_xticks(places, ticks)
        axis.set_xticks([], minor=True)
        axis.set_xlabel(key.replace("_", " "))
        axis.legend(frameon=False, loc="best")
    axes[0].set_title(title, loc="left")
    sheet.savefig(path, dpi=120)
    return path


def name_of(figure: str) -> str:
    """A figure's name for a person."""
    return {"mse": "mean squared error"}.get(figure, figure.replace("_", " "))


def _numbers(values: Sequence[Any]) -> bool:
    return all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)


def _places(values: Sequence[Any]) -> tuple[list[float], list[str]]:
    """Where the values are on the axis: numbers at themselves, all else side by side."""
    at = values if _numbers(values) else range(len(values))
    return [float(v) for v in at], [f"{v:g}" if isinstance(v, float) else str(v) for v in values]
