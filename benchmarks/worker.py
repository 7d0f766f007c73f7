"""The process that one library runs in: reads commands from its input, does them, and waits.

One JSON object a line, in and out. While it waits it is blocked in `readline`, so whatever CPU time
it takes is a library's idle threads. Whatever fails is left to fail: the traceback goes to the
standard error and the process ends, which the harness reports.

    {"do": "load", "module": "benchmarks.peers.jax_steps", "name": "vae", "options": {"threads": 2}}
    {"do": "check", "key": 0, "steps": 5}
    {"do": "warm", "key": 0, "seconds": 10}
    {"do": "block", "key": 0, "seconds": 0.3}
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import statistics
import sys
import time
from typing import Any

from benchmarks.subject import AbsentError, Subject

CHUNK_SECONDS = 0.01  # repetitions are timed in chunks that take about this long
SETTLED = 0.05  # warm when the times of two groups of chunks differ by less than this part
GROUP_SECONDS = 0.05
AT_LEAST = 0.5  # seconds of warming up


def main() -> None:
    """Answer commands until the input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    subjects: list[Subject] = []
    while line := sys.stdin.readline():
        command = json.loads(line)
        answer = answer_to(command, subjects)
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def answer_to(command: dict[str, Any], subjects: list[Subject]) -> dict[str, Any]:
    """Do one command."""
    if command["do"] == "load":
        return load(command, subjects)
    subject = subjects[command["key"]]
    if command["do"] == "check":
        return {"values": subject.check(command["steps"])}
    if command["do"] == "warm":
        return warm(subject, command["seconds"])
    if command["do"] == "block":
        return block(subject, command["seconds"])
    raise ValueError(f"unknown command {command['do']!r}")


def load(command: dict[str, Any], subjects: list[Subject]) -> dict[str, Any]:
    """Import a module and let its `load` make a subject; AbsentError says it has none such."""
    start = time.perf_counter()
    module = importlib.import_module(command["module"])
    try:
        subject: Subject = module.load(command["name"], **command["options"])
    except AbsentError as error:
        return {"absent": str(error)}
    subjects.append(subject)
    return {
        "key": len(subjects) - 1,
        "seconds": time.perf_counter() - start,
        "facts": subject.facts,
        "versions": {"python": platform.python_version(), **versions()},
    }


def versions() -> dict[str, str]:
    """The versions of the libraries that have been imported here."""
    names = ("numpy", "numba", "tinygen", "torch", "jax", "jaxlib", "keras", "tensorflow")
    found = {name: getattr(sys.modules.get(name), "__version__", None) for name in names}
    return {name: str(version) for name, version in found.items() if version}


def warm(subject: Subject, limit: float) -> dict[str, Any]:
    """Repeat until the time settles, for at most `limit` seconds; compilation happens here."""
    start = time.perf_counter()
    subject.run(subject.chunk)
    first = time.perf_counter() - start
    before, settled = float("inf"), False
    while not settled and time.perf_counter() - start < limit:
        now = block(subject, GROUP_SECONDS)["times"]["total"]
        steady = abs(now - before) < SETTLED * now
        before, settled = now, steady and time.perf_counter() - start > AT_LEAST
    return {"first": first, "settled": settled, "seconds": time.perf_counter() - start}


def block(subject: Subject, seconds: float) -> dict[str, Any]:
    """Repeat for about that long: the median time of each part, and the CPU time of the process.

    The times are of one repetition; `mean` counts everything, interruptions too.
    """
    cpu, start = time.process_time(), time.perf_counter()
    chunks: list[dict[str, float]] = []
    while not chunks or time.perf_counter() - start < seconds:
        chunks.append(timed_chunk(subject))
    medians = {part: statistics.median(c[part] for c in chunks) for part in chunks[0]}
    return {
        "times": medians,
        "mean": statistics.fmean(c["total"] for c in chunks),
        "chunks": len(chunks),
        "seconds": time.perf_counter() - start,
        "cpu": time.process_time() - cpu,
    }


def timed_chunk(subject: Subject) -> dict[str, float]:
    """The seconds of one repetition, in all and of each part, over as many as fill a chunk."""
    count = subject.chunk
    start = time.perf_counter()
    parts = subject.run(count)
    took = time.perf_counter() - start
    if took < CHUNK_SECONDS / 2:
        subject.chunk = max(subject.chunk + 1, int(count * CHUNK_SECONDS / max(took, 1e-6)))
    total = took if parts is None else sum(parts.values())
    return {"total": total / count, **{k: v / count for k, v in (parts or {}).items()}}


if __name__ == "__main__":
    main()
