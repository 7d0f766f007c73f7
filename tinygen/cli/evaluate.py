"""tinygen evaluate."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from ..system import require
from ._parts import UsageError, add_command, at_most, progress_bar, seed, usage

MOST_SAMPLES, MOST_JUDGED = 10_000, 50_000
FEWEST = 50  # images, to judge by without being asked
EXAMPLE = """examples:
  tinygen evaluate runs/stacked-ae
  tinygen evaluate runs/vae --samples 500 --json
  tinygen evaluate runs/dcgan --n 10000                      judge samples, too
  tinygen evaluate runs/dcgan --metrics frechet_distance recall
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
    command.add_argument(
        "--n",
        type=at_most(MOST_JUDGED),
        metavar="N",
        help=f"judge N samples against real images, up to {MOST_JUDGED:,}; of an autoencoder N "
        "reconstructions (of a GAN by default as many as there is test data)",
    )
    command.add_argument(
        "--metrics",
        nargs="+",
        metavar="NAME",
        help="which, such as frechet_distance, precision, sliced_wasserstein",
    )
    command.add_argument("--features", metavar="FILE", help="an .onnx file to take features from")
    command.add_argument("--seed", type=seed, default=0, metavar="S", help="of noise (default 0)")
    command.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """A row for each part of the data, then scores of samples, also in the report's page."""
    from ..latent import has_likelihood, negative_log_likelihood
    from ..models import Adversarial
    from ..training import evaluate
    from ..training.checkpoint import write_atomically
    from ..training.experiment import restore
    from ..training.feature_network import weights_digest
    from ..training.judging import lines, tables
    from ..view.report import write_report
    from ..view.scores import FILE

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
    judged = options.n or options.metrics or options.features or isinstance(model, Adversarial)
    if judged:
        require("jinja2", "matplotlib", "sklearn")  # not only when the page is written
    judgement = _judged(experiment, options) if judged else None
    whole = {"run": str(folder), "model": model.name, **figures}
    if judgement is not None:
        whole |= {"weights": weights_digest(model), "judgement": tables(judgement)}
        text = json.dumps(whole, indent=2, allow_nan=False) + "\n"
        write_atomically(folder / FILE, text.encode())
        print("drawing the page", file=sys.stderr, flush=True)
        page = write_report(options.run_folder)
    if options.json:
        print(json.dumps(whole, indent=2))
        return 0
    _print_table(figures)
    if judgement is not None:
        print()
        for line in lines(judgement):
            print(line)
        print(f"\nkept in {folder / FILE}\nthe page shows them: {page}")
    return 0


def _judged(experiment: Any, options: argparse.Namespace) -> Any:
    """The report of samples, or of reconstructions, against the data; None for what is no image."""
    from ..models import Autoencoder
    from ..training.extractors import of_onnx
    from ..training.judging import report

    dataset, model = experiment.dataset, experiment.model
    if not hasattr(model, "sample") and not isinstance(model, Autoencoder):
        raise UsageError(
            f"{model.name} makes no images to judge by --n, --metrics and --features; a GAN or an "
            "autoencoder does"
        )
    if dataset.kind != "images" or experiment.samples.ndim < 3:
        if options.n or options.metrics or options.features:
            raise UsageError(
                f"only images are judged by --n, --metrics and --features; {model.name}"
                f" was trained on {dataset.kind}"
            )
        return None
    held_out = (experiment.test or experiment.valid)[:1]
    if not held_out:
        raise ValueError(f"{dataset.name}: too few images to judge by; test data is needed")
    real, others = held_out[0], experiment.train[0]
    n = min(options.n or len(real), MOST_JUDGED)
    if options.n is None and not options.metrics and min(len(real), len(others)) < FEWEST:
        print(f"{len(real)} images are too few to judge samples by", file=sys.stderr)
        return None
    reals = real[:n]
    network = of_onnx(options.features) if options.features else experiment.feature_network()
    fake, kind = _made(model, real, n, options.seed)
    judged = min(len(fake), len(others))
    if options.n is not None and min(judged, len(reals)) < options.n:
        counts = f"{judged:,} {kind} against {len(reals):,} reals"
        print(f"{dataset.name} has too few images: {counts} are judged", file=sys.stderr)
    return usage(
        report,
        fake,
        reals,
        others[:n],
        network,
        names=options.metrics,
        seed=options.seed,
        progress=lambda name: print(f"judging {name}", file=sys.stderr, flush=True),
        kind=kind,
    )


def _made(model: Any, real: Any, n: int, chosen: int) -> tuple[Any, str]:
    """n samples of a generative model, reconstructions of any other autoencoder; and which."""
    import numpy as np

    from ..latent import reconstruct
    from ..training.judge_samples import samples_of

    if hasattr(model, "sample"):
        return np.clip(samples_of(model, n, chosen), 0, 1), "samples"
    return np.clip(reconstruct(model, real[:n]), 0, 1), "reconstructions"


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
