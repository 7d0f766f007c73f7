"""Activations and sums over rows as CUDA kernels."""

import numpy as np
import pytest
from tinygen_kernels.reference.activation import ACTIVATIONS

from .equipment import CUDA, REFERENCE, distance, in_every_order, needs_compiler

pytestmark = needs_compiler
BOUNDS = {"float32": 2e-7, "float64": 2e-15}


def normal(*shape, dtype="float32", seed=0):
    return (3 * np.random.default_rng(seed).normal(size=shape)).astype(dtype)


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_and_their_gradients(name, dtype):
    x, gy = normal(3, 1001, dtype=dtype), normal(3, 1001, dtype=dtype, seed=1)
    y = in_every_order(lambda: CUDA.activate(x, name, 0.3))
    assert distance(y, REFERENCE.activate(x.astype("float64"), name, 0.3)) < BOUNDS[dtype]
    gx, total = in_every_order(lambda: CUDA.activation_grad_sum(y, gy, name, 0.3))
    expected = REFERENCE.activation_grad_sum(y.astype("float64"), gy.astype("float64"), name, 0.3)
    assert distance(gx, expected[0]) < BOUNDS[dtype]
    assert distance(total, expected[1]) < BOUNDS[dtype]


@pytest.mark.parametrize("shape", [(1, 1), (3000, 7), (17, 100), (513, 33)], ids=str)
@pytest.mark.parametrize("dtype", BOUNDS)
def test_sums_over_rows(shape, dtype):
    x = normal(*shape, dtype=dtype)
    y = in_every_order(lambda: CUDA.sum_rows(x))
    assert distance(y, x.sum(axis=0, dtype=float)) < BOUNDS[dtype]
