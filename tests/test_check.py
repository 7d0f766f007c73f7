"""The gradient checks pass what is right, and name what is wrong."""

import inspect
import re

import numpy as np
import pytest

from tests.leaves import normal_leaf
from tinygen import Function, Random, Tensor, ops
from tinygen.ops.check import ELEMENTS, GradientError, gradcheck, gradgradcheck
from tinygen.ops.examples import EXAMPLES


class Cube(Function):
    """y = x^3,  gx = 3 x^2 gy, unless `spoil` changes it."""

    def __init__(self, spoil):
        self.spoil = spoil

    def forward(self, x):
        self.save(x)
        return x**3

    def backward(self, gy):
        (x,) = self.saved
        return self.spoil(x, gy, 3.0 * x * x * gy)


def cube(spoil=lambda x, gy, gx: gx):
    return lambda x: Cube(spoil)(x)


def off_in_one_element(x, gy, gx):
    error = np.zeros(x.shape)
    error.flat[-1] = 1e-3
    return gx + error * gy


def test_every_op_has_an_example():
    assert set(EXAMPLES) == {name for name in ops.__all__ if inspect.isfunction(vars(ops)[name])}


def test_what_is_right_passes():
    assert gradcheck(cube(), normal_leaf(2, 3)) is True
    assert gradgradcheck(cube(), normal_leaf(2, 3)) is True


@pytest.mark.parametrize("shape", [(), (2, 3), (ELEMENTS + 1,), (30, 50)], ids=str)
def test_one_wrong_element_is_found(shape):
    with pytest.raises(GradientError):
        gradcheck(cube(off_in_one_element), normal_leaf(*shape))


def test_the_message_names_the_input_the_place_and_both_numbers():
    x = Tensor(np.array([1.0, 2.0]), requires_grad=True)
    error = cube(lambda x, gy, gx: gx * 2.0)
    with pytest.raises(GradientError, match=r"gradcheck: input 1 \(shape \(2,\)\)") as caught:
        gradcheck(lambda constant, x: error(x), [Tensor(np.ones(2)), x])
    assert re.search("along random direction 0|at ", str(caught.value))
    given, expected = re.findall(r"gives? (-?[\d.]+)", str(caught.value))
    assert float(given) == pytest.approx(2 * float(expected))


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda x, gy, gx: -gx, id="sign"),
        pytest.param(lambda x, gy, gx: None, id="missing"),
        pytest.param(lambda x, gy, gx: gx * np.nan, id="NaN"),
        pytest.param(lambda x, gy, gx: gx.sum(axis=0), id="shape"),
    ],
)
def test_wrong_gradients_are_found(spoil):
    with pytest.raises(GradientError, match="input 0"):
        gradcheck(cube(spoil), normal_leaf(2, 3))


def test_a_backward_that_writes_into_its_inputs_is_found():
    def spoil_saved(x, gy, gx):
        x.data[0] += 1.0
        return gx

    def spoil_incoming(x, gy, gx):
        gy.data[0] = 0.0
        return gx

    for spoil in (spoil_saved, spoil_incoming):
        with pytest.raises(GradientError, match="backward wrote into a tensor of shape"):
            gradcheck(cube(spoil), normal_leaf(3))


def test_second_order_finds_what_first_order_cannot():
    detached = cube(lambda x, gy, gx: Tensor((3.0 * x * x).data) * gy)  # right, but not in x
    assert gradcheck(detached, normal_leaf(3))
    with pytest.raises(GradientError, match=r"gradgradcheck: input 0 .* backward gives 0,"):
        gradgradcheck(detached, normal_leaf(3))
    constant = cube(lambda x, gy, gx: 3.0 * x * x * Tensor(gy.data))  # right, but not in gy
    assert gradcheck(constant, normal_leaf(3))
    with pytest.raises(GradientError, match="the cotangent of output 0"):
        gradgradcheck(constant, normal_leaf(3))


def test_recording_must_not_change_a_gradient():
    other = cube(lambda x, gy, gx: gx + gy if gx.requires_grad else gx)
    assert gradcheck(other, normal_leaf(3))
    with pytest.raises(GradientError, match="create_graph=True changes gradient 0"):
        gradgradcheck(other, normal_leaf(3))


def test_several_inputs_and_outputs_and_constants():
    def fn(x, indices, c, y):
        return x[indices] * c, ops.exp(y), ops.sum(x) * y, indices

    c, indices = Tensor(np.array([2.0, 3.0])), Tensor(np.array([1, 1]))
    x, y = normal_leaf(2), normal_leaf(2)
    assert gradcheck(fn, [x, indices, c, y])
    assert gradgradcheck(fn, [x, indices, c, y])
    assert c.grad is x.grad is None


def test_a_function_may_reach_its_inputs_by_another_way():
    w = normal_leaf(3, 2)
    assert gradcheck(lambda _: ops.tanh(normal_leaf(4, 3) @ w), w)
    with pytest.raises(GradientError, match="input 0"):
        gradcheck(lambda _: cube(off_in_one_element)(w), w)


def test_inputs_are_put_back():
    x = normal_leaf(3)
    array, values = x.data, x.data.copy()
    calls = []

    def fails_later(x):
        calls.append(1)
        if len(calls) > 4:
            raise KeyError("later")
        return x * 2.0

    with pytest.raises(KeyError):
        gradcheck(fails_later, x)
    assert x.data is array
    np.testing.assert_array_equal(array, values)
    assert x.version == 0


def test_what_cannot_be_checked_is_an_error():
    with pytest.raises(TypeError, match=r"input 1 is float32.*float64"):
        gradcheck(ops.add, [normal_leaf(2), Tensor(np.ones(2, "float32"), requires_grad=True)])
    with pytest.raises(ValueError, match="none of the inputs requires a gradient"):
        gradgradcheck(ops.exp, [Tensor(np.ones(2))])
    rng = Random(0)
    with pytest.raises(ValueError, match="start its stream anew"):
        gradcheck(lambda x: ops.dropout(x, rng=rng), normal_leaf(20))
