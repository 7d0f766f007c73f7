"""Checks of numbers: of the right kind, finite, and in range; messages name the argument.

Each returns the value as Python's number. For what is no number it raises TypeError, for a number
out of range ValueError: both tell the argument, what it must be, and the value.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np


def number(name: str, value: Any) -> float:
    """Any number but NaN."""
    found = value if type(value) is float else _float(name, value)  # some run at every call
    if found != found:
        raise ValueError(f"{name} must be a number, got {value}")
    return found


def finite(name: str, value: Any) -> float:
    """A number that is neither NaN nor infinite.

    >>> finite("pad: value", 1)
    1.0
    >>> finite("pad: value", float("nan"))
    Traceback (most recent call last):
        ...
    ValueError: pad: value must be a finite number, got nan
    """
    found = value if type(value) is float else _float(name, value)
    if not -math.inf < found < math.inf:
        raise ValueError(f"{name} must be a finite number, got {value!s:.80}")
    return found


def positive(name: str, value: Any) -> float:
    """A finite number above 0."""
    found = value if type(value) is float else _float(name, value)
    if not 0 < found < math.inf:
        wrong = "finite" if found > 0 else "positive"
        raise ValueError(f"{name} must be {wrong}, not {value!s:.80}")
    return found


def not_negative(name: str, value: Any) -> float:
    """A finite number of 0 or more."""
    found = value if type(value) is float else _float(name, value)
    if not 0 <= found < math.inf:
        wrong = "be finite" if found > 0 else "not be negative"
        raise ValueError(f"{name} must {wrong}, got {value!s:.80}")
    return found


def fraction(name: str, value: Any) -> float:
    """A number of at least 0 and below 1."""
    found = value if type(value) is float else _float(name, value)
    if not 0 <= found < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, not {value!s:.80}")
    return found


def share(name: str, value: Any) -> float:
    """A number from 0 to 1."""
    found = value if type(value) is float else _float(name, value)
    if not 0 <= found <= 1:
        raise ValueError(f"{name} must be at least 0 and at most 1, not {value!s:.80}")
    return found


def whole(name: str, value: Any, least: int | None = 1, most: int | None = None) -> int:
    """A whole number from `least` to `most`; None is no limit.

    >>> whole("split: lengths", np.int64(3))
    3
    >>> whole("split: lengths", 2.5, least=0)
    Traceback (most recent call last):
        ...
    TypeError: split: lengths must be a whole number of at least 0, not 2.5
    """
    if type(value) is not int:
        if not isinstance(value, (int, np.integer)) or isinstance(value, bool):
            raise TypeError(f"{name} must be a whole number{_from(least)}, not {value!r:.80}")
        value = int(value)
    if least is not None and value < least:
        raise ValueError(f"{name} must be a whole number{_from(least)}, not {value!s:.80}")
    if most is not None and value > most:
        raise ValueError(f"{name} must be at most {_in_words(most)}, not {value!s:.80}")
    return int(value)


def _float(name: str, value: Any) -> float:
    """A real number of Python's or NumPy's as a float; raises TypeError for all else."""
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, not {value!r:.80}")
    try:
        return float(value)
    except OverflowError:  # an integer of more than 308 digits
        return math.inf if value > 0 else -math.inf


def _from(least: int | None) -> str:
    """The lower end of a range, as messages tell it."""
    return "" if least is None else f" of at least {least}"


def _in_words(most: int) -> str:
    """A limit as a person would say it: 100, or 2^63 - 1."""
    bits = most.bit_length()
    return f"2^{bits} - 1" if bits > 31 and most == 2**bits - 1 else f"{most:,}"
