"""What a worker can time: the one interface that every library's side of a benchmark implements."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any


class AbsentError(Exception):
    """A library's file does not have what it was asked for; the message says what."""


class Subject:
    """Something that can be repeated.

    Attributes:
        chunk: the least number of repetitions worth timing at once, where starting costs much.
        facts: what the report should know of it, such as which setting was found fastest.
    """

    chunk: int = 1

    def __init__(self) -> None:
        self.facts: dict[str, Any] = {}

    def run(self, count: int) -> dict[str, float] | None:
        """Do it `count` times and have finished when returning.

        None says: time the whole. A subject with several parts times them itself, and returns the
        seconds that each took in all.
        """
        raise NotImplementedError

    def check(self, steps: int) -> list[float]:
        """Numbers that must agree between the libraries, such as the losses of the next steps."""
        return []


class TrainingStep(Subject):
    """A training step over a pool of batches that is gone through again and again.

    Args:
        step: takes a batch, changes the weights, returns the loss in the library's own type.
        batches: the pool, in the library's own type.
        finish: waits for a loss, in libraries that return before the work is done.
    """

    def __init__(
        self,
        step: Callable[[Any], Any],
        batches: Sequence[Any],
        finish: Callable[[Any], object] = lambda loss: None,
    ) -> None:
        super().__init__()
        self.step, self.finish = step, finish
        self.batches, self.pool = batches, itertools.cycle(batches)

    def run(self, count: int) -> None:
        """That many steps, each on the next batch."""
        loss = None
        for x in itertools.islice(self.pool, count):
            loss = self.step(x)
        self.finish(loss)

    def check(self, steps: int) -> list[float]:
        """The losses of the next steps, each read before the next one."""
        return [float(self.step(x)) for x in itertools.islice(self.pool, steps)]
