"""Which class a sample is of: by its label, or by one of the factors it was drawn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..backend import Array
from ..data import Samples, class_labels
from ..data.factors import FACTORS
from ..names import nearest


def classes(samples: Samples, by: str | None = None) -> tuple[Array, tuple[str, ...]]:
    """The class of each sample, (n,) int64, and the names of the classes.

    Args:
        samples: with labels, or factors.
        by: the factor to go by: a category, or a number, which makes two classes, those below and
            those above the middle of its range. By default the labels.

    Raises ValueError, with what there is instead, if the samples have no such thing.
    """
    if by is not None:
        return _by_factor(samples, by)
    if samples.labels is None:
        choice = f"; go by one of its factors: {', '.join(samples.factors)}"
        raise ValueError(f"{samples.name} has no labels{choice if samples.factors else ''}")
    return class_labels(samples)


def _by_factor(samples: Samples, by: str) -> tuple[Array, tuple[str, ...]]:
    """The classes that a factor makes."""
    if by not in samples.factors:
        hint = nearest(by, samples.factors) or "; it has no factors at all"
        raise ValueError(f"{samples.name} has no factor {by!r}{hint}")
    (factor,) = (f for f in FACTORS if f.name == by)
    values = samples.factors[by]
    if factor.kind == "category":
        return values.astype(np.int64), factor.values
    middle = (factor.low + factor.high) / 2
    return (values > middle).astype(np.int64), (f"low {by}", f"high {by}")


def index_of(name: str, names: Sequence[str]) -> int:
    """The label of the class of that name; its beginning is enough, in any case.

    >>> index_of("t-shirt", ["T-shirt/top", "Trouser"])
    0
    """
    exact = [i for i, known in enumerate(names) if known.lower() == name.lower()]
    begin = [i for i, known in enumerate(names) if known.lower().startswith(name.lower())]
    found = exact or begin
    if len(found) != 1:
        problem = f"more than one class is called {name!r}" if found else f"no class {name!r}"
        raise ValueError(f"{problem}{nearest(name, names)}")
    return found[0]
