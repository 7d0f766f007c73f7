"""The innermost loop goes along the channels of the result, and four pixels share the weights.

Along the 64 outputs weights and results are neighbours in memory: a vector holds 16 of them. For
one pixel and one channel that takes a load of weights, a load and a store of the result for each
multiply-add. Four pixels and four channels at once do 16 with 4 loads of weights, 4 loads and 4
stores of results, and the 16 numbers of x stay in registers. Rows of pixels are shared out among
the cores. What limits it now: results go to the first cache and back each time, and each loop of
four vectors first makes sure that none of its eight operands overlap.
"""

import numpy as np
from numba import prange
from tinygen_kernels.cpu.jit import jit, prefer_wide_vectors

from .ladder import Array, alone


@jit(parallel=True)
def rows_of_pixels(padded: Array, w: Array, y: Array) -> None:
    n, height, width = y.shape[:3]
    for job in prange(n * height):
        prefer_wide_vectors()
        image, i = job // height, job % height
        for j in range(0, width, 4):
            y[image, i, j : j + 4] = 0
            r0, r1 = y[image, i, j], y[image, i, j + 1]
            r2, r3 = y[image, i, j + 2], y[image, i, j + 3]
            for a in range(3):
                for b in range(3):
                    seen = padded[image, i + a, j + b : j + b + 4]
                    for c in range(0, w.shape[2], 4):
                        p0, p1, p2, p3 = seen[0, c], seen[0, c + 1], seen[0, c + 2], seen[0, c + 3]
                        q0, q1, q2, q3 = seen[1, c], seen[1, c + 1], seen[1, c + 2], seen[1, c + 3]
                        s0, s1, s2, s3 = seen[2, c], seen[2, c + 1], seen[2, c + 2], seen[2, c + 3]
                        t0, t1, t2, t3 = seen[3, c], seen[3, c + 1], seen[3, c + 2], seen[3, c + 3]
                        w0, w1, w2, w3 = w[a, b, c], w[a, b, c + 1], w[a, b, c + 2], w[a, b, c + 3]
                        for o in range(w0.size):
                            r0[o] += p0 * w0[o] + p1 * w1[o] + p2 * w2[o] + p3 * w3[o]
                            r1[o] += q0 * w0[o] + q1 * w1[o] + q2 * w2[o] + q3 * w3[o]
                            r2[o] += s0 * w0[o] + s1 * w1[o] + s2 * w2[o] + s3 * w3[o]
                            r3[o] += t0 * w0[o] + t1 * w1[o] + t2 * w2[o] + t3 * w3[o]


def convolve(x: Array, w: Array) -> Array:
    """x * w, by four pixels and four channels; zeros fill up the last ones."""
    n, height, width, channels = x.shape
    more_pixels, more_channels = -width % 4, -channels % 4
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1 + more_pixels), (0, more_channels)))
    y = np.empty((n, height, width + more_pixels, w.shape[3]), np.float32)
    rows_of_pixels(padded, np.pad(w, ((0, 0), (0, 0), (0, more_channels), (0, 0))), y)
    return y[:, :, :width]


if __name__ == "__main__":
    raise SystemExit(alone(__file__))
