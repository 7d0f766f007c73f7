"""What is left to do where blocks made shares of a convolution: adding them up."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .activation import KINDS
from .arrays import MOST_BLOCKS, THREADS, blocks, c_type, for_both_types
from .launch import Source, launch

Array = NDArray[Any]

SOURCE = Source("conv_shares.cu", for_both_types("add_shares"))


def add_shares(
    shares: Array, y: Array, b: Array | None = None, name: str = "identity", parameter: float = 0.0
) -> Array:
    """y = f(b + the sum over the first axis of shares); b has one number for each channel."""
    count, size, columns = np.int32(len(shares)), np.int32(y.size), np.int32(y.shape[-1])
    args = shares, b, y, count, size, columns, KINDS[name], y.dtype.type(parameter)
    kernel = SOURCE[f"add_shares<{c_type(y)}>"]
    launch(kernel, blocks(y.size, THREADS, MOST_BLOCKS), THREADS, args)
    return y
