"""tinygen evaluate."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ._parts import add_command, at_most, progress_bar, seed

MOST_SAMPLES = 10_000
EXAMPLE = """examples:
  tinygen evaluate runs/stacked-ae
  tinygen evaluate runs/vae --samples 500 --json
"""


def add_to(commands: Any) -> None:
    """The command."""
    what = "Measure a trained model on validation and test data."
    command = add_command(commands, "evaluate", what, EXAMPLE, run)
    command.add_argument("run_folder", metavar="RUN", help="a run's folder, or a checkpoint in it")
    command.add_argument(
        "--samples",
        type=at_most(MOST_SAMPLES),
        default=100,
        metavar="N",
        help=f"importance samples an image for the likelihood of a VAE, up to {MOST_SAMPLES:,}",
    )
    command.add_argument("--seed", type=seed, default=0, metavar="S", help="of noise (default 0)")
    command.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """A row for each part of the data."""
    from ..latent import has_likelihood, negative_log_likelihood
    from ..training import evaluate
    from ..training.experiment import restore

    experiment, folder = restore(options.run_folder)
    model, parts = experiment.model, _parts(experiment)
    figures: dict[str, Any] = {
        name: {"samples": len(arrays[0]), **evaluate(model, *arrays, seed=options.seed)}
        for name, arrays in parts.items()
    }
    if has_likelihood(model):
        for name, arrays in parts.items():
            with progress_bar(f"likelihood of {name} data", 1.0) as show:
                found = negative_log_likelihood(
                    model, arrays[0], options.samples, seed=options.seed, progress=show
                )
            figures[name]["negative_log_likelihood"] = found.mean
            figures[name]["standard_error"] = found.standard_error
    if options.json:
        print(json.dumps({"run": str(folder), "model": model.name, **figures}, indent=2))
    else:
        _print_table(figures)
    return 0


def _parts(experiment: Any) -> dict[str, Any]:
    """Validation and test data; where there is neither, the training data."""
    parts = {"validation": experiment.valid, "test": experiment.test}
    return {k: v for k, v in parts.items() if v} or {"training": experiment.train}


def _print_table(figures: dict[str, Any]) -> None:
    """Names over columns; the likelihood in nats with its standard error."""
    rows = []
    for part, row in figures.items():
        shown = {name.replace("_", " "): f"{value:.4f}" for name, value in row.items()}
        shown["samples"] = f"{row['samples']:,}"
        if shown.pop("standard error", None):
            nats = f"{row['negative_log_likelihood']:.2f} +- {row['standard_error']:.2f} nats"
            shown["negative log likelihood"] = nats
        rows.append({"": part, **shown})
    columns = list(rows[0])
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in columns]
    for line in (dict(zip(columns, columns, strict=True)), *rows):
        cells = (line[name].rjust(width) for name, width in zip(columns, widths, strict=True))
        print("  ".join(cells))
