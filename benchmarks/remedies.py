"""Remedies: how many modes a GAN captures with each of them, and without.

    python -m benchmarks.remedies [ring] [grid] [stacked-digits] [--only REMEDY ...]
                                  [--seeds N] [--steps N] [--json FILE]

Ring and grid are played by the networks of PacGAN's experiments ("ring-pacgan", "grid-pacgan"), and
judged as there: 2,500 samples; one within three sigma of a centre is of high quality, and a mode
with such a sample is captured. Stacked digits are played by the paper's DCGAN (preset "digits");
26,000 samples, each of whose channels is what its nearest neighbour among scikit-learn's digits is
(which tells 98.8 % of these right, one left out). Each remedy is trained for the same number of the
discriminator's steps, fewer than the papers' by the factor under the table. With FILE, runs that it
has already are not done again, so that the benchmark can be interrupted. It ends with 1 if a bar is
missed. Hours on two cores; beside busy processes TINYGEN_THREADS=1 is faster.
"""

from __future__ import annotations

import json
import math
import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinygen.backend import Array
from tinygen.data.digits import base_digits, stack_digits
from tinygen.data.mixtures import SIGMA, centres, draw_mixture
from tinygen.metrics import mode_histogram, modes_captured
from tinygen.models import TrainingOptions
from tinygen.training import Trainer
from tinygen.training.experiment import Experiment
from tinygen.training.judge_samples import samples_of
from tinygen.training.settings import settings

from . import report
from .command_line import parser_for
from .recipes import Book, Run
from .remedy_rows import DIGITS, PLAIN, POINTS, PUBLISHED, Remedy

TRUE = "true samples"


@dataclass(frozen=True)
class Bench:
    """A task, and by which protocol it is done.

    Attributes:
        model: its name.
        preset: its networks and optimiser.
        batch: samples in a batch.
        steps: of the discriminator.
        published_steps: of the paper.
        seeds: runs of each remedy.
        samples: how many are judged.
        modes: how many there are.
        remedies: by name.
    """

    model: str
    preset: str
    batch: int
    steps: int
    published_steps: int
    seeds: int
    samples: int
    modes: int
    remedies: Mapping[str, Remedy]


BENCHES = {
    "ring": Bench("gan", "ring-pacgan", 100, 6_000, 400_000, 10, 2_500, 8, POINTS),
    "grid": Bench("gan", "grid-pacgan", 100, 6_000, 400_000, 5, 2_500, 25, POINTS),
    "stacked-digits": Bench("dcgan", "digits", 64, 1_500, 100_000, 5, 26_000, 1_000, DIGITS),
}


def train(name: str, remedy: str, seed: int, steps: int) -> Run:
    """One run, and what its samples cover."""
    bench = BENCHES[name]
    chosen = bench.remedies[remedy]
    wanted = settings(
        bench.model,
        preset=chosen.preset or bench.preset,
        data=name,
        steps=steps,
        seed=seed,
        overrides=chosen.settings(steps * bench.batch),
    )
    experiment = Experiment.build(wanted)
    model, options = experiment.model, TrainingOptions.from_tables(wanted)
    run = {"bench": name, "remedy": remedy, "seed": seed, "steps": steps}
    start = time.perf_counter()
    try:
        Trainer(model, model.stages(options), experiment.train, options).train()
    except ValueError as broken:  # the losses are no numbers any more
        return {**run, "seconds": time.perf_counter() - start, "error": str(broken),
                **figures(name, None)}  # fmt: skip
    seconds = time.perf_counter() - start
    return {**run, "seconds": seconds, **figures(name, samples_of(model, bench.samples, seed))}


def figures(name: str, samples: Array | None) -> dict[str, float]:
    """Modes, the share of high quality (NaN of digits), and KL(samples || uniform) in nats.

    Of no samples: no mode, nothing of quality, and the divergence of a single mode.
    """
    bench = BENCHES[name]
    if samples is None or not np.isfinite(samples).all():
        return {"modes": 0, "quality": 0.0, "divergence": math.log(bench.modes)}
    if name in SIGMA:
        found = modes_captured(samples, centres(name), SIGMA[name])
        return {
            "modes": found.captured,
            "quality": float(found.high_quality),
            "divergence": found.divergence,
        }
    counts = mode_histogram(told(samples), bench.modes)
    p = counts[counts > 0] / len(samples)
    divergence = float((p * np.log(p * bench.modes)).sum())
    return {"modes": int((counts > 0).sum()), "quality": math.nan, "divergence": divergence}


def told(images: Array) -> Array:
    """Which of the 1,000 triples each image is: (n, 8, 8, 3) in [0, 1] -> (n,) int64."""
    single = np.moveaxis(images, -1, 1).reshape(-1, 64)
    digits = _nearest().predict(single).reshape(-1, 3)
    numbers: Array = (digits @ np.array([100, 10, 1])).astype(np.int64)
    return numbers


@cache
def _nearest() -> Any:
    """The classifier of single digits: the nearest."""
    from sklearn.neighbors import KNeighborsClassifier

    images, values = base_digits()
    pixels = images.reshape(len(images), -1).astype(np.float32) / 255
    return KNeighborsClassifier(1, algorithm="brute").fit(pixels, values)


@cache
def true_figures(name: str) -> dict[str, float]:
    """The figures of as many true samples."""
    bench = BENCHES[name]
    if name in SIGMA:
        return figures(name, draw_mixture(name, bench.samples, seed=1)[0])
    n = bench.samples  # of the digits that the networks learn from
    splits = {"train": slice(0, n), "valid": slice(n, n), "test": slice(n, n)}
    return figures(name, stack_digits(splits, seed=1)[0].astype(np.float32) / 255)


class Runs(Book):
    """The runs so far, by bench, remedy, seed and steps."""

    def get(self, name: str, remedy: str, seed: int, steps: int) -> Run | None:
        """The run, if it was done."""
        wanted = (name, remedy, seed, steps)
        keys = ("bench", "remedy", "seed", "steps")
        return next((r for r in self.runs if tuple(r.get(k) for k in keys) == wanted), None)


def interval(values: Sequence[float], digits: int) -> str:
    """The mean and its standard error, as PacGAN's tables have them; "" of what is not measured."""
    if any(math.isnan(v) for v in values):
        return ""
    error = (
        f" +- {statistics.stdev(values) / math.sqrt(len(values)):.{digits}f}"
        if len(values) > 1
        else ""
    )
    return f"{statistics.fmean(values):.{digits}f}{error}"


def table(name: str, runs: Sequence[Run]) -> str:
    """A row for each remedy, for true samples, and for each that was published."""
    bench, rows = BENCHES[name], []
    for remedy in bench.remedies:
        own = [r for r in runs if r["remedy"] == remedy]
        if not own:
            continue
        modes = [r["modes"] for r in own]
        rows.append([
            remedy, str(len(own)), interval(modes, 1), f"{min(modes)}",
            interval([100 * r["quality"] for r in own], 1),
            interval([r["divergence"] for r in own], 3),
            f"{statistics.fmean(r['seconds'] for r in own):.0f}",
        ])  # fmt: skip
    true = true_figures(name)
    rows.append([TRUE, "", str(true["modes"]), "", interval([100 * true["quality"]], 2),
                 interval([true["divergence"]], 3), ""])  # fmt: skip
    for method, modes_told, quality, divergence in PUBLISHED[name]:
        rows.append([method, "", modes_told, "", quality, divergence, ""])
    header = [name, "seeds", "modes", "fewest", "high quality, %", "KL, nats", "seconds"]
    steps = " and ".join(f"{n:,}" for n in sorted({r["steps"] for r in runs}))
    return "\n".join([
        report.table(header, rows),
        f"{steps} steps of the discriminator, where PacGAN's experiments take "
        f"{bench.published_steps:,}; mean +- standard error over seeds; "
        f"{bench.samples:,} samples, {bench.modes:,} modes",
    ])  # fmt: skip


class Bar(NamedTuple):
    """What must hold of the runs that there are.

    Attributes:
        text: what, with the figures.
        holds: whether it does.
        due: seeds that are not done yet.
    """

    text: str
    holds: bool
    due: int

    @property
    def verdict(self) -> str:
        """Whether it holds, and if that is of a part of the seeds, how many are still due."""
        verdict = "holds" if self.holds else "MISSED"
        return f"{verdict} so far, {self.due} more seeds are due" if self.due else verdict


def bars(name: str, runs: Sequence[Run]) -> list[Bar]:
    """What must hold of a bench; nothing of remedies that were not tried."""
    modes: dict[str, dict[int, int]] = {}
    for r in runs:
        modes.setdefault(r["remedy"], {})[r["seed"]] = r["modes"]
    plain, packed, modern = (modes.get(n, {}) for n in (PLAIN, "packing 2", "modern"))
    found: list[Bar] = []

    def bar(text: str, holds: bool, seeds: int) -> None:
        found.append(Bar(text, holds, max(0, BENCHES[name].seeds - seeds)))

    if name == "ring" and packed:
        mean = statistics.fmean(packed.values())
        text = f"packing 2 captures {mean:.1f} modes in the mean, 7.5 are due"
        bar(text, mean >= 7.5, len(packed))
        if plain:
            without = statistics.fmean(plain.values())
            text = f"and plain {without:.1f}, fewer are due"
            bar(text, mean > without, min(len(plain), len(packed)))
    if name == "ring" and modern:
        whole = sum(n == 8 for n in modern.values())
        text = f"modern captures 8 modes on {whole} of {len(modern)} seeds"
        bar(text, whole == len(modern), len(modern))
    both = plain.keys() & packed.keys()
    if name == "stacked-digits" and both:
        more = sum(packed[s] > plain[s] for s in both)
        text = f"packing 2 captures more modes than plain on {more} of {len(both)} seeds"
        bar(text, more == len(both), len(both))
    return found


def rounds(
    names: Iterable[str], only: Sequence[str], seeds: int | None, steps: int | None
) -> list[tuple[str, str, int, int]]:
    """All runs: every remedy with one seed, then with the next, so that a part is a table."""
    found = []
    for name in names:
        bench = BENCHES[name]
        chosen = [r for r in bench.remedies if not only or r in only]
        for seed in range(bench.seeds if seeds is None else seeds):
            found += [(name, remedy, seed, steps or bench.steps) for remedy in chosen]
    return found


def main(arguments: list[str] | None = None) -> int:
    """Train what is not done yet, and print a table of each bench."""
    parser = parser_for("remedies", __doc__)
    known = list(dict.fromkeys(r for b in BENCHES.values() for r in b.remedies))
    parser.add_argument("bench", nargs="*", metavar="BENCH", help=", ".join(BENCHES))
    parser.add_argument("--only", nargs="+", default=[], metavar="REMEDY", help=", ".join(known))
    parser.add_argument("--seeds", type=int, metavar="N", help="runs of each (default: 10, 5, 5)")
    parser.add_argument("--steps", type=int, metavar="N", help="of each run, for a trial")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep finished runs there")
    chosen = parser.parse_args(arguments)
    for wrong in [*({*chosen.bench} - {*BENCHES}), *({*chosen.only} - {*known})]:
        parser.error(f"there is no {wrong!r}; benches are {', '.join(BENCHES)}; "
                     f"remedies {', '.join(known)}")  # fmt: skip
    for option in ("seeds", "steps"):
        if (given := getattr(chosen, option)) is not None and given < 1:
            parser.error(f"--{option} must be at least 1, not {given}")
    try:
        book = Runs(chosen.json)
    except ValueError as error:
        parser.error(str(error))
    done: dict[str, list[Run]] = {}
    for key in rounds(chosen.bench or BENCHES, chosen.only, chosen.seeds, chosen.steps):
        run = book.get(*key)
        if run is None:
            run = train(*key)
            book.add(run)
            print(json.dumps(run), file=sys.stderr, flush=True)
        done.setdefault(key[0], []).append(run)
    missed = False
    for name, runs in done.items():
        print(table(name, runs), end="\n\n")
        for bar in bars(name, runs):
            print(f"{name}: {bar.text}: {bar.verdict}")
            missed |= not bar.holds
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
