"""Where arrays live: the only file that knows of CuPy and of the kernels.

The rest of the library asks `array_module(x)` for NumPy's names on arrays like `x`, and
`kernels(x)` for our own kernels on them.
"""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

import numpy as np

if importlib.util.find_spec("tinygen_kernels") is None:  # a raw checkout, not installed
    sys.path.append(str(Path(__file__).resolve().parent.parent / "kernels"))

from tinygen_kernels import kernels
from tinygen_kernels.bands import Band
from tinygen_kernels.geometry import (
    Geometry,
    Padding,
    Pads,
    Pair,
    pair,
    parse_padding,
    resolve_padding,
)
from tinygen_kernels.lines import LINE, aligned

__all__ = [
    "LINE",
    "Array",
    "Band",
    "Geometry",
    "Padding",
    "Pads",
    "Pair",
    "array_module",
    "as_array",
    "check_device",
    "cuda_status",
    "device_of",
    "empty",
    "is_array",
    "kernel_cache_folder",
    "kernels",
    "pair",
    "parse_padding",
    "resolve_padding",
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
    """An array with arbitrary contents on `device`, which begins at a multiple of LINE bytes."""
    check_device(device)
    size = math.prod(shape) * np.dtype(dtype).itemsize
    result: Array = aligned(size).view(dtype).reshape(shape)
    return result


def check_device(device: str) -> None:
    """Raise ValueError, with the reason, if `device` cannot be used."""
    if device == "cuda":
        raise ValueError(f"device 'cuda' is {cuda_status()}; use device 'cpu'")
    if device != "cpu":
        raise ValueError(f"unknown device {device!r}: known are 'cpu' and 'cuda'")


def cuda_status() -> str:
    """Whether CUDA can be used, and if not, why."""
    return "not available: this version has no CUDA kernels"


def kernel_cache_folder() -> Path | None:
    """Where compiled kernels are kept; None if nowhere."""
    from tinygen_kernels.cpu.jit import cache_folder

    return cache_folder()


def device_of(x: object) -> str:
    """The name of the device where `x` lives."""
    return "cpu"


def to_device(x: Array, device: str | None) -> Array:
    """`x` on `device`, copied if it is not there yet."""
    check_device(device or "cpu")
    return x


def to_numpy(x: Array) -> Array:
    """`x` as a NumPy array, shared if it is one."""
    return x
