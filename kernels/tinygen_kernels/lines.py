"""The caches: memory that begins at one of their lines, and the size of the last."""

from __future__ import annotations

from contextlib import suppress
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


def last_cache(folder: Path = Path("/sys/devices/system/cpu/cpu0/cache")) -> int:
    """Bytes of the largest cache, as Linux tells in `folder`; 32 MiB where it does not."""
    sizes = []
    for path in folder.glob("index*/size"):
        with suppress(OSError, ValueError):
            sizes.append(int(path.read_text(encoding="ascii").strip().removesuffix("K")) << 10)
    return max(sizes, default=32 << 20)
