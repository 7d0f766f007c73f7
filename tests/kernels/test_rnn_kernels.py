"""Products on Numba's threads, and what the sequence kernels promise beside their values."""

from __future__ import annotations

import os

import numpy as np
import pytest
from tinygen_kernels import Kernels, kernels
from tinygen_kernels.cpu.matmul import matmul

import tinygen
from tests.cuda.equipment import compiled_kernels

RNG = np.random.default_rng(0)
SHAPES = [(1, 1, 1), (5, 0, 3), (0, 4, 2), (9, 1, 7), (1, 30, 5), (100, 300, 120), (700, 90, 50)]


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
def test_product(shape, turned, dtype):
    rows, depth, columns = shape
    x, y = RNG.normal(size=(rows, depth)), RNG.normal(size=(depth, columns))
    x, y = x.astype(dtype), y.astype(dtype)
    expected = x.astype(float) @ y.astype(float)
    x, y = (np.asfortranarray(a) if t else a for a, t in zip((x, y), turned, strict=True))
    found = matmul(x, y)
    assert found.dtype == x.dtype
    error = {"float32": 2e-6, "float64": 1e-14, "float16": 2e-3}[dtype]
    assert np.linalg.norm(found - expected) <= error * np.linalg.norm(expected)
    try:
        tinygen.set_threads(1)
        np.testing.assert_array_equal(matmul(x, y), found)
    finally:
        tinygen.set_threads(os.cpu_count() or 1)


@compiled_kernels
@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
def test_the_kernels_leave_their_inputs_alone(cell, kernels):
    gates, sides = {"simple_rnn": (1, 1), "lstm": (4, 1), "gru": (3, 2)}[cell]
    x, w, u = RNG.normal(size=(7, 5, 4)), RNG.normal(size=(4, 6 * gates)), np.eye(6, 6 * gates)
    b, h, c = RNG.normal(size=(sides, 6 * gates)), np.ones((5, 6)), np.ones((5, 6))
    mask = RNG.random((7, 5)) < 0.7
    inputs = x, w, u, b, h, c, mask
    copies = [a.copy() for a in inputs]
    after = kernels.recurrent(cell, *inputs)
    kept = [a.copy() for a in after]
    gy = RNG.normal(size=(7, 5, 6))
    for _ in range(2):
        kernels.recurrent_grad(cell, x, w, u, mask, after, gy, h, c, [True] * 6)
    for a, copy in zip((*inputs, *after), (*copies, *kept), strict=True):
        np.testing.assert_array_equal(a, copy)


SIZES = [(1, 1), (2, 15), (3, 16), (9, 17), (16, 47), (33, 49), (130, 33)]


@compiled_kernels
@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("n", "units"), SIZES)
@pytest.mark.parametrize("special", [False, True], ids=["", "zeros first, one input repeated"])
def test_any_size_agrees_with_the_reference(cell, dtype, n, units, special, kernels):
    """Units around the widths of registers and tiles, batches around those of the shares.

    Products with a state of zeros are left out, and those with an input that stays are one.
    """
    compare_with_the_reference(kernels, cell, dtype, n, units, special)


@pytest.mark.parametrize("special", [False, True], ids=["", "zeros first, one input repeated"])
def test_shares_of_so_many_rows_that_a_step_is_several_blocks(special):
    compare_with_the_reference(Kernels("cpu"), "gru", "float32", 3500, 8, special)


@compiled_kernels
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_output_gates_that_are_shut(dtype, kernels):
    """tanh of the memory cannot be told from a state of 0."""
    compare_with_the_reference(kernels, "lstm", dtype, 9, 17, False, shut=True)


def compare_with_the_reference(kernels, cell, dtype, n, units, special, shut=False):
    gates, sides = {"simple_rnn": (1, 1), "lstm": (4, 1), "gru": (3, 2)}[cell]
    rng = np.random.default_rng(n)
    steps, inputs, columns = int(rng.integers(1, 30)), int(rng.integers(1, 20)), gates * units

    def normal(*shape):
        """Small enough for the recurrent weights to leave gradients as they are, or shrink them."""
        return (rng.normal(size=shape) / (2 * np.sqrt(units))).astype(dtype)

    x, w, u = normal(steps, n, inputs), normal(inputs, columns), normal(units, columns)
    b, h, c = normal(sides, columns), normal(n, units), normal(n, units)
    if shut:
        b[:, 3 * units :: 2], b[:, 3 * units :: 3] = -1000, -95
    if special:
        x, h = np.broadcast_to(x[0], x.shape), np.zeros_like(h)
    mask = rng.random((steps, n)) < 0.8 if n % 2 else None
    gy = normal(steps, n, units) if units % 2 else None

    def run(family):
        after = family.recurrent(cell, x, w, u, b, h, c, mask)
        needed = [True] * 4 + [not special, cell == "lstm"]
        gradients = family.recurrent_grad(cell, x, w, u, mask, after, gy, h, c, needed)
        return [a for a in (after[0], *gradients) if a is not None]

    for a, e in zip(run(kernels), run(Kernels("reference")), strict=True):
        assert (a.shape, a.dtype) == (e.shape, e.dtype)
        bound = 2e-6 if dtype == "float32" else 1e-14
        assert np.linalg.norm(a - e) <= bound * np.linalg.norm(e)


@pytest.mark.parametrize("cell", ["simple_rnn", "lstm", "gru"])
@pytest.mark.parametrize("layout", ["time first", "batch first", "features first", "repeated"])
@pytest.mark.parametrize("n", [7, 37, 70])
def test_neither_layout_nor_threads_change_a_bit(cell, layout, n):
    """But for sums over an input that is the same at every step: these take another order."""
    gates, sides = {"simple_rnn": (1, 1), "lstm": (4, 1), "gru": (3, 2)}[cell]
    steps, inputs, units = 40, 9, 50
    rng = np.random.default_rng(n)

    def normal(*shape):
        return (rng.normal(size=shape) / 10).astype("float32")

    w, u, b = normal(inputs, gates * units), normal(units, gates * units), normal(sides, 1)
    b = np.repeat(b, gates * units, axis=1)
    h, gy, mask = normal(n, units), normal(steps, n, units), rng.random((steps, n)) < 0.9
    x = np.broadcast_to(normal(n, inputs), (steps, n, inputs))
    x = normal(*x.shape) if layout != "repeated" else x

    def laid_out(a):
        if layout == "batch first":
            return np.ascontiguousarray(a.swapaxes(0, 1)).swapaxes(0, 1)
        return np.asfortranarray(a) if layout == "features first" else a

    def run(x, gy):
        after = kernels(x).recurrent(cell, x, w, u, b, h, h, mask)
        return *after, *kernels(x).recurrent_grad(cell, x, w, u, mask, after, gy, h, h, [True] * 6)

    expected = run(np.ascontiguousarray(x), gy)
    found = run(laid_out(x), laid_out(gy))
    try:
        tinygen.set_threads(1)
        alone = run(laid_out(x), laid_out(gy))
    finally:
        tinygen.set_threads(os.cpu_count() or 1)
    for f, a, e in zip(found, alone, expected, strict=True):
        np.testing.assert_array_equal(f, a)
        if layout == "repeated":
            assert np.linalg.norm(f - e) <= 2e-6 * np.linalg.norm(e)
        else:
            np.testing.assert_array_equal(f, e)


def test_types_without_a_kernel_go_to_the_reference():
    x = RNG.normal(size=(3, 2, 4)).astype("float16")
    w, u, b = (np.full(s, 0.1, "float16") for s in [(4, 3), (3, 3), (1, 3)])
    h = np.zeros((2, 3), "float16")
    after = kernels(x).recurrent("simple_rnn", x, w, u, b, h, h[:, :0], None)
    assert {a.dtype for a in after} == {np.dtype("float16")}
    gx, *_ = kernels(x).recurrent_grad(
        "simple_rnn", x, w, u, None, after, None, h + 1, h[:, :0], [True] * 6
    )
    assert gx.shape == x.shape
