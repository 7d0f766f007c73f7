"""Philox4x32-10 on CUDA, the same integers as everywhere; the twin of reference/random.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import MOST_BLOCKS, THREADS, blocks, empty
from .launch import Source, launch

Array = NDArray[Any]


SOURCE = Source("random.cu", ("random_bits",))

_step_words: Array | None = None


@contextmanager
def counting_from(words: Array) -> Iterator[None]:
    """Within the block, random_bits takes the last two words of its counter from `words`.

    A launch that is captured as part of a CUDA graph would give the same numbers at each replay.
    Captured within this block it reads the training step, in two words of uint32 (low and high)
    where the kernels run, each time anew.
    """
    global _step_words
    if words.dtype != np.uint32 or words.shape != (2,) or not words.flags.c_contiguous:
        raise ValueError(
            f"counting_from: needs two words of uint32, got {words.dtype} of shape {words.shape}"
        )
    before, _step_words = _step_words, words
    try:
        yield
    finally:
        _step_words = before


def random_bits(
    out: Array, key: tuple[int, int], counter: tuple[int, int, int], first: int = 0
) -> None:
    """Fill `out` (1-D, uint32) with the words first, first + 1, ... of a stream."""
    if out.dtype != np.uint32:
        raise TypeError(f"random_bits: fills arrays of uint32, not {out.dtype}")
    made = out if out.flags.c_contiguous else empty(out.shape, np.uint32, out)
    skip, first_block = first % 4, first // 4 & 0xFFFFFFFF
    grid = blocks(-(-(skip + out.size) // 4) if out.size else 0, THREADS, MOST_BLOCKS)
    words = map(np.uint32, (first_block, *key, *counter))
    launch(
        SOURCE["random_bits"],
        grid,
        THREADS,
        (made, np.int32(out.size), np.int32(skip), *words, _step_words),
    )
    if made is not out:
        out[...] = made
