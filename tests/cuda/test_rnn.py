"""Recurrent layers as CUDA kernels."""

import numpy as np
import pytest

from .equipment import CUDA, REFERENCE, distance, in_every_order, needs_compiler

pytestmark = needs_compiler
BOUNDS = {"float32": 2e-6, "float64": 1e-14}
GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}


def problem(cell, steps, n, inputs, units, dtype="float32", masked=True, seed=0):
    """The arguments of `recurrent`, and the gradients of its results."""
    rng = np.random.default_rng(seed)
    columns = GATES[cell] * units

    def normal(*shape):
        """Recurrent weights small enough for gradients to neither explode nor vanish at once."""
        return (rng.normal(size=shape) / np.sqrt(units)).astype(dtype)

    sides = 2 if cell == "gru" else 1
    mask = rng.random((steps, n)) < 0.8 if masked else None
    c = normal(n, units if cell == "lstm" else 0)
    arguments = (
        normal(steps, n, inputs), normal(inputs, columns), normal(units, columns),
        normal(sides, columns), normal(n, units), c, mask,
    )  # fmt: skip
    return arguments, (normal(steps, n, units), normal(n, units), normal(*c.shape))


def run(kernels, cell, arguments, gradients, needed=(True,) * 6):
    """What goes forward and back."""
    x, w, u, _, _, _, mask = arguments
    after = kernels.recurrent(cell, *arguments)
    return (*after, *kernels.recurrent_grad(cell, x, w, u, mask, after, *gradients, needed))


def in_float64(arrays):
    return [a if a is None or a.dtype == bool else a.astype("float64") for a in arrays]


def check(cell, arguments, gradients, needed=(True,) * 6):
    found = in_every_order(lambda: run(CUDA, cell, arguments, gradients, needed))
    expected = run(REFERENCE, cell, in_float64(arguments), in_float64(gradients), needed)
    dtype = arguments[0].dtype
    for a, e in zip(found, expected, strict=True):
        assert (a is None) == (e is None)
        if a is not None:
            assert (a.shape, a.dtype) == (e.shape, dtype)
            error = distance(a, e) * min(10 * np.linalg.norm(e), 1)  # absolute below 0.1
            assert error <= BOUNDS[dtype.name]


SIZES = [(1, 1, 1, 1), (5, 33, 3, 7), (5, 1, 8, 100), (2, 20, 5, 9), (3, 3, 4, 150)]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("cell", GATES)
def test_any_size(cell, dtype, sizes):
    check(cell, *problem(cell, *sizes, dtype))


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("cell", GATES)
def test_large_enough_for_blocks_of_16_rows(cell, dtype):
    check(cell, *problem(cell, 1, 100, 2, 125, dtype, seed=1))
    check(cell, *problem(cell, 2, 250, 2, 50, dtype, seed=1))
