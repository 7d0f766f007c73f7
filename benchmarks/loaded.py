"""Training step beside other work: mean times with 0, 1 and 2 processes that are always busy.

    python -m benchmarks.loaded [MODEL ...]

How threads wait for each other is little to see on a quiet machine, and a lot on one that does
other work: a thread that waits awake may keep the one that it waits for from running. So tinygen
takes part with several settings: as it comes, with one thread, with other numbers of turns that a
waiting thread makes before it sleeps;
PyTorch is beside it. Means are shown, not medians, since waits are rare and long. Takes 5 blocks of
1 s for each setting and number of processes, about five minutes for both models.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from . import libraries, machine, report
from .command_line import parser_for
from .harness import Contestant, Quietness, Worker, WorkerDiedError, cpu_seconds, take_turns
from .problems import PROBLEMS
from .steps import STEPS_COMPARED, Outcome, compare
from .subject import AbsentError

MODELS = ("stacked-ae", "conv-ae")
WARM_UP = 20.0  # seconds at most, before the first measurement; later ones find all warm

# It ends with the process that started it, even if that is killed.
BUSY = "import os\nparent = os.getppid()\nwhile os.getppid() == parent: sum(range(10**5))"


@dataclass(frozen=True)
class Setting:
    """A library, and what is set for it.

    Attributes:
        library: its name in `LIBRARIES`.
        threads: how many, if not as many as all.
        variables: of its environment.
        options: of the `load` of its training steps.
    """

    library: str
    threads: int | None = None
    variables: dict[str, str] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)


def turns(n: int) -> Setting:
    """tinygen, with that many turns of a loop before a waiting thread sleeps."""
    return Setting("tinygen", variables={"GOMP_SPINCOUNT": str(n)})


SETTINGS = {
    "tinygen": Setting("tinygen"),
    "one thread": Setting("tinygen", threads=1),
    "1,000 turns": turns(1_000),
    "3,000 turns": turns(3_000),
    "10,000 turns": turns(10_000),
    "100,000 turns": turns(100_000),
    "libgomp's 300,000": turns(300_000),
    "OMP_WAIT_POLICY=passive": Setting("tinygen", variables={"OMP_WAIT_POLICY": "passive"}),
    "torch eager": Setting("torch", options={"compiled": False}),
}


@contextlib.contextmanager
def busy(count: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Within the block, so many processes do nothing, as fast as they can."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.wait()


@dataclass
class Loaded:
    """What came of one model: blocks by number of busy processes, in the order of contestants."""

    outcome: Outcome
    blocks: dict[int, list[list[dict[str, Any]]]] = field(default_factory=dict)
    quietness: dict[int, Quietness] = field(default_factory=dict)

    def mean(self, count: int, contestant: int) -> float:
        """The mean seconds of a step beside so many processes."""
        return statistics.fmean(block["mean"] for block in self.blocks[count][contestant])

    def as_json(self) -> dict[str, Any]:
        """Everything measured."""
        labels = [c.label for c in self.outcome.contestants]
        return {
            "mean step": {
                label: {count: self.mean(count, i) for count in self.blocks}
                for i, label in enumerate(labels)
            },
            "blocks": {c: dict(zip(labels, b, strict=True)) for c, b in self.blocks.items()},
            "quietness": {count: found._asdict() for count, found in self.quietness.items()},
            "left out": self.outcome.left_out,
            "disagreement": self.outcome.disagreement,
            "failed": self.outcome.failed,
        }


def measure(name: str, chosen: argparse.Namespace) -> Loaded:
    """Load every setting's step, compare their losses, let them take turns beside other work."""
    outcome = Outcome(PROBLEMS[name])
    found = Loaded(outcome)
    with contextlib.ExitStack() as stack:
        for label, setting in SETTINGS.items():
            try:
                python = getattr(chosen, f"{setting.library}_python", None)
                threads = setting.threads or chosen.threads
                worker = Worker(setting.library, threads, python, variables=setting.variables)
                stack.enter_context(worker)
                module = f"benchmarks.peers.{setting.library}_steps"
                compare(outcome, Contestant.load(label, worker, module, name, **setting.options))
            except (libraries.NotInstalledError, AbsentError) as error:
                outcome.left_out[label] = str(error)
        for count in chosen.processes:
            for c in outcome.contestants:
                c.blocks = []
            with busy(count) as processes:
                warm_up = chosen.seconds if found.blocks else WARM_UP
                start = time.perf_counter()
                quiet = take_turns(outcome.contestants, chosen.blocks, chosen.seconds, warm_up)
                taken = sum(map(cpu_seconds, processes)) / (time.perf_counter() - start)
            others = max(quiet.other_processes - taken, 0.0)
            found.quietness[count] = quiet._replace(other_processes=others)
            found.blocks[count] = [c.blocks for c in outcome.contestants]
    return found


def show(found: Loaded) -> str:
    """The table of one model, and what has to be said about it."""
    outcome = found.outcome
    rows = [
        [c.label, *(report.seconds(found.mean(count, i)) for count in found.blocks)]
        for i, c in enumerate(outcome.contestants)
    ]
    header = ["mean step, by busy processes", *map(str, found.blocks)]
    lines = [f"{outcome.problem.name}: batch {outcome.problem.batch}", report.table(header, rows)]
    lines += [f"left out: {label}: {why}" for label, why in outcome.left_out.items()]
    far = max(outcome.disagreement.values())
    verb = "DISAGREE: they are apart by" if outcome.failed else "agree to"
    lines.append(f"the losses of the first {STEPS_COMPARED} steps {verb} {far:.1e}")
    lines += [f"beside {n}: {report.quietness(quiet)}" for n, quiet in found.quietness.items()]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure the models named, or both."""
    parser = parser_for("loaded", __doc__)
    names = ", ".join(PROBLEMS)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=f"{names} (default: two)")
    parser.add_argument(
        "--processes",
        type=int,
        nargs="+",
        default=[0, 1, 2],
        metavar="N",
        help="so many beside it that are always busy (default: 0 1 2)",
    )
    libraries.add_arguments(parser, seconds=1.0, blocks=5)
    chosen = parser.parse_args(arguments)
    for name in chosen.models:
        if name not in PROBLEMS:
            parser.error(f"no model {name!r}: choose from {names}")
    description = machine.description()
    print(machine.describe(description), f"{chosen.threads} threads", sep="\n")
    results = []
    for name in chosen.models or MODELS:
        try:
            found = measure(name, chosen)
        except WorkerDiedError as error:
            print(error, file=sys.stderr)
            return 1
        results.append(found)
        print("\n" + show(found), flush=True)
    print("\n" + report.versions([c for found in results for c in found.outcome.contestants]))
    if chosen.json:
        models = {found.outcome.problem.name: found.as_json() for found in results}
        contents = {"machine": description, "threads": chosen.threads, "models": models}
        report.write_json(chosen.json, contents)
    return int(any(found.outcome.failed for found in results))


if __name__ == "__main__":
    raise SystemExit(main())
