"""A quarter of the multiplications: Winograd's F(4 x 4, 3 x 3), one stage after the other.

In one dimension: four results of a filter of three taps see six inputs. As polynomials, their
product is fixed by its values at six points (0, 1, -1, 2, -2 and infinity), so six multiplications
do instead of twelve. BT gives the inputs' values, G the taps', and AT leads back. In two dimensions
the same along rows and columns: 36 multiplications for 16 pixels instead of 144,

    y = AT [(G w GT) (BT x B)] A            over all channels: 36 products of matrices.

The 604 million multiply-adds become 151 million, and the transforms T X T^T are some additions for
each tile and channel. For BLAS they are products too, by kron(T, T), which is mostly zeros: 123
million more. But above all every stage goes through memory: 9 MB of windows are written and read,
9 MB of them transformed, and as many products of channels. That is what limits it: the next rung
does all three stages for a few tiles at a time.

Source: Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks".
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .ladder import Array, alone

BT = np.array(
    [
        [4, 0, -5, 0, 1, 0],
        [0, -4, -4, 1, 1, 0],
        [0, 4, -4, -1, 1, 0],
        [0, -2, -1, 2, 1, 0],
        [0, 2, -1, -2, 1, 0],
        [0, 4, 0, -5, 0, 1],
    ],
    np.float32,
)
G = np.array([[6, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]], np.float32)
G /= 24
AT = np.array(
    [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], np.float32
)
BT_BT, G_G, AT_AT = (np.kron(t, t).astype(np.float32) for t in (BT, G, AT))


def convolve(x: Array, w: Array) -> Array:
    """x * w, where T X T^T of all tiles is one product with kron(T, T)."""
    n, height, width, channels = x.shape
    down, across, outputs = -(-height // 4), -(-width // 4), w.shape[3]
    more = (1, 1 + -height % 4), (1, 1 + -width % 4)
    windows = sliding_window_view(np.pad(x, ((0, 0), *more, (0, 0))), (6, 6), (1, 2))[:, ::4, ::4]
    tiles = windows.transpose(4, 5, 0, 1, 2, 3).reshape(36, -1)
    seen = (BT_BT @ tiles).reshape(36, -1, channels)
    weights = (G_G @ w.reshape(9, -1)).reshape(36, channels, outputs)
    values = seen @ weights  # (36, tiles, outputs): a product for each point
    y = (AT_AT @ values.reshape(36, -1)).reshape(4, 4, n, down, across, outputs)
    whole: Array = y.transpose(2, 3, 0, 4, 1, 5).reshape(n, 4 * down, 4 * across, outputs)
    return whole[:, :height, :width]


if __name__ == "__main__":
    raise SystemExit(alone(__file__))
