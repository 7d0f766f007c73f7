"""Learning rates that change with the step: functions of the number of steps done."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

Schedule: TypeAlias = Callable[[int], float]


def exponential_decay(initial: float, factor: float, every: int) -> Schedule:
    """initial * factor^(step / every)."""
    _check_steps("exponential_decay", every)
    return lambda step: initial * factor ** (step / every)


def piecewise_constant(boundaries: Sequence[int], values: Sequence[float]) -> Schedule:
    """values[i] until step boundaries[i], then values[i + 1]; one value more than boundaries."""
    if len(values) != len(boundaries) + 1 or list(boundaries) != sorted(boundaries):
        raise ValueError(
            f"piecewise_constant: {len(boundaries)} rising boundaries need one value more, "
            f"got {list(boundaries)} and {list(values)}"
        )
    return lambda step: values[sum(step >= b for b in boundaries)]


def linear_decay(initial: float, steps: int, final: float = 0.0) -> Schedule:
    """From initial to final in a straight line over `steps`, then final."""
    _check_steps("linear_decay", steps)
    return lambda step: initial + (final - initial) * min(step / steps, 1.0)


def cosine_decay(initial: float, steps: int, final: float = 0.0) -> Schedule:
    """Half a cosine wave from initial to final over `steps` (Loshchilov & Hutter 2017)."""
    _check_steps("cosine_decay", steps)
    return lambda step: (
        final + (initial - final) * 0.5 * (1.0 + math.cos(math.pi * min(step / steps, 1.0)))
    )


def warmup(schedule: float | Schedule, steps: int) -> Schedule:
    """Rising from near 0 over `steps` to `schedule`, whose own count starts after that."""
    after = schedule if callable(schedule) else lambda step: float(schedule)
    return lambda step: after(0) * (step + 1) / steps if step < steps else after(step - steps)


def _check_steps(schedule: str, steps: int) -> None:
    if not steps > 0:
        raise ValueError(f"{schedule}: the number of steps must be positive, not {steps}")
