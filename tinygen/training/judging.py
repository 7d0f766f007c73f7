"""Judge samples: metrics of fakes against reals, beside the floor and the ceiling."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .. import metrics
from ..backend import Array
from ..metrics import Judgement
from ..names import nearest
from ..ops.random import Random
from .feature_network import FeatureNetwork

OF_FEATURES = ("frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage")
OF_CLASSES = ("classifier_score", "classes_missing")
OF_IMAGES = ("sliced_wasserstein", "sliced_wasserstein_reals", "ms_ssim_diversity")
NAMES = (*OF_FEATURES, *OF_CLASSES, *OF_IMAGES)
PRECISION_K, COVERAGE_K = 3, 5  # which neighbour, as the papers choose it
LEAST = {"precision": 4, "recall": 4, "density": 6, "coverage": 6}  # samples; 2 of all others
KINDS = ("samples", "reconstructions")
FLOOR = {
    "samples": "floor: other real images, which no generator can be expected to better",
    "reconstructions": "floor: other real images; reconstructions of the reals themselves may "
    "be better than it",
}
SCARCE = 0.02  # a class with a smaller share of the samples is missing


class Judged:
    """Images with what a feature network makes of them, worked out once when it is asked for.

    Args:
        images: (n, h, w) or (n, h, w, c), in [0, 1].
        network: where features come from; None for none.
    """

    def __init__(self, images: Array, network: FeatureNetwork | None) -> None:
        self.images, self.network = images, network
        self._radii: dict[int, Array] = {}

    @cached_property
    def seen(self) -> tuple[Array, Array | None]:
        """Features (n, d), and probabilities of classes or None."""
        assert self.network is not None  # see able_names
        return self.network(self.images)

    @property
    def features(self) -> Array:
        """(n, d)."""
        return self.seen[0]

    @property
    def probabilities(self) -> Array:
        """(n, classes)."""
        assert self.seen[1] is not None  # see able_names
        return self.seen[1]

    def radii(self, k: int) -> Array:
        """Squared distances to the k-th nearest of the others, (n,)."""
        if k not in self._radii:
            self._radii[k] = metrics.real_radii(self.features, k)
        return self._radii[k]

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Report:
    """A judgement with what it has to be seen beside.

    Attributes:
        samples: of what was made.
        floor: of real images against others, at the same counts: no generator can be expected to
            be better.
        ceiling: of uniform noise.
        expected: the floor of the Fréchet distance in closed form; NaN without features.
        histogram: samples of each class, as the classifier sees them; None without classes.
        seconds: how long it took.
        kind: what the samples are: "samples", or "reconstructions" of the reals, which may be
            better than the floor.
    """

    samples: Judgement
    floor: Judgement
    ceiling: Judgement
    expected: float
    histogram: Array | None
    seconds: float
    kind: str = "samples"


def judge(
    fake: Array,
    real: Array,
    network: FeatureNetwork | None,
    *,
    names: Sequence[str] | None = None,
    seed: int = 0,
    progress: Callable[[str], object] | None = None,
) -> Judgement:
    """Metrics of fakes against reals.

    Args:
        fake: images in [0, 1], (n, h, w) or (n, h, w, c).
        real: likewise.
        network: where features and probabilities come from; None for metrics of images alone.
        names: of NAMES; by default those of features and classes, or of images without a network.
        seed: of what is drawn.
        progress: called with the name of each metric before it is worked out.

    Raises ValueError for unknown names, and those that need what the network does not have.
    """
    return _judge(Judged(fake, network), Judged(real, network), names, seed, progress)


def _judge(
    fake: Judged,
    real: Judged,
    names: Sequence[str] | None,
    seed: int,
    progress: Callable[[str], object] | None,
) -> Judgement:
    """Every metric that is asked for, once."""
    chosen = able_names(names, real.network)
    told = progress or (lambda name: None)
    rng, scores = Random(seed, "metrics"), dict[str, float]()
    if {*chosen} & {*OF_FEATURES, *OF_CLASSES}:
        told("features")
        _ = real.seen, fake.seen
    for name in chosen:
        if name in scores:
            continue
        told(name)
        if name == "frechet_distance":
            scores[name] = metrics.frechet_distance(real.features, fake.features)
        elif name == "kernel_distance":
            stream = rng.stream(name)
            scores[name] = metrics.kernel_distance(real.features, fake.features, rng=stream)
        elif name in ("precision", "recall"):
            scores |= metrics.precision_recall(
                real.features, fake.features, PRECISION_K, radii=real.radii(PRECISION_K)
            )._asdict()
        elif name in ("density", "coverage"):
            scores |= metrics.density_coverage(
                real.features, fake.features, COVERAGE_K, radii=real.radii(COVERAGE_K)
            )._asdict()
        elif name == "classifier_score":
            splits = max(1, min(10, len(fake) // 100))
            scores[name] = metrics.classifier_score(fake.probabilities, splits)
        elif name == "classes_missing":
            counts = _histogram(fake.probabilities)
            scores[name] = metrics.Score(float((counts < SCARCE * counts.sum()).sum()))
        elif name == "ms_ssim_diversity":
            scores[name] = metrics.ms_ssim_diversity(fake.images, rng=rng.stream(name))
        else:
            way: Any = "reals" if name.endswith("reals") else "own"
            few = min(len(real), len(fake))
            stream = rng.stream("sliced_wasserstein")
            scores[name] = metrics.sliced_wasserstein(
                real.images[:few], fake.images[:few], rng=stream, normalize=way
            )
    digest = "" if real.network is None else real.network.hash
    kept = {name: scores[name] for name in chosen}
    return Judgement(kept, digest, len(real), len(fake), seed)


def report(
    fake: Array,
    real: Array,
    others: Array,
    network: FeatureNetwork | None,
    *,
    names: Sequence[str] | None = None,
    seed: int = 0,
    progress: Callable[[str], object] | None = None,
    kind: str = "samples",
) -> Report:
    """The judgement of fakes, the floor (other reals) and the ceiling (noise), at equal counts.

    Args:
        fake: as in `judge`.
        real: likewise.
        others: reals that are not among `real`; as many as there are fakes are used.
        network: likewise.
        names: likewise.
        seed: likewise.
        progress: likewise, with what is judged before the name.
        kind: "samples", or "reconstructions" of the reals.
    """
    if kind not in KINDS:
        raise ValueError(f"report: kind must be one of {', '.join(KINDS)}, not {kind!r}")
    begun, told = time.perf_counter(), progress or (lambda name: None)
    n = min(len(fake), len(others))
    noise = Random(seed, "metrics/noise").uniform((n, *fake.shape[1:]))
    reals = Judged(real, network)
    parts = {
        part: Judged(images, network)
        for part, images in (("samples", fake[:n]), ("floor", others[:n]), ("ceiling", noise))
    }
    found = {
        part: _judge(
            judged,
            reals,
            names,
            seed,
            lambda name, part=part: told(  # type: ignore[misc]
                f"{kind if part == 'samples' else part}: {name}"
            ),
        )
        for part, judged in parts.items()
    }
    expected, histogram = float("nan"), None
    if network is not None and any(name not in OF_IMAGES for name in found["samples"].scores):
        statistics = metrics.FeatureStatistics()
        statistics.update(reals.features)
        expected = metrics.frechet_floor(statistics.covariance, min(n, len(real)))
        if network.classes:
            histogram = _histogram(parts["samples"].probabilities)
    seconds = time.perf_counter() - begun
    return Report(**found, expected=expected, histogram=histogram, seconds=seconds, kind=kind)


def tables(found: Report) -> dict[str, Any]:
    """A report as JSON holds it; what is not known is left out."""
    counts = {} if found.histogram is None else {"classes": [int(c) for c in found.histogram]}
    expected = {} if np.isnan(found.expected) else {"expected_frechet_distance": found.expected}
    parts = {part: getattr(found, part).tables() for part in ("samples", "floor", "ceiling")}
    return {"kind": found.kind, **parts, **counts, **expected, "seconds": round(found.seconds, 1)}


def lines(found: Report) -> list[str]:
    """A report as a table for people: a line a metric, beside the floor and the ceiling."""
    samples = found.samples
    rows: list[tuple[str, ...]] = [("", found.kind, "floor", "ceiling")]
    for name, value in samples.scores.items():
        error = getattr(value, "standard_error", math.nan)
        others = (f"{float(part.scores[name]):.4g}" for part in (found.floor, found.ceiling))
        rows.append((name.replace("_", " "), with_error(value, error), *others))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    told = [
        "  ".join(
            [
                row[0].ljust(widths[0]),
                *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)),
            ]
        )
        for row in rows
    ]
    by = f", features {samples.extractor}" if samples.extractor else ""
    told.append(
        f"{samples.fake:,} {found.kind} against {samples.real:,} reals, seed {samples.seed}{by}"
    )
    if not np.isnan(found.expected):
        told.append(f"Frechet distance to expect between two such samples: {found.expected:.4g}")
    if found.histogram is not None:
        shares = found.histogram / found.histogram.sum()
        told.append("classes: " + "  ".join(f"{share:.1%}" for share in shares[:20]))
    told.append(f"{FLOOR[found.kind]}; ceiling: uniform noise")
    return told


def with_error(value: float, error: float, sign: str = "+-") -> str:
    """A number to two digits of its standard error; to four of its own where that is not known.

    >>> with_error(0.04196, 0.0118), with_error(95.91, math.nan), with_error(163.2, 31.0)
    ('0.042 +- 0.012', '95.91', '163 +- 31')
    """
    if not 0 < error < math.inf:
        return f"{float(value):.4g}"
    digits = max(0, 1 - math.floor(math.log10(error)))
    return f"{float(value):.{digits}f} {sign} {error:.{digits}f}"


def able_names(names: Sequence[str] | None, network: FeatureNetwork | None) -> list[str]:
    """The metrics to work out: those that are asked for, or all that the network can give.

    Raises ValueError for unknown names, and those that need what the network does not have.
    """
    able = [*OF_IMAGES]
    if network is not None:
        able = [*OF_FEATURES, *(OF_CLASSES if network.classes else ()), *OF_IMAGES]
    if names is None:
        return [name for name in able if network is None or name not in OF_IMAGES]
    for name in names:
        if name not in NAMES:
            raise ValueError(f"unknown metric {name!r}{nearest(name, NAMES)}")
        if name not in able:
            raise ValueError(f"{name} needs a feature network with classes, and there is none")
    return list(dict.fromkeys(names))


def _histogram(probabilities: Array) -> Array:
    """How many samples the classifier takes for each class."""
    return metrics.mode_histogram(probabilities.argmax(axis=1), probabilities.shape[1])
