"""What several runs say together: a mean, and how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, Self

import numpy as np

from ..system import require


class Interval(NamedTuple):
    """A mean, and half the width of the interval around it."""

    mean: float
    half: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} ± {self.half:.4f}"


def interval(values: Sequence[float], level: float = 0.95) -> Interval:
    """The mean and Student's confidence interval: mean ± t s / sqrt(n).

    s is the standard deviation of the sample and t the quantile of Student's distribution with
    n - 1 degrees of freedom, so that a few runs are enough if they are alike.

    Args:
        values: of independent runs, two or more. `Score`s must be of one count of samples; they
            carry no feature network, which must be the same for all: `Judgement.compare` knows it.
        level: how often such an interval covers the true mean.

    Raises ValueError for fewer than two values and for scores of other counts,
    ModuleNotFoundError without scipy.

    >>> print(interval([1.0, 2.0, 3.0]))
    2.0000 ± 2.4841
    """
    require("scipy")
    from scipy.special import stdtrit

    n = len(values)
    if n < 2:
        raise ValueError(f"interval: {n} value tells nothing of the spread; give two or more")
    counts = sorted({v.count for v in values if isinstance(v, Score) and v.count})
    if len(counts) > 1:
        raise ValueError(
            f"interval: scores of {counts[0]:,} and of {counts[-1]:,} samples cannot be compared; "
            "judge all anew with one count"
        )
    if not 0 < level < 1:
        raise ValueError(f"interval: level must be between 0 and 1, not {level}")
    t = float(stdtrit(n - 1, (1 + level) / 2))
    return Interval(float(np.mean(values)), t * float(np.std(values, ddof=1)) / math.sqrt(n))


class Score(float):
    """A number with what it stands on.

    Attributes:
        standard_error: of the number, NaN where there is none.
        count: how many samples it was computed from.
    """

    standard_error: float
    count: int

    def __new__(cls, value: float, standard_error: float = math.nan, count: int = 0) -> Self:
        """The number itself, with the attributes."""
        self = super().__new__(cls, value)
        self.standard_error, self.count = standard_error, count
        return self
