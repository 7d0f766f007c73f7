"""What every op promises, checked for each row of the table in tests/op_cases."""

import numpy as np
import pytest
from tinygen_kernels import using

import tinygen
from tests.cuda.equipment import every_backend
from tests.op_cases import (
    activation,
    conv,
    elementwise,
    loss,
    matmul,
    norm,
    pool,
    random,
    reduce,
    resample,
    rnn,
    shape,
)
from tests.op_cases.case import torch
from tinygen import Tensor, ops
from tinygen.ops.check import gradcheck, gradgradcheck

FAMILIES = [
    elementwise,
    reduce,
    shape,
    matmul,
    conv,
    rnn,
    activation,
    norm,
    loss,
    random,
    pool,
    resample,
]
CASES = [case for family in FAMILIES for case in family.CASES]
VARIANTS = [variant for case in CASES for variant in case.variants()]
# Some promises do not depend on the shape: the one that the row itself gives will do.
OPTIONS = [v for v in VARIANTS if v.shapes == tuple(s.shape for s in v.case.inputs)]

every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=str)
every_option = pytest.mark.parametrize("variant", OPTIONS, ids=str)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])


def tensors(arrays):
    """Tensors; those of a floating type require a gradient, labels and masks do not."""
    return [Tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]


def listed(outputs):
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


def cotangents(outputs, dtype="float64"):
    """The same ones each time, as numbers such as float32 can hold."""
    rng = np.random.default_rng(1)
    return [np.asarray(rng.normal(size=tuple(y.shape)), "float32").astype(dtype) for y in outputs]


def value_and_gradients(fn, inputs):
    """The outputs of fn, and the gradients of its inputs that require one, as arrays."""
    outputs = listed(fn(*inputs))
    moving = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    gradients = tinygen.grad(outputs, moving, cotangents(outputs, outputs[0].dtype))
    return [y.data for y in outputs], [g.data for g in gradients]


def assert_close(actual, expected, bounds):
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, **bounds)


def test_every_op_has_a_case():
    names = {name for name in ops.__all__ if callable(getattr(ops, name)) and name.islower()}
    assert names == {case.name for case in CASES}


@pytest.mark.parametrize("name", sorted({case.name for case in CASES}))
def test_every_op_is_tried_on_zero_size_and_against_pytorch(name):
    cases = [case for case in CASES if case.name == name]
    assert any(case.empty for case in cases)
    assert all(callable(case.torch) or len(case.torch.split()) > 3 for case in cases)


@every_backend
@every_dtype
@every_variant
def test_value_and_gradient(variant, dtype, backend):
    """The value is the reference's; types are kept, inputs left alone, gradients fit their inputs.

    Whether gradients are right is for `test_first_order`; here they must be the same everywhere.
    """
    arrays = variant.sample(dtype)
    copies = [a.copy() for a in arrays]
    with using(backend):
        values, gradients = value_and_gradients(variant.fn, tensors(arrays))
    _, expected = value_and_gradients(variant.fn, tensors(variant.sample()))
    assert {a.dtype for a in values + gradients} == {np.dtype(dtype)}
    assert [g.shape for g in gradients] == [a.shape for a in arrays if a.dtype.kind == "f"]
    assert_close(values, variant.reference(*variant.sample()), variant.bounds(dtype))
    assert_close(gradients, expected, variant.bounds(dtype, times=10))
    for a, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(a, copy)


@every_variant
def test_first_order(variant):
    assert gradcheck(variant.fn, tensors(variant.sample()))


@every_variant
def test_second_order(variant):
    assert gradgradcheck(variant.fn, tensors(variant.sample()))


@pytest.mark.skipif(torch is None, reason="compares with PyTorch: pip install 'tinygen[bench]'")
@pytest.mark.parametrize("variant", [v for v in VARIANTS if callable(v.case.torch)], ids=str)
def test_agrees_with_pytorch(variant):
    arrays = variant.sample()
    outputs, gradients = value_and_gradients(variant.fn, tensors(arrays))
    theirs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    expected = variant.torch(*theirs)
    torch.autograd.backward(expected, [torch.from_numpy(c) for c in cotangents(expected)])
    assert_close(outputs, [y.detach().numpy() for y in expected], variant.bounds("float64"))
    moving = [x for x in theirs if x.requires_grad]
    assert_close(gradients, [x.grad.numpy() for x in moving], variant.bounds("float64"))


def by_rows(a):
    """The same numbers, last axis fastest."""
    return a.copy(order="C")


def by_columns(a):
    """The same numbers, first axis fastest."""
    return a.copy(order="F")


def transposed(a):
    """The same numbers, second axis slowest, as where time or channels come before the batch."""
    return a if a.ndim < 2 else a.swapaxes(0, 1).copy(order="C").swapaxes(0, 1)


def strided(a):
    """The same numbers, every second one of a wider array."""
    return np.repeat(a[..., None], 2, axis=-1)[..., 0]


def backwards(a):
    """The same numbers, stored in the opposite order."""
    return np.flip(np.flip(a).copy())


def strides(arrays, layout):
    """The steps in memory that tell layouts of these arrays apart."""
    return tuple(layout(a).strides for a in arrays)


def both_orders(variant, layout):
    """Outputs, gradients by either way, and gradients of the gradients, all of one layout."""
    inputs = tensors([layout(a) for a in variant.sample()])
    moving = [x for x in inputs if x.requires_grad]
    outputs = listed(variant.fn(*inputs))
    cs = [Tensor(layout(c), requires_grad=True) for c in cotangents(outputs)]
    plain = tinygen.grad(outputs, moving, [c.detach() for c in cs], retain_graph=True)
    gradients = tinygen.grad(outputs, moving, cs, create_graph=True)
    seconds = tinygen.grad(
        gradients, [*moving, *cs], [layout(c) for c in cotangents(gradients)], allow_unused=True
    )
    results = [*outputs, *plain, *gradients, *seconds]
    return [np.array(0.0) if y is None else y.data for y in results]


@every_backend
@every_option
def test_layout_in_memory_does_not_matter(variant, backend):
    """Nor for the gradients of either order, nor that of what backward starts with."""
    with using(backend):
        expected = both_orders(variant, by_rows)
        arrays = [*variant.sample(), *expected]
        tried = {strides(arrays, by_rows)}
        for layout in (by_columns, transposed, strided, backwards):
            if strides(arrays, layout) in tried:  # with few axes two of them are the same
                continue
            tried.add(strides(arrays, layout))
            assert_close(both_orders(variant, layout), expected, variant.bounds("float64", 10))


@every_option
def test_constants_may_be_arrays(variant):
    """One input as a tensor, the others as plain arrays: its gradients of both orders are there."""
    arrays = variant.sample()
    _, expected = value_and_gradients(variant.fn, tensors(arrays))
    moving = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    for i, gradient in zip(moving, expected, strict=True):

        def alone(x, i=i):
            return variant.fn(*arrays[:i], x, *arrays[i + 1 :])

        x = Tensor(arrays[i], requires_grad=True)
        _, found = value_and_gradients(alone, [x])
        assert_close(found, [gradient], variant.bounds("float64"))
        assert len(arrays) == 1 or gradgradcheck(alone, x)


@every_backend
@every_dtype
@every_option
def test_nan_goes_through(variant, dtype, backend):
    arrays = variant.sample(dtype)
    for i, a in enumerate(arrays):
        if a.dtype.kind == "f" and a.size:
            spoilt = a.copy()
            spoilt.flat[0] = np.nan
            inputs = [*arrays[:i], spoilt, *arrays[i + 1 :]]
            with using(backend):
                outputs = listed(variant.fn(*tensors(inputs)))
            for y, expected in zip(outputs, variant.reference(*inputs), strict=True):
                found, lost = np.isnan(y.data), np.isnan(expected)
                if variant.case.spreads_nan:
                    found = found & lost
                np.testing.assert_array_equal(found, lost)
