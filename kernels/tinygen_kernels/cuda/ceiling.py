"""Work that measures a card: the most multiplications that its tensor cores can do."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .launch import Source, launch

SOURCE = Source("ceiling.cu", ("mma_loop",))
THREADS, SUMS = 256, 8  # of a block, and of a warp, as in ceiling.cu
FLOPS = 2 * 16 * 8 * 8  # of one mma.m16n8k8


def multiply_on_registers(out: NDArray[Any], repeats: int) -> float:
    """Multiply on the tensor cores, in TF32, with nothing read; how many operations that is.

    Args:
        out: float32, a place for each thread: a multiple of THREADS.
        repeats: rounds of SUMS products in each warp.
    """
    launch(SOURCE["mma_loop"], out.size // THREADS, THREADS, (out, np.int32(repeats)))
    return float(FLOPS * SUMS * repeats) * (out.size // 32)
