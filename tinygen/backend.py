"""Where arrays live: the only file that knows of CuPy and of the kernels.

The rest of the library asks `array_module(x)` for NumPy's names on arrays like `x`, and
`kernels(x)` for our own kernels on them.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast

import numpy as np

if importlib.util.find_spec("tinygen_kernels") is None:  # a raw checkout, not installed
    sys.path.append(str(Path(__file__).resolve().parent.parent / "kernels"))

from tinygen_kernels import kernels
from tinygen_kernels.bands import Band
from tinygen_kernels.cuda.graph import Recording
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
from tinygen_kernels.precision import ON_CPU, PRECISIONS, using_precision

__all__ = [
    "LINE",
    "PRECISIONS",
    "Array",
    "Band",
    "Geometry",
    "Padding",
    "Pads",
    "Pair",
    "Recording",
    "array_module",
    "as_array",
    "beside",
    "check_device",
    "check_precision",
    "cuda_status",
    "device_of",
    "empty",
    "foreign",
    "is_array",
    "kernel_cache_folder",
    "kernels",
    "pair",
    "parse_padding",
    "recorded_step",
    "recording_of",
    "resolve_padding",
    "threads_in_use",
    "to_device",
    "to_numpy",
    "use_threads",
    "using_precision",
]

Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]  # CuPy's has the same methods

foreign: list[Any] = []  # CuPy, from when arrays of it may come up; until then all are NumPy's


class ArrayModule(Protocol):
    """NumPy or CuPy, seen as functions that make arrays."""

    def __getattr__(self, name: str) -> Callable[..., Array]:
        """The function of that name."""


def array_module(*xs: object) -> ArrayModule:
    """NumPy, or CuPy if an array of it is among `xs`: the module with functions for them."""
    if not foreign and "cupy" not in sys.modules:  # asked at every op: the usual answer at once
        return cast(ArrayModule, np)
    return cast(ArrayModule, foreign[0] if any(map(_is_cupy, xs)) else np)


def is_array(x: object) -> bool:
    """Whether `x` is an array of NumPy or CuPy (not a scalar, not a list)."""
    return isinstance(x, np.ndarray) or _is_cupy(x)


def _is_cupy(x: object) -> bool:
    """Whether `x` is an array of CuPy."""
    if not foreign:  # the user may have made one without asking us
        cupy = sys.modules.get("cupy")
        if cupy is None or not isinstance(x, cupy.ndarray):
            return False
        foreign.append(cupy)
    return isinstance(x, foreign[0].ndarray)


def as_array(x: object) -> Array:
    """`x` as a plain array; itself if it is one. NumPy scalars become arrays without axes.

    Matrices, record arrays and files mapped to memory are seen as the arrays that they are made
    of, without a copy: their operators would mean something else. Raises TypeError for a masked
    array, whose mask would be lost.
    """
    if type(x) is np.ndarray or _is_cupy(x):
        return cast(Array, x)
    if isinstance(x, np.ndarray) and isinstance(x, np.ma.MaskedArray):
        raise TypeError(
            f"a masked array (shape {x.shape}) would lose its mask: say what stands in the masked "
            "places with .filled(value), or give the mask as an array of its own"
        )
    return np.asarray(x)


def of_numbers(x: Any) -> Array:
    """Numbers without a type of their own as an array: integers and booleans stay such."""
    try:
        array = np.asarray(x)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"cannot make a tensor of {type(x).__name__}: {error}") from error
    if array.dtype.kind not in "biufc":
        raise TypeError(f"cannot make a tensor of {x!r:.80}: give numbers")
    return array.astype(np.float32) if array.dtype == np.float64 else array


def from_python(data: Any, dtype: Any = None) -> Array:
    """NumPy scalars keep their type, Python numbers and lists of them become float32."""
    if dtype is None and not isinstance(data, np.generic):
        dtype = np.float32
    try:
        return np.asarray(data, dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"cannot make a tensor of {type(data).__name__}: {error}") from error


def empty(shape: tuple[int, ...], dtype: Any, device: str = "cpu") -> Array:
    """An array with arbitrary contents on `device`, which begins at a multiple of LINE bytes."""
    check_device(device)
    result: Array
    if device == "cuda":
        result = foreign[0].empty(shape, dtype)  # CuPy's pool rounds up to 512 bytes
    else:
        size = math.prod(shape) * np.dtype(dtype).itemsize
        result = aligned(size).view(dtype).reshape(shape)
    return result


def check_device(device: str) -> None:
    """Raise ValueError, with the reason, if `device` cannot be used."""
    if device == "cuda":
        cupy, status = _find_cuda()
        if cupy is None:
            raise ValueError(f"device 'cuda' is {status}; use device 'cpu'")
        if not foreign:
            foreign.append(cupy)
    elif device != "cpu":
        raise ValueError(f"unknown device {device!r}: known are 'cpu' and 'cuda'")


def check_precision(precision: str, device: str) -> None:
    """Raise ValueError if products on `device` cannot be formed with that precision."""
    if precision not in PRECISIONS:
        raise ValueError(f"unknown precision {precision!r}: known are {', '.join(PRECISIONS)}")
    if device == "cpu" and precision not in ON_CPU:
        raise ValueError(
            f"precision {precision!r} is for device 'cuda'; a CPU has {' and '.join(ON_CPU)}"
        )


def cuda_status() -> str:
    """Whether CUDA can be used, and with what; if not, what is missing."""
    return _find_cuda()[1]


@functools.cache
def _find_cuda() -> tuple[Any, str]:
    """CuPy, or None if it cannot be used; and the text for that."""
    try:
        cupy = importlib.import_module("cupy")
    except ModuleNotFoundError as error:
        if error.name == "cupy":
            return None, 'not available: CuPy is missing: pip install "tinygen[cuda13]"'
        return None, f"not available: CuPy cannot be imported: {error}"
    except Exception as error:  # libraries that do not fit, no home to write to: anything
        return None, f"not available: CuPy cannot be imported: {error}"
    runtime = cupy.cuda.runtime
    try:
        count = runtime.getDeviceCount()
    except Exception as error:  # CUDARuntimeError, whose text names the status
        return None, f"not available: no NVIDIA driver, or too old a one for CuPy ({error})"
    if not count or not cupy.cuda.is_available():
        return None, "not available: the NVIDIA driver finds no device"
    try:
        nvrtc = cupy.cuda.nvrtc.getVersion()
    except Exception as error:  # what it raises depends on how CuPy looks for the library
        what = str(error).partition("\n")[0]
        return None, (
            "not available: NVRTC, which compiles the kernels, is missing: "
            f'pip install "cupy-cuda13x[ctk]" ({what})'
        )
    name = runtime.getDeviceProperties(runtime.getDevice())["name"].decode()
    version = ".".join(map(str, nvrtc))
    return cupy, f"available: {name}, CuPy {cupy.__version__}, NVRTC {version}"


def kernel_cache_folder() -> Path | None:
    """Where compiled kernels are kept; None if nowhere."""
    from tinygen_kernels.cpu.jit import cache_folder

    return cache_folder()


def use_threads(n: int, origin: str) -> None:
    """Use `n` threads on the CPU; `origin`, which asked for them, is named in the ValueError."""
    from tinygen_kernels.cpu import threads

    threads.use_threads(n, origin)


def threads_in_use() -> tuple[int, str]:
    """How many threads kernels of the CPU use, and what asked for so many."""
    from tinygen_kernels.cpu import threads

    return threads.threads_in_use()


def device_of(x: object) -> str:
    """The name of the device where `x` lives."""
    return "cuda" if _is_cupy(x) else "cpu"


def to_device(x: Array, device: str | None) -> Array:
    """`x` on `device`, copied if it is not there yet; None leaves it where it is.

    A copy to the card is put into its stream: nobody waits for it.
    """
    if device is None:
        return x
    check_device(device)
    if device == "cpu":
        return to_numpy(x)
    if _is_cupy(x):
        return x
    if _recorded_steps:
        raise RuntimeError(
            f"an array {x.shape} of the CPU was used in a training step that is being recorded for "
            "the card: move it there beforehand, or train with capture=False"
        )
    moved: Array = foreign[0].asarray(x)
    return moved


def beside(x: Any, like: object) -> Any:
    """`x`, where the array `like` is if that is on a card; numbers can be used anywhere."""
    if not isinstance(x, np.ndarray) or not _is_cupy(like):
        return x
    if not x.ndim:  # goes as an argument of the kernel that fills it
        return foreign[0].full((), x[()], x.dtype)
    return to_device(x, "cuda")


def to_numpy(x: Array) -> Array:
    """`x` as a NumPy array, shared if it is one; waits for a card that is to make it."""
    if not _is_cupy(x):
        return x
    if _recorded_steps:
        raise RuntimeError(
            "a value was read (item, numpy, float, if ...) in a training step that is being "
            "recorded for the card: use ops on tensors instead, or train with capture=False"
        )
    array: Array = x.get()  # type: ignore[attr-defined]  # a method of CuPy's alone
    return array


_recorded_steps: list[int] = []


def recorded_step() -> int | None:
    """The training step whose work is being recorded for a card, if one is."""
    return _recorded_steps[-1] if _recorded_steps else None


@contextmanager
def recording_of(step: int) -> Iterator[None]:
    """Within the block work is recorded, not done: nothing may be read, or come from the CPU."""
    _recorded_steps.append(step)
    try:
        yield
    finally:
        _recorded_steps.pop()
