"""Every compiled kernel against its twin in NumPy, and against what is known of the function."""

import itertools
import math

import numba
import numpy as np
import pytest
from tinygen_kernels import FAMILIES, Kernels
from tinygen_kernels.reference.activation import ACTIVATIONS
from tinygen_kernels.reference.loss import LOSSES

from tests.cuda.equipment import compiled_kernels, every_kernels

FAST, SLOW, CUDA = Kernels("cpu"), Kernels("reference"), Kernels("cuda")
INF, NAN = math.inf, math.nan
TINY = np.finfo(np.float32).tiny  # the smallest normal number

every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
every_size = pytest.mark.parametrize("size", [0, 1, 7, 16, 1000, 2500])
every_activation = pytest.mark.parametrize("name", ACTIVATIONS)
every_loss = pytest.mark.parametrize("name", LOSSES)


def normal(shape, dtype, seed=0):
    return 3 * np.random.default_rng(seed).normal(size=shape).astype(dtype)


def assert_same(found, expected, times=1):
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    error = times * (1e-6 if found.dtype == np.float32 else 1e-14)
    np.testing.assert_allclose(found, expected, rtol=error, atol=error)


def test_every_kernel_is_there_twice():
    for names in FAMILIES.values():
        for name in names:
            assert callable(getattr(FAST, name))
            assert callable(getattr(SLOW, name))
    with pytest.raises(AttributeError, match="no kernel 'conv9d'"):
        FAST.conv9d  # noqa: B018  (it must fail)


@compiled_kernels
@every_activation
@every_dtype
@every_size
def test_activations(name, dtype, size, kernels):
    x, gy = normal(size, dtype), normal(size, dtype, seed=1)
    y = SLOW.activate(x, name, 0.3)
    assert_same(kernels.activate(x, name, 0.3), y)
    expected = SLOW.activation_grad(y, gy, name, 0.3)
    assert_same(kernels.activation_grad(y, gy, name, 0.3), expected, times=10)


@compiled_kernels
@every_activation
@every_dtype
@pytest.mark.parametrize("shape", [(0, 3), (1, 1), (7, 16), (100, 13)], ids=str)
def test_bias_and_activation_in_place(name, dtype, shape, kernels):
    b = normal(shape[1], dtype, seed=1)
    for bias in (b, np.repeat(b, 2)[::2], None):
        z = normal(shape, dtype)
        expected = SLOW.bias_activate(z.copy(), bias, name, 0.3)
        assert kernels.bias_activate(z, bias, name, 0.3) is z
        assert_same(z, expected)


@every_kernels
def test_bias_and_activation_in_place_in_a_part_of_an_array(kernels):
    for bias in (np.zeros(2), None):
        whole = np.full((3, 4), -1.0)
        kernels.bias_activate(whole[:, ::2], bias, "relu", 0.0)
        np.testing.assert_array_equal(whole, [[0, -1, 0, -1]] * 3)


@every_kernels
def test_kernels_take_arrays_of_any_layout(kernels):
    x, gy = normal((4, 6), "float64"), normal((4, 6), "float64", seed=1)
    expected = SLOW.activation_grad(x, gy, "tanh", 0.0)
    locked = x.copy()
    locked.flags.writeable = False
    for other in (x.copy("F"), np.repeat(x, 2, 1)[:, ::2], locked):
        assert_same(kernels.activation_grad(other, gy, "tanh", 0.0), expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_loops_shared_by_threads(dtype):
    """A large array takes another path; the bits do not depend on how many threads share it."""
    x, t = normal(40_000, dtype), normal(40_000, dtype, seed=1)
    threads = numba.get_num_threads()
    results = []
    for n in {1, threads}:
        numba.set_num_threads(n)
        results.append((FAST.activate(x, "selu", 0.0), FAST.loss_sum(x, t, "mse", 0.0)))
    numba.set_num_threads(threads)
    assert_same(results[0][0], SLOW.activate(x, "selu", 0.0))
    exact = SLOW.loss_sum(x.astype(float), t.astype(float), "mse", 0.0)
    assert results[0][1] == pytest.approx(exact, rel=1e-6)
    for y, total in results[1:]:
        np.testing.assert_array_equal(y, results[0][0])
        assert total == results[0][1]


# --- How accurate the float32 forms of exp, expm1, log and log1p are -----------------------------

EXACT = {
    "elu": np.expm1,
    "selu": lambda x: 1.0507009873554805 * 1.6732632423543772 * np.expm1(x),
    "sigmoid": lambda x: np.exp(x) / (1 + np.exp(x)),
    "tanh": np.tanh,
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-abs(x))),
}


def whole_range(low, high):
    """float32 numbers from low to high, evenly spread and, towards 0, by their exponents."""
    powers = np.logspace(-37.9, math.log10(200), 40_001)
    x = np.concatenate([np.linspace(low, high, 200_001), powers, -powers, [0.0]]).astype("float32")
    return x[(x >= low) & (x <= high)]


@every_kernels
@pytest.mark.parametrize("name", EXACT)
def test_activations_are_accurate_to_a_millionth(name, kernels):
    """Relative to the exact value, wherever that is a normal number.

    One exception: softplus of x < -86.9 is within 2e-38 of the exact e^x, and may be 0.
    """
    x = whole_range(-200, 0 if name in ("elu", "selu") else 200)
    exact = EXACT[name](x.astype(float))
    y = kernels.activate(x, name, 1.0)
    normal = abs(exact) >= (np.exp(-86.9) if name == "softplus" else TINY)
    np.testing.assert_allclose(y[normal], exact[normal], rtol=1e-6, atol=0)
    np.testing.assert_allclose(y[~normal], exact[~normal], rtol=0, atol=2e-38)


@every_kernels
def test_cross_entropy_is_accurate_to_a_millionth(kernels):
    """Relative to the loss where it is above 1, else absolute."""
    p = np.concatenate([np.logspace(-6.99, 0, 50_001), np.linspace(0.5, 1, 50_001)])
    p = p[p < 1 - 2e-7].astype("float32")
    found = kernels.loss(p, np.ones_like(p), "binary_cross_entropy", 1e-7)
    np.testing.assert_allclose(found, -np.log(p.astype(float)), rtol=1e-6, atol=1e-6)


@every_kernels
@every_dtype
def test_the_error_function(kernels, dtype):
    x = np.linspace(-6, 6, 1001).astype(dtype)
    exact = np.array([math.erf(v) for v in x])
    assert_same(kernels.erf(x), exact.astype(dtype))


# --- Losses --------------------------------------------------------------------------------------


@compiled_kernels
@every_loss
@every_dtype
@every_size
def test_losses(name, dtype, size, kernels):
    p, t = normal(size, dtype), normal(size, dtype, seed=1)
    if name.startswith("binary_cross_entropy"):
        p, t = (1 / (1 + np.exp(-v)) for v in (p, t))
    g = normal(size, dtype, seed=2)
    a = 1e-7 if name == "binary_cross_entropy" else 1.0
    assert_same(kernels.loss(p, t, name, a), SLOW.loss(p, t, name, a), times=2)
    total = SLOW.loss_sum(p.astype(float), t.astype(float), name, a)
    np.testing.assert_allclose(kernels.loss_sum(p, t, name, a), total, rtol=2e-6)
    for seed in (g, np.asarray(g.sum())):
        expected = SLOW.loss_grad(p, t, seed, name, a, 0.5)
        assert_same(kernels.loss_grad(p, t, seed, name, a, 0.5), expected, times=20)


@every_kernels
@every_dtype
@pytest.mark.parametrize(
    ("name", "rows"),
    [
        (
            "binary_cross_entropy",  # prediction, target, loss; a probability may err by rounding
            [(0.5, 0, math.log(2)), (-0.1, 0, NAN), (1.1, 1, NAN), (0.5, 2, NAN), (0.5, -1, NAN),
             (255, 1, NAN), (0.5, 255, NAN), (INF, 1, NAN), (0.5, INF, NAN), (NAN, 1, NAN),
             (0.5, NAN, NAN), (1 + 1e-6, 1, 1e-7), (-1e-6, 0, 1e-7), (0.5, 1 + 1e-6, math.log(2))],
        ),
        (
            "binary_cross_entropy_with_logits",
            [(0, 1, math.log(2)), (INF, 1, 0), (-INF, 0, 0), (INF, 0, INF), (-INF, 1, INF),
             (INF, 0.5, INF), (-INF, 0.5, INF), (1e30, 1, 0), (-1e30, 0, 0), (0, 2, NAN),
             (0, -1, NAN), (INF, 255, NAN), (NAN, 1, NAN), (INF, NAN, NAN), (0, NAN, NAN)],
        ),
    ],
)  # fmt: skip
def test_cross_entropy_of_certainties_and_of_no_probabilities(name, rows, dtype, kernels):
    p, t, expected = np.array(rows * 3, dtype).T.copy()
    with np.errstate(invalid="ignore"):
        found = kernels.loss(p, t, name, 1e-7)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=2e-6)
        for p, t, loss in np.array(rows, dtype):
            total = kernels.loss_sum(np.full(5, p), np.full(5, t), name, 1e-7)
            np.testing.assert_allclose(total, 5 * loss, rtol=1e-5, atol=1e-5)


@every_kernels
def test_long_sums_do_not_drift(kernels):
    p, t = np.full(10**6, 0.1, "float32"), np.zeros(10**6, "float32")
    exact = 10**6 * float(np.float32(0.1)) ** 2
    assert kernels.loss_sum(p, t, "mse", 0.0) == pytest.approx(exact, rel=1e-6)


# --- Matrix products -----------------------------------------------------------------------------

SIZES = [(0, 3, 4), (3, 0, 4), (1, 1, 1), (7, 16, 5), (33, 100, 17), (32, 300, 65), (130, 40, 1)]
# The weights are cut among threads; in the last one each turns its own.
SHARED = [(32, 784, 100), (9, 100, 784), (2, 1000, 1001), (400, 101, 28)]
every_product = pytest.mark.parametrize("sizes", SIZES, ids=str)


def layouts(x):
    """The same matrix by rows, by columns, with gaps and upside down in memory."""
    return x, x.copy("F"), np.repeat(x, 2, 1)[:, ::2], x[::-1].copy()[::-1]


@compiled_kernels
@every_product
@every_dtype
def test_matrix_products(sizes, dtype, kernels):
    n, k, m = sizes
    x, y = normal((n, k), dtype), normal((k, m), dtype, seed=1)
    exact = (x.astype(float) @ y.astype(float)).astype(dtype)
    pairs = itertools.product(layouts(x), layouts(y)) if dtype == "float32" else [(x, y)]
    for a, b in pairs:
        assert_same(kernels.matmul(a, b), exact, times=20 * math.sqrt(k + 1))
        assert_same(SLOW.matmul(a, b), exact, times=20 * math.sqrt(k + 1))


@every_kernels
def test_matrix_products_broadcast(kernels):
    x, y = normal((5, 1, 2, 3), "float64"), normal((4, 3, 6), "float64", seed=1)
    expected = np.einsum("aij,bjk->abik", x[:, 0], y)
    np.testing.assert_allclose(kernels.matmul(x, y), expected, rtol=1e-12)


@every_kernels
def test_a_product_that_does_not_fit_is_an_error(kernels):
    for shape in ((3, 4), (30, 40)):
        with pytest.raises(ValueError, match="mismatch"):
            kernels.matmul(np.ones((shape[0], 50)), np.ones(shape))


@compiled_kernels
@pytest.mark.parametrize("sizes", SIZES + SHARED, ids=str)
@every_dtype
@pytest.mark.parametrize("name", ["identity", "selu"])
def test_dense(sizes, dtype, name, kernels):
    n, k, m = sizes
    x, w, b = normal((n, k), dtype), normal((k, m), dtype, seed=1) / 9, normal(m, dtype, seed=2)
    y, gy = SLOW.dense(x, w, b, name, 0.0), normal((n, m), dtype, seed=3)
    times = 20 * math.sqrt(k + 1)
    assert_same(kernels.dense(x, w, b, name, 0.0), y, times)
    assert_same(kernels.dense(x, w, None, name, 0.0), SLOW.dense(x, w, None, name, 0.0), times)
    for needed in ([True, True, True], [False, True, False], [True, False, True]):
        found = kernels.dense_grad(x, w, y, gy, name, 0.0, needed)
        expected = SLOW.dense_grad(x, w, y, gy, name, 0.0, needed)
        assert [g is not None for g in found] == [e is not None for e in expected] == needed
        for g, e in zip(found, expected, strict=True):
            if e is not None:
                assert_same(g, e, times=100 * math.sqrt(max(sizes)))


@pytest.mark.parametrize("sizes", SHARED, ids=str)
def test_the_bits_of_dense_do_not_depend_on_the_number_of_threads(sizes):
    n, k, m = sizes
    x, w, b = normal((n, k), "float32"), normal((k, m), "float32", seed=1), normal(m, "float32")
    threads = numba.get_num_threads()
    results = []
    for count in (1, threads):
        numba.set_num_threads(count)
        y = FAST.dense(x, w, b, "tanh", 0.0)
        gradients = FAST.dense_grad(x, w, y, y, "tanh", 0.0, [True] * 3)
        results.append([y, *gradients, FAST.matmul(x.T, y), FAST.matmul(y, w.T)])
    numba.set_num_threads(threads)
    for found, expected in zip(*results, strict=True):
        np.testing.assert_array_equal(found, expected)


@compiled_kernels
def test_operands_of_other_types_and_layouts_are_brought_in_line(kernels):
    """Pieces read memory as it is, so nothing may reach them in another type than the rest."""
    x, w, b = normal((8, 64), "float32"), normal((64, 48), "float32"), normal(48, "float64")
    y = SLOW.dense(x, w, b.astype("float32"), "tanh", 0.0)
    assert_same(kernels.dense(x, w, b, "tanh", 0.0), y, times=200)
    for gy in (normal((8, 48), "float64", seed=1), normal((48, 8), "float32", seed=1).T):
        expected = SLOW.dense_grad(x, w, y, gy.astype("float32"), "tanh", 0.0, [True] * 3)
        found = kernels.dense_grad(x, w, y, gy, "tanh", 0.0, [True] * 3)
        for g, e in zip(found, expected, strict=True):
            assert_same(g, e, times=1000)
        expected_gx = SLOW.activation_grad(y, gy.astype("float32"), "tanh", 0.0)
        assert_same(kernels.activation_grad(y, gy, "tanh", 0.0), expected_gx, times=10)


@compiled_kernels
@every_dtype
@pytest.mark.parametrize(
    "shape", [(0, 3), (1, 1), (7, 1), (4096, 1), (1000, 3), (130, 70)], ids=str
)
def test_sums_over_rows(shape, dtype, kernels):
    x = normal(shape, dtype) + 100
    exact = x.astype(float).sum(axis=0).astype(dtype)
    assert_same(kernels.sum_rows(x), exact, times=10)
    assert_same(SLOW.sum_rows(x), exact, times=10)
    assert_same(kernels.sum_rows(np.asfortranarray(x)), exact, times=10)
