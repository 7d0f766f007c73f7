"""Checks of the arguments of layers: every message names the layer and the argument."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any, TypeVar

from .. import ops
from ..backend import Pair
from ..ops.activation import PARAMETERS, parse_activation
from ..ops.random import Random, default_rng

Result = TypeVar("Result")


def size(layer: str, argument: str, value: Any, least: int = 1) -> int:
    """A whole number of at least `least`."""
    try:
        if isinstance(value, bool):  # for Python it is one, for a reader a slip
            raise TypeError
        found = operator.index(value)
    except TypeError:
        raise TypeError(f"{layer}: {argument} must be a whole number, not {value!r}") from None
    if found < least:
        raise ValueError(f"{layer}: {argument} must be at least {least}, not {value}")
    return found


def sizes(layer: str, argument: str, value: Any, least: int = 1) -> int | Pair:
    """A whole number for both directions, or a pair with one for each."""
    if not isinstance(value, (tuple, list)):
        return size(layer, argument, value, least)
    if len(value) != 2:
        raise ValueError(f"{layer}: {argument} must be a number or a pair, not {value!r}")
    return size(layer, argument, value[0], least), size(layer, argument, value[1], least)


def number(
    layer: str, argument: str, value: Any, low: float = 0.0, high: float = math.inf
) -> float:
    """A finite number from `low` to `high`."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{layer}: {argument} must be a number, not {value!r}") from None
    if not low <= found <= high or math.isinf(found):
        limits = ["finite"] if math.isinf(found) or low == -math.inf else []
        limits += [f"at least {low:g}"] if low > -math.inf else []
        limits += [f"at most {high:g}"] if high < math.inf else []
        raise ValueError(f"{layer}: {argument} must be {' and '.join(limits)}, not {value}")
    return found


def checked(layer: str, argument: str, check: Callable[..., Result], *arguments: Any) -> Result:
    """The result of a check, to whose TypeError or ValueError the names are added."""
    try:
        return check(*arguments)
    except (TypeError, ValueError) as error:
        names = layer if argument in str(error) else f"{layer}: {argument}"
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"{names}: {error}") from error


def activation(layer: str, value: Any) -> ops.Activation:
    """The name of an activation, a pair of that and its parameter, or None."""
    if value is None or isinstance(value, str):
        checked(layer, "activation", parse_activation, value)
        return value
    if not isinstance(value, (tuple, list)) or len(value) != 2 or not isinstance(value[0], str):
        raise TypeError(
            f'{layer}: activation must be a name such as "selu", a pair such as '
            f'("leaky_relu", 0.2), or None, not {value!r}'
        )
    name, parameter = value
    checked(layer, "activation", parse_activation, name)
    if not PARAMETERS[name]:
        raise ValueError(f"{layer}: activation {name!r} has no parameter, got {value!r}")
    return name, number(layer, f"activation, the parameter of {name},", parameter)


def stream(layer: str, rng: Random | None) -> Random:
    """Where weights are drawn; by default the stream of the process."""
    if rng is not None and not isinstance(rng, Random):
        raise TypeError(
            f"{layer}: rng must be a tinygen.Random, such as tinygen.Random(0), not {rng!r}"
        )
    return default_rng() if rng is None else rng
