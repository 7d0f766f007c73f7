"""Scores of samples for the report's page: what `tinygen evaluate` left in the run's folder."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ..models.kinds import check_kind
from ..training.judging import FLOOR, with_error
from ..training.run import RunError

FILE = "evaluation.json"
PARTS = ("samples", "floor", "ceiling")
BETTER = {  # which way is better, by metric
    "precision": "higher",
    "recall": "higher",
    "density": "near 1",
    "coverage": "higher",
    "classifier_score": "higher",
    "ms_ssim_diversity": "near the floor",
}


class ScoreRow(NamedTuple):
    """A metric: of the samples with its standard error, and of the floor and the ceiling."""

    name: str
    samples: str
    floor: str
    ceiling: str
    better: str


class Scores(NamedTuple):
    """A table of scores, what it rests on, and the share of each class among the samples.

    Attributes:
        kind: what was judged, "samples" or "reconstructions".
        rows: a metric each.
        basis: counts, seed and feature network, in words.
        floor: in words, what the floor says of this kind.
        expected: the Fréchet distance of two sets of reals by chance; empty if it is not known.
        classes: their names, and the share that the classifier takes for each.
        outdated: whether the model has other weights now.
    """

    kind: str
    rows: list[ScoreRow]
    basis: str
    floor: str
    expected: str
    classes: list[tuple[str, float]]
    outdated: bool


def read_scores(
    folder: Path, names: Sequence[str] = (), weights: str | None = None
) -> Scores | None:
    """The scores that `tinygen evaluate` wrote for a run; None if there are none.

    Args:
        folder: of the run.
        names: of the classes; numbers where there are not as many.
        weights: the hash of the model's weights, if it is known.

    Raises RunError for a file that cannot be read.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        found = json.loads(path.read_text("utf-8"))
        outdated = weights is not None and found.get("weights") != weights
        return _scores(found["judgement"], names, outdated)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(
            f"{path} cannot be read ({error}); remove it, or write it anew by tinygen evaluate"
        ) from error


def _scores(found: Mapping[str, Any], names: Sequence[str], outdated: bool) -> Scores:
    samples, floor, ceiling = (found[part]["scores"] for part in PARTS)
    rows = []
    for name, own in samples.items():
        error = own.get("standard_error", math.nan)
        low, high = (f"{part[name]['value']:.4g}" for part in (floor, ceiling))
        title = name.replace("_", " ").replace("frechet", "Fréchet").replace("ms ssim", "MS-SSIM")
        shown = with_error(own["value"], error, "±")
        rows.append(ScoreRow(title, shown, low, high, BETTER.get(name, "lower")))
    of = found["samples"]
    kind = found.get("kind", "samples")
    network = f", features of network {of['extractor']}" if of["extractor"] else ""
    basis = f"{of['fake']:,} {kind} against {of['real']:,} reals, seed {of['seed']}{network}"
    counts = found.get("classes", [])
    check_kind("classes", counts, Sequence[int])
    total = sum(counts) or 1
    known = list(names) if len(names) == len(counts) else [str(i) for i in range(len(counts))]
    expected = found.get("expected_frechet_distance")
    return Scores(
        kind,
        rows,
        basis,
        FLOOR[kind],
        "" if expected is None else f"{expected:.4g}",
        [(name, count / total) for name, count in zip(known, counts, strict=True)],
        outdated,
    )
