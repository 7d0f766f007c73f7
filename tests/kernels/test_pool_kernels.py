"""Pooling and resampling at geometries that nobody thought of; ties, NaN, infinities, threads."""

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinygen_kernels import Kernels
from tinygen_kernels.bands import Band
from tinygen_kernels.geometry import Geometry

from tests.cuda.equipment import compiled_kernels, every_kernels
from tests.op_cases.resample import torch_upfirdn2d, upfirdn2d
from tinygen import Tensor, ops
from tinygen.ops.check import gradcheck

try:
    import torch
except ImportError:  # the comparisons with PyTorch are then left out
    torch = None

FAST, SLOW, CUDA = Kernels("cpu"), Kernels("reference"), Kernels("cuda")
PLAIN = Geometry((4, 6), (2, 2), (2, 2))
PADDED = Geometry((5, 6), (3, 2), (2, 1), ((1, 2), (1, 0)))

quick = settings(max_examples=60, deadline=None, derandomize=True, database=None)
side = st.integers(1, 9)
few = st.integers(1, 4)


@st.composite
def geometries(draw):
    kernel, stride = draw(st.tuples(few, few)), draw(st.tuples(few, few))
    pads = tuple((draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in kernel)
    size = tuple(draw(st.integers(k, 9)) for k in kernel)
    return Geometry(size, kernel, stride, pads)


@st.composite
def filterings(draw):
    """Arguments of upfirdn2d, and the size of an image that they fit."""
    kernel, up, down = (draw(st.tuples(few, few)) for _ in range(3))
    pads = tuple(draw(st.tuples(st.integers(-1, 4), st.integers(-1, 4))) for _ in range(2))
    weights = np.random.default_rng(draw(few)).normal(size=kernel)
    least = [-(-(k - sum(around)) // u) for k, around, u in zip(kernel, pads, up, strict=True)]
    size = tuple(draw(st.integers(max(n, 2), max(n, 2) + 6)) for n in least)
    return size, {"f": weights, "up": up, "down": down, "padding": pads,
                  "flip_filter": draw(st.booleans())}  # fmt: skip


def image(size, channels, dtype="float64", n=2):
    """Every number is there several times, so the largest is often a matter of the first."""
    rng = np.random.default_rng(7 * size[0] + size[1])
    return rng.integers(-4, 5, (n, *size, channels)).astype(dtype)


@compiled_kernels
@quick
@given(geometries(), st.sampled_from([1, 3, 16, 35]), st.sampled_from(["float32", "float64"]))
def test_max_pooling(kernels, geometry, channels, dtype):
    x = image(geometry.size, channels, dtype)
    y, position = SLOW.max_pool2d(x, geometry)
    for found, expected in zip(kernels.max_pool2d(x, geometry), (y, position), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(kernels.max_pool2d_pick(x, position, geometry), y)
    back = SLOW.max_pool2d_grad(y, position, geometry)
    np.testing.assert_allclose(kernels.max_pool2d_grad(y, position, geometry), back, atol=1e-5)
    other = image(geometry.size, channels, "float64", n=2)[:, ::-1]
    left = np.vdot(SLOW.max_pool2d_pick(other, position, geometry), y)
    np.testing.assert_allclose(left, np.vdot(other, back))  # the gradient is the adjoint


@pytest.mark.skipif(torch is None, reason="compares with PyTorch: pip install 'tinygen[bench]'")
@quick
@given(geometries(), st.sampled_from([1, 3, 16]))
def test_pooling_agrees_with_pytorch(geometry, channels):
    """Theirs pads both sides alike, so ours has to be padded less than their half window."""
    x = image(geometry.size, channels) + np.random.default_rng(0).normal(size=channels)
    pads = tuple((min(a, k // 2),) * 2 for (a, _), k in zip(geometry.pads, geometry.kernel,
                                                            strict=True))  # fmt: skip
    arguments = geometry.kernel, geometry.stride
    theirs = torch.tensor(x).permute(0, 3, 1, 2).requires_grad_()
    around = pads[0][0], pads[1][0]
    for op, expected in (
        (ops.max_pool2d, torch.nn.functional.max_pool2d(theirs, *arguments, around)),
        (ops.avg_pool2d, torch.nn.functional.avg_pool2d(
            theirs, *arguments, around, count_include_pad=False)),
    ):  # fmt: skip
        ours = Tensor(x, requires_grad=True)
        y = op(ours, *arguments, pads)
        np.testing.assert_allclose(
            y.data, expected.permute(0, 2, 3, 1).detach(), rtol=1e-12, atol=1e-14
        )
        theirs.grad = None
        expected.square().sum().backward()
        (y * y).sum().backward()
        np.testing.assert_allclose(
            ours.grad.data, theirs.grad.permute(0, 2, 3, 1), rtol=1e-12, atol=1e-12
        )


@quick
@given(filterings(), st.sampled_from([1, 3, 17]))
def test_upfirdn2d(filtering, channels):
    size, options = filtering
    x = image(size, channels)
    y = ops.upfirdn2d(x, **options).data
    np.testing.assert_allclose(y, upfirdn2d(x, **options), rtol=1e-10, atol=1e-11)
    if torch is not None:
        np.testing.assert_allclose(
            y, torch_upfirdn2d(torch.tensor(x), **options), rtol=1e-10, atol=1e-11
        )
    if channels == 1:
        assert gradcheck(lambda x: ops.upfirdn2d(x, **options), Tensor(x, requires_grad=True))


@every_kernels
@quick
@given(few, few, few, st.tuples(side, side), st.sampled_from(["float32", "float64"]))
def test_resampling_by_any_two_bands(kernels, taps, period, channels, size, dtype):
    """Bands with regular and irregular rows, empty ones too, and their transposes."""
    rng = np.random.default_rng(taps + 10 * period + 100 * size[0])
    bands = []
    for inputs in size:
        matrix = np.zeros((inputs + taps, inputs))
        for i, row in enumerate(matrix):
            start = int(rng.integers(0, inputs + 1)) if taps % 2 else i * inputs // len(matrix)
            row[start : start + taps] = 1 + i % period
        bands.append((Band(matrix, period, 1), matrix))
    (rows, r), (columns, c) = bands
    x = image(size, channels, dtype)
    y = np.einsum("ih,nhwc,jw->nijc", r, x, c)
    back = np.einsum("ih,nijc,jw->nhwc", r, y, c)
    found = kernels.resample2d(x, rows, columns)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, y, rtol=1e-5)
    found = kernels.resample2d(y, rows.transposed, columns.transposed)
    np.testing.assert_allclose(found, back, rtol=1e-5)
    assert rows.transposed.transposed is rows


@every_kernels
@pytest.mark.parametrize("geometry", [PLAIN, PADDED], ids=["plain", "padded"])
@pytest.mark.parametrize("value", [0.0, -np.inf, np.inf, np.nan], ids=str)
def test_of_equal_pixels_the_first_that_is_none_of_the_padding(kernels, geometry, value):
    x = np.full((1, *geometry.size, 20), value, np.float32)
    y, position = kernels.max_pool2d(x, geometry)
    np.testing.assert_array_equal(y, np.full_like(y, value))
    (top, _), (left, _) = geometry.pads
    oh, ow = geometry.output_size
    first = np.add.outer(
        np.maximum(top - np.arange(oh) * geometry.stride[0], 0) * geometry.kernel[1],
        np.maximum(left - np.arange(ow) * geometry.stride[1], 0),
    )
    np.testing.assert_array_equal(position, np.broadcast_to(first[None, ..., None], y.shape))


@every_kernels
@pytest.mark.parametrize("channels", [1, 20])
def test_a_nan_is_the_largest_wherever_it_is(kernels, channels):
    for place in np.ndindex(2, 2):
        x = np.full((1, 2, 2, channels), np.inf, np.float32)
        x[0, *place] = np.nan
        y, position = kernels.max_pool2d(x, Geometry((2, 2), (2, 2), (2, 2)))
        assert np.isnan(y).all()
        assert (position == 2 * place[0] + place[1]).all()


@pytest.mark.parametrize("kernel", [2, 3])
def test_bits_do_not_depend_on_threads(kernel):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 33, 34, 19)).astype("float32")
    geometry = Geometry((33, 34), (kernel, kernel), (2, 2))

    def everything():
        y, position = FAST.max_pool2d(x, geometry)
        gx = FAST.max_pool2d_grad(y, position, geometry)
        wide = ops.upsample2d(x, 2, (1, 3, 3, 1)).data
        small = ops.downsample2d(x, 3).data
        return [y, position, gx, wide, small, ops.blur2d(x).data, ops.global_avg_pool2d(x).data]

    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = everything()
    finally:
        numba.set_num_threads(threads)
    for a, b in zip(everything(), alone, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_filter_multiplies_no_zeros():
    """Four taps for twice as large an image: each output is made of two pixels, at the edge one."""
    ops.upsample2d(np.zeros((1, 6, 6, 1), "float32"), 2, (1, 3, 3, 1))
    from tinygen.ops.resample import _filter_band

    band = _filter_band(6, (0.25, 0.75, 0.75, 0.25), 2, 1, (2, 1))
    assert band.count.tolist() == [1, *[2] * 10, 1]
    assert len(band.runs) == 4  # two phases, and two edges
    assert band.transposed.count.tolist() == [3, 4, 4, 4, 4, 3]
    assert len(_filter_band(64, (1.0, 2.0, 1.0), 1, 1, (1, 1)).runs) == 3
