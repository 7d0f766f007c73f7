"""Checks of what layers are made with, beside numbers: messages name the layer and the argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .. import ops
from ..backend import Pair
from ..ops.activation import PARAMETERS, parse_activation
from ..ops.random import Random, default_rng
from ..ranges import not_negative, whole

Result = TypeVar("Result")


def sizes(layer: str, argument: str, value: Any, least: int = 1) -> int | Pair:
    """A whole number for both directions, or a pair with one for each."""
    name = f"{layer}: {argument}"
    if not isinstance(value, (tuple, list)):
        return whole(name, value, least)
    if len(value) != 2:
        raise ValueError(f"{name} must be a number or a pair, not {value!r}")
    return whole(name, value[0], least), whole(name, value[1], least)


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
    return name, not_negative(f"{layer}: activation, the parameter of {name},", parameter)


def stream(layer: str, rng: Random | None) -> Random:
    """Where weights are drawn; by default the stream of the process."""
    if rng is not None and not isinstance(rng, Random):
        raise TypeError(
            f"{layer}: rng must be a tinygen.Random, such as tinygen.Random(0), not {rng!r}"
        )
    return default_rng() if rng is None else rng
