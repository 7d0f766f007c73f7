"""What each metric of samples notices: images that are disturbed more and more.

    python -m benchmarks.disturbances [--n 2000] [--picture FILE.png]

Training images of Fashion-MNIST are disturbed by blur, noise, a shift, contrast and brightness, of
growing strength, and judged against its test images by every metric; features are those of the
library's own classifier, which is trained if it is not in the cache. A metric is blind to a
disturbance that moves it by less than 2 % of what the one that moves it most does.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tinygen import data
from tinygen.metrics import DISTURBANCES, disturb
from tinygen.ops.random import Random
from tinygen.training.feature_network import feature_network
from tinygen.training.judging import NAMES, judge

from . import machine, report
from .command_line import parser_for

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
BLIND = 0.02  # of the largest response of a metric

Study = dict[str, dict[str, list[float]]]  # by disturbance and metric, a score for each strength


def studied(n: int, progress: Callable[[str], object]) -> Study:
    """Every metric under every disturbance."""
    fashion = data.load("fashion-mnist")
    network, real = feature_network(fashion), fashion.test.floats()[:n]
    some = fashion.train.floats()[:n]
    found: Study = {}
    for kind in DISTURBANCES:
        scores: dict[str, list[float]] = {name: [] for name in NAMES}
        for strength in STRENGTHS:
            progress(f"{kind} {strength:g}")
            fake = disturb(some, kind, strength, rng=Random(0, "study")).astype(np.float32)
            for name, value in judge(fake, real, network, names=NAMES).scores.items():
                scores[name].append(float(value))
        found[kind] = scores
    return found


def responses(found: Study) -> list[list[str]]:
    """A row for each metric: how it goes with growing strength, and where it stands still."""
    rows = []
    for name in NAMES:
        largest = max(abs(np.ptp(found[kind][name])) for kind in found) or 1.0
        cells = []
        for kind in found:
            values = np.asarray(found[kind][name])
            moved = np.ptp(values) / largest
            way = "blind" if moved < BLIND else "in order" if monotone(values) else "not in order"
            cells.append(f"{values[0]:.3g} to {values[-1]:.3g}, {way}")
        rows.append([name, *cells])
    return rows


def monotone(values: Any) -> bool:
    """Whether they never rise, or never fall."""
    steps = np.diff(values)
    return bool((steps >= 0).all() or (steps <= 0).all())


def draw(found: Study, path: Path) -> None:
    """A panel for each metric, a line for each disturbance."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(14, 8.4), layout="constrained")
    panels = figure.subplots(3, 4).ravel()
    for axis, name in zip(panels, NAMES, strict=False):
        for kind, scores in found.items():
            axis.plot(STRENGTHS, scores[name], "o-", ms=3, label=kind)
        axis.set_title(name.replace("_", " "), loc="left", fontsize=10)
        axis.spines[["top", "right"]].set_visible(False)
        axis.set_xticks(STRENGTHS)
    for axis in panels[len(NAMES) :]:
        axis.axis("off")
    handles, labels = panels[0].get_legend_handles_labels()
    panels[-1].legend(handles, labels, frameon=False, loc="center", title="strength of")
    figure.savefig(path, dpi=110)


def main(arguments: list[str] | None = None) -> int:
    """Print the table, and draw the picture."""
    parser = parser_for("disturbances", __doc__)
    parser.add_argument("--n", type=int, default=2_000, help="samples (default: %(default)s)")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the responses, a .png")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    chosen = parser.parse_args(arguments)
    if not 100 <= chosen.n <= 10_000:
        parser.error(f"--n is from 100 to 10,000, not {chosen.n:,}")
    found = studied(chosen.n, lambda line: print(line, file=sys.stderr, flush=True))
    print(report.table([f"{chosen.n:,} against {chosen.n:,}", *found], responses(found)))
    if chosen.picture:
        draw(found, chosen.picture)
    if chosen.json:
        contents = {"machine": machine.description(), "n": chosen.n, "strengths": STRENGTHS}
        report.write_json(chosen.json, {**contents, "study": found})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
