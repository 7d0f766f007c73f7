"""The kernels of normalisation against their twins in NumPy; threads, layouts, hard numbers."""

import numba
import numpy as np
import pytest
from tinygen_kernels import Kernels

from tests.cuda.equipment import compiled_kernels

FAST, SLOW, CUDA = Kernels("cpu"), Kernels("reference"), Kernels("cuda")

# (groups, rows, channels): one block and many, odd, with few channels and with very many
SHAPES = [(1, 1, 1), (1, 64, 1), (3, 49, 3), (2, 300, 64), (1, 1000, 33), (4, 33, 130),
          (1, 40, 1300), (1, 3, 20000), (300, 4, 32)]  # fmt: skip
EMPTY = [(1, 0, 3), (0, 4, 3), (2, 4, 0)]

every_dtype = pytest.mark.parametrize("dtype", ["float32", "float64"])
every_shape = pytest.mark.parametrize("shape", SHAPES + EMPTY, ids=str)
ALL = (True, True, True)


def draw(shape, dtype, seed=0, offset=0.0):
    return (np.random.default_rng(seed).normal(size=shape) + offset).astype(dtype)


def assert_same(found, expected, error=None):
    """Equal up to rounding errors of the largest element."""
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype
    error = error or (2e-6 if found.dtype == np.float32 else 1e-11)
    largest = abs(expected).max(initial=1)
    np.testing.assert_allclose(found, expected, rtol=error, atol=error * largest)


def by_channels(shape, dtype):
    groups, _, channels = shape
    x, gy = draw(shape, dtype, 0, offset=3), draw(shape, dtype, 1)
    return x, gy, draw((groups, channels), dtype, 2), draw((1, channels), dtype, 3)


@compiled_kernels
@every_dtype
@every_shape
def test_by_channels(shape, dtype, kernels):
    x, gy, scale, shift = by_channels(shape, dtype)
    y, mean, variance = SLOW.channel_norm(x, scale, shift, 1e-3)
    for found, expected in zip(
        kernels.channel_norm(x, scale, shift, 1e-3), (y, mean, variance), strict=True
    ):
        assert_same(found, expected)
    assert_same(
        kernels.channel_affine(x, mean, scale, shift), SLOW.channel_affine(x, mean, scale, shift)
    )
    for found, expected in zip(
        kernels.channel_sums(x, gy, mean), SLOW.channel_sums(x, gy, mean), strict=True
    ):
        assert_same(found, expected)
    arguments = x, gy, scale, mean, variance, 1e-3
    for found, expected in zip(
        kernels.channel_norm_grad(*arguments, ALL),
        SLOW.channel_norm_grad(*arguments, ALL),
        strict=True,
    ):
        assert_same(found, expected)
    for each in (kernels, SLOW):
        assert each.channel_norm_grad(*arguments, (False,) * 3) == (None, None, None)


@compiled_kernels
@every_dtype
@every_shape
def test_by_rows(shape, dtype, kernels):
    x, gy = draw(shape, dtype, 0, offset=3), draw(shape, dtype, 1)
    x, gy = (a.reshape(shape[0] * shape[1], shape[2]) for a in (x, gy))
    scale, shift = draw(shape[2], dtype, 2), draw(shape[2], dtype, 3)
    assert_same(kernels.layer_norm(x, scale, shift, 0.1), SLOW.layer_norm(x, scale, shift, 0.1))
    for found, expected in zip(
        kernels.layer_norm_grad(x, gy, scale, 0.1, ALL),
        SLOW.layer_norm_grad(x, gy, scale, 0.1, ALL),
        strict=True,
    ):
        assert_same(found, expected, 2e-6 if dtype == "float32" else 1e-11)
    for each in (kernels, SLOW):
        assert each.layer_norm_grad(x, gy, scale, 0.1, (False,) * 3) == (None, None, None)
    assert_same(kernels.pixel_norm(x, 1e-8), SLOW.pixel_norm(x, 1e-8))
    assert_same(kernels.pixel_norm_grad(x, gy, 1e-8), SLOW.pixel_norm_grad(x, gy, 1e-8))


@compiled_kernels
@every_dtype
@pytest.mark.parametrize("shape", [(0, 3), (5, 0), (1, 1), (1000, 16)], ids=str)
def test_rows_that_are_added_up(shape, dtype, kernels):
    x, indices = draw(shape, dtype), np.random.default_rng(1).integers(0, 7, len(draw(shape, "f")))
    assert_same(kernels.add_rows(x, indices, 7), SLOW.add_rows(x, indices, 7))


@pytest.mark.parametrize("shape", [(1, 1000, 33), (1, 40, 1300), (20, 100, 30)], ids=str)
def test_bits_do_not_depend_on_threads(shape):
    x, gy, scale, shift = by_channels(shape, "float32")

    def everything():
        y, mean, variance = FAST.channel_norm(x, scale, shift, 1e-3)
        rows = x[0], gy[0], scale[0]
        return [
            *(y, mean, variance),
            *FAST.channel_norm_grad(x, gy, scale, mean, variance, 1e-3, ALL),
            *(FAST.layer_norm(x[0], scale[0], shift[0], 0.1), FAST.pixel_norm(x[0], 0.1)),
            *FAST.layer_norm_grad(*rows, 0.1, ALL),
            FAST.pixel_norm_grad(x[0], gy[0], 0.1),
        ]

    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = everything()
    finally:
        numba.set_num_threads(threads)
    for one, many in zip(alone, everything(), strict=True):
        assert one.tobytes() == many.tobytes()


@compiled_kernels
@every_dtype
@pytest.mark.parametrize("offset", [1e3, 1e6])
def test_a_large_mean_costs_no_digits(dtype, offset, kernels):
    """Moments against those of the same numbers without their offset, which they hold exactly."""
    steps = np.random.default_rng(0).integers(-8, 9, (1, 5000, 3)) / 4
    x, exact = (steps + offset).astype(dtype), steps
    y, mean, variance = kernels.channel_norm(
        x, np.ones((1, 3), dtype), np.zeros((1, 3), dtype), 0.0
    )
    np.testing.assert_allclose(mean - offset, exact.mean(1), atol=1e-15 * offset)
    np.testing.assert_allclose(variance, exact.var(1), rtol=1e-13)
    expected = (exact - exact.mean(1)) / exact.std(1)
    error = 5e-7 if dtype == "float32" else 5e-16 * offset
    np.testing.assert_allclose(y, expected, rtol=error, atol=error)


@compiled_kernels
def test_a_first_row_far_from_the_others_costs_few_digits(kernels):
    x = draw((1, 10_000, 2), "float64")
    x[0, 0] = 1e4
    _, mean, variance = kernels.channel_norm(x, np.ones((1, 2)), np.zeros((1, 2)), 0.0)
    np.testing.assert_allclose(mean, x.mean(1), rtol=1e-11)
    np.testing.assert_allclose(variance, x.var(1), rtol=1e-11)
