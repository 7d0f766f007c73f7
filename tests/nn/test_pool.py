"""Pooling and resampling layers; the arithmetic is tested with the ops."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import Random, ops
from tinygen.nn import (
    AvgPool2D,
    Blur2D,
    Conv2D,
    GlobalAvgPool2D,
    MaxPool2D,
    Sequential,
    UpSampling2D,
)

X = np.random.default_rng(0).standard_normal((2, 7, 6, 4)).astype(np.float32)


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (MaxPool2D(), ops.max_pool2d(X)),
        (MaxPool2D(3, (2, 1), "same"), ops.max_pool2d(X, 3, (2, 1), "same")),
        (AvgPool2D(), ops.avg_pool2d(X)),
        (AvgPool2D((3, 2), 1, 1), ops.avg_pool2d(X, (3, 2), 1, 1)),
        (GlobalAvgPool2D(), X.mean((1, 2))),
        (GlobalAvgPool2D(keepdims=True), X.mean((1, 2), keepdims=True)),
        (UpSampling2D(), X.repeat(2, 1).repeat(2, 2)),
        (UpSampling2D((1, 3), "bilinear"), ops.upsample2d(X, (1, 3), "bilinear")),
        (UpSampling2D(2, (1, 3, 3, 1)), ops.upsample2d(X, 2, (1, 3, 3, 1))),
        (Blur2D(), ops.blur2d(X)),
        (Blur2D((1, 3, 3, 1)), ops.blur2d(X, (1, 3, 3, 1))),
    ],
    ids=repr,
)
def test_a_layer_calls_its_op(layer, expected):
    found = layer(X)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.numpy(), np.asarray(expected), rtol=1e-5, atol=1e-6)
    assert not layer.parameters()


def test_the_shapes_of_the_chapters_autoencoder():
    """Three convolutions, each halved: 28 -> 14 -> 7 -> 3, as the chapter's encoder has it."""
    encoder = Sequential(
        *(Conv2D(1, 16, 3, rng=Random(0)), MaxPool2D()),
        *(Conv2D(16, 32, 3, rng=Random(1)), MaxPool2D()),
        *(Conv2D(32, 64, 3, rng=Random(2)), MaxPool2D()),
    )
    assert encoder(np.zeros((2, 28, 28, 1), np.float32)).shape == (2, 3, 3, 64)
    assert "MaxPool2D(2)" in repr(encoder)
    assert repr(MaxPool2D(3, 2, "same")) == "MaxPool2D(3, stride=2, 'same')"


def test_what_becomes_larger_and_smaller_again_is_the_same():
    for factor in (1, 2, (3, 2)):
        again = AvgPool2D(factor)(UpSampling2D(factor)(X))
        np.testing.assert_allclose(again.numpy(), X, rtol=1e-6)
        np.testing.assert_array_equal(MaxPool2D(factor)(UpSampling2D(factor)(X)).numpy(), X)


@pytest.mark.parametrize("f", [(1, 2, 1), (1, 3, 3, 1)])
def test_a_constant_image_stays_constant_away_from_its_border(f):
    ones = np.ones((1, 12, 12, 3), np.float32)
    for y in (ops.blur2d(ones, f), ops.upsample2d(ones, 2, f), ops.downsample2d(ones, 2, f)):
        np.testing.assert_allclose(y.numpy()[:, 2:-2, 2:-2], 1, rtol=1e-6)
        assert y.numpy()[0, 0, 0, 0] < 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MaxPool2D(0), "MaxPool2D: size must be a whole number of at least 1, not 0"),
        (
            lambda: AvgPool2D(2, -1),
            "AvgPool2D: stride must be a whole number of at least 1, not -1",
        ),
        (lambda: MaxPool2D(2, padding="some"), 'padding must be "same", "valid", a number'),
        (
            lambda: UpSampling2D(0),
            "UpSampling2D: factor must be a whole number of at least 1, not 0",
        ),
        (lambda: UpSampling2D(2, "cubic"), '"nearest", "bilinear" or a filter, not \'cubic\''),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: ops.max_pool2d(X[0]), r"max_pool2d: images must be \(n, height, width, channels"),
        (lambda: ops.avg_pool2d(X[:, :0]), r"avg_pool2d: images must be .* got shape \(2, 0, 6"),
        (lambda: ops.max_pool2d(X, 8), "max_pool2d: images of .* have no window of size"),
        (lambda: ops.avg_pool2d(X, 2, 0), "avg_pool2d: stride must be a whole number"),
        (lambda: ops.max_pool2d(X, 2, padding=2), "must be less than the window's size"),
        (lambda: ops.max_pool2d(X, 2, padding=-1), "max_pool2d: padding must not be negative"),
        (lambda: ops.global_avg_pool2d(X[0]), "global_avg_pool2d: images must be"),
        (lambda: ops.upfirdn2d(X, (1, 1), up=0), "upfirdn2d: up must be a whole number"),
        (lambda: ops.upfirdn2d(X, np.ones(9)), "upfirdn2d: 7 pixels .* leave no room for 9 taps"),
        (lambda: ops.upfirdn2d(X, []), r"filter must be \(k,\) or \(kh, kw\), got shape \(0,\)"),
        (lambda: ops.upfirdn2d(X, [1], padding=(1, 2)), "upfirdn2d: padding must be a number or"),
        (lambda: ops.blur2d(X, ops.exp(X)), "blur2d: the filter is a constant"),
        (lambda: ops.blur2d(X, (1, -1)), "blur2d: the weights of the filter add up to 0"),
        (
            lambda: ops.upsample2d(X, 0),
            "upsample2d: factor must be a whole number of at least 1, not 0",
        ),
        (lambda: ops.upsample2d(X, 2, "cubic"), "upsample2d: method must be"),
        (lambda: ops.downsample2d(X, 2, "nearest"), "downsample2d: method must be"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(wrong, message):
    with pytest.raises(ValueError, match=message):
        wrong()
