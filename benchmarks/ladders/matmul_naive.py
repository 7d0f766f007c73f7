"""Three loops, as the formula says: c[i, j] = sum over k of a[i, k] b[k, j].

32 x 784 x 100 are 2.5 million multiply-adds. The innermost loop adds to one number, and waits four
cycles for each addition; it goes down a column of b, whose numbers are 400 bytes apart, so each is
fetched with a cache line of its own. A core could do 32 multiply-adds in a cycle.
"""

import numba
import numpy as np

from .ladder import Array, alone


def loops(a: Array, b: Array, c: Array) -> None:
    for i in range(c.shape[0]):
        for j in range(c.shape[1]):
            total = np.float32(0)
            for k in range(a.shape[1]):
                total += a[i, k] * b[k, j]
            c[i, j] = total


compiled = numba.njit(loops)


def multiply(a: Array, b: Array) -> Array:
    """A B, one number after the other."""
    c = np.empty((len(a), b.shape[1]), np.float32)
    compiled(a, b, c)
    return c


if __name__ == "__main__":
    raise SystemExit(alone(__file__))
