"""Ops at edge points, where a formula meets 0 or infinity: PyTorch's values and gradients.

Where PyTorch's own are NaN and ours are what a limit says, `OURS` has the value and the reason.
"""

import math

import numpy as np
import pytest

import tinygen
from tests.op_cases.case import torch
from tinygen import Tensor, ops

INF = math.inf
LOG_2 = math.log(2)
FAR = [-INF, -2.0, -1.0, 0.0, 1.0, 2.0, INF]
ROWS = [[-INF, 0.0, 1.0], [-INF, -INF, 0.0], [0.0, -INF, 1e4]]

needs_torch = pytest.mark.skipif(
    torch is None, reason="compares with PyTorch: pip install 'tinygen[bench]'"
)


def of_torch(path):
    """A function of PyTorch by its name, looked up when it is called."""

    def call(*inputs, **options):
        place = torch
        for part in path.split("."):
            place = getattr(place, part)
        return place(*inputs, **options)

    return call


def cross_entropy(x):
    return of_torch("nn.functional.cross_entropy")(x, torch.tensor([2] * len(x)))


# op, PyTorch's, inputs
CASES = {
    "power of tensors": (
        ops.power,
        lambda x, y: x**y,
        [np.repeat([0.0, 1.0, 2.0], 7), np.tile([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, -1.0], 3)],
    ),
    "power of negative numbers": (ops.power, lambda x, y: x**y, [[-2.0, -1.0], [3.0, -2.0]]),
    "powers of 0": (lambda y: ops.power(0.0, y), lambda y: 0.0**y, [[0.0, 0.5, 1.0, -1.0]]),
    "root": (ops.sqrt, of_torch("sqrt"), [[0.0, 1.0, INF]]),
    "abs": (ops.abs, of_torch("abs"), [FAR]),
    "log": (ops.log, of_torch("log"), [[0.0, 1.0, INF]]),
    "log1p": (ops.log1p, of_torch("log1p"), [[-1.0, 0.0, INF]]),
    "exp": (ops.exp, of_torch("exp"), [FAR]),
    "expm1": (ops.expm1, of_torch("expm1"), [FAR]),
    "divide": (ops.divide, of_torch("divide"), [[1.0, 1.0, INF, 0.0], [0.0, INF, 2.0, -INF]]),
    "clip at its ends": (
        lambda x: ops.clip(x, -1.0, 1.0),
        lambda x: torch.clamp(x, -1.0, 1.0),
        [FAR],
    ),
    "maximum of equals": (ops.maximum, of_torch("maximum"), [[1.0, INF], [1.0, INF]]),
    "minimum of equals": (ops.minimum, of_torch("minimum"), [[1.0, -INF], [1.0, -INF]]),
    "max of equals": (lambda x: ops.max(x, 0), lambda x: torch.amax(x, 0), [[INF, INF, 1.0]]),
    "relu": (ops.relu, of_torch("relu"), [FAR]),
    "leaky relu": (ops.leaky_relu, lambda x: torch.nn.functional.leaky_relu(x, 0.2), [FAR]),
    "elu": (lambda x: ops.elu(x, 0.5), lambda x: torch.nn.functional.elu(x, 0.5), [FAR]),
    "selu": (ops.selu, of_torch("nn.functional.selu"), [FAR]),
    "sigmoid": (ops.sigmoid, of_torch("sigmoid"), [FAR]),
    "tanh": (ops.tanh, of_torch("tanh"), [FAR]),
    "softplus": (ops.softplus, of_torch("nn.functional.softplus"), [FAR]),
    "erf": (ops.erf, of_torch("erf"), [FAR]),
    "norm": (
        lambda x: ops.norm(x, 1),
        lambda x: torch.linalg.vector_norm(x, dim=1),
        [[[0.0, 0.0], [3.0, 4.0], [0.0, 2.0]]],
    ),
    "softmax": (ops.softmax, lambda x: torch.softmax(x, -1), [ROWS]),
    "log_softmax": (
        lambda x: ops.log_softmax(x)[:, 2],
        lambda x: torch.log_softmax(x, -1)[:, 2],
        [ROWS],
    ),
    "logsumexp": (lambda x: ops.logsumexp(x, 1), lambda x: torch.logsumexp(x, 1), [ROWS]),
    "cross-entropy of labels": (
        lambda x: ops.softmax_cross_entropy(x, np.array([2, 2, 2])),
        cross_entropy,
        [ROWS],
    ),
    "cross-entropy one-hot": (
        lambda x: ops.softmax_cross_entropy(x, np.eye(3)[[2, 2, 2]]),
        cross_entropy,
        [ROWS],
    ),
    "cross-entropy of logits": (
        lambda x: ops.binary_cross_entropy_with_logits(x, np.array([1.0, 0.0, 0.0, 1.0])),
        lambda x: torch.nn.functional.binary_cross_entropy_with_logits(
            x, torch.tensor([1.0, 0.0, 0.0, 1.0], dtype=torch.float64)
        ),
        [[-1e4, 1e4, -1e4, 1e4]],
    ),
    "huber": (
        lambda x: ops.huber(x, np.zeros(5)),
        lambda x: torch.nn.functional.huber_loss(x, torch.zeros(5, dtype=torch.float64)),
        [[0.0, 1.0, -1.0, -INF, INF]],
    ),
}


@needs_torch
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_pytorchs(name):
    ours, theirs, inputs = CASES[name]
    with np.errstate(all="ignore"):
        xs = [Tensor(np.array(x, float), requires_grad=True) for x in inputs]
        y = ours(*xs)
        gradients = tinygen.grad(y.sum(), xs)
    others = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in inputs]
    z = theirs(*others)
    expected = torch.autograd.grad(z.sum(), others)
    np.testing.assert_allclose(y.data, z.detach().numpy(), rtol=1e-12)
    for found, right in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(found.data, right.numpy(), rtol=1e-12, atol=1e-300)


def second(fn, *inputs):
    """The derivatives of the sum of all first ones."""
    xs = [Tensor(np.array(x, float), requires_grad=True) for x in inputs]
    first = tinygen.grad(fn(*xs).sum(), xs, create_graph=True)
    total = sum((g.sum() for g in first[1:]), first[0].sum())
    return [g.data for g in tinygen.grad(total, xs, allow_unused=True)]


@pytest.mark.parametrize("one_hot", [True, False])
def test_a_class_that_cannot_be(one_hot):
    """0 log 0 is 0, and a logit of -infinity moves nothing, in both orders."""
    x = Tensor(np.array([[-INF, 0.0, 1.0]]), requires_grad=True)
    target = np.array([[0.0, 0.0, 1.0]]) if one_hot else np.array([2])
    loss = ops.softmax_cross_entropy(x, target)
    assert loss.item() == pytest.approx(0.31326168751822286, rel=1e-12)
    p = 1 / (1 + math.e)
    (g,) = tinygen.grad(loss, x, create_graph=True)
    np.testing.assert_allclose(g.data, [[0, p, -p]], rtol=1e-12)
    (h,) = tinygen.grad((g * np.array([[5.0, 1.0, 3.0]])).sum(), x)
    np.testing.assert_allclose(h.data, [[0, -2 * p * (1 - p), 2 * p * (1 - p)]], rtol=1e-12)


def test_probabilities_that_share_what_can_be():
    """The gradient with respect to a probability of 0 is -log p still, if that is a number."""
    x = Tensor(np.array([[-INF, 0.0, LOG_2]]), requires_grad=True)
    t = Tensor(np.array([[0.0, 0.0, 1.0]]), requires_grad=True)
    loss = ops.softmax_cross_entropy(x, t)
    gx, gt = tinygen.grad(loss, [x, t])
    np.testing.assert_allclose(gx.data, [[0, 1 / 3, -1 / 3]], rtol=1e-12)
    np.testing.assert_allclose(gt.data[0, 1:], [math.log(3), math.log(1.5)], rtol=1e-12)
    impossible = ops.softmax_cross_entropy(x, np.array([[0.5, 0.5, 0.0]]))
    assert impossible.item() == INF


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_that_are_certain(dtype):
    """PyTorch says NaN where a certainty is right."""
    x = Tensor(np.array([INF, -INF, INF, -INF], dtype), requires_grad=True)
    t = np.array([1, 0, 0, 1], dtype)
    losses = ops.binary_cross_entropy_with_logits(x, t, "none")
    assert losses.data.tolist() == [0, 0, INF, INF]
    (g,) = tinygen.grad(losses.sum(), x)
    np.testing.assert_allclose(g.data, [0, 0, 1, -1], atol=1e-37)


def test_the_second_order_of_powers_at_0():
    """Of y x^(y-1) + x^y log x, where PyTorch's is NaN."""
    with np.errstate(all="ignore"):
        gx, gy = second(ops.power, [0.0, 0.0, 0.0], [0.0, 2.0, 3.0])
    np.testing.assert_array_equal(gx, [0, 2, 0])
    np.testing.assert_array_equal(gy, [0, 0, 0])


@pytest.mark.parametrize(
    "loss", [ops.binary_cross_entropy, ops.binary_cross_entropy_with_logits, ops.kl_divergence]
)
def test_nan_is_not_taken_for_a_wrong_range(loss):
    for p, t in (([math.nan, 0.5], [1.0, 0.0]), ([0.5, 0.5], [math.nan, 0.0])):
        assert math.isnan(loss(np.array(p), np.array(t)).item())
