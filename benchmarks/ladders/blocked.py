"""No copy, and a tile of the result stays in registers from tap to tap.

Pixel p of the result is the sum over k of x[places[p] + steps[k]] w[k]: `places` says where the
window of a pixel begins in the flat image, `steps` where each of its 9 x 64 taps and channels is
from there. So any window is read where it is, and the innermost loop is that of a product of
matrices: the library's tile (tinygen_kernels/cpu/tile.py), written as LLVM code since Numba has no
vectors. It holds 8 pixels x 48 outputs in 24 registers of 16 lanes; one step along k is 3 loads of
weights, 8 numbers of x and 24 multiply-adds. The sums are stored after 192 steps, whose weights for
48 outputs fit into the first cache, and so does the input of 256 pixels into the second one. What
limits it is the rate at which the machine can multiply and add.
"""

import numpy as np
from numba import prange
from tinygen_kernels.cpu.gathered import GATHERED, gathered_rectangle
from tinygen_kernels.cpu.jit import jit

from .ladder import Array, alone

PIXELS, STEPS = 256, 192  # of a block


@jit(parallel=True)
def blocks(x: Array, places: Array, steps: Array, w: Array, y: Array, product: int) -> None:
    outputs = w.shape[1]
    for block in prange((places.size + PIXELS - 1) // PIXELS):
        first = block * PIXELS
        seen = places[first : first + PIXELS]
        rows = np.arange(first, first + seen.size) * outputs
        for k in range(0, steps.size, STEPS):
            some = slice(k, min(k + STEPS, steps.size))
            gathered_rectangle(product, x, seen, steps[some], w[some], y, rows, k)  # k > 0: add


def convolve(x: Array, w: Array) -> Array:
    """x * w, block by block."""
    n, height, width, channels = x.shape
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
    image, row, pixel, _ = (stride // 4 for stride in padded.strides)
    corners = np.arange(n)[:, None, None] * image + np.arange(height)[:, None] * row
    places = (corners + np.arange(width) * pixel).ravel()
    taps = np.arange(3)[:, None, None] * row + np.arange(3)[:, None] * pixel
    steps = (taps + np.arange(channels)).ravel()
    y = np.empty((n, height, width, w.shape[3]), np.float32)
    weights, product = w.reshape(steps.size, -1), GATHERED[np.dtype(np.float32)]
    blocks(padded.reshape(-1), places, steps, weights, y.reshape(-1), product)
    return y


if __name__ == "__main__":
    raise SystemExit(alone(__file__))
