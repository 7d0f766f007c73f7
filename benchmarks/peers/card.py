"""What both libraries' sides of `benchmarks.gpu` share: work that a card is timed at."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any, Protocol

from benchmarks.peers.convolution import Passes
from benchmarks.subject import TrainingStep

CALLS = 10  # of a pass in one recorded graph: starting a graph costs as much as a small pass


class Card(Protocol):
    """A library's way to use the card, or the CPU in a rehearsal.

    Attributes:
        calls: of a pass in one recording.
    """

    calls: int

    def recorded(self, do: Callable[[], Any]) -> Callable[[], Any]:
        """A function that does it again without the library's own overhead."""

    def seconds(self, do: Callable[[], Any], count: int) -> float:
        """How long the card takes to do it so many times."""

    def finish(self, *results: object) -> None:
        """Wait until the card has done all it was given."""


class Rehearsal:
    """No card: everything on the CPU, to see that a benchmark runs through."""

    calls = 1

    def recorded(self, do: Callable[[], Any]) -> Callable[[], Any]:
        """The same function."""
        return do

    def seconds(self, do: Callable[[], Any], count: int) -> float:
        """By the clock."""
        start = time.perf_counter()
        for _ in range(count):
            do()
        return time.perf_counter() - start

    def finish(self, *results: object) -> None:
        """Nothing is late here."""


class RecordedPasses(Passes):
    """A convolution's passes, each recorded several times: what is timed is the card alone."""

    def __init__(
        self,
        passes: dict[str, Callable[[], Any]],
        sample: Callable[[str, Any], list[float]],
        card: Card,
    ) -> None:
        super().__init__(passes, sample)
        self.card = card
        self.recorded = {
            part: card.recorded(functools.partial(repeated, do, card.calls))
            for part, do in passes.items()
        }

    def run(self, count: int) -> dict[str, float]:
        """Each pass that many times; the seconds of each, and of all."""
        seconds = {
            part: self.card.seconds(do, count) / self.card.calls
            for part, do in self.recorded.items()
        }
        return {**seconds, "total": sum(seconds.values())}


def repeated(do: Callable[[], Any], times: int) -> None:
    """Do it so many times."""
    for _ in range(times):
        do()


class Calls(TrainingStep):
    """One small piece of work, over and over: what starting it costs the CPU."""

    def __init__(self, do: Callable[[], Any], card: Card) -> None:
        super().__init__(lambda _: do(), [None], card.finish)
        self.chunk = 200

    def check(self, steps: int) -> list[float]:
        """There is nothing to compare."""
        return []
