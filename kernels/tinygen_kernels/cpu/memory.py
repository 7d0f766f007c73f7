"""Large results without page faults: memory that is used again and again.

A fresh array of more than about 100 KB comes from the operating system as pages that are zeroed
one by one at first touch, which takes longer than most kernels need to fill them. So kernels make
their results with `empty`: when the last array that looks into a block of memory is gone, the
block waits here for the next result of its size. What they need only meanwhile is `scratch`.
"""

from __future__ import annotations

import math
import threading
import weakref
from collections import defaultdict
from pickle import PickleBuffer
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..lines import aligned

SMALLEST = 1 << 16  # bytes; below this the C library does well by itself
MOST_KEPT = 1 << 28  # bytes that wait at most; what is given back beyond that is freed
MOST_AT_HAND = 1 << 24  # bytes for each use of scratch memory

_waiting: dict[int, list[NDArray[Any]]] = defaultdict(list)
_bytes_waiting = 0
_in_use: dict[int, tuple[weakref.ref[PickleBuffer], NDArray[Any]]] = {}


def empty_like(x: NDArray[Any]) -> NDArray[Any]:
    """A new C-ordered array of the shape and type of `x`."""
    return np.empty(x.shape, x.dtype) if x.nbytes < SMALLEST else empty(x.shape, x.dtype)


def empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """A new C-ordered array with arbitrary contents."""
    global _bytes_waiting
    size = math.prod(shape) * dtype.itemsize
    if size < SMALLEST:
        return np.empty(shape, dtype)
    # One of eight sizes between two powers of two, so that similar results share blocks.
    step = 1 << (size.bit_length() - 4)
    size = -(-size // step) * step
    if blocks := _waiting.get(size) or _larger(size):
        block = blocks.pop()
        _bytes_waiting -= block.nbytes
    else:
        block = aligned(size)
    # The standard library's lightest object that NumPy keeps as the base of an array (it looks
    # through a memoryview) and that can be watched: it lives as long as any array on the block.
    owner = PickleBuffer(block)  # type: ignore[arg-type]  # arrays are buffers
    watch = weakref.ref(owner, _give_back)
    _in_use[id(watch)] = watch, block
    return np.ndarray(shape, dtype, owner)  # type: ignore[arg-type]  # and so is this


class _Scratch(threading.local):
    """What a thread of Python has at hand."""

    def __init__(self) -> None:
        self.blocks: dict[str, NDArray[Any]] = {}


_scratch = _Scratch()


def scratch(use: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
    """An array with arbitrary contents, this thread's own until it asks for the same `use` again.

    It is for what does not outlive a kernel. It takes a third of the time of `empty`, and lies
    where the last one lay, which still is in the caches.
    """
    size = math.prod(shape) * dtype.itemsize
    block = _scratch.blocks.get(use)
    if block is None or block.nbytes < size:
        if size > MOST_AT_HAND:
            return empty(shape, dtype)
        block = _scratch.blocks[use] = aligned(size)
    return np.ndarray(shape, dtype, block)


def _larger(size: int) -> list[NDArray[Any]] | None:
    """The blocks that wait of the next size there are some of, which is at most twice this one."""
    top = 2 * size
    while size < top:
        size += 1 << (size.bit_length() - 4)
        if blocks := _waiting.get(size):
            return blocks
    return None


def _give_back(watch: weakref.ref[PickleBuffer]) -> None:
    """The last array on a block is gone."""
    global _bytes_waiting
    _, block = _in_use.pop(id(watch))
    if _bytes_waiting + block.nbytes <= MOST_KEPT:
        _bytes_waiting += block.nbytes
        _waiting[block.nbytes].append(block)
