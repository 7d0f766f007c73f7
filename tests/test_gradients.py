"""The backward pass: sums over paths, seeds, what is computed, and higher orders."""

import numpy as np
import pytest

import tinygen
from tests.leaves import leaf
from tinygen import Function, Parameter, Tensor, ops
from tinygen.hooks import Hook


def check(tensor, expected, **bounds):
    np.testing.assert_allclose(tensor.data, expected, **{"rtol": 1e-12, **bounds})


class Watched(Function):
    """z = x + y, which remembers what its backward was asked for."""

    def forward(self, x, y):
        self.calls = []
        return x + y

    def backward(self, gz):
        self.calls.append([bool(needed) for needed in self.needed])
        return gz, gz


class Forward(Hook):
    """The names of the ops whose forward ran."""

    def __init__(self):
        self.names = []

    def before(self, op, phase, inputs):
        if phase == "forward":
            self.names.append(op.name)


# --- Sums over paths -----------------------------------------------------------------------------


def test_a_tensor_used_twice_by_one_op():
    x = leaf(1, 2)
    (x + x).sum().backward()
    check(x.grad, [2, 2])
    x.zero_grad()
    assert x.grad is None
    (x * x * x).sum().backward()
    check(x.grad, [3, 12])


def test_diamonds():
    x = leaf(0.5, 1.5)
    a = x * x
    b, c = a * 3, ops.exp(a)
    (b * c + b).sum().backward()
    e = np.exp(x.data**2)
    check(x.grad, 2 * x.data * (3 * e + 3 * x.data**2 * e + 3))


def test_gradients_add_up_by_edge_and_not_by_object():
    """A tensor and another object for the same output are the same place in the graph."""
    x = leaf(1, 2, 3, 4)
    first, second = ops.split(x * 1.0, 2)
    (first * second + first * first).sum().backward()
    check(x.grad, [3 + 2, 4 + 4, 1, 2])


def test_one_output_of_several_used_many_times():
    x = leaf(1, 2, 3)
    a, b, _ = ops.split(x, 3)
    y = a * b + b * b
    y.sum().backward()
    check(x.grad, [2, 1 + 4, 0])


def test_gradients_of_several_backwards_add_up():
    x = leaf(1, 2)
    for _ in range(3):
        (x * x).sum().backward()
    check(x.grad, [6, 12])
    before = x.grad.data
    (x * x).sum().backward()
    np.testing.assert_array_equal(before, [6, 12])  # never in place: someone may hold it


def test_a_leaf_is_an_output_like_any_other():
    x = leaf(1)
    x.backward()
    check(x.grad, [1])
    check(tinygen.grad(x, x)[0], [1])


def test_what_does_not_require_a_gradient_gets_none():
    x, c = leaf(1, 2), Tensor(np.array([3.0, 4.0]))
    (x * c).sum().backward()
    assert c.grad is None
    with pytest.raises(RuntimeError, match=r"output 0 of shape \(\) does not depend on anything"):
        c.sum().backward()


# --- Seeds ---------------------------------------------------------------------------------------


def test_seeds_of_backward():
    for seed in (Tensor(np.array([1.0, 10.0])), np.array([1.0, 10.0])):
        x = leaf(1, 2)
        (x * 3).backward(seed)
        check(x.grad, [3, 30])
    with pytest.raises(ValueError, match=r"give the gradient of an output of shape \(2,\)"):
        (x * 3).backward()
    with pytest.raises(ValueError, match=r"gradient of shape \(3,\) for output \(2,\)"):
        (x * 3).backward(np.ones(3))


@pytest.mark.parametrize(
    "seeds",
    [
        [np.array([1.0, 2.0]), None],
        (Tensor(np.array([1.0, 2.0])), np.array(1.0)),
        [Tensor(np.array([1.0, 2.0])), 1.0],
    ],
    ids=["None", "array", "number"],
)
def test_seeds_of_grad(seeds):
    x = leaf(1, 2)
    (g,) = tinygen.grad([x * 3, (x * x).sum()], [x], seeds)
    check(g, [3 + 2, 6 + 4])


def test_a_number_is_a_seed_and_keeps_the_type():
    x = leaf(1, 2, dtype="float32")
    (x * x).sum().backward(2.0)
    check(x.grad, [4, 8])
    assert x.grad.dtype == np.float32
    (g,) = tinygen.grad((x * x).sum(), x, 2.0)
    check(g, [4, 8])
    assert g.dtype == np.float32


def test_the_number_of_seeds_must_fit():
    x = leaf(1, 2)
    with pytest.raises(ValueError, match=r"grad_outputs|2 outputs|shorter|longer"):
        tinygen.grad([x.sum(), x.mean()], x, [np.array(1.0)])


# --- grad() --------------------------------------------------------------------------------------


def test_grad_returns_a_tuple_and_leaves_grad_alone():
    x, y = leaf(1, 2), leaf(3, 4)
    z = (x * y).sum()
    found = tinygen.grad(z, [y, x, y])
    assert type(found) is tuple
    for g, expected in zip(found, (x, y, x), strict=True):
        check(g, expected.data)
    assert x.grad is y.grad is None
    assert type(tinygen.grad((x * 2).sum(), x)) is tuple


def test_grad_of_tensors_that_are_not_leaves():
    x = leaf(1, 2)
    h = x * 2
    y = (h * h + h).sum()
    gh, gx = tinygen.grad(y, [h, x])
    check(gh, 2 * h.data + 1)
    check(gx, 2 * (2 * h.data + 1))
    first, second = ops.split(leaf(1, 2, 3, 4), 2)
    for create_graph in (False, True):
        y = (first * second).sum()
        g1, g2 = tinygen.grad(y, [first, second], create_graph=create_graph)
        check(g1, second.data)
        check(g2, first.data)


def test_grad_of_outputs_of_several_and_of_what_they_came_from():
    x = leaf(1, 2, 3, 4)
    first, second = ops.split(x, 2)
    y = (first * first * second).sum()
    for create_graph in (False, True):
        g1, gx = tinygen.grad(y, [first, x], retain_graph=True, create_graph=create_graph)
        check(g1, [6, 16])
        check(gx, [6, 16, 1, 4])


def test_inputs_that_are_not_reached():
    x, other = leaf(1, 2), leaf(3)
    with pytest.raises(ValueError, match=r"no output depends on input 1 of shape \(1,\).*allow_un"):
        tinygen.grad((x * 2).sum(), [x, other])
    g, none = tinygen.grad((x * 2).sum(), [x, other], allow_unused=True)
    check(g, [2, 2])
    assert none is None
    with pytest.raises(ValueError, match=r"input 0 of shape \(2,\) does not require a gradient"):
        tinygen.grad((x * 2).sum(), x.detach())


def test_inputs_that_are_reached_only_by_a_constant_get_zeros():
    class Sign(Function):
        def forward(self, x):
            return np.sign(x)

        def backward(self, gy):
            return None

    x = leaf(-1, 2, dtype="float32")
    (g,) = tinygen.grad(Sign()(x).sum(), x)
    check(g, [0, 0])
    assert g.dtype == np.float32
    y = leaf(3, 4, dtype="float32")
    gx, gy = tinygen.grad((3 * x).sum() + (y * y).sum(), [x, y], create_graph=True)
    for g in tinygen.grad(gx.sum(), [x, y]):  # gx is 3 everywhere
        check(g, [0, 0])
    check(tinygen.grad(gy.sum(), y)[0], [2, 2])


def test_only_what_is_asked_for_is_computed():
    x, y, z = leaf(1, 2), leaf(3, 4), leaf(5, 6)
    s = Watched()(x, y)
    total = Watched()(s, z)
    inner, outer = s.edge[0], total.edge[0]
    tinygen.grad(total.sum(), y, retain_graph=True)
    assert (inner.calls.pop(), outer.calls.pop()) == ([False, True], [True, False])
    tinygen.grad(total.sum(), z, retain_graph=True)
    assert (inner.calls, outer.calls.pop()) == ([], [False, True])
    tinygen.grad(total.sum(), s, retain_graph=True)
    assert (inner.calls, outer.calls.pop()) == ([], [True, False])
    total.sum().backward()
    assert (inner.calls, outer.calls) == ([[True, True]], [[True, True]])


def test_weight_gradients_are_not_computed_when_only_inputs_are_asked_for():
    x, w, b = leaf([1.0, 2.0]), leaf([3.0], [4.0]), leaf(0.0)
    for fn, forwards in ((lambda: x @ w, 1), (lambda: ops.dense(x, w, b), 1)):
        for inputs, products in (([x], forwards), ([w], forwards), ([x, w], 2 * forwards)):
            y = fn()
            with Forward() as ran:
                tinygen.grad(y, inputs, np.ones((1, 1)), create_graph=True)
            assert ran.names.count("matmul") == products
            assert "sum" not in ran.names  # of the bias


# --- Higher orders -------------------------------------------------------------------------------


def derivative(fn, x, order):
    y = fn(x)
    for _ in range(order):
        (y,) = tinygen.grad(y.sum(), x, create_graph=True)
    return y


def test_third_derivatives_in_closed_form():
    x = leaf(-1.3, -0.2, 0.0, 0.4, 0.9)
    u, t = np.exp(x.data), np.tanh(np.exp(x.data))
    t1, t2, t3 = 1 - t**2, -2 * t * (1 - t**2), (1 - t**2) * (6 * t**2 - 2)
    check(derivative(lambda x: ops.tanh(ops.exp(x)), x, 3), u * t1 + 3 * u**2 * t2 + u**3 * t3)
    s = 1 / (1 + np.exp(-x.data))
    s1 = s * (1 - s)
    s2, s3 = s1 * (1 - 2 * s), s1 * (1 - 6 * s1)
    third = u * (s + 3 * s1 + 3 * s2 + s3)
    check(derivative(lambda x: ops.sigmoid(x) * ops.exp(x), x, 3), third)
    check(derivative(ops.sin, x, 5), np.cos(x.data))


@pytest.mark.parametrize("use_dense", [False, True])
def test_the_gradient_penalty_of_a_linear_critic(use_dense):
    """D(x) = x w has the gradient w everywhere, so P = (|w| - 1)^2 and dP/dw = 2 (1 - 1/|w|) w."""
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(5, 3)), requires_grad=True)
    w = Parameter(rng.normal(size=(3, 1)))
    score = ops.dense(x, w) if use_dense else x @ w
    (g,) = tinygen.grad(score.sum(), x, create_graph=True)
    penalty = ((ops.norm(g, axis=1) - 1.0) ** 2).mean()
    length = np.linalg.norm(w.data)
    assert penalty.item() == pytest.approx((length - 1) ** 2)
    penalty.backward()
    check(w.grad, 2 * (1 - 1 / length) * w.data)


def test_the_gradient_penalty_of_a_deeper_critic():
    rng = np.random.default_rng(0)
    x = Tensor(rng.normal(size=(4, 3)), requires_grad=True)
    shapes = [(3, 6), (6,), (6, 1)]
    w1, b, w2 = (Parameter(rng.normal(size=shape)) for shape in shapes)

    def penalty(w1, b, w2):
        score = ops.dense(ops.dense(x, w1, b, "tanh"), w2)
        (g,) = tinygen.grad(score.sum(), x, create_graph=True)
        return ((ops.norm(g, axis=1) - 1.0) ** 2).mean()

    assert tinygen.gradcheck(penalty, [w1, b, w2])
    assert tinygen.gradgradcheck(penalty, [w1, b, w2])


def test_backward_with_create_graph():
    x = leaf(2)
    (x**3).backward(create_graph=True)
    g = x.grad
    x.zero_grad()
    g.backward()
    check(x.grad, [12])
    x.zero_grad()  # ends the cycle of leaf, gradient and graph


def test_a_gradient_has_the_type_of_its_input():
    x, w = leaf(1, 2, dtype="float32"), leaf(3, 4)
    for create_graph in (False, True):
        gx, gw = tinygen.grad((x * w).sum(), [x, w], create_graph=create_graph)
        assert (gx.dtype, gw.dtype) == (np.float32, np.float64)
    (x * w).sum().backward()
    assert (x.grad.dtype, w.grad.dtype) == (np.float32, np.float64)


def test_gradients_go_by_identity_whatever_tensors_compare_as():
    class Alike(Tensor):
        """One element and one hash: in a dict by itself each would be the other."""

        def __hash__(self):
            return 1

    x, y = (Alike(np.array([1.0]), requires_grad=True) for _ in range(2))
    z = 2.0 * x + 3.0 * y * y
    assert [g.item() for g in tinygen.grad(z, [x, y], retain_graph=True)] == [2, 6]
    (g,) = tinygen.grad(z, [y], create_graph=True)
    assert tinygen.grad(g, y, retain_graph=True)[0].item() == 6
    z.backward()
    assert (x.grad.item(), y.grad.item()) == (2, 6)
