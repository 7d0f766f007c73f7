"""Tensors and Functions: what they keep, what they share, and how they fail."""

import copy
import pickle
import threading
import weakref

import numpy as np
import pytest

import tinygen
from tinygen import Function, Parameter, Tensor, ops, tensor


def leaf(*data, dtype="float64"):
    return Tensor(np.array(data, dtype), requires_grad=True)


# --- Tensors -------------------------------------------------------------------------------------


def test_arrays_are_shared_and_keep_their_type():
    for dtype in ("float16", "float32", "float64", "int64", "bool"):
        array = np.ones(3, dtype)
        assert Tensor(array).data is array
        assert tensor(array).data is array
    assert tensor(array, dtype="float32").dtype == np.float32
    assert tensor(Tensor(array)).data is array


@pytest.mark.parametrize("data", [2, 2.5, [1, 2], [[1.0], [2.0]], True], ids=str)
def test_python_numbers_become_float32(data):
    assert tensor(data).dtype == np.float32
    np.testing.assert_array_equal(tensor(data).numpy(), data)


def test_what_is_no_number_is_refused():
    with pytest.raises(TypeError, match="cannot make a tensor of str"):
        tensor("three")
    with pytest.raises(TypeError, match="cannot make a tensor of list"):
        tensor([[1, 2], [3]])


def test_integers_cannot_require_a_gradient():
    with pytest.raises(TypeError, match="a gradient needs a floating type, this tensor is int64"):
        tensor(np.arange(3), requires_grad=True)
    assert not (tensor(np.arange(3)) * 2).requires_grad


@pytest.mark.parametrize("number", [2, 2.0])
def test_python_numbers_do_not_change_the_type(number):
    x = leaf(1, 2, dtype="float32")
    results = [x + number, number + x, x - number, number - x, x * number, number * x,
               x / number, number / x, x**number, number**x, -x, abs(x)]  # fmt: skip
    assert {y.dtype for y in results} == {np.dtype("float32")}
    for y in results:
        (g,) = tinygen.grad(y.sum(), x)
        assert g.dtype == np.float32


def test_operators_compute_what_numpy_does():
    a, b = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.5, 3.0], [3.0, 2.0]])
    x, y = Tensor(a), Tensor(b)
    for fn in (
        lambda p, q: p + q, lambda p, q: p - q, lambda p, q: p * q, lambda p, q: p / q,
        lambda p, q: p**q, lambda p, q: p @ q, lambda p, q: p < q, lambda p, q: p <= q,
        lambda p, q: p > q, lambda p, q: p >= q,
    ):  # fmt: skip
        for left, right in ((x, y), (x, b), (a, y)):  # an array on the left comes to Tensor, too
            found = fn(left, right)
            assert type(found) is Tensor
            np.testing.assert_array_equal(found.data, fn(a, b))
    np.testing.assert_array_equal((-x).data, -a)
    np.testing.assert_array_equal(x.T.data, a.T)
    np.testing.assert_array_equal(x[1, :1].data, a[1, :1])
    np.testing.assert_array_equal(np.asarray(x), a)
    assert (x.sum().item(), x.mean().item(), x.var().item()) == (10.0, 2.5, 1.25)
    assert (x.reshape(4).shape, x.reshape((1, -1)).shape) == ((4,), (1, 4))
    assert x.transpose(1, 0).shape == x.transpose((1, 0)).shape == x.transpose().shape == (2, 2)
    assert (len(x), x.ndim, x.size, x.device) == (2, 2, 4, "cpu")
    assert (float(x[0, 0]), int(x[1, 1])) == (1.0, 4)


def test_truth_is_for_single_elements():
    assert Tensor(np.array([3.0])) > 2
    assert not Tensor(np.array(0.0))
    with pytest.raises(ValueError, match="size 1"):
        bool(Tensor(np.ones(2)))


def test_detach_shares_the_array_but_not_the_graph():
    x = leaf(1, 2)
    y = (x * 2).detach()
    assert y.is_leaf
    assert not y.requires_grad
    assert x.detach().data is x.data


def test_moving_a_tensor():
    x = leaf(1, 2)
    assert x.to() is x
    assert x.to("cpu") is x
    assert x.to(dtype="float32").dtype == np.float32
    with pytest.raises(ValueError, match="device 'moon'"):
        x.to("moon")


def test_repr_says_what_it_is():
    x = leaf(1, 2)
    assert repr(x) == "Tensor([1., 2.], dtype=float64, requires_grad=True)"
    assert repr(x * 2) == "Tensor([2., 4.], dtype=float64, made by multiply)"
    assert repr(Parameter(np.zeros(1))).startswith("Parameter(")


def test_deepcopy_copies_leaves_once():
    p = Parameter(np.array([1.0, 2.0]))
    (p * p).sum().backward()
    a, b = copy.deepcopy([p, p])
    assert a is b
    assert type(a) is Parameter
    for ours, theirs in ((a.data, p.data), (a.grad.data, p.grad.data)):
        np.testing.assert_array_equal(ours, theirs)
        assert not np.shares_memory(ours, theirs)
    with pytest.raises(TypeError, match="only a leaf can be copied"):
        copy.deepcopy(p * 2)


def test_pickle_leaves_the_graph_behind():
    p = Parameter(np.array([1.0, 2.0]))
    for x, requires_grad in ((p, True), (p * 3, False), (p.detach(), False)):
        y = pickle.loads(pickle.dumps(x))
        assert type(y) is type(x)
        np.testing.assert_array_equal(y.data, x.data)
        assert (y.requires_grad, y.is_leaf) == (requires_grad, True)


# --- no_grad -------------------------------------------------------------------------------------


def test_no_grad_records_nothing_and_ends_with_the_block():
    x = leaf(1, 2)
    with tinygen.no_grad():
        assert not (x * x).requires_grad
        with tinygen.no_grad():
            pass
        assert not (x * x).requires_grad
    assert (x * x).requires_grad
    with pytest.raises(ValueError, match="add"), tinygen.no_grad():
        x + leaf(1, 2, 3)
    assert (x * x).requires_grad


def test_no_grad_belongs_to_the_thread():
    x = leaf(1, 2)
    recorded = []
    with tinygen.no_grad():
        thread = threading.Thread(target=lambda: recorded.append((x * x).requires_grad))
        thread.start()
        thread.join()
    assert recorded == [True]


# --- Functions -----------------------------------------------------------------------------------


class Scale(Function):
    """y = x w,  gx = gy w,  gw = the sum of gy x: an op as a user would write it."""

    def forward(self, x, w):
        self.save(x, w)
        return x * w

    def backward(self, gy):
        x, w = self.saved
        self.seen = x, w
        return gy * w, (gy * x).sum()


class Halves(Function):
    """The two halves of a vector."""

    def forward(self, x):
        self.save(x)
        return x[: len(x) // 2] * 1.0, x[len(x) // 2 :] * 1.0

    def backward(self, g1, g2):
        self.incoming = g1, g2
        return ops.concatenate([g1, g2])


def test_a_function_of_ones_own():
    x, w = leaf(1, 2, 3), Tensor(np.array(2.0), requires_grad=True)
    assert tinygen.gradcheck(lambda x, w: Scale()(x, w), [x, w])
    assert tinygen.gradgradcheck(lambda x, w: Scale()(x, w), [x, w])
    assert Scale()(x, w).edge[0].name == "scale"
    assert Halves.name == "halves"


def test_saved_tensors_come_back_on_their_edges():
    x, w = leaf(1, 2, 3), Tensor(np.array(2.0), requires_grad=True)
    y = Scale()(x, w)
    y.sum().backward(retain_graph=True)
    assert y.edge[0].seen == (x, w)


@pytest.mark.parametrize("constant", [0, 1])
def test_constants_come_back_as_tensors(constant):
    """Also those that were given as arrays, so that backward need not know how it was called."""
    inputs = [np.array([1.0, 2.0]), np.array(2.0)]
    inputs[1 - constant] = Tensor(inputs[1 - constant], requires_grad=True)
    y = Scale()(*inputs)
    node = y.edge[0]
    y.sum().backward()
    assert [type(t) for t in node.seen] == [Tensor, Tensor]
    assert not node.seen[constant].requires_grad


def test_inputs_that_share_one_array_are_told_apart():
    x = leaf(1.0, 2.0, 3.0)
    (g,) = tinygen.grad((x * x.detach()).sum(), x, create_graph=True)
    np.testing.assert_array_equal(g.data, x.data)
    np.testing.assert_array_equal(tinygen.grad(g.sum(), x)[0].data, np.zeros(3))
    (g,) = tinygen.grad((x.detach() * x).sum(), x, create_graph=True)
    np.testing.assert_array_equal(tinygen.grad(g.sum(), x)[0].data, np.zeros(3))
    (g,) = tinygen.grad((x * x).sum(), x, create_graph=True)
    np.testing.assert_array_equal(tinygen.grad(g.sum(), x)[0].data, np.full(3, 2.0))


def test_an_output_that_nobody_used_gets_zeros():
    x = leaf(1, 2, 3, 4, dtype="float32")
    first, second = Halves()(x)
    node = second.edge[0]
    (second * second).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [0, 0, 6, 8])
    np.testing.assert_array_equal(node.incoming[0].data, [0, 0])
    assert node.incoming[0].dtype == np.float32
    assert first.shape == (2,)


def test_the_number_of_gradients_must_fit():
    class Wrong(Scale):
        def backward(self, gy):
            return (gy,)

    with pytest.raises(RuntimeError, match=r"wrong\.backward gave 1 gradients for 2 inputs"):
        Wrong()(leaf(1, 2), leaf(3)).sum().backward()


def test_a_gradient_must_have_the_shape_of_its_leaf():
    class Wrong(Scale):
        def backward(self, gy):
            return gy, gy

    with pytest.raises(RuntimeError, match=r"gradient of shape \(2,\) for a leaf of \(1,\)"):
        Wrong()(leaf(1, 2), leaf(3)).sum().backward()


def test_a_stale_saved_tensor_raises_and_names_the_op():
    p = Parameter(np.array([1.0, 2.0]))
    y = (p * p).sum()
    p.data = p.data * 0.9
    with pytest.raises(RuntimeError, match=r"multiply saved a tensor that was changed .* forward"):
        y.backward()
    y = ops.exp(p).sum() + p.sum()  # keeps its own output, or nothing of p
    p.data = p.data * 0.9
    y.backward()
    y = (p / 2 * p).sum()
    p.data[...] = 0.0
    p.version += 1  # what optimisers and load_state_dict do after writing in place
    with pytest.raises(RuntimeError, match="multiply"):
        y.backward()


# --- What is kept alive --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fn", "kept"),
    [
        (lambda h: h + 1.0, False),
        (lambda h: ops.exp(h), False),  # it keeps its output
        (lambda h: ops.tanh(h), False),
        (lambda h: h.sum(), False),
        (lambda h: h.mean(axis=0), False),
        (lambda h: h * 2.0, True),
        (lambda h: ops.log(h), True),
    ],
    ids=["add", "exp", "tanh", "sum", "mean", "multiply", "log"],
)
def test_what_is_not_saved_is_not_kept_alive(fn, kept):
    fn(leaf(1, 2, 3) - 0.5)  # a first call compiles, and what Numba tries keeps its arguments
    h = leaf(1, 2, 3) - 0.5
    array = weakref.ref(h.data)
    y = fn(h)
    del h
    assert (array() is not None) is kept
    y.sum().backward()
    assert array() is None


def test_without_recording_nothing_is_kept_alive():
    x = leaf(1, 2, 3)
    with tinygen.no_grad():
        h = x * 2.0
        array = weakref.ref(h.data)
        y = h * h
    del h
    assert array() is None
    assert y.is_leaf


def test_a_function_object_is_one_call():
    double = ops.elementwise.NegativeFunction()
    double(leaf(1, 2))
    with pytest.raises(RuntimeError, match="negative: one Function object is one call"):
        double(leaf(3, 4))
