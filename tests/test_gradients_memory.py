"""The memory of the backward pass: what is freed when, and whose memory the gradients are."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import tinygen
from tests.leaves import leaf
from tinygen import Function, Parameter, Tensor, ops


def check(tensor, expected):
    np.testing.assert_allclose(tensor.data, expected, rtol=1e-12)


# --- What is freed -------------------------------------------------------------------------------


def test_a_second_backward_names_retain_graph():
    x = leaf(1, 2)
    y = (x * x).sum()
    y.backward()
    with pytest.raises(RuntimeError, match=r"sum was freed by .*retain_graph=True"):
        y.backward()
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        tinygen.grad(y, x)
    h = x * x
    h.sum().backward()
    with pytest.raises(RuntimeError, match=r"multiply was freed.*retain_graph=True"):
        (h + 1).sum().backward()


def test_retaining_the_graph():
    x = leaf(1, 2)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    check(x.grad, [4, 8])
    first, second = ops.split(x * x, 2)
    y = (first * second).sum()
    for _ in range(2):
        (g,) = tinygen.grad(y, x, create_graph=True)  # retains by default
        check(g, [8, 4])
    tinygen.grad(y, x)  # frees by default
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        tinygen.grad(y, x)


def test_the_graph_is_freed_as_backward_passes():
    kept = []

    class Keeps(Function):
        def forward(self, x):
            constant = np.ones(1000)
            self.save_constant(constant)
            kept.append(weakref.ref(constant))
            return x + 0.0

        def backward(self, gy):
            self.alive = [array() is not None for array in kept]
            return gy

    x = leaf(1.0)
    first = Keeps()(x)
    second = Keeps()(first)
    nodes = first.edge[0], second.edge[0]
    y = second.sum()
    del first, second
    y.backward()
    assert nodes[1].alive == [True, True]
    assert nodes[0].alive == [True, False]  # the later op's constant is gone by then
    assert [array() for array in kept] == [None, None]


def test_long_chains():
    x = leaf(1.0)
    y = x
    for _ in range(5000):
        y = y * 1.0
    y.backward()
    check(x.grad, [1])
    assert x.grad.shape == (1,)


def test_a_large_graph_is_deleted_without_recursion():
    y = leaf(1.0)
    for _ in range(50_000):
        y = y + 1.0
    node = weakref.ref(y.edge[0])
    del y
    assert node() is None


def train(p, x):
    loss = (ops.dense(x, p, activation="tanh") ** 2).mean()
    p.zero_grad()
    loss.backward()
    p.data = p.data - 0.01 * p.grad.data


def penalize(p, x):
    x = Tensor(x.data, requires_grad=True)
    (g,) = tinygen.grad(ops.dense(x, p, activation="tanh").sum(), x, create_graph=True)
    p.zero_grad()
    (ops.norm(g, axis=1) ** 2).mean().backward()


def differentiate_twice(p, x):
    (g,) = tinygen.grad((ops.tanh(x @ p) ** 2).mean(), p, create_graph=True)
    tinygen.grad((g * g).sum(), p)


@pytest.mark.parametrize("step", [train, penalize, differentiate_twice])
def test_memory_is_flat_without_the_garbage_collector(step):
    p, x = Parameter(np.ones((2, 3)) / 9), Tensor(np.ones((500, 2)))
    gc.collect()
    gc.disable()
    tracemalloc.start()
    try:
        for _ in range(20):
            step(p, x)
        objects, (size, _) = len(gc.get_objects()), tracemalloc.get_traced_memory()
        for _ in range(1000):
            step(p, x)
        assert len(gc.get_objects()) - objects < 100  # a node a step would make 1,000
        assert tracemalloc.get_traced_memory()[0] - size < 10**6  # an array a step: 10^7
    finally:
        tracemalloc.stop()
        gc.enable()


# --- Whose memory the gradients are --------------------------------------------------------------


@pytest.mark.parametrize(
    "fn",
    [
        lambda x, y, c: x + y,
        lambda x, y, c: ops.tanh(x + y),
        lambda x, y, c: x - y,
        lambda x, y, c: x.reshape(-1) + y.reshape(-1),
        lambda x, y, c: x.T + y.T,
        lambda x, y, c: ops.concatenate([x, y]),
        lambda x, y, c: (x + y).sum(),
        lambda x, y, c: ops.where(c > 1, x, y),
        lambda x, y, c: ops.dense(x, y),
    ],
    ids=["add", "tanh", "subtract", "reshape", "transpose", "concatenate", "sum", "where", "dense"],
)
@pytest.mark.parametrize("n", [2, 200])  # kernels reuse the memory of large arrays
def test_gradients_share_no_memory(fn, n):
    x, y, c = (Tensor(np.full((n, n), v), requires_grad=v < 3) for v in (1.0, 2.0, 3.0))
    out = fn(x, y, c)
    seed = Tensor(np.ones(out.shape))
    out.backward(seed)
    arrays = [x.grad.data, y.grad.data, seed.data, x.data, y.data, c.data]
    for i, a in enumerate(arrays[:2]):
        assert a.flags.writeable
        for b in (*arrays[:i], *arrays[i + 1 :]):
            assert not np.shares_memory(a, b)
