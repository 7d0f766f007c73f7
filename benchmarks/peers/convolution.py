"""A convolution's three passes, timed one by one: the same for every library."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from benchmarks.subject import Subject


class Passes(Subject):
    """Forward, and the gradients of the input and of the weights.

    Args:
        passes: part -> does it and returns the result.
        sample: makes a few numbers of a result, in tinygen's layout, to be compared.
    """

    def __init__(
        self, passes: dict[str, Callable[[], Any]], sample: Callable[[str, Any], list[float]]
    ) -> None:
        super().__init__()
        self.passes, self.sample = passes, sample

    def run(self, count: int) -> dict[str, float]:
        """Each pass that many times; the seconds of each, and of all."""
        seconds = {}
        for part, do in self.passes.items():
            start = time.perf_counter()
            for _ in range(count):
                do()
            seconds[part] = time.perf_counter() - start
        return {**seconds, "total": sum(seconds.values())}

    def check(self, steps: int) -> list[float]:
        """The norm of each result, and one of its numbers."""
        return [number for part, do in self.passes.items() for number in self.sample(part, do())]
