"""Learning rates that change with the step: functions of the number of steps done.

Each is a value: it can be compared, printed, and pickled along with its optimiser.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from ..ranges import finite, not_negative, positive

Schedule: TypeAlias = Callable[[int], float]


@dataclass(frozen=True)
class exponential_decay:
    """initial * factor^(step / every).

    >>> schedule = exponential_decay(0.1, 0.5, every=100)
    >>> schedule, schedule(200)
    (exponential_decay(initial=0.1, factor=0.5, every=100), 0.025)
    """

    initial: float
    factor: float
    every: int

    def __post_init__(self) -> None:
        not_negative("exponential_decay: initial", self.initial)
        positive("exponential_decay: factor", self.factor)
        positive("exponential_decay: every", self.every)

    def __call__(self, step: int) -> float:
        """The rate after so many steps."""
        rate: float = self.initial * self.factor ** (step / self.every)
        return rate


@dataclass(frozen=True)
class piecewise_constant:
    """values[i] until step boundaries[i], then values[i + 1]; one value more than boundaries."""

    boundaries: Sequence[int]
    values: Sequence[float]

    def __post_init__(self) -> None:
        boundaries, values = tuple(self.boundaries), tuple(self.values)
        object.__setattr__(self, "boundaries", boundaries)  # of a list that may change later
        object.__setattr__(self, "values", values)
        for boundary in boundaries:
            finite("piecewise_constant: boundaries", boundary)
        for value in values:
            not_negative("piecewise_constant: values", value)
        rising = all(a < b for a, b in itertools.pairwise(boundaries))
        if len(values) != len(boundaries) + 1 or not rising:
            raise ValueError(
                f"piecewise_constant: {len(boundaries)} rising boundaries need one value more, "
                f"got {list(boundaries)} and {list(values)}"
            )

    def __call__(self, step: int) -> float:
        """The rate after so many steps."""
        return self.values[sum(step >= b for b in self.boundaries)]


@dataclass(frozen=True)
class Decay:
    """Base of the schedules that come to their final rate after so many steps."""

    initial: float
    steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        kind = type(self).__name__
        not_negative(f"{kind}: initial", self.initial)
        positive(f"{kind}: the number of steps", self.steps)
        not_negative(f"{kind}: final", self.final)


class linear_decay(Decay):
    """From initial to final in a straight line over `steps`, then final."""

    def __call__(self, step: int) -> float:
        """The rate after so many steps."""
        return self.initial + (self.final - self.initial) * min(step / self.steps, 1.0)


class cosine_decay(Decay):
    """Half a cosine wave from initial to final over `steps` (Loshchilov & Hutter 2017)."""

    def __call__(self, step: int) -> float:
        """The rate after so many steps."""
        wave = 0.5 * (1.0 + math.cos(math.pi * min(step / self.steps, 1.0)))
        return self.final + (self.initial - self.final) * wave


@dataclass(frozen=True)
class warmup:
    """Rising from near 0 over `steps` to `schedule`, whose own count starts after that."""

    schedule: float | Schedule
    steps: int

    def __post_init__(self) -> None:
        if not callable(self.schedule):
            not_negative("warmup: schedule", self.schedule)
        not_negative("warmup: the number of steps", self.steps)

    def __call__(self, step: int) -> float:
        """The rate after so many steps."""
        if step < self.steps:
            return self._after(0) * (step + 1) / self.steps
        return self._after(step - self.steps)

    def _after(self, step: int) -> float:
        """The rate so many steps after the rise."""
        return self.schedule(step) if callable(self.schedule) else float(self.schedule)
