"""Conv2D and Conv2DTranspose as layers; the arithmetic is tested with the ops."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import Random, ops
from tinygen.nn import Conv2D, Conv2DTranspose, Sequential

X = np.random.default_rng(0).standard_normal((2, 7, 6, 4)).astype(np.float32)


def test_a_convolution_calls_the_op_with_its_options():
    layer = Conv2D(4, 6, (3, 2), 2, 1, "selu", groups=2, rng=Random(0))
    layer.bias.data[...] = np.arange(6)
    assert layer.weight.shape == (3, 2, 2, 6)
    expected = ops.conv2d(X, layer.weight, layer.bias, 2, 1, 1, 2, "selu")
    np.testing.assert_array_equal(layer(X).data, expected.data)


def test_a_transposed_convolution_calls_the_op_with_its_options():
    layer = Conv2DTranspose(4, 6, 3, 2, 1, "tanh", output_padding=1, groups=2, rng=Random(0))
    layer.bias.data[...] = np.arange(6)
    assert layer.weight.shape == (3, 3, 3, 4)
    expected = ops.conv2d_transpose(X, layer.weight, layer.bias, 2, 1, 1, 2, "tanh", 1)
    np.testing.assert_array_equal(layer(X).data, expected.data)
    assert layer(X).shape == (2, 14, 12, 6)


def test_the_transpose_is_the_adjoint_of_the_convolution():
    """<conv x, y> = <x, conv^T y>, whatever the geometry."""
    rng = np.random.default_rng(1)
    for kernel, stride, padding in ((3, 1, "same"), (5, 2, "same"), ((2, 4), (2, 3), "valid")):
        conv = Conv2D(4, 3, kernel, stride, padding, bias=False, rng=Random(0)).to(dtype="float64")
        x = rng.standard_normal((2, 8, 10, 4))
        y = rng.standard_normal(conv(x).shape)
        back = ops.conv2d_transpose(y, conv.weight, None, stride, padding)
        assert back.shape == x.shape
        assert np.vdot(conv(x).data, y) == pytest.approx(np.vdot(x, back.data), rel=1e-12)


def test_the_shapes_of_the_chapters_autoencoder():
    encoder = Sequential(Conv2D(1, 16, 3), Conv2D(16, 32, 3, 2), Conv2D(32, 64, 3, 2))
    decoder = Sequential(
        Conv2DTranspose(64, 32, 3, 2, "valid"), Conv2DTranspose(32, 16, 3, 2), Conv2D(16, 1, 1)
    )
    codes = encoder(np.zeros((2, 12, 12, 1), np.float32))
    assert codes.shape == (2, 3, 3, 64)
    assert decoder(codes).shape == (2, 14, 14, 1)
    assert "Conv2DTranspose(64, 32, 3, stride=2, padding='valid')" in repr(decoder)


def test_weights_are_drawn_from_rng_and_there_may_be_no_bias():
    a, b = (Conv2D(3, 8, 3, bias=False, rng=Random(5)) for _ in range(2))
    np.testing.assert_array_equal(a.weight.data, b.weight.data)
    assert len(a.parameters()) == 1
    limit = np.sqrt(6 / (9 * (3 + 8)))
    assert limit * 0.8 < abs(a.weight.data).max() <= limit


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3, 3), "Conv2D: inputs must be a whole number of at least 1, not 0"),
        ((4, 3, 3, 0), "Conv2D: stride must be a whole number of at least 1, not 0"),
        ((4, 3, 3, 1, "some"), 'padding must be "same", "valid", a number or pairs, not \'some\''),
        ((4, 3, 3, 1, -1), "padding must not be negative"),
        ((4, 3, 3, 1, (1, 2)), r"padding must be \(\(top, bottom\), \(left, right\)\)"),
        ((4, 3, 3, 1, "same", "rulu"), "unknown activation 'rulu': did you mean 'relu'"),
    ],
)
def test_what_is_wrong_is_said(arguments, message):
    with pytest.raises(ValueError, match=message):
        Conv2D(*arguments)


def test_groups_must_divide_the_channels():
    with pytest.raises(ValueError, match="Conv2DTranspose: 3 groups do not divide 4 and 6"):
        Conv2DTranspose(4, 6, 3, groups=3)


def test_images_that_do_not_fit():
    layer = Conv2D(4, 6, 3, padding="valid")
    with pytest.raises(ValueError, match=r"conv2d: images of shape \(2, 7, 6, 3\) have 3 channels"):
        layer(X[..., :3])
    with pytest.raises(ValueError, match=r"conv2d: needs images \(n, height, width, channels\)"):
        layer(X[0])
    with pytest.raises(
        ValueError, match=r"images of \(7, 2\) pixels .* leave no room for a kernel"
    ):
        layer(X[:, :, :2])
    with pytest.raises(ValueError, match=r"bias of shape \(5,\) for 6 outputs"):
        ops.conv2d(X, layer.weight, np.zeros(5))
    with pytest.raises(ValueError, match=r"output_padding .* must be below the stride"):
        ops.conv2d_transpose(X, np.zeros((3, 3, 2, 4)), stride=2, output_padding=2)
    with pytest.raises(ValueError, match="conv2d_weight_grad: gy of shape"):
        ops.conv2d_weight_grad(X, X, 3, stride=2)
