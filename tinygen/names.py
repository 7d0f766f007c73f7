"""Hints for names that were mistyped."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(name: object, known: Iterable[str]) -> str:
    """', did you mean ...?' with the nearest known name, or the list of what is known.

    >>> nearest("stacked-ea", ["linear-ae", "stacked-ae"])
    ", did you mean 'stacked-ae'?"
    """
    known = list(known)
    close = difflib.get_close_matches(str(name), known, 1, cutoff=0.5)
    if close:
        return f", did you mean {close[0]!r}?"
    return f"; known are {', '.join(known)}" if known else ""
