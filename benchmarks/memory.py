"""Memory of a training step: what it takes beyond the imports, tinygen against PyTorch and others.

    python -m benchmarks.memory [MODEL ...]

Each measurement is a fresh process, whose resident set is noted. "imports" is its size when the
library is imported and nothing is computed yet; libraries import some of their modules only when
they first need them ("late": tinygen Numba, PyTorch the foundations of its compiler), and these
are counted there too. From then on the peak is watched, through building the model and 20 steps:
"step" is the peak less the imports. Of tinygen's, "code" is what its kernels take: machine code,
read from the cache on disk, and what LLVM needs to load it; other libraries load theirs with their
imports or make it out of sight. "in all" is the whole process, the interpreter too. Where a library
offers several settings, the one that takes least counts. First losses must agree, or the command
ends with 1. A minute or two for each model.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import libraries, machine, report
from .command_line import parser_for
from .fresh import Fresh, first_steps, forget_peak
from .harness import WorkerDiedError, disagreement, spread
from .problems import PROBLEMS
from .steps import PEERS
from .subject import AbsentError

LEFT_OUT = ("torch.compile", "keras fit")  # compilers, and epochs instead of steps
TRIALS = 3  # until all kernels come from the cache
MIB = 1 << 20


@dataclass
class Footprint:
    """The memory of one library's step, in several processes."""

    label: str
    library: str
    runs: list[Fresh]

    def imports(self) -> float:
        """Bytes when everything is imported."""
        return statistics.median(run.stages["complete"].peak for run in self.runs)

    def late(self) -> float:
        """What of the imports came at first use."""
        return self.imports() - statistics.median(run.stages["imported"].peak for run in self.runs)

    def totals(self) -> list[float]:
        """The peaks."""
        return [run.stages["last"].peak for run in self.runs]

    def steps(self) -> list[float]:
        """The peaks less the imports."""
        return [run.stages["last"].peak - run.stages["complete"].peak for run in self.runs]

    def code(self) -> float:
        """What machine code takes of the steps; 0 where nothing is known of it."""
        return statistics.median(run.code.get("bytes", 0) for run in self.runs)

    def as_json(self) -> dict[str, Any]:
        """All stages of all processes, and what came of them, in bytes."""
        return {
            "imports": self.imports(),
            "late": self.late(),
            "steps": self.steps(),
            "code": self.code(),
            "totals": self.totals(),
            "setting": self.runs[0].facts.get("setting"),
            "versions": self.runs[0].versions,
            "losses": self.runs[0].losses,
            "stages": [
                {name: {"at": stage.at, "peak": stage.peak} for name, stage in run.stages.items()}
                for run in self.runs
            ],
        }


@dataclass
class Outcome:
    """What came of one model."""

    name: str
    footprints: list[Footprint] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    disagreement: dict[str, float] = field(default_factory=dict)
    failed: bool = False


def footprint(label: str, name: str, chosen: argparse.Namespace) -> Footprint:
    """Find the setting that takes least and the modules that come late, then measure with these."""
    library, options = PEERS[label]
    python = getattr(chosen, f"{library}_python", None)
    # its own name for the file, since only tinygen has one
    watch = "benchmarks.peers.tinygen_code" if library == "tinygen" else ""

    def run(candidate: int, beforehand: list[str]) -> Fresh:
        for _ in range(TRIALS):
            found = first_steps(
                library, name, options, chosen.threads, python, steps=chosen.steps,
                candidate=candidate, beforehand=beforehand, watch=watch,
            )  # fmt: skip
            if not found.code.get("compiled"):
                break
        return found

    trials = [run(0, [])]
    trials += [run(i, []) for i in range(1, trials[0].facts.get("settings", 1))]
    peaks = [trial.stages["last"].peak for trial in trials]
    best = peaks.index(min(peaks))
    late = trials[best].late
    return Footprint(label, library, [run(best, late) for _ in range(chosen.repeats)])


def measure(name: str, chosen: argparse.Namespace) -> Outcome:
    """Every library's footprint, and how far their first losses are apart."""
    outcome = Outcome(name)
    for label, (library, _) in PEERS.items():
        if label in LEFT_OUT:
            continue
        if chosen.only and library not in ("tinygen", *chosen.only):
            outcome.left_out[label] = "not asked for"
            continue
        try:
            found = footprint(label, name, chosen)
        except (libraries.NotInstalledError, AbsentError) as error:
            if library == "tinygen":
                raise
            outcome.left_out[label] = str(error)
            continue
        except WorkerDiedError as error:
            if library == "tinygen":
                raise
            outcome.left_out[label], outcome.failed = "failed, see above", True
            print(error, file=sys.stderr)
            continue
        outcome.footprints.append(found)
        far = disagreement(outcome.footprints[0].runs[0].losses, found.runs[0].losses)
        outcome.disagreement[label] = far
        outcome.failed = outcome.failed or not far <= PROBLEMS[name].tolerance
    return outcome


def show(outcome: Outcome) -> str:
    """The table of one model, in MiB, and what has to be said about it."""
    problem, ours = PROBLEMS[outcome.name], outcome.footprints[0]
    rows = []
    for each in outcome.footprints:

        def ratio(mine: list[float], its: list[float], each: Footprint = each) -> str:
            if each is ours:
                return ""
            return report.spread(spread([a / b for a, b in zip(mine, its, strict=True)]))

        rows.append(
            [
                each.label,
                mib(each.imports()),
                mib(each.late()),
                mib(statistics.median(each.steps())),
                ratio(ours.steps(), each.steps()),
                mib(each.code()) if each.runs[0].code else "",
                mib(statistics.median(each.totals())),
                ratio(ours.totals(), each.totals()),
                each.runs[0].facts.get("setting", ""),
            ]
        )
    header = [
        "", "imports", "of it late", "step", "tinygen / it", "of it code", "in all",
        "tinygen / it", "setting",
    ]  # fmt: skip
    lines = [
        f"{problem.name}: batch {problem.batch}, {problem.optimizer}; MiB",
        report.table(header, rows),
    ]
    lines += [f"left out: {label}: {why}" for label, why in outcome.left_out.items()]
    for label, far in outcome.disagreement.items():
        if not far <= problem.tolerance:
            lines.append(
                f"DISAGREES: the first losses of {label} are {far:.1e} from tinygen's "
                f"(allowed: {problem.tolerance:.0e}); its memory is of something else"
            )
    compiled = max(run.code.get("compiled", 0) for run in ours.runs)
    if compiled:
        lines.append(
            f"NOT from a warm cache: {compiled} of tinygen's kernels were compiled, time and again"
        )
    return "\n".join(lines)


def mib(size: float) -> str:
    """Bytes in MiB, to a tenth."""
    return f"{size / MIB:.1f}"


def how() -> str:
    """What stands for the peak on this system."""
    if not Path("/proc/self/status").exists():
        return "peaks: ru_maxrss of getrusage, which also counts peaks during the imports"
    if not forget_peak():
        return "peaks: VmHWM, which could not be reset: it also counts peaks during the imports"
    return "peaks: VmHWM of /proc/self/status, reset by clear_refs after the imports"


def main(arguments: list[str] | None = None) -> int:
    """Measure the models named, or all."""
    parser = parser_for("memory", __doc__)
    parser.add_argument("models", nargs="*", metavar="MODEL", help=", ".join(PROBLEMS))
    peers = [name for name in libraries.LIBRARIES if name != "tinygen"]
    parser.add_argument("--only", nargs="+", choices=peers, help="these peers and no others")
    parser.add_argument(
        "--steps", type=int, default=20, help="steps in a process (default: %(default)s)"
    )
    parser.add_argument(
        "--repeats", type=int, default=3, help="processes of each (default: %(default)s)"
    )
    libraries.add_library_arguments(parser)
    chosen = parser.parse_args(arguments)
    for name in chosen.models:
        if name not in PROBLEMS:
            parser.error(f"no model {name!r}: choose from {', '.join(PROBLEMS)}")
    if chosen.steps < 2 or chosen.repeats < 1:
        parser.error("at least 2 steps and 1 process are needed")
    description = machine.description()
    print(machine.describe(description), how(), sep="\n")
    print(f"{chosen.threads} threads, {chosen.steps} steps, medians of {chosen.repeats} processes")
    outcomes = []
    for name in chosen.models or PROBLEMS:
        try:
            outcomes.append(measure(name, chosen))
        except WorkerDiedError as error:
            print(error, file=sys.stderr)
            return 1
        print("\n" + show(outcomes[-1]), flush=True)
    seen = {each.library: each.runs[0].versions for o in outcomes for each in o.footprints}
    print()
    for library, versions in seen.items():
        print(f"{library}: {', '.join(f'{k} {v}' for k, v in versions.items())}")
    if chosen.json:
        contents = {
            "machine": description,
            "threads": chosen.threads,
            "models": {
                o.name: {
                    "libraries": {each.label: each.as_json() for each in o.footprints},
                    "left out": o.left_out,
                    "disagreement": o.disagreement,
                    "failed": o.failed,
                }
                for o in outcomes
            },
        }
        report.write_json(chosen.json, contents)
    return int(any(o.failed for o in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
