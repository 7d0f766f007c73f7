"""Every kernel of the optimisers: the fast one does what the reference does."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tinygen_kernels import kernels, using
from tinygen_kernels.cpu.jit import SHARED_FROM

from tests.cuda.equipment import every_backend, fast_backends

# 1024 elements are a block of the sum of squares; from SHARED_FROM on, threads share a loop
SIZES = [0, 1, 7, 1000, 1025, 5000, SHARED_FROM + 3]

# kernel, how many lists of state it keeps, and its numbers
CALLS = {
    "plain sgd": ("sgd", 0, (0.0, 0.0, 0.0, -0.1, 0.5)),
    "momentum": ("sgd", 1, (0.9, -0.1, 1.0, 0.0, 0.5)),
    "nesterov": ("sgd", 1, (0.9, 1.0, -0.09, -0.1, 1.0)),
    "rmsprop, epsilon inside": ("rmsprop", 1, (0.01, 0.9, 1e-3, 0.0, 0.5)),
    "rmsprop, epsilon outside": ("rmsprop", 1, (0.01, 0.9, 0.0, 1e-3, 1.0)),
    "adam": ("adam", 2, (0.9, 0.99, 0.1, 0.0, 1.0, 1e-3, 1.0, 1.0)),
    "nadam with decay": ("adam", 2, (0.9, 0.99, 0.1, 0.05, 0.8, 1e-3, 0.99, 0.5)),
}


compiled = pytest.mark.parametrize("backend", fast_backends)


def arrays(dtype: str) -> tuple[list[np.ndarray], list[np.ndarray], list[list[np.ndarray]]]:
    """Parameters, gradients (some with axes, some strided), and two lists of positive state."""
    rng = np.random.default_rng(0)

    def flat(n):
        return rng.standard_normal(n).astype(dtype)

    gradients = [flat(n) for n in SIZES]
    gradients[3] = gradients[3].reshape(10, 4, 25)
    gradients[4] = flat(2050)[::2]
    gradients[5] = flat(5000).reshape(100, 50).T
    state = [[np.abs(flat(n)) for n in SIZES] for _ in range(2)]
    return [flat(n) for n in SIZES], gradients, state


def assert_close(found, expected, dtype):
    """Equal but for rounding a few times in numbers of size 1 to 10."""
    tolerance = 32 * np.finfo(dtype).eps
    for a, b in zip(found, expected, strict=True):
        assert a.dtype == b.dtype == dtype
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance)


@compiled
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "states", "numbers"), CALLS.values(), ids=CALLS)
def test_an_update_is_that_of_the_reference(name, states, numbers, dtype, backend):
    results = []
    for each in (backend, "reference"):
        parameters, gradients, state = arrays(dtype)
        state = state[:states] or ([[]] if name == "sgd" else [])
        before = [g.copy() for g in gradients]
        with using(each):
            getattr(kernels(parameters[0]), name)(parameters, gradients, *state, *numbers)
        for g, b in zip(gradients, before, strict=True):
            np.testing.assert_array_equal(g, b)
        results.append([*parameters, *(a for slot in state for a in slot)])
    start = arrays(dtype)[0]
    for p, q in zip(results[0], start, strict=False):  # one of many may change by less than a bit
        assert (p == q).sum() <= p.size // 10_000
    assert_close(*results, dtype)


@compiled
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_average_is_that_of_the_reference(dtype, backend):
    results = []
    for each in (backend, "reference"):
        averages, parameters, _ = arrays(dtype)
        with using(each):
            kernels(averages[0]).ema(averages, parameters, 0.9)
        results.append(averages)
    _, parameters, _ = arrays(dtype)
    assert_close(*results, dtype)
    expected = [
        (0.9 * a.astype(float) + 0.1 * p.ravel()).astype(dtype)
        for a, p in zip(arrays(dtype)[0], parameters, strict=True)
    ]
    assert_close(results[0], expected, dtype)


@every_backend
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_sum_of_squares_is_that_of_exact_arithmetic(backend, dtype):
    _, gradients, _ = arrays(dtype)
    with using(backend):
        total = kernels(gradients[0]).sum_of_squares(gradients)
        assert kernels(gradients[0]).sum_of_squares(gradients[:1]) == 0.0
        assert kernels(gradients[0]).sum_of_squares([]) == 0.0
    assert type(total) is (np.ndarray if backend == "shim" else float)
    exact = math.fsum(float(x) ** 2 for g in gradients for x in g.flat)
    # positive terms: each sum in its own type is of at most 1024, with a relative error below
    assert abs(total - exact) <= 1024 * np.finfo(dtype).eps * exact


@every_backend
def test_nan_and_infinity_are_not_hidden(backend):
    with using(backend), np.errstate(invalid="ignore"):
        for bad in (np.nan, np.inf):
            g = np.array([1.0, bad, 2.0], np.float32)
            p, m, s = (np.zeros(3, np.float32) for _ in range(3))
            kernels(p).adam([p], [g], [m], [s], 0.9, 0.99, 0.1, 0.0, 1.0, 1e-3, 1.0, 1.0)
            assert np.isnan(p[1])
            assert np.isfinite(p[[0, 2]]).all()
            assert not math.isfinite(kernels(g).sum_of_squares([g]))
