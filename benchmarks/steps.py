"""Training step of a model: tinygen against PyTorch, torch.compile, JAX and Keras.

    python -m benchmarks.steps [MODEL ...]

All start from the same weights and see the same batches; before anything is timed, the losses of
the first steps must agree, or the table says so and the command ends with 1. Where a library offers
several settings (fused updates, XLA), its fastest counts. Compilation is over before timing starts.
Takes 20 blocks of 0.3 s for each peer, with the waiting about a minute and a half for each model,
and some minutes for DCGANs, whose compilation takes longer. Noise that a model needs is drawn
beforehand and is the same for all; a GAN's step is both of its phases.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import sys
from dataclasses import dataclass, field
from typing import Any

from . import libraries, machine, report
from .command_line import parser_for
from .harness import (
    Contestant,
    Quietness,
    Worker,
    WorkerDiedError,
    disagreement,
    ratio,
    take_turns,
)
from .problem import Problem
from .problems import PROBLEMS
from .subject import AbsentError

STEPS_COMPARED = 5

# label -> library, options of its load()
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "tinygen": ("tinygen", {}),
    "torch eager": ("torch", {"compiled": False}),
    "torch.compile": ("torch", {"compiled": True}),
    "jax jit": ("jax", {}),
    "keras train_on_batch": ("keras", {"variant": "train_on_batch"}),
    "keras fit": ("keras", {"variant": "fit"}),
}


@dataclass
class Outcome:
    """What came of one model."""

    problem: Problem
    contestants: list[Contestant] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)  # peer -> why
    disagreement: dict[str, float] = field(default_factory=dict)  # of losses, relative to tinygen's
    failed: bool = False
    quietness: Quietness | None = None

    def as_json(self) -> dict[str, Any]:
        """Everything measured, with the ratios."""
        by_label = {c.label: c.as_json() for c in self.contestants}
        for c in self.contestants[1:]:
            if c.blocks:
                by_label[c.label]["ratio"] = ratio(self.contestants[0], c)._asdict()
        return {
            "batch": self.problem.batch,
            "flops": self.problem.flops,
            "libraries": by_label,
            "left out": self.left_out,
            "disagreement": self.disagreement,
            "failed": self.failed,
            "quietness": self.quietness._asdict() if self.quietness else None,
        }


def measure(problem: Problem, chosen: argparse.Namespace) -> Outcome:
    """Load every library's step, compare their losses, let them take turns."""
    outcome = Outcome(problem)
    with contextlib.ExitStack() as stack:
        for label, (library, options) in PEERS.items():
            if chosen.only and library not in ("tinygen", *chosen.only):
                outcome.left_out[label] = "not asked for"
                continue
            try:
                python = getattr(chosen, f"{library}_python", None)
                worker = stack.enter_context(Worker(library, chosen.threads, python))
                module = f"benchmarks.peers.{library}_steps"
                c = Contestant.load(label, worker, module, problem.name, **options)
                compare(outcome, c)
            except (libraries.NotInstalledError, AbsentError) as error:
                if library == "tinygen":
                    raise
                outcome.left_out[label] = str(error)
            except WorkerDiedError as error:
                if library == "tinygen":  # what all others are compared with
                    raise
                outcome.left_out[label], outcome.failed = "failed, see above", True
                print(error, file=sys.stderr)
        outcome.quietness = take_turns(outcome.contestants, chosen.blocks, chosen.seconds)
        for c in outcome.contestants:
            if not all(map(math.isfinite, c.check(1))):
                outcome.failed = True
                print(f"{c.label}: the loss is not finite after the run", file=sys.stderr)
    return outcome


def compare(outcome: Outcome, c: Contestant) -> None:
    """Take a contestant in; note how far its first losses are from tinygen's, the first one's."""
    c.loading["losses"] = losses = c.check(STEPS_COMPARED)
    outcome.contestants.append(c)
    far = disagreement(outcome.contestants[0].loading["losses"], losses)
    outcome.disagreement[c.label] = far
    if not far <= outcome.problem.tolerance:
        outcome.failed = True


def show(outcome: Outcome, ceiling: float) -> str:
    """The table of one model, and what has to be said about it."""
    problem, ours = outcome.problem, outcome.contestants[0]
    rows = []
    for label in PEERS:
        c = next((c for c in outcome.contestants if c.label == label), None)
        if c is None:
            continue
        rows.append(
            [
                label,
                report.seconds(c.time()),
                "" if c is ours else report.spread(ratio(ours, c)),
                f"{problem.flops / c.time() / ceiling:.0%}",
                f"{c.cores():.1f}",
                report.seconds(c.loading["seconds"]),
                c.loading["facts"].get("setting", ""),
            ]
        )
    header = ["", "step", "tinygen / it", "of peak", "cores", "loading", "setting"]
    lines = [
        f"{problem.name}: batch {problem.batch}, {problem.optimizer}, "
        f"{problem.flops / 1e6:.1f} MFLOP a step",
        report.table(header, rows),
    ]
    lines += [f"left out: {label}: {why}" for label, why in outcome.left_out.items()]
    agree = len(outcome.contestants) > 1
    for label, far in outcome.disagreement.items():
        if not far <= problem.tolerance:
            lines.append(
                f"DISAGREES: the first losses of {label} are {far:.1e} from tinygen's "
                f"(allowed: {problem.tolerance:.0e}); its time is of something else"
            )
            agree = False
    if agree:
        worst = max(outcome.disagreement.values())
        lines.append(f"the losses of the first {STEPS_COMPARED} steps agree to {worst:.1e}")
    if outcome.quietness:
        lines.append(report.quietness(outcome.quietness))
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure the models named, or all."""
    parser = parser_for("steps", __doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(PROBLEMS))
    peers = [name for name in libraries.LIBRARIES if name != "tinygen"]
    parser.add_argument("--only", nargs="+", choices=peers, help="these peers and no others")
    libraries.add_arguments(parser)
    chosen = parser.parse_args(arguments)
    for name in chosen.models:
        if name not in PROBLEMS:
            parser.error(f"no model {name!r}: choose from {', '.join(PROBLEMS)}")
    description, ceilings = machine.description(), machine.measure(chosen.threads)
    print(machine.describe(description), machine.describe_ceilings(ceilings), sep="\n")
    print(f"{chosen.threads} threads")
    outcomes = []
    for name in chosen.models or PROBLEMS:
        try:
            outcome = measure(PROBLEMS[name], chosen)
        except WorkerDiedError as error:
            print(error, file=sys.stderr)
            return 1
        outcomes.append(outcome)
        print("\n" + show(outcome, ceilings["flops"]), flush=True)
    print("\n" + report.versions([c for o in outcomes for c in o.contestants]))
    if chosen.json:
        contents = {
            "machine": description,
            "ceilings": ceilings,
            "threads": chosen.threads,
            "models": {o.problem.name: o.as_json() for o in outcomes},
        }
        report.write_json(chosen.json, contents)
    return int(any(o.failed for o in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
