"""Normalisation by channels and by rows as CUDA kernels."""

import numpy as np
import pytest

from .equipment import CUDA, REFERENCE, distance, in_every_order, needs_compiler

pytestmark = needs_compiler
BOUNDS = {"float32": 1e-7, "float64": 4e-15}
SUMS = 4e-15  # are float64 for either type

# (groups, rows, channels): one number and packs of them, a tile and several, a share and several
BY_CHANNELS = [(1, 1, 1), (1, 5000, 1), (3, 49, 3), (2, 300, 64), (2, 30, 130), (1, 9, 260)]
# (rows, features): a part of a warp, several packs for a lane, a block, the largest block
BY_ROWS = [(1, 1), (70, 3), (50, 16), (9, 60), (5, 130), (3, 600), (2, 2061)]
ALL = (True, True, True)

every_dtype = pytest.mark.parametrize("dtype", BOUNDS)


def normal(*shape, dtype="float32", seed=0, offset=0.0):
    return (np.random.default_rng(seed).normal(size=shape) + offset).astype(dtype)


def exact(*arrays):
    return [a.astype("float64") for a in arrays]


def assert_near(found, expected, dtypes, bounds):
    for a, b, dtype, bound in zip(found, expected, dtypes, bounds, strict=True):
        assert a.dtype == dtype
        assert a.shape == b.shape
        assert distance(a, b) < bound


@every_dtype
@pytest.mark.parametrize("own", [True, False], ids=["scale for each group", "one scale"])
@pytest.mark.parametrize("shape", BY_CHANNELS, ids=str)
def test_by_channels(shape, dtype, own):
    groups, _, channels = shape
    x, gy = normal(*shape, dtype=dtype, offset=3), normal(*shape, dtype=dtype, seed=1)
    scale = normal(groups if own else 1, channels, dtype=dtype, seed=2)
    shift = normal(1, channels, dtype=dtype, seed=3)
    forward = [dtype, "float64", "float64"], [BOUNDS[dtype], SUMS, SUMS]

    y, mean, variance = in_every_order(lambda: CUDA.channel_norm(x, scale, shift, 0.1))
    expected = REFERENCE.channel_norm(*exact(x, scale, shift), 0.1)
    assert_near((y, mean, variance), expected, *forward)

    arguments = scale, mean, variance, 0.1
    found = in_every_order(lambda: CUDA.channel_norm_grad(x, gy, *arguments, ALL))
    expected = REFERENCE.channel_norm_grad(*exact(x, gy, scale), mean, variance, 0.1, ALL)
    assert_near(found, expected, *forward)

    found = in_every_order(lambda: CUDA.channel_sums(x, gy, mean))
    assert_near(found, REFERENCE.channel_sums(*exact(x, gy), mean), *(each[1:] for each in forward))
    for m in mean, mean.astype(dtype), mean[:1].astype(dtype):
        y = in_every_order(lambda m=m: CUDA.channel_affine(x, m, scale, shift))
        expected = REFERENCE.channel_affine(*exact(x, m, scale, shift))
        assert_near([y], [expected], [dtype], [BOUNDS[dtype]])


@every_dtype
@pytest.mark.parametrize("shape", BY_ROWS, ids=str)
def test_by_rows(shape, dtype):
    x, gy = normal(*shape, dtype=dtype, offset=3), normal(*shape, dtype=dtype, seed=1)
    scale, shift = (normal(shape[1], dtype=dtype, seed=seed) for seed in (2, 3))
    bound = BOUNDS[dtype]
    for name, arrays in (("layer_norm", (x, scale, shift)), ("pixel_norm", (x,)),
                         ("pixel_norm_grad", (x, gy))):  # fmt: skip
        y = in_every_order(lambda name=name, arrays=arrays: getattr(CUDA, name)(*arrays, 0.1))
        assert_near([y], [getattr(REFERENCE, name)(*exact(*arrays), 0.1)], [dtype], [bound])
    found = in_every_order(lambda: CUDA.layer_norm_grad(x, gy, scale, 0.1, ALL))
    expected = REFERENCE.layer_norm_grad(*exact(x, gy, scale), 0.1, ALL)
    assert_near(found, expected, [dtype, "float64", "float64"], [bound, SUMS, SUMS])


@pytest.mark.parametrize(
    "needed", [(True, False, False), (False, True, False), (False, False, True)]
)
def test_only_what_is_needed(needed):
    x, gy, scale = normal(2, 9, 8), normal(2, 9, 8, seed=1), normal(1, 8, seed=2)
    _, mean, variance = CUDA.channel_norm(x, scale, scale, 0.1)
    by_channels = x, gy, scale, mean, variance, 0.1
    by_rows = x[0], gy[0], scale[0], 0.1
    for kernel, arguments in (CUDA.channel_norm_grad, by_channels), (CUDA.layer_norm_grad, by_rows):
        everything = kernel(*arguments, ALL)
        for found, whole, is_needed in zip(
            kernel(*arguments, needed), everything, needed, strict=True
        ):
            assert (found is not None) == is_needed
            if is_needed:
                np.testing.assert_array_equal(found, whole)


def test_arrays_that_lie_in_any_way():
    """Neither by rows nor at multiples of 16 bytes, and locked."""
    whole = normal(2, 41, 9)
    x, scale = whole[:, ::2, 1:], normal(1, 8, seed=2)
    odd = whole.reshape(-1)[1:641].reshape(2, 40, 8)
    odd.flags.writeable = False
    for strange in x, odd:
        usual = strange.copy()
        for found, expected in zip(
            CUDA.channel_norm(strange, scale, scale, 0.1),
            CUDA.channel_norm(usual, scale, scale, 0.1),
            strict=True,
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-6)
        np.testing.assert_allclose(
            CUDA.layer_norm(strange[0], scale[0], scale[0], 0.1),
            CUDA.layer_norm(usual[0], scale[0], scale[0], 0.1),
            rtol=1e-6,
        )


def test_nan_stays_nan_in_its_channel():
    x = normal(1, 20, 3)
    x[0, 4, 1] = np.nan
    one = np.ones((1, 3), "float32")
    for result in CUDA.channel_norm(x, one, one, 0.1):
        np.testing.assert_array_equal(
            np.isnan(result).any(axis=tuple(range(result.ndim - 1))), [0, 1, 0]
        )
    rows = CUDA.layer_norm(x[0], one[0], one[0], 0.1)
    np.testing.assert_array_equal(np.isnan(rows).any(axis=1), np.arange(20) == 4)
