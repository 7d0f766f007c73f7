"""Broadcasting, reducing and indexing at shapes that nobody thought of."""

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tinygen
from tests.leaves import distinct_leaf
from tinygen import Tensor, ops
from tinygen.ops.check import gradcheck, gradgradcheck

quick = settings(max_examples=25, deadline=None, derandomize=True, database=None)

shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=3)
pairs = hnp.mutually_broadcastable_shapes(num_shapes=2, min_side=0, max_dims=4, max_side=3)
products = hnp.mutually_broadcastable_shapes(
    signature=np.matmul.signature, min_side=0, max_dims=2, max_side=3
)


@st.composite
def reductions(draw):
    shape = draw(shapes)
    axis = draw(st.none() | hnp.valid_tuple_axes(len(shape)))
    return shape, axis, draw(st.booleans())


@quick
@given(pairs)
def test_broadcasting(pair):
    x, y = map(distinct_leaf, pair.input_shapes)
    for fn in (np.add, np.multiply, np.maximum):
        op = getattr(ops, fn.__name__)
        np.testing.assert_array_equal(op(x, y + 0.5).data, fn(x.data, y.data + 0.5))
    assert gradcheck(lambda x, y: ops.exp(-x) * y, [x, y])
    assert gradgradcheck(lambda x, y: ops.exp(-x) * y, [x, y])


@quick
@given(pairs)
def test_sum_to_is_the_adjoint_of_broadcast_to(pair):
    x, shape = distinct_leaf(pair.input_shapes[0]), pair.result_shape
    y = distinct_leaf(shape)
    left = (ops.broadcast_to(x, shape) * y).sum().item()
    right = (x * ops.sum_to(y, x.shape)).sum().item()
    np.testing.assert_allclose(left, right, rtol=1e-12)


@quick
@given(reductions())
def test_reductions(reduction):
    shape, axis, keepdims = reduction
    x = distinct_leaf(shape)
    kept = np.sum(x.data, axis=axis, keepdims=keepdims)
    assert ops.sum(x, axis, keepdims).shape == kept.shape
    np.testing.assert_allclose(ops.sum(x, axis, keepdims).data, kept)
    count = x.size // max(kept.size, 1)
    assert gradcheck(lambda x: ops.norm(x, axis, keepdims), x)
    if count and x.size:
        for fn in (np.mean, np.var, np.max, np.min):
            found = getattr(ops, fn.__name__)(x, axis, keepdims)
            np.testing.assert_allclose(found.data, fn(x.data, axis=axis, keepdims=keepdims))
            assert gradcheck(lambda x, op=fn.__name__: getattr(ops, op)(x, axis, keepdims), x)
        assert gradgradcheck(lambda x: ops.logsumexp(x, axis, keepdims), x)


@quick
@given(products)
def test_matrix_products(pair):
    x, y = map(distinct_leaf, pair.input_shapes)
    np.testing.assert_allclose(ops.matmul(x, y).data, np.matmul(x.data, y.data), rtol=1e-12)
    assert gradcheck(ops.matmul, [x, y])
    assert gradgradcheck(ops.matmul, [x, y])


@quick
@given(st.data())
def test_indexing(data):
    x = distinct_leaf(data.draw(shapes))
    index = data.draw(hnp.basic_indices(x.shape, allow_newaxis=True))
    y = ops.getitem(x, index)
    np.testing.assert_array_equal(y.data, x.data[index])
    (g,) = tinygen.grad(y, x, np.ones(y.shape))
    counted = np.zeros(x.shape)
    counted[index] += 1
    np.testing.assert_array_equal(g.data, counted)


@pytest.mark.parametrize("index", [np.s_[None, :, None, None], np.s_[:, None, None, None]])
@pytest.mark.parametrize(
    "fn",
    [
        ops.upsample2d,
        lambda x: ops.upsample2d(x, (1, 3), "bilinear"),
        ops.blur2d,
        lambda x: ops.max_pool2d(x, 2, padding=1),
        lambda x: ops.avg_pool2d(x, 2, padding=1),
        lambda x: ops.conv2d(x, np.ones((3, 3, 1, 2))),
        lambda x: ops.conv2d_transpose(x, np.ones((3, 3, 2, 1)), stride=2),
    ],
)
def test_the_stride_of_an_axis_of_length_one_means_nothing(fn, index):
    """A new axis has the stride 0 in NumPy, and counts as contiguous."""
    thin = np.array([1.0, 2.0, 4.0])[index]
    found, expected = fn(Tensor(thin)), fn(Tensor(thin.copy()))
    np.testing.assert_array_equal(found.data, expected.data)
