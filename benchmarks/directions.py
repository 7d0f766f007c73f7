"""Directions of factors: how far each moves its own factor of `faces`, and how far the others.

    python -m benchmarks.directions RUN [--codes N] [--size S] [--json FILE] [--plate FILE]

RUN is that of a StyleGAN, or another network with latents, trained on `faces`. What a factor does
to a picture is known of these faces, and the library's regressor sees it, so that directions can be
measured: those from class means, from logistic and linear regression, and from the weights alone
(of which the one is taken that moves the factor most). In w, and for the first two in z as well.
Shifts are in standard deviations of the factor, for codes moved by S of their own standard
deviation along the direction; leakage is the root mean square of the other factors' shifts over the
factor's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygen import Random
from tinygen.backend import Array, to_numpy
from tinygen.config import no_grad
from tinygen.latent import (
    Effects,
    effects,
    fitted_direction,
    mean_direction,
    moved,
    weight_directions,
)
from tinygen.models import Regressor
from tinygen.training.experiment import restore
from tinygen.training.feature_network import judging_model
from tinygen.view import plate, save_png

from . import report
from .command_line import parser_for
from .style_ablation import ATTRIBUTES, attributes

FITTED = 5_000  # codes that directions are fitted to
SHOWN, STEPS = 4, 7  # faces of each row of the plate, and places along a direction
COMPONENTS = 20  # of the weights

Generate = Callable[[Array], Array]


def in_spaces(model: Any) -> dict[str, tuple[Callable[[int, Random], Array], Generate]]:
    """For each space what draws codes, and what makes images of them, with fixed noise."""

    def images(w: Any) -> Array:
        with no_grad():
            return np.clip(to_numpy(model.synthesize(w).array), 0, 1)

    def mapped(z: Array) -> Any:
        with no_grad():
            return model.map(z.astype(model.dtype, copy=False))

    def latents(n: int, rng: Random) -> Array:
        return to_numpy(model.draw_latents(n, rng=rng))

    spaces: dict[str, tuple[Callable[[int, Random], Array], Generate]] = {
        "z": (latents, lambda z: images(mapped(z)))
    }
    if hasattr(model, "truncate"):
        spaces["w"] = (
            lambda n, rng: to_numpy(mapped(latents(n, rng)).array),
            lambda w: images(w.astype(model.dtype, copy=False)),
        )
    return spaces


def found_directions(
    codes: Array, values: Mapping[str, Array], weights: Sequence[Array]
) -> dict[str, dict[str, Array]]:
    """By way of finding, the direction of each factor; of the weights numbered components.

    Args:
        codes: (n, d).
        values: of each factor, (n,); cut at the median for means and logistic regression.
        weights: of the layers that codes go through; none for none.
    """
    halves = {name: (v > np.median(v)).astype(np.float64) for name, v in values.items()}
    found = {
        "class means": {name: mean_direction(codes, v) for name, v in halves.items()},
        "logistic regression": {
            name: fitted_direction(codes, v).direction for name, v in halves.items()
        },
        "linear regression": {
            name: fitted_direction(codes, v).direction for name, v in values.items()
        },
    }
    if weights:
        directions = weight_directions(weights, min(COMPONENTS, codes.shape[1])).directions
        found["weights (SeFa)"] = {str(i): d for i, d in enumerate(directions)}
    return found


def best_rows(effect: Effects) -> dict[str, int]:
    """For each factor the row of `effect` that is its own, or that moves it most."""
    if set(effect.directions) >= set(effect.factors):
        return {name: effect.directions.index(name) for name in effect.factors}
    return {
        name: int(np.abs(effect.shifts[:, i]).argmax()) for i, name in enumerate(effect.factors)
    }


def measure(model: Any, regressor: Regressor, codes: int, size: float) -> list[dict[str, Any]]:
    """A record for each space, way and factor."""
    judge = lambda images: dict(zip(ATTRIBUTES, attributes(regressor, images).T, strict=True))  # noqa: E731
    records = []
    for space, (draw, generate) in in_spaces(model).items():
        x = draw(FITTED, Random(0, f"directions/{space}"))
        values = _values(judge, generate, x)
        weights = [*model.style_weights().values()] if space == "w" else []
        tried = draw(codes, Random(1, f"directions/{space}"))
        step = size * float(x.std(axis=0).mean())
        for way, directions in found_directions(x, values, weights).items():
            effect = effects(generate, judge, tried, directions, step)
            for name, row in best_rows(effect).items():
                own = effect.factors.index(name)
                records.append({
                    "space": space, "way": way, "factor": name,
                    "direction": directions[effect.directions[row]].tolist(),
                    "own": abs(float(effect.shifts[row, own])),
                    "error": float(effect.errors[row, own]),
                    "leakage": effect.leakage(effect.directions[row], name),
                })  # fmt: skip
    return records


def _values(judge: Callable[[Array], dict[str, Array]], generate: Generate, x: Array) -> Any:
    """The factors of the images of codes, by name."""
    parts = [judge(generate(x[i : i + 250])) for i in range(0, len(x), 250)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """A row for each space and way, for each factor its own shift and the leakage."""
    rows = []
    for key in dict.fromkeys((r["space"], r["way"]) for r in records):
        own = {r["factor"]: r for r in records if (r["space"], r["way"]) == key}
        cells = [
            f"{own[f]['own']:.2f} +- {own[f]['error']:.2f}, {own[f]['leakage']:.2f}"
            for f in ATTRIBUTES
        ]
        rows.append([*key, *cells])
    return report.table(["space", "way", *(f"{f}: own, leakage" for f in ATTRIBUTES)], rows)


def draw(model: Any, records: Sequence[Mapping[str, Any]], size: float, path: Path) -> None:
    """A plate: along the direction of each factor, found by regression in the last space."""
    space, (codes_of, generate) = list(in_spaces(model).items())[-1]
    codes = codes_of(SHOWN, Random(2, "directions"))
    step = size * float(codes_of(FITTED, Random(0, "directions")).std(axis=0).mean())
    rows, captions = [], []
    for factor in ATTRIBUTES:
        (record,) = [
            r for r in records
            if (r["space"], r["way"], r["factor"]) == (space, "linear regression", factor)
        ]  # fmt: skip
        ways = moved(codes, np.array(record["direction"]), step * np.linspace(-2, 2, STEPS))
        rows.append(generate(ways.reshape(-1, codes.shape[1])))
        captions += [factor, *[""] * (SHOWN - 1)]
    save_png(plate(np.concatenate(rows), STEPS, captions=captions), path)


def main(arguments: list[str] | None = None) -> int:
    """Measure, and print the table."""
    parser = parser_for("directions", __doc__)
    parser.add_argument("run", metavar="RUN", help="a run's folder")
    parser.add_argument("--codes", type=int, default=1000, metavar="N", help="default 1000")
    parser.add_argument("--size", type=float, default=2.0, metavar="S", help="default 2")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    parser.add_argument("--plate", type=Path, metavar="FILE", help="also draw edits there, a .png")
    chosen = parser.parse_args(arguments)
    experiment, _ = restore(chosen.run)
    model: Any = experiment.model.eval()
    if experiment.dataset is None or experiment.dataset.name != "faces":
        parser.error(f"{chosen.run} was not trained on faces, whose factors are known")
    if not hasattr(model, "map"):
        parser.error(f"{model.name} has no latents that are mapped; progan and stylegan have")
    regressor = judging_model(experiment.dataset)
    assert isinstance(regressor, Regressor)
    records = measure(model, regressor, chosen.codes, chosen.size)
    print(table(records))
    if chosen.json:
        chosen.json.write_text(json.dumps(records, indent=1) + "\n", "utf-8")
    if chosen.plate:
        draw(model, records, chosen.size, chosen.plate)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
