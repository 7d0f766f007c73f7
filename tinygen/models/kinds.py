"""Check settings against the annotations of what takes them."""

from __future__ import annotations

import collections.abc
import inspect
import math
import sys
import types
import typing
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..names import nearest

MOST_UNITS = 10**6  # of a layer; pixels of a side
WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "a text",
    type(None): "nothing",
}


def kinds_of(owner: type) -> dict[str, Any]:
    """The annotations of the parameters of a class, which are the fields of a dataclass."""
    hints = typing.get_type_hints(owner.__init__)  # type: ignore[misc]  # of this very class
    return {name: hints.get(name, Any) for name in inspect.signature(owner).parameters}


def fits(value: Any, kind: Any) -> bool:
    """Whether a value is of the kind that an annotation names; a list may stand for a tuple.

    >>> fits(3, int), fits(True, int), fits(3, float), fits(float("nan"), float)
    (True, False, True, False)
    >>> fits(["elu", 1], str | tuple[str, float]), fits([[1]], str | tuple[str, float])
    (True, False)
    """
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return True
    if origin in (types.UnionType, typing.Union):
        return any(fits(value, part) for part in parts)
    if kind is float:
        return (isinstance(value, (float, np.floating)) or fits(value, int)) and (
            -math.inf < value < math.inf and abs(value) <= sys.float_info.max
        )
    if kind is int:
        return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if origin is tuple:
        return (
            isinstance(value, (list, tuple))
            and len(value) == len(parts)
            and all(map(fits, value, parts))
        )
    if origin is collections.abc.Sequence:
        return isinstance(value, (list, tuple)) and all(fits(v, parts[0]) for v in value)
    if origin is collections.abc.Mapping:
        return isinstance(value, Mapping) and all(
            fits(k, parts[0]) and fits(v, parts[1]) for k, v in value.items()
        )
    if origin is collections.abc.Callable:
        return callable(value)
    return isinstance(value, kind)


def in_words(kind: Any) -> str:
    """An annotation as a person would say it.

    >>> in_words(int | None), in_words(str | tuple[str, float])
    ('a whole number', 'a text or a pair of a text and a finite number')
    """
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        told = [part for part in parts if part is not type(None)]
        told = [p for p in told if typing.get_origin(p) is not collections.abc.Callable]
        return " or ".join(map(in_words, told))
    if origin is tuple:
        return "a pair of " + " and ".join(map(in_words, parts))
    if origin is collections.abc.Sequence:
        return f"a list, each of it {in_words(parts[0])}"
    if origin is collections.abc.Mapping:
        return "a table"
    return WORDS.get(kind, str(kind))


def check_kind(name: str, value: Any, kind: Any, example: Any = None) -> None:
    """Raise ValueError, with an example or what it is in words, for a value of another kind."""
    if fits(value, kind):
        return
    told = f"it is {in_words(kind)}" if example is None else f"an example is {example!r}"
    raise ValueError(f"{name} cannot be {value!r:.80}; {told}")


def check_units(name: str, value: Any, kind: Any) -> None:
    """Raise ValueError for a whole number of units, or a list of such, that no layer can have."""
    several = isinstance(value, (list, tuple))
    if fits(0.5, kind) or (several and fits([0.5], kind)):
        return  # any number will do
    for number in value if several else [value]:
        if fits(number, int) and not 1 <= number <= MOST_UNITS:
            raise ValueError(f"{name} must be from 1 to {MOST_UNITS:,}, not {number!s:.80}")


def check_known(what: str, names: Any, known: Any) -> None:
    """Raise ValueError for names that are not among those known, with the nearest."""
    for name in names:
        if name not in known:
            raise ValueError(f"{what} {name!r:.80}{nearest(name, known)}")
