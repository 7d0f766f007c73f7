"""Where arrays live: the only file that knows of CuPy and of the kernels.

The rest of the library asks `array_module(x)` for NumPy's names on arrays like `x`, and
`kernels(x)` for our own kernels on them.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

import numpy as np

if importlib.util.find_spec("tinygen_kernels") is None:  # a raw checkout, not installed
    sys.path.append(str(Path(__file__).resolve().parent.parent / "kernels"))

from tinygen_kernels import kernels

__all__ = [
    "Array",
    "array_module",
    "as_array",
    "device_of",
    "empty",
    "is_array",
    "kernels",
    "to_device",
    "to_numpy",
]

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]  # CuPy's has the same methods


class ArrayModule(Protocol):
    """NumPy or CuPy, seen as functions that make arrays."""

    def __getattr__(self, name: str) -> Callable[..., Array]:
        """The function of that name."""


def array_module(x: object) -> ArrayModule:
    """NumPy: the module with the functions for arrays of the type of `x`."""
    return cast(ArrayModule, np)


def is_array(x: object) -> bool:
    """Whether `x` is an array of NumPy or CuPy (not a scalar, not a list)."""
    return isinstance(x, np.ndarray)


def as_array(x: object) -> Array:
    """`x` itself if it is an array; NumPy scalars become arrays without axes."""
    return np.asarray(x)


def empty(shape: tuple[int, ...], dtype: Any, device: str = "cpu") -> Array:
    """An array with arbitrary contents on `device`."""
    if device != "cpu":
        raise ValueError(f"device {device!r} is not available: only 'cpu' is")
    return np.empty(shape, dtype)


def device_of(x: object) -> str:
    """The name of the device where `x` lives."""
    return "cpu"


def to_device(x: Array, device: str | None) -> Array:
    """`x` on `device`, copied if it is not there yet."""
    if device not in (None, "cpu"):
        raise ValueError(f"device {device!r} is not available: only 'cpu' is")
    return x


def to_numpy(x: Array) -> Array:
    """`x` as a NumPy array, shared if it is one."""
    return x
