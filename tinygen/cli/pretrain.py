"""tinygen pretrain."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict
from typing import Any

from ..system import require
from ._parts import UsageError, add_command, at_most, picture, positive, usage
from ._trained import restored

MOST_SEEDS = 10_000
EXAMPLE = """examples:
  tinygen pretrain runs/stacked-ae                    a classifier from 500 labels, 10 seeds
  tinygen pretrain runs/stacked-ae --labels 100 --seeds 20
  tinygen pretrain runs/vae --task age                of faces: any of their factors
"""


def add_to(commands: Any) -> None:
    """The command."""
    from ..training.pretrain import Plan

    plan = Plan()
    command = add_command(
        commands,
        "pretrain",
        "What an autoencoder's encoder is worth where labels are few.",
        EXAMPLE,
        run,
    )
    command.add_argument("run_folder", metavar="RUN", help="a run's folder, or a checkpoint in it")
    command.add_argument(
        "--task", default="labels", help="labels (default), or a factor of faces, such as age"
    )
    for name, default, text in (
        ("--labels", plan.labels, "samples with labels"),
        ("--seeds", 10, "how often both are trained"),
        ("--frozen-epochs", plan.frozen_epochs, "epochs of the head alone"),
        ("--epochs", plan.epochs, "epochs of all of it, after these"),
        ("--batch-size", plan.batch_size, "samples in a step"),
    ):
        command.add_argument(
            name, type=positive, default=default, metavar="N", help=f"{text} (default {default})"
        )
    command.add_argument("--optimizer", default=plan.optimizer, help=f"default {plan.optimizer}")
    command.add_argument(
        "--learning-rate", type=float, default=plan.learning_rate, metavar="R", help="default 1e-3"
    )
    command.add_argument(
        "--hidden",
        type=at_most(100_000, least=0),
        default=plan.hidden,
        metavar="N",
        help=f"units of the head's hidden layer, 0 for none (default {plan.hidden})",
    )
    command.add_argument(
        "--out", type=picture, metavar="FILE", help="a .png (default RUN/pretrain-TASK-LABELS.png)"
    )


def run(options: argparse.Namespace) -> int:
    """Both arms for every seed, a table, JSON and a picture."""
    from ..training.pretrain import Outcome, Plan, compare_pretraining, digest, find_data, summarize
    from ..training.results import Results
    from ..view.compared import draw_pretraining

    require("matplotlib", "scipy")
    if not 2 <= options.seeds <= MOST_SEEDS:
        raise UsageError(
            f"--seeds must be from 2, as one tells nothing of the spread, to {MOST_SEEDS:,}"
        )
    names = ("labels", "frozen_epochs", "epochs", "batch_size", "optimizer", "learning_rate")
    plan = usage(Plan, **{name: getattr(options, name) for name in (*names, "hidden")})
    subject = restored(options.run_folder, "images")
    model = subject.model
    train, valid = usage(find_data, subject.experiment, options.task)
    path = options.out or subject.folder / f"pretrain-{options.task}-{plan.labels}.png"
    common = {"model": model.name, "weights": digest(model), "task": options.task, **asdict(plan)}
    results = Results(path.with_suffix(".json"), common)
    results.check_figures()
    missing = [seed for seed in range(options.seeds) if str(seed) not in results.rows]
    figure = "accuracy" if train.y.dtype.kind in "iu" else f"mean absolute error of {options.task}"
    try:
        for outcome in compare_pretraining(model, train, valid, plan, missing):
            results.add(str(outcome.seed), outcome._asdict())
            ends = f"pretrained {outcome.pretrained[-1]:.4f}  scratch {outcome.scratch[-1]:.4f}"
            print(f"seed {outcome.seed}: {figure}  {ends}", flush=True)
    except KeyboardInterrupt:
        kept = f"{len(results.rows)} seeds are kept in {results.path}"
        print(f"\n{kept}; the same command goes on from there", file=sys.stderr)
        raise
    outcomes = [
        Outcome(*(results.figure(str(seed), name) for name in Outcome._fields))
        for seed in range(options.seeds)
    ]
    summary = summarize(outcomes)
    results.write(summary={name: value._asdict() for name, value in summary._asdict().items()})
    print(f"\n{figure} from {plan.labels} labels, {len(outcomes)} seeds, mean and 95 % interval")
    print(f"  pretrained    {summary.pretrained}")
    print(f"  from scratch  {summary.scratch}")
    print(f"  difference    {summary.difference}")
    title = f"{model.name}, {plan.labels} labels, {len(outcomes)} seeds"
    draw_pretraining(outcomes, plan.frozen_epochs, path, title=title, figure=figure)
    print(f"\n{path}\n{results.path}")
    return 0
