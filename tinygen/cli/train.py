"""tinygen train, tinygen resume."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..backend import PRECISIONS
from ..system import require
from ._parts import UsageError, add_command, assignment, positive, seed, usage

EXAMPLE = """examples:
  tinygen train stacked-ae --data faces                    built-in data, no network
  tinygen train stacked-ae --epochs 20 --seed 1            the chapter's recipe on Fashion-MNIST
  tinygen train tied-ae --set codings=10 --set learning_rate=1.0
  tinygen train stacked-ae --preset greedy --dry-run       show what would be done
  tinygen train dcgan --judge-every 2                      scores of samples while it trains
  tinygen train recurrent-ae --data series                 series of unequal lengths
  tinygen train recurrent-ae --data poems.txt              the characters of a text
"""


def add_to(commands: Any) -> None:
    """Both commands."""
    train = add_command(commands, "train", "Train a model.", EXAMPLE, run)
    train.add_argument("name", metavar="NAME", help="a model, such as stacked-ae")
    train.add_argument("--preset", help="one of the model's recipes (default: the chapter's)")
    train.add_argument("--data", help="a data set, a folder of images, an .npz or a .txt")
    length = train.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=positive, metavar="N", help="passes over the data")
    length.add_argument("--images", type=positive, metavar="N", help="or samples seen in all")
    length.add_argument("--steps", type=positive, metavar="N", help="or training steps in all")
    train.add_argument("--size", type=positive, metavar="P", help="images' height and width")
    train.add_argument(
        "--channels", type=int, choices=[1, 3], help="1 for grey, 3 for RGB (default the recipe's)"
    )
    train.add_argument("--batch-size", type=positive, metavar="B", help="samples in a step")
    train.add_argument(
        "--judge-every",
        type=positive,
        metavar="K",
        help="judge samples every K epochs (--set judge_samples=2000 of them)",
    )
    train.add_argument("--seed", type=seed, default=0, metavar="S", help="default 0")
    train.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="default cpu")
    train.add_argument(
        "--precision",
        default="float32",
        choices=PRECISIONS,
        help="of products: exact is without Winograd; on a card also tf32 ... (default float32)",
    )
    train.add_argument("--out", metavar="DIR", help="the run's folder (default runs/NAME)")
    train.add_argument(
        "--set",
        action="append",
        default=[],
        type=assignment,
        metavar="KEY=VALUE",
        help="any other setting; may be repeated (--dry-run lists them)",
    )
    train.add_argument("--dry-run", action="store_true", help="print the settings and stop")
    train.add_argument("--quick", action="store_true", help="little data, two epochs")

    resume = add_command(
        commands,
        "resume",
        "Go on with a run that was interrupted, or train it for longer.",
        "example:\n  tinygen resume runs/stacked-ae\n  tinygen resume runs/stacked-ae --epochs 20",
        run_resume,
    )
    resume.add_argument("folder", metavar="RUN", help="the run's folder, or a checkpoint in it")
    resume.add_argument("--epochs", type=positive, metavar="N", help="a new total of epochs")


def run(options: argparse.Namespace) -> int:
    """tinygen train."""
    from ..training.experiment import Experiment
    from ..training.settings import settings

    wanted = usage(
        settings,
        options.name,
        preset=options.preset,
        data=options.data,
        epochs=options.epochs,
        steps=options.steps,
        images=options.images,
        batch_size=options.batch_size,
        seed=options.seed,
        size=options.size,
        channels=options.channels,
        device=options.device,
        precision=options.precision,
        overrides=dict(options.set) | _judged(options.judge_every),
        quick=options.quick,
    )
    if options.dry_run:
        return _show(wanted)
    from ..training import Run
    from ..training.settings import SettingsError

    require("tomli_w", "matplotlib", "sklearn")  # not only when the figures are drawn
    folder = Path(options.out) if options.out else _free(Path("runs") / options.name)
    Run.check_free(folder)  # before the data is loaded, which may take a while
    try:
        experiment = Experiment.build(wanted)
        trainer = experiment.trainer([_plates(experiment)])
    except SettingsError as error:  # as --dry-run says, if the shape of the data is known
        raise UsageError(str(error)) from error
    created = Run.create(folder, experiment.settings)
    trainer.write_to(created)
    with created.locked():
        return _train(experiment, trainer)


def _judged(every: int | None) -> dict[str, int]:
    """The setting of --judge-every, if it was given."""
    return {} if every is None else {"judge_every": every}


def run_resume(options: argparse.Namespace) -> int:
    """tinygen resume."""
    from ..training.experiment import Experiment, reopen

    require("tomli_w", "matplotlib", "sklearn")
    with reopen(options.folder, options.epochs) as (run, checkpoint):
        experiment = Experiment.of(run)
        trainer = experiment.trainer([_plates(experiment)])
        trainer.write_to(run)
        trainer.resume(checkpoint)
        if trainer.done:
            more = "--epochs N trains it for longer"
            print(f"{run.folder} is done after step {trainer.step:,}; {more}")
        else:
            print(f"going on with {run.folder} after step {trainer.step:,}")
        return _train(experiment, trainer)


def _show(wanted: dict[str, Any]) -> int:
    """The settings as config.toml would hold them, and the model."""
    require("tomli_w")
    import tomli_w

    from ..models import find
    from ..nn.module import print_rows
    from ..training.run import without_none
    from ..training.settings import build_model

    shape = wanted["config"]["image_shape"]
    # without a shape, or a number of classes, it is up to the data
    labelled = find(wanted["model"]).learns_labels(wanted["config"])
    known = shape is not None and not (labelled and wanted["config"]["classes"] is None)
    model = usage(build_model, wanted["config"], wanted) if known else None
    print(tomli_w.dumps(without_none(wanted)))
    if model is not None:
        print_rows(model.layer_rows())
    return 0


def _free(folder: Path) -> Path:
    """`folder`, or the first of folder-2, folder-3, ... that does not exist yet."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def _plates(experiment: Any) -> Any:
    """What draws a row of pictures after each epoch."""
    from ..view import Plates

    return Plates(experiment.samples, experiment.dataset)


def _train(experiment: Any, trainer: Any) -> int:
    """Train to the end, draw the figures, say where everything is."""
    from ..training import Interrupted
    from ..training.checkpoint import trained
    from ..training.findings import findings_of
    from ..view import Subject, draw_figures

    told = experiment.brought()
    if told and not trainer.step:
        trainer.progress.say(f"{told}; --size and --channels choose another format")
    if not trainer.done:
        model, data = experiment.model, experiment.settings["data"]["source"]
        parameters = sum(p.size for p in model.parameters() if p.requires_grad)
        trainer.progress.say(
            f"{model.name} with {parameters:,} parameters on {data}: "
            f"{len(experiment.train[0]):,} samples to fit, "
            f"{len(experiment.valid[0]) if experiment.valid else 0:,} to validate"
        )
    try:
        rows = trainer.train()
    except Interrupted as stopped:
        trainer.run.log(str(stopped))
        return _stopped(str(stopped), stopped.signal_number)
    folder = trainer.run.folder
    for finding in findings_of(experiment, rows):
        trainer.progress.say(f"\n{finding}")
    try:
        experiment.model.to(device="cpu")
        print("\npictures:")
        for path in draw_figures(Subject(experiment, folder, rows)):
            print(f"  {path}")
        print(f"model:\n  {trained(folder)}")
    except KeyboardInterrupt:
        again = f"tinygen resume {shlex.quote(str(folder))}"
        whole = f"interrupted while pictures were drawn; training is done: {trained(folder)}"
        return _stopped(f"{whole}\nDraw the pictures with: {again}", signal.SIGINT)
    return 0


def _stopped(message: str, number: int) -> int:
    """Say it, if the terminal is still there, and give the exit code."""
    with suppress(OSError):
        print(f"\n{message}", file=sys.stderr)
    return 128 + number
