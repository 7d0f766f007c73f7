"""From the start of a process to its first training steps, with kernels in the cache and without.

    python -m benchmarks.first_call [MODEL ...]

Each row is a fresh process: how long Python takes to start, the library to be imported, the model
to be built, and the first and second step to be done; "in all" is up to the first loss. A library
that imports or compiles something only when it is needed does so within its first step. tinygen
runs with a warm cache of kernels on disk, taking turns with PyTorch (medians), and once with an
empty one, when it has to compile them all: it must say so, or the command ends with 1. Half a
minute for each model.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from . import libraries, machine, report
from .command_line import parser_for
from .fresh import Fresh, first_steps
from .harness import WorkerDiedError
from .problems import PROBLEMS
from .subject import AbsentError

STAGES = {  # stage -> the column of what leads up to it
    "started": "python",
    "imported": "import",
    "built": "build",
    "first": "first step",
    "second": "second step",
}
WARM, COLD, PEER = "tinygen, warm cache", "tinygen, cold cache", "torch eager"


def took(run: Fresh) -> dict[str, float]:
    """The seconds of each part, by column."""
    at = [0.0, *(run.stages[stage].at for stage in STAGES)]
    parts = {name: at[i + 1] - at[i] for i, name in enumerate(STAGES.values())}
    return {**parts, "in all": run.stages["first"].at}


def measure(name: str, chosen: argparse.Namespace) -> tuple[dict[str, list[Fresh]], list[str]]:
    """Fresh processes by row, and what has to be said about them."""

    def tinygen(folder: str = "") -> Fresh:
        variables = {"TINYGEN_CACHE_DIR": folder} if folder else {}
        return first_steps("tinygen", name, {}, chosen.threads, variables=variables)

    def torch() -> Fresh:
        python = chosen.torch_python
        return first_steps("torch", name, {"compiled": False}, chosen.threads, python)

    contestants: dict[str, Callable[[], Fresh]] = {WARM: tinygen, PEER: torch}
    notes = []
    tinygen()  # whatever it compiles is in the cache then
    try:
        torch()  # its files are in the system's cache then
    except (libraries.NotInstalledError, AbsentError) as error:
        del contestants[PEER]
        notes.append(f"left out: {PEER}: {error}")
    runs: dict[str, list[Fresh]] = {label: [] for label in contestants}
    for _ in range(chosen.repeats):
        for label, run in contestants.items():
            runs[label].append(run())
    with tempfile.TemporaryDirectory() as folder:
        runs[COLD] = [tinygen(folder)]
    return runs, notes


def show(name: str, runs: dict[str, list[Fresh]]) -> str:
    """The table of one model, and what the first call says."""
    rows = []
    for label in (WARM, COLD, PEER):
        if label in runs:
            parts = [took(run) for run in runs[label]]
            medians = [statistics.median(part[column] for part in parts) for column in parts[0]]
            rows.append([label, *map(report.seconds, medians)])
    problem = PROBLEMS[name]
    said = runs[COLD][0].said.strip()
    lines = [
        f"{name}: batch {problem.batch}",
        report.table(["", *STAGES.values(), "in all"], rows),
        f"with a cold cache it says: {said}" if said else "with a cold cache it says NOTHING",
    ]
    warm = runs[WARM][-1].said.strip()
    if warm:
        lines.append(f"NOT warm, although it ran before: {warm}")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Measure the models named, or the convolutional autoencoder."""
    parser = parser_for("first_call", __doc__)
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=f"(default: conv-ae) {', '.join(PROBLEMS)}"
    )
    parser.add_argument(
        "--repeats", type=int, default=5, help="warm processes of each (default: %(default)s)"
    )
    libraries.add_library_arguments(parser)
    chosen = parser.parse_args(arguments)
    for name in chosen.models:
        if name not in PROBLEMS:
            parser.error(f"no model {name!r}: choose from {', '.join(PROBLEMS)}")
    description = machine.description()
    print(machine.describe(description), f"{chosen.threads} threads", sep="\n")
    figures: dict[str, Any] = {}
    silent = False
    for name in chosen.models or ["conv-ae"]:
        try:
            runs, notes = measure(name, chosen)
        except WorkerDiedError as error:
            print(error, file=sys.stderr)
            return 1
        print("\n" + show(name, runs), *notes, sep="\n", flush=True)
        silent = silent or not runs[COLD][0].said.strip()
        figures[name] = {label: [took(run) for run in found] for label, found in runs.items()}
    if chosen.json:
        contents = {"machine": description, "threads": chosen.threads, "models": figures}
        report.write_json(chosen.json, contents)
    return int(silent)


if __name__ == "__main__":
    raise SystemExit(main())
