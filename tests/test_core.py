"""Tensors: what they keep, what they share, how they compare, and how they fail."""

import copy
import operator
import pickle
import threading

import numpy as np
import pytest

import tinygen
from tests.leaves import leaf
from tinygen import Buffer, Parameter, Tensor, tensor

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
        lambda p, q: p > q, lambda p, q: p >= q, lambda p, q: p == q, lambda p, q: p != q,
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
    for use in (bool, float, Tensor.item, lambda x: f"{x:.3f}"):
        with pytest.raises(ValueError, match=r"tensor of shape \(2,\) is not one number: take"):
            use(Tensor(np.ones(2)))


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


def test_one_element_is_formatted_as_a_number():
    x = leaf(2.0)
    assert f"{x[0] / 3:.3f} {Tensor(np.array(7)):>3d} {x:8.1e}" == "0.667   7  2.0e+00"
    assert f"{x}" == str(x)


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


def pickled(x):
    return pickle.loads(pickle.dumps(x))


class Named(Parameter):
    """A parameter with more to it than the constructor of its base takes."""

    def __init__(self, name, data):
        super().__init__(data)
        self.name = name


@pytest.mark.parametrize("duplicate", [pickled, copy.deepcopy, copy.copy])
@pytest.mark.parametrize("kind", [Tensor, Parameter, Buffer, lambda data: Named("w", data)])
def test_copies_and_pickles_of_leaves(duplicate, kind):
    x = kind(np.array([[1.0, 2.0], [3.0, 4.0]]).T)
    x.grad = Tensor(np.ones((2, 2)))
    y = duplicate(x)
    assert (type(y), y.requires_grad, y.is_leaf) == (type(x), x.requires_grad, True)
    assert getattr(y, "name", None) == getattr(x, "name", None)
    np.testing.assert_array_equal(y.data, x.data)
    np.testing.assert_array_equal(y.grad.data, x.grad.data)
    shared = duplicate is copy.copy
    assert np.shares_memory(x.data, y.data) is np.shares_memory(x.grad.data, y.grad.data) is shared


@pytest.mark.parametrize("duplicate", [pickled, copy.deepcopy, copy.copy])
def test_no_copy_leaves_a_graph_behind(duplicate):
    p = Parameter(np.array([1.0, 2.0]))
    with pytest.raises(TypeError, match=r"only a leaf can be copied or pickled.*detach\(\)"):
        duplicate(p * 3)
    assert duplicate((p * 3).detach()).is_leaf
    (p**3).sum().backward(create_graph=True)
    assert not p.grad.is_leaf
    assert duplicate(p).grad.is_leaf  # its graph leads to p, not to the copy


def test_what_comes_in_as_data():
    x = leaf(1, 2)
    for make in (Tensor, tensor, Parameter, Buffer):
        constant = make(x.detach())
        assert constant.data is x.data
        with pytest.raises(TypeError, match=r"leave behind the gradient .* detach\(\)"):
            make(x)
    x.data = Tensor(np.ones(2))
    assert type(x.data) is np.ndarray
    with pytest.raises(TypeError, match="floating type, the new data is int64"):
        x.data = np.arange(2)
    np.testing.assert_array_equal(x.data, [1, 1])


# --- Comparisons ---------------------------------------------------------------------------------

A = np.array([[1.0, 2.0], [3.0, np.nan]])


@pytest.mark.parametrize("compare", [operator.eq, operator.ne, operator.lt, operator.ge])
@pytest.mark.parametrize(
    "other",
    [2, 2.0, True, np.float64(2), A.copy(), A.T, A[0], [1.0, 2.0], np.array(2), A.astype("f4")],
    ids=str,
)
def test_comparisons_are_masks_as_in_numpy(compare, other):
    others = [other, Tensor(other)] if isinstance(other, np.ndarray) else [other]
    for theirs in others:
        for found, expected in (
            (compare(leaf(*A), theirs), compare(A, other)),
            (compare(theirs, Tensor(A)), compare(other, A)),
        ):
            assert type(found) is Tensor
            assert (found.dtype, found.requires_grad) == (bool, False)
            np.testing.assert_array_equal(found.data, expected)


def test_comparisons_with_what_has_no_elements():
    x = leaf(1, 2)
    assert all((x == other) is False and (x != other) is True for other in (None, "1", print, {}))
    for other in (None, "1"):
        with pytest.raises(TypeError):
            x < other  # noqa: B015  # it raises
    for compare in (operator.eq, operator.ne, operator.lt):
        with pytest.raises(ValueError, match="could not be broadcast"):
            compare(x, leaf(1, 2, 3))


def test_numpy_scalars_compare_as_weakly_as_numbers():
    x = tensor([0.1])
    assert x == np.float64(0.1)
    assert x <= np.float64(0.1)
    assert np.float64(0.1) == x


def test_elements_are_found_by_value():
    x = leaf(1, 2, 3)
    assert [v in x for v in (2, 2.0, np.float32(3), tensor(1.0), np.array([1]))] == [True] * 5
    assert [v in x for v in (5, None, "a", np.nan)] == [False] * 4
    assert 3.0 in tensor(3.0)
    with pytest.raises(TypeError, match="single number"):
        x in x  # noqa: B015  # it raises


def test_tensors_are_keys_by_identity():
    x, y = leaf(1, 2), leaf(1, 2)
    assert {x: "x", y: "y"}[y] == "y"
    assert len({x, y, x}) == 2
    assert hash(x) != hash(y)
    x.data = y.data
    assert x in {x}
    assert y not in {x}


# --- Iteration -----------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [iter, list, sum, max, len, lambda x: [*x], reversed])
def test_a_number_has_nothing_to_iterate_over(read):
    for x in (tensor(3.0), leaf(1.0, 2.0).sum()):
        with pytest.raises(TypeError, match=r"0-d tensor|unsized"):
            read(x)


def test_iterating_gives_tensors_with_gradients():
    x = leaf(*A[:, ::-1], [5, 6])
    rows = list(x)
    assert [row.shape for row in rows] == [(2,)] * 3
    np.testing.assert_array_equal(np.stack([row.numpy() for row in rows]), x.numpy())
    (rows[0] * 2.0 + rows[2] * 3.0).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [[2, 2], [0, 0], [3, 3]])
    assert list(tensor(np.zeros((0, 3)))) == []
    a, b = leaf(1, 2)
    (g,) = tinygen.grad(sum(leaf(4, 5) * a) + b * b, b, create_graph=True)
    assert g.item() == 4


def test_iterating_over_many_is_one_op():
    """A node of one element each, that writes zeros for all others, would take squares of time."""
    x = Tensor(np.arange(3000.0), requires_grad=True)
    with tinygen.hooks.Memory() as memory:
        sum(x).backward()
    assert sum(memory.bytes.values()) < 100 * x.data.nbytes
    np.testing.assert_array_equal(x.grad.data, np.ones(3000))


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
