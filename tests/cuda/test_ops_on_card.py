"""Every op of the table on arrays of a card: the same values and gradients as on the CPU.

What the ops compute is for tests/test_ops.py to say; here it is about arrays that meet nothing of
NumPy's, whose sums are no numbers, and which nobody waits for.
"""

import numpy as np
import pytest

import tinygen
from tests.test_ops import OPTIONS, assert_close, cotangents, listed
from tests.test_ops_types import whole
from tinygen import Tensor, ops
from tinygen.backend import device_of, to_device

pytestmark = pytest.mark.usefixtures("card")
every_option = pytest.mark.parametrize("variant", OPTIONS, ids=str)


def tensors(arrays, device):
    return [Tensor(to_device(a, device), requires_grad=a.dtype.kind == "f") for a in arrays]


def orders(fn, inputs):
    """Outputs, gradients, and gradients of those, on the CPU."""
    device = inputs[0].device
    outputs = listed(fn(*inputs))
    moving = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    given = [Tensor(c) for c in cotangents(outputs, outputs[0].dtype)]
    first = tinygen.grad(outputs, moving, given, create_graph=True)
    total = sum((g * c).sum() for g, c in zip(first, cotangents(first), strict=True))
    plain = tinygen.grad(listed(fn(*inputs)), moving, given)
    found = [*outputs, *first, *plain, *tinygen.grad(total, moving)]
    assert {t.device for t in found} == {device}
    return [t.numpy() for t in found]


@every_option
def test_values_and_gradients_of_both_orders(variant):
    arrays = variant.sample()
    expected = orders(variant.fn, tensors(arrays, "cpu"))
    found = orders(variant.fn, tensors(arrays, "cuda"))
    assert_close(found, expected, variant.bounds("float64", times=100))


@every_option
def test_constants_may_be_arrays_of_the_cpu(variant):
    arrays = variant.sample("float32")
    if len(arrays) == 1:
        return
    expected = [y.numpy() for y in listed(variant.fn(*tensors(arrays, "cpu")))]
    for i, array in enumerate(arrays):
        if array.dtype.kind != "f":
            continue  # labels and masks follow what they belong to
        inputs = [*arrays[:i], Tensor(to_device(array, "cuda")), *arrays[i + 1 :]]
        found = listed(variant.fn(*inputs))
        assert {device_of(y.array) for y in found} == {"cuda"}
        assert_close([y.numpy() for y in found], expected, variant.bounds("float32", times=10))


@pytest.mark.parametrize("dtype", ["uint8", "bool", "float16"])
@pytest.mark.parametrize("variant", {v.case.name: v for v in reversed(OPTIONS)}.values(), ids=str)
def test_other_types_are_computed_with_as_on_the_cpu(variant, dtype):
    arrays = variant.sample("float32")
    given = [whole(a, dtype) if a.dtype.kind == "f" else a for a in arrays]
    with np.errstate(all="ignore"):
        expected = listed(variant.fn(*[Tensor(a) for a in given]))
        found = listed(variant.fn(*[Tensor(to_device(a, "cuda")) for a in given]))
    assert [y.dtype for y in found] == [y.dtype for y in expected]
    assert {y.device for y in found} == {"cuda"}
    bounds = variant.bounds("float32", times=100)
    assert_close([y.numpy() for y in found], [y.numpy() for y in expected], bounds)


def test_sums_and_scalars_of_numpy():
    x = Tensor(to_device(np.ones((300, 1), "uint8"), "cuda"))
    assert (x.sum().item(), x.mean().item(), (x > 0).sum().item()) == (300, 1, 300)
    assert Tensor(to_device(np.ones(70_000, "float16"), "cuda")).mean().item() == 1
    x = Tensor(to_device(np.float32([1, 2]), "cuda"), requires_grad=True)
    for y in (x * np.sqrt(2), np.float64(3) / x, ops.maximum(x, np.float64(0)), x + np.int64(1)):
        assert y.dtype == np.float32
        assert tinygen.grad(y.sum(), x)[0].dtype == np.float32
    with pytest.raises(TypeError, match="multiply: input 1 is of type complex128"):
        x * 2j


def test_what_needs_a_gradient_is_not_moved():
    x = Tensor(np.ones(3), requires_grad=True)
    y = Tensor(to_device(np.ones(3), "cuda"))
    with pytest.raises(ValueError, match=r"add: input 0 of shape \(3,\) is on 'cpu'.*\.to\("):
        x + y
    with tinygen.no_grad():
        z = y * 2.0 + np.float32(1) + np.ones(3) + np.array(1.0) + 1
    assert z.device == "cuda"
    np.testing.assert_array_equal(z.numpy(), np.full(3, 6.0))
    np.testing.assert_array_equal((z > np.full(3, 5.0)).numpy(), True)
