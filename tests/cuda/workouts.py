"""For each file of kernels calls that go through every barrier of it; see test_mutants.py."""

import numpy as np

from .equipment import CUDA


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def reduce():
    return CUDA.sum_rows(normal(50, 40))


def row_norm():
    return CUDA.layer_norm(normal(2, 600), normal(600), normal(600), 0.1)


# file -> what to call; files without barriers are not here
WORKOUTS = {
    "reduce.cu": reduce,
    "row_norm.cu": row_norm,
}

# header -> the file whose workout goes through its barriers
HEADERS = {"tg_columns.cuh": "reduce.cu"}
