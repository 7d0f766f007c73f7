"""The chapter's recipes on real Fashion-MNIST: what they reach, against what was published.

    python -m benchmarks.recipes [MODEL | MODEL:PRESET ...] [--seeds N] [--epochs-scale 0.1]

Trains every recipe of an autoencoder that has published figures, and the first one of each model
that has none, with several seeds. A mean loss from 2 % below to 1.5 % above the published one is
within; one far below is no success but a wrong formula. linear-ae is held against PCA: its loss,
and the largest principal angle between both planes. The command ends with 1 if anything is outside.

With --json every run is written down as soon as it is done; what the file holds already is not
repeated, so the same command goes on after an interruption. All of it takes about an hour a seed.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygen import models
from tinygen.models import PUBLISHED, Autoencoder, Published
from tinygen.training import evaluate
from tinygen.training.checkpoint import write_atomically
from tinygen.training.experiment import Experiment
from tinygen.training.settings import settings

from . import machine, report
from .command_line import parser_for

BELOW, ABOVE = 0.98, 1.015  # of the published loss: what is within
PCA_LOSS, PCA_ANGLE = 1.01, 0.01  # at most so many times PCA's loss, and radians

Key = tuple[str, str]  # model and preset
Run = dict[str, Any]


def everything() -> list[Key]:
    """The recipes that are trained if none is named."""
    names = [n for n in models.names() if issubclass(models.find(n), Autoencoder)]
    known = {name for name, _ in PUBLISHED}
    firsts = [(name, next(iter(models.find(name).recipes))) for name in names if name not in known]
    return sorted([*PUBLISHED, *firsts], key=lambda key: names.index(key[0]))


def chosen(words: Sequence[str]) -> list[Key]:
    """The recipes that are named: all of a model, or one as MODEL:PRESET.

    Raises ValueError for names that are not known.
    """
    found: list[Key] = []
    for word in words:
        name, _, preset = word.partition(":")
        models.find(name).recipe(preset or None)
        found += [(name, preset)] if preset else [k for k in everything() if k[0] == name]
    return list(dict.fromkeys(found)) or everything()


def train(key: Key, seed: int, scale: float) -> Run:
    """One run, and its figures of validation."""
    name, preset = key
    recipe = models.find(name).recipe(preset)
    epochs = epochs_of(key, scale)
    overrides = {"data.seed": seed} if recipe.data == "plane" else {}
    experiment = Experiment.build(
        settings(name, preset=preset, epochs=epochs, seed=seed, overrides=overrides)
    )
    start = time.perf_counter()
    experiment.trainer(show=False).train()
    seconds = time.perf_counter() - start
    run = {"model": name, "preset": preset, "seed": seed, "epochs": epochs, "seconds": seconds}
    if not experiment.valid:
        return {**run, **against_pca(experiment.model, experiment.train[0])}
    return {**run, **evaluate(experiment.model, *experiment.valid, seed=seed)}


def epochs_of(key: Key, scale: float) -> int:
    """The epochs of a recipe, or of a trial of it."""
    return max(1, round(scale * models.find(key[0]).recipe(key[1]).epochs))


def against_pca(model: Any, points: Any) -> dict[str, float]:
    """The loss of a linear autoencoder, that of PCA, and the angle between their planes."""
    middle = points.mean(axis=0, dtype=np.float64)
    _, singular, axes = np.linalg.svd(points - middle, full_matrices=False)
    plane = model.decoder[0].weight.numpy()
    least = float((singular[len(plane) :] ** 2).sum() / points.size)
    return {
        "loss": evaluate(model, points)["loss"],
        "pca_loss": least,
        "pca_angle": largest_angle(plane, axes[: len(plane)]),
    }


def largest_angle(a: Any, b: Any) -> float:
    """The largest principal angle in radians between the spaces that the rows of a and b span."""
    one, other = (np.linalg.qr(rows.T.astype(np.float64))[0] for rows in (a, b))
    outside = other - one @ (one.T @ other)  # what is not in the other; its norm is the sine
    return float(np.arcsin(min(1.0, float(np.linalg.norm(outside, 2)))))


class Book:
    """The runs so far, in a file if there is one."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.runs = path, list[Run]()
        if path is not None and path.exists():
            try:
                self.runs = json.loads(path.read_text("utf-8"))["runs"]
            except (ValueError, KeyError, TypeError) as error:
                raise ValueError(f"{path} is no file of this benchmark; name another") from error

    def find(self, key: Key, seed: int, epochs: int) -> Run | None:
        """The run of that recipe, if it was done."""
        wanted = (*key, seed, epochs)
        same = [r for r in self.runs if (r["model"], r["preset"], r["seed"], r["epochs"]) == wanted]
        return same[0] if same else None

    def add(self, run: Run) -> None:
        """Write it down."""
        self.runs.append(run)
        if self.path is not None:
            contents = {
                "when": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                "command": [Path(sys.argv[0]).stem, *sys.argv[1:]],
                "machine": machine.description(),
                "runs": self.runs,
            }
            write_atomically(self.path, (json.dumps(contents, indent=1) + "\n").encode())


def verdict(loss: float, published: Published) -> str:
    """Where a mean loss is, compared with the published one."""
    ratio = loss / published.loss
    return "BELOW" if ratio < BELOW else "ABOVE" if ratio > ABOVE else "within"


def is_outside(runs: Sequence[Run]) -> bool:
    """Whether the runs of one recipe, of all its epochs, miss what they should reach."""
    key = (runs[0]["model"], runs[0]["preset"])
    if runs[0]["epochs"] != epochs_of(key, 1):
        return False
    if "pca_loss" in runs[0]:
        return first_preset(key) and any(
            run["loss"] > PCA_LOSS * run["pca_loss"] or run["pca_angle"] > PCA_ANGLE for run in runs
        )
    loss = statistics.fmean(run["loss"] for run in runs)
    return key in PUBLISHED and verdict(loss, PUBLISHED[key]) != "within"


def first_preset(key: Key) -> bool:
    """Whether it is the recipe that counts; the text's of linear-ae is known to end too early."""
    return key[1] == next(iter(models.find(key[0]).recipes))


def table(done: Iterable[Sequence[Run]]) -> str:
    """A line for each recipe, from the runs of all its seeds."""
    header = ["", "epochs", "seeds", "loss", "published", "", "", "rounded acc.", "published"]
    rows, lines = [], []
    for runs in done:
        key = (runs[0]["model"], runs[0]["preset"])
        if "pca_loss" in runs[0]:
            lines += [_pca_line(key, runs)]
            continue
        published = PUBLISHED.get(key, Published(0.0))
        loss = statistics.fmean(run["loss"] for run in runs)
        whole = runs[0]["epochs"] == epochs_of(key, 1)
        row = [":".join(key), str(runs[0]["epochs"]), str(len(runs)), _mean(runs, "loss")]
        if key in PUBLISHED:
            judged = verdict(loss, published) if whole else "a trial"
            row += [f"{published.loss:g}", f"{100 * (loss / published.loss - 1):+.1f} %", judged]
        else:
            row += ["", "", ""]
        row.append(_mean(runs, "rounded_accuracy", 3) if "rounded_accuracy" in runs[0] else "")
        row.append(f"{published.rounded_accuracy:g}" if published.rounded_accuracy else "")
        rows.append(row)
    return "\n".join([*([report.table(header, rows)] if rows else []), *lines])


def _mean(runs: Sequence[Run], name: str, digits: int = 4) -> str:
    """The mean over the seeds, and how far they are apart."""
    values = [run[name] for run in runs]
    spread = f" +- {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{spread}"


def _pca_line(key: Key, runs: Sequence[Run]) -> str:
    """The worst seed of a linear autoencoder."""
    ratio = max(run["loss"] / run["pca_loss"] for run in runs)
    angle = max(run["pca_angle"] for run in runs)
    judged = "OUTSIDE" if is_outside(runs) else "within" if first_preset(key) else "too short"
    judged = judged if runs[0]["epochs"] == epochs_of(key, 1) else "a trial"
    return (
        f"{':'.join(key)}, {runs[0]['epochs']} epochs, {len(runs)} seeds: at worst {ratio:.4f} "
        f"times PCA's loss, largest principal angle {angle:.4f} rad: {judged}"
    )


def main(arguments: list[str] | None = None) -> int:
    """Train what is named, or everything."""
    parser = parser_for("recipes", __doc__)
    parser.add_argument("names", nargs="*", metavar="MODEL", help="a model, or MODEL:PRESET")
    parser.add_argument("--seeds", type=int, default=3, help="from 0 on (default: %(default)s)")
    parser.add_argument(
        "--epochs-scale", type=float, default=1.0, help="of all epochs, such as 0.1 for a trial"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every run there at once")
    options = parser.parse_args(arguments)
    if options.seeds < 1 or not options.epochs_scale > 0:
        parser.error("--seeds and --epochs-scale must be above 0")
    try:
        keys, book = chosen(options.names), Book(options.json)
    except ValueError as error:
        parser.error(str(error))
    done: dict[Key, list[Run]] = {}
    try:
        for key in keys:
            for seed in range(options.seeds):
                run = book.find(key, seed, epochs_of(key, options.epochs_scale))
                known = run is not None
                if run is None:
                    run = train(key, seed, options.epochs_scale)
                    book.add(run)
                done.setdefault(key, []).append(run)
                source = f"from {options.json}" if known else f"{run['seconds']:.0f} s"
                print(
                    f"{':'.join(key)}, seed {seed}: loss {run['loss']:.4f} ({source})", flush=True
                )
    except KeyboardInterrupt:
        kept = f"; {options.json} has them, the same command goes on" if options.json else ""
        print(f"\ninterrupted{kept}")
        return 130
    finally:
        if done:
            print("\n" + table(done.values()))
    return int(any(is_outside(runs) for runs in done.values()))


if __name__ == "__main__":
    raise SystemExit(main())
