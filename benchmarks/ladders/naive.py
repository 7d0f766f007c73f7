"""Seven loops, as the formula says.

    y[n, i, j, o] = sum over a, b, c of x[n, i + a - 1, j + b - 1, c] w[a, b, c, o]

16 x 32 x 32 pixels, 64 x 64 channels and 9 taps are 604 million multiply-adds. The innermost loop
adds to one number, so each addition waits four cycles for the one before; and its weights are 64
numbers apart in memory, so that no vector of them can be loaded. A multiply-add every two to four
cycles, on one core: one with vectors of 512 bits can do 32 in a cycle.
"""

import numba
import numpy as np

from .ladder import Array, alone


def loops(x: Array, w: Array, y: Array) -> None:
    n, height, width, channels = x.shape
    for image in range(n):
        for i in range(height):
            for j in range(width):
                for o in range(w.shape[3]):
                    total = np.float32(0)
                    for a in range(max(0, 1 - i), min(3, height + 1 - i)):
                        for b in range(max(0, 1 - j), min(3, width + 1 - j)):
                            for c in range(channels):
                                total += x[image, i + a - 1, j + b - 1, c] * w[a, b, c, o]
                    y[image, i, j, o] = total


compiled = numba.njit(loops)


def convolve(x: Array, w: Array) -> Array:
    """x * w, one number after the other."""
    y = np.empty((*x.shape[:3], w.shape[3]), np.float32)
    compiled(x, w, y)
    return y


if __name__ == "__main__":
    raise SystemExit(alone(__file__))
