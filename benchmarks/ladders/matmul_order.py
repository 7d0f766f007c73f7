"""The same three loops in another order: j is innermost, along rows of b and c.

Neighbours in the loop are neighbours in memory and independent of each other, so the compiler
takes 16 of them at a time. Each vector of multiply-adds now comes with two loads, b and c, and a
store of c; a core can do two loads and a store in a cycle, but also two multiply-adds.
"""

import numpy as np
from tinygen_kernels.cpu.jit import jit, prefer_wide_vectors

from .ladder import Array, alone


@jit()
def loops(a: Array, b: Array, c: Array) -> None:
    prefer_wide_vectors()
    for i in range(c.shape[0]):
        total = c[i]
        total[:] = 0
        for k in range(a.shape[1]):
            factor, row = a[i, k], b[k]
            for j in range(row.size):
                total[j] += factor * row[j]


def multiply(a: Array, b: Array) -> Array:
    """A B, row by row."""
    c = np.empty((len(a), b.shape[1]), np.float32)
    loops(a, b, c)
    return c


if __name__ == "__main__":
    raise SystemExit(alone(__file__))
