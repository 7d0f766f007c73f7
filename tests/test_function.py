"""Functions: what they are given, what they save, and how they fail."""

import weakref

import numpy as np
import pytest

import tinygen
from tests.leaves import leaf
from tinygen import Function, Parameter, Tensor, ops


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
    assert [ours is theirs for ours, theirs in zip(y.edge[0].seen, (x, w), strict=True)] == [
        True
    ] * 2


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


# --- What may be saved ---------------------------------------------------------------------------


class Cube(Function):
    """y = x^3,  gx = 3 x^2 gy, where `saved` says what becomes of x before it is saved."""

    def __init__(self, saved, save="save"):
        self.prepare, self.how = saved, save

    def forward(self, x):
        getattr(self, self.how)(self.prepare(x))
        return x**3

    def backward(self, gy):
        (x,) = self.saved
        return gy * 3.0 * x * x


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "prepare",
    [np.ascontiguousarray, np.copy, lambda x: x.view(), lambda x: x.reshape(x.shape),
     lambda x: x.T, lambda x: x[:], lambda x: x.astype(x.dtype), lambda x: x * 1.0,
     lambda x: np.asfortranarray(x), lambda x: float(x.sum())],
    ids=["contiguous", "copy", "view", "reshape", "transpose", "slice", "astype", "computed",
         "fortran", "number"],
)  # fmt: skip
@pytest.mark.parametrize("save", ["save", "save_output"])
def test_only_inputs_and_outputs_are_saved_on_their_edges(prepare, order, save):
    """A copy or a view would be a constant: an op right in one layout of memory and not another."""
    array = np.array([[1.0, 2.0], [3.0, 4.0]], order=order)
    x = Tensor(array, requires_grad=True)
    if prepare(array) is array:  # contiguous as it was
        (g,) = tinygen.grad(Cube(prepare, save)(x).sum(), x, create_graph=True)
        np.testing.assert_allclose(tinygen.grad(g.sum(), x)[0].data, 6 * array)
    else:
        with pytest.raises(RuntimeError, match=r"cube: forward saved .* save_constant\(\)"):
            Cube(prepare, save)(x)
        with tinygen.no_grad():
            Cube(prepare, save)(x)  # nothing is kept, so nothing can be wrong


def test_constants_are_saved_as_constants():
    x = leaf(1.0, 2.0)
    for prepare in (np.copy, lambda x: x):  # even an input itself
        (g,) = tinygen.grad(Cube(prepare, "save_constant")(x).sum(), x, create_graph=True)
        np.testing.assert_array_equal(g.data, [3, 12])
        np.testing.assert_array_equal(tinygen.grad(g.sum(), x)[0].data, [0, 0])


def test_saved_come_back_in_the_order_of_their_saving():
    class Several(Function):
        def forward(self, x, w):
            self.save_constant(np.sign(x))
            self.save(w, None)
            y = self.save_output(x * w)
            self.save(x)
            return y, x + w

        def backward(self, gy, gz):
            self.seen = self.saved
            return gy, gy

    x, w = leaf(-1.0, 2.0), leaf(3.0, 4.0)
    y, _ = Several()(x, w)
    node = y.edge[0]
    y.sum().backward()
    sign, second, nothing, output, first = node.seen
    assert (second is w, nothing is None, first is x) == (True, True, True)
    assert not sign.requires_grad
    np.testing.assert_array_equal(sign.data, [-1, 1])
    assert output.edge[0] is node


@pytest.mark.parametrize("wrong", [lambda g: g.numpy(), lambda g: 2.0], ids=["array", "number"])
def test_a_gradient_must_be_a_tensor(wrong):
    class Detached(Cube):
        def backward(self, gy):
            return wrong(gy.detach())

    y = Detached(lambda x: x)(leaf(1.0, 2.0)).sum()
    with pytest.raises(TypeError, match=r"detached\.backward gave (ndarray|float), not a Tensor"):
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
