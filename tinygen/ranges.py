"""Checks of numeric options: of the right kind, finite, and in range; messages name the option."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

KINDS = (int, float, np.integer, np.floating)


def number(name: str, value: Any) -> None:
    """Raise TypeError if `value` is not a number, ValueError if it is NaN."""
    if type(value) not in (float, int):  # the usual answer at once: some checks run at every call
        _kind(name, value)
    if value != value:
        raise ValueError(f"{name} must be a number, got {value}")


def finite(name: str, value: Any) -> None:
    """Raise TypeError if `value` is not a number, ValueError if it is NaN or infinite.

    >>> finite("pad: value", 0.5)
    >>> finite("pad: value", float("nan"))
    Traceback (most recent call last):
        ...
    ValueError: pad: value must be a finite number, got nan
    """
    if type(value) not in (float, int):
        _kind(name, value)
    if not -math.inf < value < math.inf:
        raise ValueError(f"{name} must be a finite number, got {value}")


def positive(name: str, value: Any) -> None:
    """Raise unless `value` is a finite number above 0."""
    if type(value) not in (float, int):
        _kind(name, value)
    if not 0 < value < math.inf:
        raise ValueError(f"{name} must be {'finite' if value > 0 else 'positive'}, not {value}")


def not_negative(name: str, value: Any) -> None:
    """Raise unless `value` is a finite number of 0 or more."""
    if type(value) not in (float, int):
        _kind(name, value)
    if not 0 <= value < math.inf:
        wrong = "be finite" if value > 0 else "not be negative"
        raise ValueError(f"{name} must {wrong}, got {value}")


def fraction(name: str, value: Any) -> None:
    """Raise unless `value` is a number of at least 0 and below 1."""
    if type(value) not in (float, int):
        _kind(name, value)
    if not 0 <= value < 1:
        raise ValueError(f"{name} must be at least 0 and below 1, not {value}")


def integer(name: str, value: Any) -> None:
    """Raise TypeError unless `value` is an integer."""
    if type(value) is not int and not isinstance(value, np.integer):
        raise TypeError(f"{name} must be an integer, not {value!r:.80}")


def whole(name: str, value: Any, least: int = 1) -> None:
    """Raise TypeError unless `value` is an integer, ValueError if it is less than `least`."""
    integer(name, value)
    if value < least:
        text = "be positive" if least == 1 else f"be at least {least}"
        raise ValueError(f"{name} must {text}, not {value}")


def _kind(name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, KINDS):
        raise TypeError(f"{name} must be a number, not {value!r:.80}")
