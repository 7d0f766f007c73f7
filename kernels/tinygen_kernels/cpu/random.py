"""Philox4x32-10 in Numba: the same words as the reference, sixteen blocks at a time by SIMD."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..reference.random import KEY_STEPS, MULTIPLIERS, ROUNDS
from .jit import jit

M0, M1 = (np.uint64(m) for m in MULTIPLIERS)
STEP0, STEP1 = (np.uint32(s) for s in KEY_STEPS)
LOW, SHIFT = np.uint64(0xFFFFFFFF), np.uint64(32)


@jit()
def _blocks(
    out: NDArray[Any], k0: Any, k1: Any, word1: Any, word2: Any, word3: Any, first_block: int
) -> None:
    for block in range(out.shape[0]):
        c0, c1, c2, c3 = np.uint32(first_block + block), word1, word2, word3
        a, b = k0, k1
        for _ in range(ROUNDS):
            p0, p1 = np.uint64(c0) * M0, np.uint64(c2) * M1
            c0, c1, c2, c3 = (
                np.uint32(p1 >> SHIFT) ^ c1 ^ a,
                np.uint32(p1 & LOW),
                np.uint32(p0 >> SHIFT) ^ c3 ^ b,
                np.uint32(p0 & LOW),
            )
            a, b = np.uint32(a + STEP0), np.uint32(b + STEP1)
        out[block, 0] = c0
        out[block, 1] = c1
        out[block, 2] = c2
        out[block, 3] = c3


def random_bits(
    out: NDArray[Any], key: tuple[int, int], counter: tuple[int, int, int], first: int = 0
) -> None:
    """Fill `out` (1-D, uint32) with the words first, first + 1, ... of a stream."""
    skip = first % 4
    whole = skip == 0 and out.size % 4 == 0 and out.flags.c_contiguous
    words = out if whole else np.empty((skip + out.size + 3) // 4 * 4, np.uint32)
    _blocks(words.reshape(-1, 4), *map(np.uint32, (*key, *counter)), np.int64(first // 4))
    if not whole:
        out[...] = words[skip : skip + out.size]
