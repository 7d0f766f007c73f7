"""StyleGAN's ablation: what each of its parts does to score, path length and separability.

    python -m benchmarks.style_ablation [--only WORD ...] [--size P] [--images N] [--seeds N]
                                        [--json FILE]

Rows A to F of the paper's table 1, and those of its table 3, in small on `faces`: each changes one
part of the row before. Half of a run's images go by before the last level is stable. All have the
same loss (non-saturating with R1, gamma by the rule), optimiser and count of images. The Fréchet
distance is that of the library's regressor of factors, whose features also measure path lengths;
separability is that of smile, age, pose and glasses, as the regressor sees them. Only the order of
the rows can be compared with the paper's. With FILE, runs that it has already are not done again.
Hours on two cores.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygen import Random, ops
from tinygen.backend import Array
from tinygen.config import no_grad
from tinygen.data.factors import Factor
from tinygen.metrics import linear_separability, perceptual_path_length
from tinygen.models import Regressor, TrainingOptions
from tinygen.training import Trainer
from tinygen.training.experiment import Experiment
from tinygen.training.feature_network import judging_model, of_model
from tinygen.training.judge_samples import samples_of
from tinygen.training.judging import judge
from tinygen.training.settings import settings

from . import report
from .command_line import parser_for
from .recipes import Book, Run

SMALL = {"width": 32, "maps": 256, "latents": 32}
SAME_LOSS = {"loss": "non_saturating", "gradient_penalty": 0.0, "drift": 0.0, "r1": "rule"}
PLAIN_STYLES = {"constant": False, "layer_noise": False, "mixing": 0.0}
ATTRIBUTES = ("smile", "age", "pose", "glasses")
JUDGED, PATHS, SEPARATED = 2_000, 2_000, 4_000  # samples
FIGURES = ("frechet", "recall", "z_full", "z_end", "w_full", "w_end", "z_separability",
           "w_separability")  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A row of the ablation.

    Attributes:
        model: its name.
        config: what differs from the model's defaults.
        published: of the paper's tables: Fréchet distance on FFHQ; path length full and end;
            separability.
    """

    model: str
    config: Mapping[str, Any] = field(default_factory=dict)
    published: tuple[str, ...] = ()


ROWS = {
    "A progressive growing": Row("progan", {**SAME_LOSS, "start": 8}, ("8.04",)),
    "B smoothed resampling": Row(
        "progan", {**SAME_LOSS, "start": 8, "blur": True}, ("5.25", "412.0 z", "415.3 z", "10.78 z")
    ),
    "C mapping and styles": Row("stylegan", PLAIN_STYLES, ("4.85",)),
    "D learned constant": Row(
        "stylegan", {**PLAIN_STYLES, "constant": True}, ("4.88", "446.2", "376.6", "3.61")
    ),
    "E noise": Row("stylegan", {"mixing": 0.0}, ("4.42", "200.5", "160.6", "3.54")),
    "mixing 50 %": Row("stylegan", {"mixing": 0.5}, ("4.41", "231.5", "182.1", "3.51")),
    "F mixing 90 %": Row("stylegan", {}, ("4.40", "234.0", "195.9", "3.79")),
    "F, not growing": Row("stylegan", {"start": None}),
    "StyleGAN2": Row("stylegan", {"start": None, "style": "modulation", "network": "skip",
                                  "path_length": 2.0}),
}  # fmt: skip


def train(name: str, seed: int, size: int, images: int) -> Run:
    """One run, and its figures."""
    row = ROWS[name]
    phases = 2 * (size // 8).bit_length() - 2  # from 8 x 8 pixels, before the last
    config = {**SMALL, "phase_images": max(1, images // (2 * max(1, phases))), **row.config}
    wanted = settings(
        row.model,
        data="faces",
        size=size,
        images=images,
        seed=seed,
        overrides={"batch_size": 16, **config},
    )
    experiment = Experiment.build(wanted)
    model, options = experiment.model, TrainingOptions.from_tables(wanted)
    start = time.perf_counter()
    Trainer(model, model.stages(options), experiment.train, options).train()
    seconds = time.perf_counter() - start
    assert experiment.dataset is not None
    regressor = judging_model(experiment.dataset)
    assert isinstance(regressor, Regressor)
    real = experiment.train[0][:JUDGED]
    return {"row": name, "seed": seed, "size": size, "images": images, "seconds": seconds,
            **figures(model, regressor, real, seed)}  # fmt: skip


def figures(model: Any, regressor: Regressor, real: Array, seed: int) -> dict[str, float]:
    """Scores of samples, path lengths in z and w, and separability of both."""
    fake = np.clip(samples_of(model, len(real), seed), 0, 1)
    network = of_model(regressor, "regressor of faces")
    scores = judge(fake, real, network, names=["frechet_distance", "recall"], seed=seed).scores
    found = {"frechet": float(scores["frechet_distance"]), "recall": float(scores["recall"])}
    found |= separabilities(model, regressor, seed)
    model.to(dtype="float64")
    regressor.to(dtype="float64")
    try:
        for space in ("z", "w"):
            for ends in ("full", "end"):
                found[f"{space}_{ends}"] = float(
                    perceptual_path_length(
                        model, regressor.features, space, ends,
                        rng=Random(seed, "paths"), samples=PATHS,
                    )
                )  # fmt: skip
    finally:
        regressor.to(dtype="float32")
    return found


def separabilities(model: Any, regressor: Regressor, seed: int) -> dict[str, float]:
    """2^(sum of H(Y|X)) of hyperplanes in z and in w, over the attributes."""
    rng = Random(seed, "separability")
    codes: dict[str, list[Array]] = {"z": [], "w": []}
    seen = []
    with no_grad():
        for _ in range(0, SEPARATED, 500):
            z = model.draw_latents(500, rng=rng)
            w = model.map(z)
            images = np.clip(model.synthesize(w, rng=rng).numpy(), 0, 1)
            codes["z"].append(np.asarray(z))
            codes["w"].append(w.numpy())
            seen.append(attributes(regressor, images))
    p = np.concatenate(seen)
    return {
        f"{space}_separability": float(linear_separability(np.concatenate(parts), p))
        for space, parts in codes.items()
    }


def attributes(regressor: Regressor, images: Array) -> Array:
    """How surely each image has each attribute: (n, 4) in [0, 1].

    Of a number its place in its range; of glasses the probability of any.
    """
    y = regressor(images)
    columns = []
    for factor, place in zip(regressor.factors, regressor.places, strict=True):
        if factor.name in ATTRIBUTES:
            columns.append(_share(factor, y.numpy()[:, place]))
    return np.stack(columns, axis=1).astype(np.float64)


def _share(factor: Factor, outputs: Array) -> Array:
    if factor.kind == "category":
        without = factor.values.index("none")
        shares: Array = 1 - ops.softmax(outputs).numpy()[:, without]
        return np.clip(shares, 0, 1)
    return (np.clip(outputs[:, 0], -1, 1) + 1) / 2


class Runs(Book):
    """The runs so far, by row, seed, size and images."""

    def get(self, *key: Any) -> Run | None:
        """The run, if it was done."""
        return next(
            (r for r in self.runs if (r["row"], r["seed"], r["size"], r["images"]) == key), None
        )


def table(runs: Sequence[Run]) -> str:
    """A row of means with 95 % intervals for each row of the ablation, the paper's beside."""
    rows = []
    for name, row in ROWS.items():
        own = [r for r in runs if r["row"] == name]
        if own:
            cells = [interval([r[figure] for r in own]) for figure in FIGURES]
            rows.append([name, str(len(own)), *cells, ", ".join(row.published)])
    header = ["", "seeds", *(f.replace("_", " ") for f in FIGURES),
              "the paper: FFHQ, path full and end, separability, of w"]  # fmt: skip
    return report.table(header, rows)


def interval(values: Sequence[float]) -> str:
    """The mean, and half of the 95 % interval by Student's t."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return f"{mean:.3g}"
    from scipy.stats import t

    half = t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.3g} +- {half:.2g}"


def main(arguments: list[str] | None = None) -> int:
    """Train what is not done yet, one seed of each row after the other, and print the table."""
    parser = parser_for("style_ablation", __doc__)
    parser.add_argument("--only", nargs="+", default=[], metavar="WORD", help="in the rows' names")
    parser.add_argument("--size", type=int, default=16, metavar="P", help="pixels (default 16)")
    parser.add_argument("--images", type=int, default=200_000, metavar="N", help="default 200,000")
    parser.add_argument("--seeds", type=int, default=3, metavar="N", help="of each (default 3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep finished runs there")
    chosen = parser.parse_args(arguments)
    names = [n for n in ROWS if not chosen.only or any(word in n for word in chosen.only)]
    if not names or chosen.seeds < 1:
        parser.error(f"rows are {', '.join(ROWS)}, and there is at least one seed")
    try:
        book = Runs(chosen.json)
    except ValueError as error:
        parser.error(str(error))
    done = []
    for seed in range(chosen.seeds):
        for name in names:
            run = book.get(name, seed, chosen.size, chosen.images)
            if run is None:
                run = train(name, seed, chosen.size, chosen.images)
                book.add(run)
                print(json.dumps(run), file=sys.stderr, flush=True)
            done.append(run)
    print(table(done))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
