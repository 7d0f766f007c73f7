"""Where a library offers several settings for the same work, its fastest counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from benchmarks.subject import Subject

S = TypeVar("S", bound=Subject)

ROUNDS = 15
SECONDS = 0.02  # of each candidate in a round
IN_ALL = 5.0  # seconds after which no further round begins

alone: int | None = None  # which candidate to take without a trial: `benchmarks.fresh` sets it


def fastest(candidates: Mapping[str, Callable[[], S]]) -> S:
    """Build all candidates, let them take turns, and give a fresh one of the fastest.

    Each is a function, so that the winner starts from the initial weights. Its name goes into the
    report as the fact "setting".
    """
    if alone is not None:
        name = list(candidates)[alone]
        winner = candidates[name]()
        winner.facts.update(setting=name, settings=len(candidates))
        return winner
    built = {name: make() for name, make in candidates.items()}
    counts = {name: _repetitions(subject) for name, subject in built.items()}
    best = dict.fromkeys(built, float("inf"))
    began = time.perf_counter()
    for _ in range(ROUNDS):
        if time.perf_counter() - began > IN_ALL:
            break
        for name, subject in built.items():
            start = time.perf_counter()
            subject.run(counts[name])
            best[name] = min(best[name], (time.perf_counter() - start) / counts[name])
    name = min(best, key=lambda each: best[each])
    winner = candidates[name]()
    winner.facts["setting"] = name
    winner.facts["candidates"] = best
    return winner


def _repetitions(subject: Subject) -> int:
    """How often to repeat in a round, after warming up."""
    for _ in range(10 if subject.chunk == 1 else 1):
        subject.run(subject.chunk)
    start = time.perf_counter()
    subject.run(subject.chunk)
    took = (time.perf_counter() - start) / subject.chunk
    return max(subject.chunk, int(SECONDS / max(took, 1e-6)))
