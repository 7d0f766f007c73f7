"""The gradient of a table look-up on CUDA; the twin of reference/embedding.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import blocks, c_type, contiguous, empty, module_of, pack
from .columns import BLOCK, BLOCKS, instances
from .launch import Source, launch
from .reduce import add_parts

Array = NDArray[Any]

SOURCE = Source("embedding.cu", instances("add_rows"))
SPAN = 256  # indices of a share, at least


def add_rows(x: Array, indices: Array, rows: int) -> Array:
    """Zeros of (rows, features), with row i of x, (n, features), added at indices[i].

    An index that is not from 0 to rows - 1 adds nothing: to raise an error would take waiting.
    """
    size, columns = x.shape
    if not rows * columns:
        return empty((rows, columns), x.dtype, x)
    x = contiguous(x)
    indices = contiguous(module_of(x).asarray(indices), np.int64)
    n = pack(columns, x)
    warps = rows * blocks(columns, 32 * n)
    across = blocks(warps, BLOCK // 32)
    shares = max(min(blocks(size, SPAN), BLOCKS // across), 1)
    span = blocks(size, 32 * shares) * 32
    sizes = map(np.int32, (size, span, rows, columns))
    kernel, grid = SOURCE[f"add_rows<{c_type(x)}, {n}>"], (across, shares)
    if shares == 1:
        y = empty((rows, columns), x.dtype, x)
        launch(kernel, grid, BLOCK, (x, indices, y, None, *sizes))
        return y
    part = empty((shares, rows * columns), np.float64, x)
    launch(kernel, grid, BLOCK, (x, indices, None, part, *sizes))
    return add_parts(part, x.dtype).reshape(rows, columns)
