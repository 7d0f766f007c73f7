"""Philox4x32-10, a counter-based generator (Salmon et al. 2011, "Parallel random numbers: as easy
as 1, 2, 3"): ten rounds of multiply and exclusive-or turn (counter, key) into four random words.

There is no state: word i is a pure function of the key and of i, so any slice of a stream can be
drawn anywhere, in any order, on any device, and comes out the same.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # the golden ratio and sqrt(3) - 1, as 32-bit fractions
ROUNDS = 10


def random_bits(
    out: NDArray[Any], key: tuple[int, int], counter: tuple[int, int, int], first: int = 0
) -> None:
    """Fill `out` (1-D, uint32) with the words first, first + 1, ... of a stream.

    Word i is word i % 4 of the block whose 128-bit counter is (i // 4, *counter), modulo 2^32.
    """
    last_block = (first + out.size + 3) // 4
    low = np.uint64(0xFFFFFFFF)
    c0 = np.arange(first // 4, last_block, dtype=np.uint64) & low
    c1, c2, c3 = (np.full_like(c0, word) for word in counter)
    k0, k1 = key
    for _ in range(ROUNDS):
        p0, p1 = c0 * np.uint64(MULTIPLIERS[0]), c2 * np.uint64(MULTIPLIERS[1])
        c0, c1, c2, c3 = (
            (p1 >> np.uint64(32)) ^ c1 ^ np.uint64(k0),
            p1 & low,
            (p0 >> np.uint64(32)) ^ c3 ^ np.uint64(k1),
            p0 & low,
        )
        k0, k1 = (k0 + KEY_STEPS[0]) & 0xFFFFFFFF, (k1 + KEY_STEPS[1]) & 0xFFFFFFFF
    words = np.stack([c0, c1, c2, c3], axis=1).ravel()
    out[...] = words[first % 4 : first % 4 + out.size]
