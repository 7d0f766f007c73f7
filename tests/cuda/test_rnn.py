"""Recurrent layers as CUDA kernels."""

import numpy as np
import pytest
from tinygen_kernels.cuda import rnn
from tinygen_kernels.cuda.launch import shim as registered

from .equipment import CUDA, REFERENCE, distance, in_every_order, needs_compiler

pytestmark = needs_compiler
BOUNDS = {"float32": 2e-6, "float64": 1e-14}
GATES = {"simple_rnn": 1, "lstm": 4, "gru": 3}


def problem(cell, steps, n, inputs, units, dtype="float32", masked=True, seed=0):
    """The arguments of `recurrent`, and the gradients of its results."""
    rng = np.random.default_rng(seed)
    columns = GATES[cell] * units

    def normal(*shape):
        """With recurrent weights of which gradients neither explode nor vanish."""
        return (rng.normal(size=shape) / np.sqrt(units or 1)).astype(dtype)

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


# steps, rows, inputs, units: up to 100 units weights stay in registers, in float32
SIZES = [
    (1, 1, 1, 1), (5, 33, 3, 7), (5, 1, 8, 100), (2, 20, 5, 9), (2, 9, 2, 101), (3, 3, 4, 150),
    (0, 2, 3, 4), (2, 0, 3, 4), (2, 3, 0, 4), (2, 3, 4, 0),
]  # fmt: skip


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("cell", GATES)
def test_any_size(cell, dtype, sizes):
    check(cell, *problem(cell, *sizes, dtype))


@pytest.mark.parametrize("cell", GATES)
def test_large_enough_for_blocks_of_16_rows(cell):
    check(cell, *problem(cell, 1, 100, 2, 125))
    check(cell, *problem(cell, 2, 131, 2, 102))


@pytest.mark.parametrize("units", [20, 120])
@pytest.mark.parametrize("cell", GATES)
def test_without_a_mask_and_gradients_of_single_steps(cell, units):
    arguments, (_, gh, gc) = problem(cell, 3, 4, 5, units, masked=False)
    for needed in np.eye(6, dtype=bool):
        check(cell, arguments, (None, gh, gc), tuple(needed))


@pytest.mark.parametrize("units", [20, 120])
@pytest.mark.parametrize("cell", GATES)
def test_steps_that_are_not_real(cell, units):
    """Rows of which no step is real keep their state, and their input gets no gradient."""
    arguments, gradients = problem(cell, 3, 4, 5, units)
    x, _, _, _, h, c, mask = arguments
    mask[:, 1] = False
    states, memory, _, gx, *_, gh, gc = run(CUDA, cell, arguments, gradients)
    np.testing.assert_array_equal(states[:, 1], np.broadcast_to(h[1], states[:, 1].shape))
    np.testing.assert_array_equal(gx[:, 1], np.zeros_like(x[:, 1]))
    assert distance(gh[1], gradients[0][:, 1].sum(axis=0) + gradients[1][1]) < 1e-6
    if cell == "lstm":
        np.testing.assert_array_equal(memory[:, 1], np.broadcast_to(c[1], memory[:, 1].shape))
        np.testing.assert_array_equal(gc[1], gradients[2][1])


@pytest.mark.parametrize("units", [20, 120])
def test_launches(units):
    """One for the whole sequence where weights fit into registers, else one for each step."""
    arguments, _ = problem("lstm", 7, 4, 5, units)
    driver = registered()
    before = driver.launches
    CUDA.recurrent("lstm", *arguments)
    assert driver.launches - before == (1 if units == 20 else 7)


def test_types_without_a_kernel():
    arguments, _ = problem("gru", 2, 3, 4, 5, "float16")
    with pytest.raises(TypeError, match="take float32 and float64, not float16"):
        CUDA.recurrent("gru", *arguments)


def test_more_elements_than_kernels_count(monkeypatch):
    arguments, _ = problem("gru", 2, 3, 4, 5)
    monkeypatch.setattr(rnn, "MOST", 2 * 3 * 15 - 1)
    with pytest.raises(ValueError, match=r"shape \(2, 3, 15\) has more elements"):
        CUDA.recurrent("gru", *arguments)
