"""Scores of one set of samples, and which of them may be compared."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Judgement:
    """What metrics say of a set of samples, and what they rest on.

    Scores of different feature networks, of other counts of samples or of other seeds say nothing
    about each other: `compare`, `<` and so sorting refuse them.

    Attributes:
        scores: by the name of the metric; numbers, or `Score`s with a standard error.
        extractor: the hash of the feature network; empty without one.
        real: how many reals there were.
        fake: how many fakes.
        seed: of what was drawn.
        by: the metric that `<` goes by; lower is better.
    """

    scores: Mapping[str, float]
    extractor: str
    real: int
    fake: int
    seed: int = 0
    by: str = field(default="frechet_distance", compare=False)

    def compare(self, other: Judgement) -> dict[str, tuple[float, float]]:
        """The scores of both by name, of the metrics that both have.

        Raises ValueError, saying why, for judgements that cannot be compared.
        """
        for what, mine, yours in (
            ("feature networks", self.extractor, other.extractor),
            ("counts of reals", self.real, other.real),
            ("counts of fakes", self.fake, other.fake),
            ("seeds", self.seed, other.seed),
        ):
            if mine != yours:
                raise ValueError(
                    f"scores of different {what} cannot be compared: {mine!r} and {yours!r}; judge "
                    "both anew in the same way"
                )
        shared = [name for name in self.scores if name in other.scores]
        return {name: (float(self.scores[name]), float(other.scores[name])) for name in shared}

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Judgement):
            return NotImplemented
        both = self.compare(other)
        if self.by not in both:
            raise ValueError(f"there is no {self.by} to rank by; both have {', '.join(both)}")
        mine, yours = both[self.by]
        return mine < yours

    def tables(self) -> dict[str, Any]:
        """What JSON can hold: scores with their standard errors, and what they rest on."""
        rows = {}
        for name, value in self.scores.items():
            error = getattr(value, "standard_error", math.nan)
            known = {} if math.isnan(error) else {"standard_error": error}
            rows[name] = {"value": float(value), **known}
        return {
            "scores": rows,
            "extractor": self.extractor,
            "real": self.real,
            "fake": self.fake,
            "seed": self.seed,
        }
