"""Arrays of whichever library the arguments are from: CuPy on a card, NumPy under the shim."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

C_TYPES = {"float32": "float", "float64": "double"}
THREADS, MOST_BLOCKS = 256, 132 * 8  # of elementwise kernels: as many as a large card can hold
MOST = 2**31 - 2**20  # elements: threads count on past the last one, by up to all threads at a time


def module_of(x: Array) -> Any:
    """NumPy or CuPy: the module whose functions take arrays like x."""
    if isinstance(x, np.ndarray):
        return np
    import cupy

    return cupy


def empty(shape: tuple[int, ...], dtype: Any, like: Array) -> Array:
    """An array with arbitrary contents where `like` lives; under the shim it holds NaN.

    Raises ValueError for more elements than a kernel can count.
    """
    xp = module_of(like)
    made: Array = xp.empty(shape, dtype)
    if made.size > MOST:
        raise ValueError(f"an array of shape {shape} has more elements than CUDA kernels take")
    if xp is np:
        made.reshape(-1).view(np.uint8)[...] = 0xFF  # what a kernel forgets to write shows
    return made


def contiguous(x: Array, dtype: Any = None) -> Array:
    """x, or a copy of it by rows (and in that type): what kernels take."""
    if x.flags.c_contiguous and (dtype is None or dtype == x.dtype):
        return x
    made: Array = module_of(x).ascontiguousarray(x, dtype)
    return made.reshape(x.shape)  # it adds an axis where there is none


def address(x: Array) -> int:
    """Where the first element lies, for kernels that are told by a table where arrays are."""
    return int(x.ctypes.data if isinstance(x, np.ndarray) else x.data.ptr)


def aligned(x: Array) -> Array:
    """x, or a copy of it by rows from a multiple of 16 bytes on: what is read by 128 bits."""
    x = contiguous(x)
    return x if (x.ctypes.data if isinstance(x, np.ndarray) else x.data.ptr) % 16 == 0 else x.copy()


def c_type(x: Array) -> str:
    """How C++ calls the elements of x; TypeError for other types than float32 and float64."""
    try:
        return C_TYPES[x.dtype.name]
    except KeyError:
        raise TypeError(f"CUDA kernels take float32 and float64, not {x.dtype}") from None


def blocks(n: int, threads: int, most: int = 2**31 - 1) -> int:
    """How many blocks of so many threads it takes for n elements, but at most `most`."""
    return min(-(-n // threads), most)


def pack(columns: int, *arrays: Array) -> int:
    """How many neighbours on the last axis, of that length, a thread takes at a time.

    As many as make 16 bytes, if in all arrays (of one type) they lie on multiples of that; else 1.
    """
    several = 16 // arrays[0].itemsize
    return 1 if columns % several or any(address(a) % 16 for a in arrays) else several


def for_both_types(*kernels: str) -> tuple[str, ...]:
    """The names of the instances of kernels that have the type of elements as their template.

    >>> for_both_types("erf")
    ('erf<float>', 'erf<double>')
    """
    return tuple(f"{kernel}<{T}>" for kernel in kernels for T in C_TYPES.values())
