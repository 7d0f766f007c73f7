"""Whole epochs of the text's recipes: tinygen's `fit` against Keras's, on the same images.

    python -m benchmarks.epochs [MODEL ...] --keras-python PATH

What a user waits for: shuffling, batches, steps, and validation at the end, as the text calls it;
55,000 images of Fashion-MNIST to fit and 5,000 to validate (--samples takes fewer, for a trial).
Keras runs as it comes and compiled by XLA, the faster of both counts. After one epoch to warm up
all take turns, an epoch at a time. The losses must come out alike, or the table says so and the
command ends with 1; so it does if tinygen is not at least twice as fast. Takes about 4 minutes a
model.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from . import libraries, machine, report
from .command_line import parser_for
from .harness import Contestant, Quietness, Worker, ratio, take_turns

MODELS = ("conv-ae", "recurrent-ae")
SAMPLES, VALIDATION = 55_000, 5_000
ALIKE = 0.05  # by so much, relatively, losses may differ from other weights and another order
GOAL = 2.0  # times as fast as Keras

# label -> library, options of its load()
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "tinygen fit": ("tinygen", {}),
    "keras fit": ("keras", {"jit": False}),
    "keras fit, XLA": ("keras", {"jit": True}),
}


def measure(name: str, images: Path, options: argparse.Namespace) -> dict[str, Any]:
    """Load every library's model, and let them take turns with whole epochs."""
    with contextlib.ExitStack() as stack:
        found: list[Contestant] = []
        for label, (library, settings) in PEERS.items():
            python = getattr(options, f"{library}_python", None)
            worker = stack.enter_context(Worker(library, options.threads, python))
            module = f"benchmarks.peers.{library}_epochs"
            settings = {**settings, "images": str(images)}
            found.append(Contestant.load(label, worker, module, name, **settings))
        quietness = take_turns(found, options.blocks, seconds=0.0, warm_up=0.0)
        losses = {c.label: c.check(1)[0] for c in found}
    ours, *theirs = found
    best = min(theirs, key=lambda c: c.time())
    return {
        "seconds": {c.label: c.time() for c in found},
        "blocks": {c.label: c.times() for c in found},
        "losses": losses,
        "ratio": {c.label: ratio(ours, c)._asdict() for c in theirs},
        "times as fast": 1 / ratio(ours, best).median,
        "alike": all(abs(loss / losses[ours.label] - 1) <= ALIKE for loss in losses.values()),
        "quietness": quietness._asdict(),
        "versions": report.versions(found),
    }


def show(name: str, found: dict[str, Any]) -> str:
    """The table of one model, and what has to be said about it."""
    rows = []
    for label, seconds in found["seconds"].items():
        spread = found["ratio"].get(label)
        rows.append(
            [
                label,
                report.seconds(seconds),
                f"{1 / spread['median']:.2f}" if spread else "",
                f"{found['losses'][label]:.4f}",
            ]
        )
    header = ["", "epoch", "tinygen is faster by", "loss of the last epoch"]
    lines = [f"{name}: batch 32, the text's recipe", report.table(header, rows)]
    if not found["alike"]:
        lines.append(f"the losses are further apart than {ALIKE:.0%}: this is not the same work")
    if found["times as fast"] < GOAL:
        lines.append(f"NOT at least {GOAL:g} times as fast as Keras's faster way")
    lines.append(report.quietness(Quietness(**found["quietness"])))
    return "\n".join(lines)


def write_images(folder: Path, samples: int) -> Path:
    """Fashion-MNIST as an array that every library's interpreter can read."""
    from tinygen import data

    found = data.load("fashion-mnist")
    path = folder / "images.npz"
    validation = min(VALIDATION, samples)
    np.savez(path, train=found.train.images[:samples], valid=found.valid.images[:validation])
    return path


def main(arguments: list[str] | None = None) -> int:
    """Measure the models named, or both."""
    parser = parser_for("epochs", __doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(MODELS))
    parser.add_argument(
        "--samples", type=int, default=SAMPLES, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--blocks", type=int, default=3, help="epochs of each (default: %(default)s)"
    )
    libraries.add_library_arguments(parser)
    options = parser.parse_args(arguments)
    for name in options.models:
        if name not in MODELS:
            parser.error(f"no model {name!r}: choose from {', '.join(MODELS)}")
    description = machine.description()
    print(f"{machine.describe(description)}\n{options.threads} threads")
    outcomes = {}
    with tempfile.TemporaryDirectory() as folder:
        images = write_images(Path(folder), options.samples)
        for name in options.models or MODELS:
            outcomes[name] = measure(name, images, options)
            print("\n" + show(name, outcomes[name]), flush=True)
    print("\n" + next(iter(outcomes.values()))["versions"])
    if options.json:
        contents = {"machine": description, "threads": options.threads, "models": outcomes}
        report.write_json(options.json, {**contents, "samples": options.samples})
    return int(any(not o["alike"] or o["times as fast"] < GOAL for o in outcomes.values()))


if __name__ == "__main__":
    raise SystemExit(main())
