"""For each file of kernels calls that go through every barrier of it; see test_mutants.py."""

import numpy as np
from tinygen_kernels.cuda import conv_mma
from tinygen_kernels.cuda.conv_tiles import Plan
from tinygen_kernels.precision import using_precision

from tests.kernels.convolutions import all_three, operands

from . import test_conv_mma
from .equipment import CUDA
from .test_conv import GEOMETRIES
from .test_rnn import problem, run


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def reduce():
    return CUDA.sum_rows(normal(50, 40))


def conv_simt():
    return all_three(CUDA, GEOMETRIES["3x3"], operands(GEOMETRIES["3x3"], 2, 20, 33))


def conv_small():
    return all_three(CUDA, GEOMETRIES["3x3"], operands(GEOMETRIES["3x3"], 2, 3, 2))


def tensor_cores():
    data = test_conv_mma.drawn("many tiles")
    with using_precision("tf32"):
        return [
            test_conv_mma.run(conv_mma, name, "many tiles", data, plan=Plan("64x64", 1))
            for name in ("conv2d", "conv2d_transpose")
        ]


def optim():
    arrays = [normal(size, seed=size) for size in (7, 2100, 40)]
    return CUDA.sum_of_squares(arrays)


def rnn():
    return run(CUDA, "lstm", *problem("lstm", 3, 3, 2, 170, "float32"))


def rnn_sequence():
    return run(CUDA, "lstm", *problem("lstm", 3, 3, 2, 37, "float32"))


def row_norm():
    return CUDA.layer_norm(normal(2, 600), normal(600), normal(600), 0.1)


# file -> what to call; files without barriers are not here
WORKOUTS = {
    "conv_mma.cu": tensor_cores,
    "conv_simt.cu": conv_simt,
    "conv_small.cu": conv_small,
    "optim.cu": optim,
    "reduce.cu": reduce,
    "rnn.cu": rnn,
    "rnn_sequence.cu": rnn_sequence,
    "row_norm.cu": row_norm,
}

# header -> the file whose workout goes through its barriers
HEADERS = {
    "conv_mma.cuh": "conv_mma.cu",
    "tg_columns.cuh": "reduce.cu",
    "tg_common.cuh": "optim.cu",
    "tg_tile.cuh": "conv_simt.cu",
}
