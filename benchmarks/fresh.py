"""The first steps of a library in a process of its own: when each was done, and the memory by then.

A fresh process does one task, which comes as JSON in its input, and answers with what it noted:

    started    Python runs
    imported   the library is there, as its users import it
    complete   so are the modules that it would import at its first step (where the task names them)
    built      model, optimiser and two batches, the same two for every library
    first      a training step, and the loss was read
    second     another one
    last       all the others

`first_steps` starts it, for `benchmarks.memory` and `benchmarks.first_call`. Memory is the resident
set: what the process occupies of the machine's memory, its share of files included.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import WorkerDiedError
from benchmarks.libraries import ROOT, environment, interpreter
from benchmarks.subject import AbsentError

BATCHES = 2  # of a pool: it belongs to no library, so it should not weigh anything
WITHIN = 600.0  # seconds; a process that takes longer is ended
STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Stage:
    """What was so when a part of the work was done.

    Attributes:
        at: seconds since the process was started.
        peak: the largest resident set up to then, in bytes, since "complete" if that is over.
    """

    at: float
    peak: int


@dataclass(frozen=True)
class Fresh:
    """What a process noted.

    Attributes:
        facts: of the subject, such as the setting and of how many it was one.
        late: modules that were imported after the stage "complete".
        code: what `watch` of the module that the task names has counted.
        said: its standard error.
    """

    stages: dict[str, Stage]
    losses: list[float]
    facts: dict[str, Any]
    versions: dict[str, str]
    late: list[str]
    code: dict[str, int]
    said: str


def first_steps(
    library: str, name: str, options: Mapping[str, Any], threads: int, python: str | None = None,
    *, steps: int = 2, candidate: int = 0, beforehand: Sequence[str] = (), watch: str = "",
    variables: Mapping[str, str] | None = None, paths: tuple[Path, ...] = (),
    module: str | None = None,
) -> Fresh:  # fmt: skip
    """Let a fresh process train a model for some steps.

    Args:
        library: its name in `LIBRARIES`.
        name: of the model.
        options: of the `load` of that library's steps.
        threads: of the library.
        python: the interpreter; by default the one that `interpreter` finds.
        steps: how many, at least 2.
        candidate: which of the settings, where a library has several.
        beforehand: modules to import before the memory is counted.
        watch: a module that watches machine code being loaded.
        variables: more of the environment.
        paths: folders to import from, beside the checkout.
        module: whose `load` makes the step, if it is not that of the library's file in `peers`.

    Raises:
        NotInstalledError: no interpreter has the library.
        AbsentError: the model is not written for it.
        WorkerDiedError: it failed; the message holds what it wrote to its standard error.
    """
    found = interpreter(library, python)
    task = {
        "module": module or f"benchmarks.peers.{library}_steps",
        "name": name,
        "options": {**options, "threads": threads},
        "steps": steps,
        "candidate": candidate,
        "beforehand": list(beforehand),
        "watch": watch,
        "start": time.monotonic(),  # the same clock in all processes
    }
    done = subprocess.run(
        [found, "-m", "benchmarks.fresh"],
        input=json.dumps(task),
        capture_output=True,
        cwd=ROOT,
        env=environment(threads, paths) | dict(variables or {}),
        text=True,
        errors="replace",
        timeout=WITHIN,
        check=False,
    )
    if done.returncode:
        raise WorkerDiedError(
            f"the first steps of {library} ended with code {done.returncode}; "
            f"their standard error was:\n{done.stderr[-4000:]}"
        )
    answer = json.loads(done.stdout)
    if "absent" in answer:
        raise AbsentError(answer["absent"])
    stages = {stage: Stage(*noted) for stage, noted in answer.pop("stages").items()}
    return Fresh(stages, **answer, said=done.stderr)


def main() -> None:
    """Do the task, and answer."""
    began = time.monotonic(), peak()
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not get into the answer
    task = json.load(sys.stdin)
    try:
        answer = train(task, began)
    except AbsentError as error:
        answer = {"absent": str(error)}
    answers.write(json.dumps(answer))
    answers.flush()


def train(task: dict[str, Any], began: tuple[float, int]) -> dict[str, Any]:
    """Import, build, and do the steps."""
    stages = {"started": (began[0] - task["start"], began[1])}

    def note(stage: str) -> None:
        stages[stage] = (time.monotonic() - task["start"], peak())

    module = importlib.import_module(task["module"])
    note("imported")
    for name in task["beforehand"]:
        with suppress(ImportError):  # some names are made up by the package that they are in
            importlib.import_module(name)
    forget_peak()
    note("complete")
    before = set(sys.modules)
    watched = importlib.import_module(task["watch"]).watch() if task["watch"] else {}

    from benchmarks import problem  # not earlier: it needs NumPy, which is for a library to import
    from benchmarks.peers import choice

    problem.POOL, choice.alone = BATCHES, task["candidate"]
    subject = module.load(task["name"], **task["options"])
    note("built")
    losses = subject.check(1)
    note("first")
    losses += subject.check(1)
    note("second")
    subject.run(task["steps"] - 2)
    note("last")

    from benchmarks.worker import versions

    return {
        "stages": stages,
        "losses": losses,
        "facts": subject.facts,
        "versions": versions(),
        "late": [name for name in sys.modules if name not in before],
        "code": watched,
    }


def peak() -> int:
    """The largest resident set so far, in bytes."""
    if STATUS.exists():
        for line in STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest << 10


def forget_peak() -> bool:
    """Let `peak` count from what is resident now; False where the system does not allow it."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
