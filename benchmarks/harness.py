"""Workers that take turns, and what can be said about their times.

Two libraries in one process disturb each other: the idle threads of one spin while the other
works. So each has a process of its own, and only one works at a time:

    for each of the blocks:  for each contestant:
        wait until no other worker takes CPU time any more, then let this one repeat for a moment

Times that are compared lie a fraction of a second apart, so that slow drifts of the machine cancel
in the ratio; the spread over the blocks says how far it can be trusted.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self

from .libraries import ROOT, environment, interpreter
from .subject import AbsentError

ANSWER_WITHIN = 600.0  # seconds; a worker that takes longer is ended
IDLE_WINDOW = 0.01  # seconds over which idleness is judged
IDLE_SHARE = 0.02  # of one core: less than this is idle
IDLE_WITHIN = 2.0  # seconds to wait for it; threads spin 0.2 s at most after their work


class WorkerDiedError(RuntimeError):
    """A worker ended, or did not answer; the message holds what it wrote to its standard error."""


class Worker:
    """A process that a library runs in; see `benchmarks.worker` for what it understands.

    Args:
        library: its name in `LIBRARIES`.
        threads: of the library.
        python: the interpreter; by default the one that `interpreter` finds.
        paths: folders to import from, beside the checkout.
        variables: of its environment, beside those that all workers have.
    """

    def __init__(
        self,
        library: str,
        threads: int,
        python: str | None = None,
        paths: tuple[Path, ...] = (),
        variables: Mapping[str, str] | None = None,
    ) -> None:
        found = interpreter(library, python)
        self.library, self.threads = library, threads
        self.errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  (see close)
        self.process = subprocess.Popen(
            [found, "-m", "benchmarks.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            cwd=ROOT,
            env={**environment(threads, paths), **(variables or {})},
            text=True,
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.input, self.output = self.process.stdin, self.process.stdout

    def ask(self, **command: Any) -> dict[str, Any]:
        """Send a command and wait for the answer."""
        overdue = threading.Timer(ANSWER_WITHIN, self.process.kill)
        overdue.start()
        try:
            self.input.write(json.dumps(command) + "\n")
            self.input.flush()
            line = self.output.readline()
        except BrokenPipeError:
            line = ""
        finally:
            overdue.cancel()
        if not line:
            raise WorkerDiedError(self._last_words(command["do"]))
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _last_words(self, doing: str) -> str:
        code = self.process.wait()
        self.errors.seek(0)
        return (
            f"the worker of {self.library} ended with code {code} in {doing!r}; "
            f"its standard error was:\n{self.errors.read()[-4000:]}"
        )

    def cpu(self) -> float:
        """The CPU seconds of all its threads up to now; 0 where the system does not tell."""
        return cpu_seconds(self.process)

    def close(self) -> None:
        """End the process: its input ends, so it does."""
        with contextlib.suppress(BrokenPipeError):
            self.input.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.output.close()
        self.errors.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def cpu_seconds(process: subprocess.Popen[Any]) -> float:
    """The CPU seconds of a process up to now; 0 if it ended or the system does not tell."""
    if sys.platform != "linux" or process.poll() is not None:
        return 0.0
    clock = (~process.pid << 3) | 2  # see clock_getcpuclockid(3)
    return time.clock_gettime(clock)


@dataclass
class Contestant:
    """A subject loaded in a worker, and the blocks that it has run."""

    label: str
    worker: Worker
    key: int
    loading: dict[str, Any]  # the worker's answer to "load"
    warming: dict[str, Any] = field(default_factory=dict)
    blocks: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def load(cls, label: str, worker: Worker, module: str, name: str, **options: Any) -> Contestant:
        """Let the worker import `module` and make the subject `name` there."""
        options["threads"] = worker.threads
        answer = worker.ask(do="load", module=module, name=name, options=options)
        if "absent" in answer:
            raise AbsentError(answer["absent"])
        return cls(label, worker, answer["key"], answer)

    def check(self, steps: int) -> list[float]:
        """The numbers that must agree between the libraries, such as the losses of next steps."""
        values: list[float] = self.worker.ask(do="check", key=self.key, steps=steps)["values"]
        return values

    def times(self, part: str = "total") -> list[float]:
        """The seconds of one repetition in each block."""
        return [block["times"][part] for block in self.blocks]

    def time(self, part: str = "total") -> float:
        """The median of them."""
        return statistics.median(self.times(part))

    def cores(self) -> float:
        """How many cores it kept busy while it ran."""
        shares: list[float] = [block["cpu"] / block["seconds"] for block in self.blocks]
        return statistics.median(shares)

    def as_json(self) -> dict[str, Any]:
        """Everything measured."""
        return {"load": self.loading, "warm": self.warming, "blocks": self.blocks}


class Spread(NamedTuple):
    """The middle of many measurements, and the range that holds half of them."""

    median: float
    low: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def ratio(ours: Contestant, theirs: Contestant, part: str = "total") -> Spread:
    """Our time divided by theirs, block by block."""
    pairs = zip(ours.times(part), theirs.times(part), strict=True)
    return spread([a / b for a, b in pairs])


def disagreement(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The largest relative difference between two lists of numbers; NaN where one is not finite."""
    if not all(map(math.isfinite, [*ours, *theirs])):
        return math.nan
    return max(abs(a - b) / (abs(a) or 1.0) for a, b in zip(ours, theirs, strict=True))


def wait_until_idle(workers: Sequence[Worker]) -> float:
    """Wait until the workers take no CPU time; gives the seconds that it took."""
    start = time.perf_counter()
    while True:
        before, began = sum(w.cpu() for w in workers), time.perf_counter()
        time.sleep(IDLE_WINDOW)
        now = time.perf_counter()
        used = sum(w.cpu() for w in workers) - before
        if used < IDLE_SHARE * (now - began) or now - start > IDLE_WITHIN:
            return now - start


class Quietness(NamedTuple):
    """How far a measurement was left alone, in shares of a core."""

    idle_workers: float  # what the workers that were not in turn took, in the worst block
    other_processes: float  # what processes outside of the benchmark took on average


def take_turns(
    contestants: Sequence[Contestant], blocks: int, seconds: float, warm_up: float = 20.0
) -> Quietness:
    """Warm every contestant up, then let them take turns; the blocks are noted in each of them.

    Every other round goes backwards, so that nobody always comes after the same one.
    """
    workers = list({id(c.worker): c.worker for c in contestants}.values())
    for c in contestants:
        wait_until_idle(workers)
        c.warming = c.worker.ask(do="warm", key=c.key, seconds=warm_up)
    worst = 0.0
    start, others = time.perf_counter(), others_seconds(workers)
    for turn in range(blocks):
        for c in contestants[:: -1 if turn % 2 else 1]:
            wait_until_idle(workers)
            idle = [w for w in workers if w is not c.worker]
            before, began = sum(w.cpu() for w in idle), time.perf_counter()
            c.blocks.append(c.worker.ask(do="block", key=c.key, seconds=seconds))
            used = sum(w.cpu() for w in idle) - before
            worst = max(worst, used / (time.perf_counter() - began))
    others = (others_seconds(workers) - others) / (time.perf_counter() - start)
    return Quietness(worst, others if math.isnan(others) else max(0.0, others))


def others_seconds(workers: Sequence[Worker]) -> float:
    """The CPU seconds that everybody but the benchmark took since the system started."""
    return busy_seconds() - time.process_time() - sum(w.cpu() for w in workers)


def busy_seconds() -> float:
    """The same with the benchmark, and with what other guests of the machine took."""
    if not Path("/proc/stat").exists():
        return math.nan
    numbers = Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]
    user, nice, system, _idle, _waiting, irq, softirq, stolen = map(int, numbers)
    return (user + nice + system + irq + softirq + stolen) / os.sysconf("SC_CLK_TCK")
