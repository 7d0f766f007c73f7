"""The caches: memory that begins at one of their lines, and the size of the last."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LINE = 64  # bytes


def aligned(size: int) -> NDArray[np.uint8]:
    """So many bytes from the system, which begin at a cache line.

    Vectors that lie across two lines load more slowly.
    """
    block = np.empty(size + LINE, np.uint8)
    return block[-block.ctypes.data % LINE :][:size]


def last_cache() -> int:
    """Bytes of the largest cache; 32 MiB where the system does not tell (it does on Linux)."""
    sizes = []
    for path in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        text = path.read_text(encoding="ascii").strip()
        if text.endswith("K") and text[:-1].isdigit():
            sizes.append(int(text[:-1]) << 10)
    return max(sizes, default=32 << 20)
