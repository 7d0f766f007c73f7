"""tinygen train, tinygen resume."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ._parts import add_command, assignment, positive

EXAMPLE = """examples:
  tinygen train stacked-ae --data faces                    built-in data, no network
  tinygen train stacked-ae --epochs 20 --seed 1            the chapter's recipe on Fashion-MNIST
  tinygen train tied-ae --set codings=10 --set learning_rate=1.0
  tinygen train stacked-ae --preset greedy --dry-run       show what would be done
"""


def add_to(commands: Any) -> None:
    """Both commands."""
    train = add_command(commands, "train", "Train a model.", EXAMPLE, run)
    train.add_argument("name", metavar="NAME", help="a model, such as stacked-ae")
    train.add_argument("--preset", help="one of the model's recipes (default: the chapter's)")
    train.add_argument("--data", help="a data set, a folder of images or an .npz file")
    length = train.add_mutually_exclusive_group()
    length.add_argument("--epochs", type=positive, metavar="N", help="passes over the data")
    length.add_argument("--images", type=positive, metavar="N", help="or samples seen in all")
    length.add_argument("--steps", type=positive, metavar="N", help="or training steps in all")
    train.add_argument("--batch-size", type=positive, metavar="B", help="samples in a step")
    train.add_argument("--seed", type=int, default=0, metavar="S", help="default 0")
    train.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="default cpu")
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
    from ..training.experiment import Experiment, settings

    wanted = settings(
        options.name,
        preset=options.preset,
        data=options.data,
        epochs=options.epochs,
        steps=options.steps,
        images=options.images,
        batch_size=options.batch_size,
        seed=options.seed,
        device=options.device,
        overrides=dict(options.set),
        quick=options.quick,
    )
    if options.dry_run:
        return _show(wanted)
    from ..training import Run

    folder = Path(options.out) if options.out else _free(Path("runs") / options.name)
    Run.check_free(folder)  # before the data is loaded, which may take a while
    experiment = Experiment.build(wanted)
    return _train(experiment, Run.create(folder, wanted), None)


def run_resume(options: argparse.Namespace) -> int:
    """tinygen resume."""
    from ..training.experiment import Experiment, reopen

    run, checkpoint = reopen(options.folder, options.epochs)
    return _train(Experiment.build(run.config), run, checkpoint)


def _show(wanted: dict[str, Any]) -> int:
    """The settings as config.toml would hold them, and the model."""
    import tomli_w

    from .. import models
    from ..training.run import without_none

    print(tomli_w.dumps(without_none(wanted)))
    model = models.create(wanted["model"], **wanted["config"])
    model.summary(tuple(wanted["config"]["image_shape"]))
    return 0


def _free(folder: Path) -> Path:
    """`folder`, or the first of folder-2, folder-3, ... that does not exist yet."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def _train(experiment: Any, run: Any, checkpoint: Path | None) -> int:
    """Train to the end, draw the figures, say where everything is."""
    from ..training import Interrupted
    from ..view import Plates, draw_figures

    samples = (experiment.valid or experiment.train)[0]
    trainer = experiment.trainer(run, [Plates(samples)])
    if checkpoint is not None:
        trainer.resume(checkpoint)
        print(f"going on with {run.folder} after step {trainer.step:,}")
    model, data = experiment.model, experiment.settings["data"]["source"]
    parameters = sum(p.size for p in model.parameters())
    trainer.progress.say(
        f"{model.name} with {parameters:,} parameters on {data}: "
        f"{len(experiment.train[0]):,} samples to fit, "
        f"{len(experiment.valid[0]) if experiment.valid else 0:,} to validate"
    )
    try:
        rows = trainer.train()
    except Interrupted as stopped:
        print(f"\n{stopped}", file=sys.stderr)
        run.log(str(stopped))
        return 128 + stopped.signal_number
    model.save(run.folder / "model.safetensors")
    pictures = draw_figures(model, samples, rows, run.folder)
    print("\npictures:")
    for path in pictures:
        print(f"  {path}")
    print(f"model:\n  {run.folder / 'model.safetensors'}")
    return 0
