"""The gradient of a table look-up as a CUDA kernel."""

import numpy as np
import pytest

from .equipment import CUDA, REFERENCE, distance, in_every_order, needs_compiler

pytestmark = needs_compiler
BOUNDS = {"float32": 1e-7, "float64": 1e-15}


def problem(n, features, rows, dtype):
    rng = np.random.default_rng(n)
    return rng.normal(size=(n, features)).astype(dtype), rng.integers(0, rows, n)


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize(
    ("n", "features", "rows"),
    [(5, 1, 3), (1000, 16, 7), (300, 3, 700), (70, 130, 9), (513, 140, 2), (40, 4, 5000)],
)
def test_rows_that_are_added_up(n, features, rows, dtype):
    x, indices = problem(n, features, rows, dtype)
    y = in_every_order(lambda: CUDA.add_rows(x, indices, rows))
    assert y.dtype == dtype
    assert distance(y, REFERENCE.add_rows(x.astype("float64"), indices, rows)) < BOUNDS[dtype]


@pytest.mark.parametrize(("n", "features", "rows"), [(0, 3, 4), (5, 0, 4), (0, 3, 0)])
def test_no_rows(n, features, rows):
    y = CUDA.add_rows(np.ones((n, features), "float32"), np.zeros(n, np.int64), rows)
    np.testing.assert_array_equal(y, np.zeros((rows, features), "float32"))


def test_many_to_one_lose_no_digits():
    x = np.full((20_000, 1), 0.1, "float32")
    y = CUDA.add_rows(x, np.ones(20_000, np.int32), 2)
    np.testing.assert_array_equal(y, [[0], [np.float32(20_000 * np.float64(np.float32(0.1)))]])


def test_indices_outside_of_the_table_add_nothing():
    x = np.ones((4, 2), "float32")
    y = CUDA.add_rows(x, np.array([0, -1, 3, 2]), 3)
    np.testing.assert_array_equal(y, [[1, 1], [0, 0], [1, 1]])
