"""Ops at the ends of their range: no overflow, no lost digits, and NaN only where it is due."""

import math

import numpy as np
import pytest
from tinygen_kernels import using

import tinygen
from tests.leaves import leaf
from tinygen import Random, Tensor, ops

FAR = [-1e4, 0.0, 1e4]
LOG_2 = math.log(2)
SELU = 1.0507009873554805
SELU_LOWEST = -SELU * 1.6732632423543772

every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


@pytest.fixture(params=["auto", "reference"], autouse=True)
def backend(request):
    with using(request.param):
        yield


def derivative(y, x, order):
    """Of the sum of y, as an array."""
    for _ in range(order):
        (y,) = tinygen.grad(y.sum(), x, create_graph=True)
    return y.data


@every_dtype
@pytest.mark.parametrize(
    ("fn", "value", "slope"),
    [
        (ops.sigmoid, [0, 0.5, 1], [0, 0.25, 0]),
        (ops.tanh, [-1, 0, 1], [0, 1, 0]),
        (ops.softplus, [0, LOG_2, 1e4], [0, 0.5, 1]),
        (ops.gelu, [0, 0, 1e4], [0, 0.5, 1]),
        (ops.erf, [-1, 0, 1], [0, 2 / math.sqrt(math.pi), 0]),
        (lambda x: ops.elu(x, 0.5), [-0.5, 0, 1e4], [0, 0.5, 1]),
        (lambda x: ops.selu(x + 1), [SELU_LOWEST, SELU, SELU * 10001], [0, SELU, SELU]),
    ],
    ids=["sigmoid", "tanh", "softplus", "gelu", "erf", "elu", "selu"],
)  # fmt: skip
def test_activations_far_out(fn, value, slope, dtype):
    x = leaf(*FAR, dtype=dtype)
    y = fn(x)
    np.testing.assert_allclose(y.data, value, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(derivative(y, x, 1), slope, rtol=1e-6, atol=1e-6)
    assert np.isfinite(derivative(fn(x), x, 2)).all()


@every_dtype
@pytest.mark.parametrize(
    ("fn", "ends"),
    [
        (ops.sigmoid, (0, 1)),
        (ops.tanh, (-1, 1)),
        (ops.softplus, (0, np.inf)),
        (ops.relu, (0, np.inf)),
        (ops.leaky_relu, (-np.inf, np.inf)),
        (ops.elu, (-1, np.inf)),
        (ops.selu, (SELU_LOWEST, np.inf)),
    ],
)
def test_activations_at_infinity(fn, ends, dtype):
    y = fn(leaf(-np.inf, np.inf, dtype=dtype))
    np.testing.assert_allclose(y.data, ends, rtol=1e-6, atol=1e-37)


@every_dtype
def test_softmax_and_its_kin_far_out(dtype):
    x = leaf(FAR, [1e4, 1e4, -1e4], dtype=dtype)
    np.testing.assert_array_equal(ops.softmax(x).data, [[0, 0, 1], [0.5, 0.5, 0]])
    log_half = np.array(-LOG_2, dtype)
    expected = [[-2e4, -1e4, 0], [log_half, log_half, -2e4 - LOG_2]]
    np.testing.assert_allclose(ops.log_softmax(x).data, expected, rtol=1e-6)
    np.testing.assert_allclose(ops.logsumexp(x, -1).data, [1e4, 1e4 + LOG_2], rtol=1e-6)
    labels = np.array([0, 1])
    loss = ops.softmax_cross_entropy(x, labels, "none")
    np.testing.assert_allclose(loss.data, [2e4, LOG_2], rtol=1e-6)
    np.testing.assert_allclose(derivative(loss, x, 1), [[-1, 0, 1], [0.5, -0.5, 0]], atol=1e-6)
    probabilities = np.eye(3, dtype=dtype)[labels]
    loss = ops.softmax_cross_entropy(x, probabilities, "none")
    np.testing.assert_allclose(loss.data, [2e4, LOG_2], rtol=1e-6)


def test_large_logits_keep_their_digits():
    x = np.array([[1e4, 1e4 - 1, 1e4 - 3]], "float32")
    shifted = x.astype(float) - 1e4
    expected = shifted - np.log(np.exp(shifted).sum())
    np.testing.assert_allclose(ops.log_softmax(x).data, expected, rtol=1e-6)
    for target in (np.array([0]), np.eye(3, dtype="float32")[:1]):
        loss = ops.softmax_cross_entropy(Tensor(x), target)
        np.testing.assert_allclose(loss.data, -expected[0, 0], rtol=1e-6)


@every_dtype
def test_cross_entropy_from_logits_far_out(dtype):
    x, t = leaf(-1e4, -1e4, 1e4, 1e4, 0, dtype=dtype), np.array([0, 1, 0, 1, 1], dtype)
    loss = ops.binary_cross_entropy_with_logits(x, t, "none")
    np.testing.assert_allclose(loss.data, [0, 1e4, 1e4, 0, LOG_2], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(derivative(loss, x, 1), [0, -1, 1, 0, -0.5], atol=1e-7)


@every_dtype
def test_cross_entropy_of_certainties_is_finite(dtype):
    """Keras's rule: probabilities are clipped to [1e-7, 1 - 1e-7], with no gradient beyond."""
    p, t = leaf(0, 0, 1, 1, dtype=dtype), np.array([0, 1, 0, 1], dtype)
    loss = ops.binary_cross_entropy(p, t, "none")
    worst = -math.log(1e-7)
    rtol = 0.02 if dtype == "float32" else 1e-8  # 1 - 1e-7 is 1 - 1.19e-7 in float32
    np.testing.assert_allclose(loss.data, [0, worst, worst, 0], rtol=rtol, atol=2e-7)
    np.testing.assert_array_equal(derivative(loss, p, 1), np.zeros(4))


def test_the_mean_of_nothing_is_nan_and_its_sum_is_zero():
    nothing = Tensor(np.zeros((0, 3)))
    assert ops.sum(nothing).item() == 0
    for fn in (ops.mean, ops.var):
        assert math.isnan(fn(nothing).item())
        assert np.isnan(fn(nothing, axis=0).data).all()
    for loss in (ops.mse, ops.hinge, ops.kl_divergence, ops.softmax_cross_entropy):
        assert math.isnan(loss(nothing, nothing).item())
        assert loss(nothing, nothing, "sum").item() == 0


def test_ties_share_the_gradient():
    x, y = leaf(1, 2, 3), leaf(2, 2, 2)
    for fn, shares in ((ops.maximum, [0, 0.5, 1]), (ops.minimum, [1, 0.5, 0])):
        gx, gy = tinygen.grad(fn(x, y).sum(), [x, y])
        np.testing.assert_array_equal(gx.data, shares)
        np.testing.assert_array_equal(gy.data, 1 - np.array(shares))
    x = leaf([3, 1, 3], [1, 1, 1])
    np.testing.assert_array_equal(derivative(ops.max(x, 1), x, 1), [[1 / 2, 0, 1 / 2], [1 / 3] * 3])
    np.testing.assert_array_equal(derivative(ops.min(x), x, 1), [[0, 1 / 4, 0], [1 / 4] * 3])


@pytest.mark.parametrize(
    ("fn", "slope"),
    [(ops.abs, 0), (ops.relu, 0), (ops.norm, 0), (lambda x: x**2, 0), (lambda x: x**1, 1)],
    ids=["abs", "relu", "norm", "power 2", "power 1"],
)
def test_gradients_at_zero(fn, slope):
    x = leaf(0.0)
    np.testing.assert_array_equal(derivative(fn(x), x, 1), [slope])


def test_a_norm_of_zero_is_constant_in_any_order():
    x = leaf([0.0, 0.0], [3.0, 4.0])
    y = ops.norm(x, 1)
    np.testing.assert_array_equal(derivative(y, x, 1)[0], [0, 0])
    second = derivative(ops.norm(x, 1), x, 2)
    np.testing.assert_array_equal(second[0], [0, 0])
    np.testing.assert_allclose(second[1], [16 / 125 - 12 / 125, 9 / 125 - 12 / 125])


def test_powers_of_zero_to_any_order():
    x = leaf(0.0, 2.0)
    for order, expected in enumerate([[0, 8], [0, 12], [0, 12], [6, 6], [0, 0], [0, 0]]):
        np.testing.assert_array_equal(derivative(x**3, x, order), expected)
    np.testing.assert_array_equal(derivative(x**0, x, 1), [0, 0])
    y = leaf(0.5, 3.0)
    np.testing.assert_array_equal(derivative(ops.power(0.0, y), y, 1), [0, 0])
    for exponent in (0.0, 1.0, 2.0, 3.0):  # as a tensor: the same as the number
        for order in range(4):
            found = derivative(x ** Tensor(np.full(2, exponent)), x, order)
            np.testing.assert_array_equal(found, derivative(x**exponent, x, order))


def test_the_variance_of_large_numbers_keeps_its_digits():
    x = np.array([1e4, 1e4 + 1], "float32")
    assert ops.var(x).item() == 0.25


def test_python_numbers_and_targets_of_other_types_keep_float32():
    x = leaf([0.5, 2.0], dtype="float32")
    ones = np.ones((1, 2))
    for y in (
        x + 1, 2.0 * x, x / 3, 1 - x, x**2, x**0.5, 2**x, ops.maximum(x, 0.0),
        ops.where(x > 1, x, 0.0), ops.clip(x, 0.0, 1.0), ops.pad(x, [(1, 0), (0, 0)]),
        ops.mean(x), ops.var(x), ops.softmax(x), ops.gelu(x), ops.dropout(x),
        ops.gaussian_noise(x, 0.1), ops.mse(x, ones), ops.huber(x, ones),
        ops.hinge(x, ones.astype(int)), ops.binary_cross_entropy_with_logits(x, Tensor(ones)),
        ops.kl_divergence(ops.sigmoid(x), ones), ops.softmax_cross_entropy(x, ones),
    ):  # fmt: skip
        assert y.dtype == np.float32, y
        assert derivative(y, x, 1).dtype == np.float32, y


def test_other_types_have_no_gradient():
    x = leaf(1.5, 2.5)
    assert not x.astype("int64").requires_grad
    assert x.astype("int64").data.tolist() == [1, 2]
    (g,) = tinygen.grad(ops.sum(x.astype("float32") * 2), x)
    assert g.dtype == np.float64


def test_dropout_without_a_stream_draws_from_the_default_one():
    x = Tensor(np.ones(100))
    tinygen.seed(3)
    first = ops.dropout(x).data
    assert (ops.dropout(x).data != first).any()
    tinygen.seed(3)
    np.testing.assert_array_equal(ops.dropout(x).data, first)
    np.testing.assert_array_equal(ops.dropout(x, rng=Random(3)).data, first)
