"""From the obvious program to the fast kernel, in small files that check and time themselves.

    python -m benchmarks.ladders [convolution | product]

A convolution of 16 images, 32 x 32 pixels, 64 channels to 64, by 3 x 3 weights; read them in order:

    naive      seven loops, as the formula says
    vectors    along the channels of the result, for four pixels at a time
    im2col     as one product of matrices, for BLAS
    blocked    no copy, and blocks of the result stay in registers: the library's direct way
    winograd   a quarter of the multiplications, in NumPy
    fused      that in the library: all stages while a tile is in the cache

and a product of matrices, 32 x 784 by 784 x 100, the first layer of the stacked autoencoder:

    matmul_naive, matmul_order, matmul_blocked, matmul_tile, matmul_blas

A rung must agree with NumPy, or the command ends with 1; the last line is PyTorch's. Each is also
a command of its own, `python -m benchmarks.ladders.im2col`. All together take a minute.
"""

from .climb import main

__all__ = ["main"]
