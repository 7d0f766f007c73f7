"""What every op promises, checked for each row of the table in tests/op_cases."""

import numpy as np
import pytest
from tinygen_kernels import using

import tinygen
from tests.op_cases import activation, elementwise, loss, matmul, random, reduce, shape
from tests.op_cases.case import torch
from tinygen import Tensor, ops
from tinygen.ops.check import gradcheck, gradgradcheck

FAMILIES = [elementwise, reduce, shape, matmul, activation, loss, random]
CASES = [case for family in FAMILIES for case in family.CASES]
VARIANTS = [variant for case in CASES for variant in case.variants()]
FIRST = [next(case.variants()) for case in CASES]  # of each row

every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=str)
every_case = pytest.mark.parametrize("variant", FIRST, ids=str)
every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
every_backend = pytest.mark.parametrize("backend", ["auto", "reference"])


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
def test_value(variant, dtype, backend):
    arrays = variant.sample(dtype)
    copies = [a.copy() for a in arrays]
    with using(backend):
        outputs = [y.data for y in listed(variant.fn(*tensors(arrays)))]
    assert {y.dtype for y in outputs} == {np.dtype(dtype)}
    assert_close(outputs, variant.reference(*variant.sample()), variant.bounds(dtype))
    for a, copy in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(a, copy)


@every_backend
@every_dtype
@every_variant
def test_gradient_has_the_type_of_its_input_and_is_the_same_everywhere(variant, dtype, backend):
    with using(backend):
        inputs = tensors(variant.sample(dtype))
        _, gradients = value_and_gradients(variant.fn, inputs)
    _, expected = value_and_gradients(variant.fn, tensors(variant.sample()))
    assert {g.dtype for g in gradients} == {np.dtype(dtype)}
    bounds = {key: 10 * bound for key, bound in variant.bounds(dtype).items()}
    assert_close(gradients, expected, bounds)
    for x, g in zip([x for x in inputs if x.requires_grad], gradients, strict=True):
        assert x.shape == g.shape


@every_variant
def test_first_order(variant):
    assert gradcheck(variant.fn, tensors(variant.sample()))


@every_variant
def test_second_order(variant):
    assert gradgradcheck(variant.fn, tensors(variant.sample()))


@every_variant
def test_agrees_with_pytorch(variant):
    if torch is None:
        pytest.skip("PyTorch is not installed: pip install 'tinygen[bench]' to compare with it")
    if isinstance(variant.case.torch, str):
        pytest.skip(variant.case.torch)
    arrays = variant.sample()
    outputs, gradients = value_and_gradients(variant.fn, tensors(arrays))
    theirs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    expected = variant.torch(*theirs)
    torch.autograd.backward(expected, [torch.from_numpy(c) for c in cotangents(expected)])
    assert_close(outputs, [y.detach().numpy() for y in expected], variant.bounds("float64"))
    moving = [x for x in theirs if x.requires_grad]
    assert_close(gradients, [x.grad.numpy() for x in moving], variant.bounds("float64"))


def strided(a):
    """The same numbers, every second one of a wider array."""
    return np.repeat(a[..., None], 2, axis=-1)[..., 0]


def backwards(a):
    """The same numbers, stored in the opposite order."""
    return np.flip(np.flip(a).copy())


@every_backend
@pytest.mark.parametrize("layout", [np.asfortranarray, strided, backwards])
@every_case
def test_layout_in_memory_does_not_matter(variant, layout, backend):
    arrays = variant.sample()
    with using(backend):
        expected = value_and_gradients(variant.fn, tensors(arrays))
        found = value_and_gradients(variant.fn, tensors([layout(a) for a in arrays]))
    bounds = variant.bounds("float64")
    for f, e in zip(found, expected, strict=True):
        assert_close(f, e, bounds)


@every_case
def test_constants_may_be_arrays(variant):
    """Each input alone as a tensor, the others as plain arrays: its gradients stay the same."""
    arrays = variant.sample()
    inputs = tensors(arrays)
    _, expected = value_and_gradients(variant.fn, inputs)
    moving = [i for i, x in enumerate(inputs) if x.requires_grad]
    for i, gradient in zip(moving, expected, strict=True):
        mixed = [inputs[i] if i == j else a for j, a in enumerate(arrays)]
        _, found = value_and_gradients(variant.fn, mixed)
        assert_close(found, [gradient], variant.bounds("float64"))

        def alone(x, i=i):
            return variant.fn(*arrays[:i], x, *arrays[i + 1 :])

        assert gradgradcheck(alone, inputs[i])


@every_backend
@every_dtype
@every_case
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
                np.testing.assert_array_equal(np.isnan(y.data), np.isnan(expected))
