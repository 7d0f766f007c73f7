"""Memory that begins at a cache line: vectors that lie across two of them load more slowly."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LINE = 64  # bytes


def aligned(size: int) -> NDArray[np.uint8]:
    """So many bytes from the system, which begin at a cache line."""
    block = np.empty(size + LINE, np.uint8)
    return block[-block.ctypes.data % LINE :][:size]
