"""Samples: a DCGAN's against those of the same network in PyTorch, and a conditional GAN's labels.

    python -m benchmarks.samples [dcgan:paper] [cgan:paper] [cgan:projection]
                                 [--seeds N] [--epochs N] [--json FILE] [--plates FOLDER]

dcgan:paper is trained on Fashion-MNIST by its recipe, and by PyTorch from the same initial weights
for as many steps with the same optimiser and batch size; shuffles and latents are each library's
own. 10,000 samples of both are judged by the library's classifier: the Fréchet distance to the test
images, beside the floor (training images) and the ceiling (uniform noise), and how many samples
it takes for each class. Due: every class has 2 % of ours, and the 95 % interval of the ratio of the
distances, Student's of the logarithms over five seeds or more, includes 1 or lies below. Of each
recipe of cgan 10,000 samples with balanced labels are drawn: the classifier must agree with 80 %.

With FILE, runs that it has already are not done again, so that the benchmark can be interrupted.
It ends with 1 if a bar is missed. Up to an hour for each run on one core.
"""

from __future__ import annotations

import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygen import Random, metrics, models
from tinygen.backend import Array
from tinygen.data import Dataset
from tinygen.data import load as load_data
from tinygen.models import TrainingOptions
from tinygen.nn import BatchNorm
from tinygen.training.experiment import Experiment
from tinygen.training.feature_network import FeatureNetwork, feature_network
from tinygen.training.judging import SCARCE
from tinygen.training.settings import settings
from tinygen.view.plate import plate

from . import libraries
from .command_line import parser_for
from .libraries import ROOT
from .recipes import Book, Run

PAIRED = "dcgan:paper"
RECIPES = (PAIRED, *(f"cgan:{preset}" for preset in models.find("cgan").recipes))
DATA = "fashion-mnist"
SAMPLES = 10_000
SEEDS = 5  # the fewest that an interval is due of
AGREEMENT = 0.8
SHOWN = 100  # samples on a plate

Key = tuple[str, str, int, int]  # recipe, library, seed, epochs


@dataclass(frozen=True)
class Task:
    """What a process is asked to do.

    Attributes:
        recipe: MODEL:PRESET.
        seed: of weights and all that is drawn.
        epochs: passes over the training images.
        samples: how many to draw.
        overrides: other settings, for a trial.
    """

    recipe: str
    seed: int
    epochs: int
    samples: int = SAMPLES
    overrides: Mapping[str, Any] | None = None

    def settings(self) -> dict[str, Any]:
        """Of a run of tinygen."""
        name, _, preset = self.recipe.partition(":")
        return settings(
            name,
            preset=preset,
            epochs=self.epochs,
            seed=self.seed,
            overrides=dict(self.overrides or {}),
        )


def request(task: Task, library: str, folder: Path) -> dict[str, Any]:
    """What the process of a library is told; for PyTorch, images and weights are written first."""
    wanted = task.settings()
    common = {"seed": task.seed, "samples": task.samples, "out": str(folder / "samples.npz")}
    if library == "tinygen":
        return {**common, "settings": wanted}
    experiment, options = Experiment.build(wanted), TrainingOptions.from_tables(wanted)
    (images,), config, adam = experiment.train, experiment.model.config, wanted["options"]
    steps = task.epochs * (len(images) // options.batch_size)
    if options.max_steps is not None:
        steps = min(steps, options.max_steps)
    epsilons = {m.epsilon for m in experiment.model.modules() if isinstance(m, BatchNorm)}
    (norm_epsilon,) = epsilons
    given = folder / "given.npz"
    arrays: dict[str, Any] = {"images": images, **experiment.model.state_dict()}
    np.savez(given, **arrays)
    return {
        **common,
        "given": str(given),
        "steps": steps,
        "batch": options.batch_size,
        "rate": adam["learning_rate"],
        "betas": [adam["beta1"], adam["beta2"]],
        "epsilon": adam["epsilon"],
        "momentum": config["momentum"],
        "norm_epsilon": norm_epsilon,
        "slope": config["discriminator_activation"][1],
    }


def drawn(task: Task, library: str, threads: int, python: str) -> dict[str, Array]:
    """Train in a process of its own: `samples`, `seconds`, and `labels` if there are any.

    Raises RuntimeError with what the process said if it fails.
    """
    with tempfile.TemporaryDirectory() as name:
        asked = request(task, library, Path(name))
        done = subprocess.run(
            [python, "-m", f"benchmarks.peers.{library}_samples", json.dumps(asked)],
            capture_output=True,
            cwd=ROOT,
            env={**libraries.environment(threads), "TINYGEN_THREADS": str(threads)},
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{library}, {task.recipe}, seed {task.seed}: {done.stderr}")
        with np.load(asked["out"]) as arrays:
            return {key: arrays[key] for key in arrays.files}


class Judge:
    """The classifier of a data set, and the test images that it judges against."""

    def __init__(self, dataset: Dataset, network: FeatureNetwork | None = None) -> None:
        self.network = network or feature_network(dataset)
        self.dataset = dataset
        self.real = self.network.features(dataset.test.floats())

    def figures(self, samples: Array, labels: Array | None = None) -> dict[str, Any]:
        """The Fréchet distance, samples of each class, and the share that is of its label.

        Samples that are no numbers are infinitely far, and of no class.
        """
        classes = len(self.network.classes)
        if not np.isfinite(samples).all():
            found: dict[str, Any] = {"frechet": math.inf, "classes": [0] * classes}
            return found if labels is None else {**found, "agreement": 0.0}
        features, probabilities = self.network(np.clip(samples, 0, 1))
        assert probabilities is not None  # the data has labels
        told = probabilities.argmax(axis=1)
        found = {
            "frechet": float(metrics.frechet_distance(self.real, features)),
            "classes": np.bincount(told, minlength=classes).tolist(),
        }
        if labels is not None:
            found["agreement"] = float((told == labels).mean())
        return found

    def limits(self, n: int = SAMPLES) -> dict[str, dict[str, Any]]:
        """The same of training images (the floor) and of uniform noise (the ceiling).

        The floor's agreement is that of test images: the classifier learned the others' labels.
        """
        test = self.dataset.test
        images = self.dataset.train.floats()[:n]
        noise = Random(0, "noise").uniform(images.shape)
        seen = self.figures(test.floats(), test.labels)
        return {
            "floor": {**self.figures(images), "agreement": seen["agreement"]},
            "ceiling": self.figures(noise, np.arange(len(noise)) % len(self.network.classes)),
        }


class Runs(Book):
    """The runs so far, by recipe, library, seed and epochs."""

    def get(self, key: Key) -> Run | None:
        """The run, if it was done."""
        names = ("recipe", "library", "seed", "epochs")
        return next((r for r in self.runs if tuple(r.get(k) for k in names) == key), None)


def rounds(recipes: Iterable[str], seeds: int, epochs: int | None) -> list[Key]:
    """All runs: everything with one seed, then with the next, so that a part is a table."""
    found: list[Key] = []
    for seed in range(seeds):
        for recipe in recipes:
            name, _, preset = recipe.partition(":")
            passes = epochs or models.find(name).recipe(preset).epochs
            sides = ("tinygen", "torch") if recipe == PAIRED else ("tinygen",)
            found += [(recipe, library, seed, passes) for library in sides]
    return found


def log_ratios(runs: Sequence[Run]) -> list[float]:
    """log(ours / PyTorch's) of the Fréchet distances, of each seed that both have."""
    far = {(r["library"], r["seed"]): r["frechet"] for r in runs if r["recipe"] == PAIRED}
    seeds = sorted(seed for library, seed in far if library == "torch")
    return [math.log(far["tinygen", s] / far["torch", s]) for s in seeds if ("tinygen", s) in far]


def bars(runs: Sequence[Run]) -> list[tuple[str, bool]]:
    """What must hold of the runs that there are, and whether it does."""
    found = []
    for r in runs:
        if r["recipe"] == PAIRED and r["library"] == "tinygen":
            least = min(r["classes"]) / max(1, sum(r["classes"]))
            text = f"{PAIRED}, seed {r['seed']}: the rarest class has {least:.1%}, 2 % are due"
            found.append((text, least >= SCARCE))
        elif "agreement" in r:
            text = (
                f"{r['recipe']}, seed {r['seed']}: agrees with {r['agreement']:.1%}, 80 % are due"
            )
            found.append((text, r["agreement"] >= AGREEMENT))
    logs = log_ratios(runs)
    if len(logs) >= SEEDS:
        low, ratio, high = ratio_interval(logs)
        text = f"ours / PyTorch's {ratio:.3f} ({low:.3f} - {high:.3f}), {len(logs)} seeds"
        found.append((f"{text}: 1 or less is due within", low <= 1))
    return found


def ratio_interval(logs: Sequence[float]) -> tuple[float, float, float]:
    """The geometric mean of the ratios between the ends of its 95 % interval."""
    middle, half = metrics.interval(logs)
    return math.exp(middle - half), math.exp(middle), math.exp(middle + half)


def mean(values: Sequence[float], factor: float = 1.0, digits: int = 2) -> str:
    """The mean and standard deviation of seeds; the value alone of one."""
    spread = f" +- {factor * statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{factor * statistics.fmean(values):.{digits}f}{spread}"


def table(runs: Sequence[Run], limits: Mapping[str, Mapping[str, Any]]) -> str:
    """In Markdown: a row for each recipe and library, and for both limits."""
    lines = [
        "| | epochs | seeds | Fréchet distance | rarest class, % | agrees with the label, % | s |",
        "|---|---|---|---|---|---|---|",
    ]
    groups: dict[tuple[str, str, int], list[Run]] = {}
    for r in runs:
        groups.setdefault((r["recipe"], r["library"], r["epochs"]), []).append(r)
    for (recipe, library, epochs), own in groups.items():
        rare = [min(r["classes"]) / max(1, sum(r["classes"])) for r in own]
        agreed = [r["agreement"] for r in own if "agreement" in r]
        cells = [
            f"{recipe}, {library}", str(epochs), str(len(own)), mean([r["frechet"] for r in own]),
            mean(rare, 100, 1), mean(agreed, 100, 1) if agreed else "",
            f"{statistics.fmean(r['seconds'] for r in own):.0f}",
        ]  # fmt: skip
        lines.append(f"| {' | '.join(cells)} |")
    for name, found in limits.items():
        rarest = min(found["classes"]) / sum(found["classes"])
        lines.append(
            f"| {name} | | | {found['frechet']:.2f} | {100 * rarest:.1f} | "
            f"{100 * found['agreement']:.1f} | |"
        )
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Train what is not done yet, and print the table."""
    parser = parser_for("samples", __doc__)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", help=", ".join(RECIPES))
    parser.add_argument("--seeds", type=int, default=SEEDS, help="default: %(default)s")
    parser.add_argument("--epochs", type=int, metavar="N", help="of all, for a trial")
    parser.add_argument("--threads", type=int, default=2, help="of both (default: %(default)s)")
    parser.add_argument("--torch-python", metavar="PATH", help="the Python that has torch")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep finished runs there")
    parser.add_argument("--plates", type=Path, metavar="FOLDER", help="pictures of each run there")
    chosen = parser.parse_args(arguments)
    for wrong in {*chosen.recipes} - {*RECIPES}:
        parser.error(f"there is no {wrong!r}; recipes are {', '.join(RECIPES)}")
    for option in ("seeds", "epochs", "threads"):
        if (given := getattr(chosen, option)) is not None and given < 1:
            parser.error(f"--{option} must be at least 1, not {given}")
    due = rounds(chosen.recipes or RECIPES, chosen.seeds, chosen.epochs)
    pythons = {"tinygen": sys.executable}
    try:
        book = Runs(chosen.json)
        if any(library == "torch" for _, library, _, _ in due):
            pythons["torch"] = libraries.interpreter("torch", chosen.torch_python)
    except (ValueError, libraries.NotInstalledError) as error:
        parser.error(str(error))
    judge, runs = Judge(load_data(DATA)), []
    for key in due:
        run = book.get(key)
        if run is None:
            recipe, library, seed, epochs = key
            made = drawn(Task(recipe, seed, epochs), library, chosen.threads, pythons[library])
            if chosen.plates:
                draw(made["samples"], chosen.plates, "-".join(map(str, key)).replace(":", "-"))
            run = {
                "recipe": recipe, "library": library, "seed": seed, "epochs": epochs,
                "seconds": float(made["seconds"]), "extractor": judge.network.hash,
                **judge.figures(made["samples"], made.get("labels")),
            }  # fmt: skip
            book.add(run)
            print(json.dumps(run), file=sys.stderr, flush=True)
        runs.append(run)
    print(table(runs, judge.limits()), end="\n\n")
    found = bars(runs)
    for text, holds in found:
        print(f"{text}: {'holds' if holds else 'MISSED'}")
    if logs := log_ratios(runs):
        print(f"ours / PyTorch's by seed: {', '.join(f'{math.exp(v):.3f}' for v in logs)}")
    if 1 < len(logs) < SEEDS:
        low, ratio, high = ratio_interval(logs)
        print(f"their mean {ratio:.3f} ({low:.3f} - {high:.3f}); {SEEDS} seeds are due")
    return int(not all(holds for _, holds in found))


def draw(samples: Array, folder: Path, name: str) -> None:
    """A plate of the first samples, ten in a row: with labels, a column for each."""
    folder.mkdir(parents=True, exist_ok=True)
    plate(samples[:SHOWN], 10).save(folder / f"{name}.png")


if __name__ == "__main__":
    raise SystemExit(main())
