"""Convolutions: the fast kernels against the reference and PyTorch, over random geometries."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tinygen_kernels import Kernels
from tinygen_kernels.cpu.ways import TASKS, explain, way
from tinygen_kernels.geometry import Geometry
from tinygen_kernels.precision import using_precision

from tests.cuda.equipment import compiled_kernels
from tests.kernels.convolutions import all_three, operands
from tests.op_cases.case import torch

FAST, SLOW, CUDA = Kernels("cpu"), Kernels("reference"), Kernels("cuda")
PLAIN = "identity", 0.0


@st.composite
def geometries(draw):
    """Geometries whose output has at least a pixel; half of them such as Winograd's way serves."""
    size = draw(st.tuples(st.integers(1, 13), st.integers(1, 13)))
    pads = draw(st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2))
    if draw(st.booleans()):
        geometry = Geometry(size, (3, 3), pads=pads)
    else:
        kernel = draw(st.tuples(st.integers(1, 5), st.integers(1, 5)))
        stride = draw(st.tuples(st.integers(1, 4), st.integers(1, 4)))
        dilation = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
        groups = draw(st.sampled_from([1, 1, 2, 3]))
        geometry = Geometry(size, kernel, stride, pads, dilation, groups)
    missing = [
        max(d * (k - 1) + 1 - n, 0)
        for k, d, n in zip(geometry.kernel, geometry.dilation, geometry.padded, strict=True)
    ]
    (top, bottom), (left, right) = pads
    pads = (top, bottom + missing[0]), (left, right + missing[1])
    return Geometry(
        size, geometry.kernel, geometry.stride, pads, geometry.dilation, geometry.groups
    )


def error(found, exact):
    """The norm of the difference, relative to the norm."""
    assert found.shape == exact.shape
    return np.linalg.norm(found - exact) / max(np.linalg.norm(exact), 1e-30)


@compiled_kernels
@settings(max_examples=150, deadline=None)
@given(
    geometries(),
    st.sampled_from([1, 2, 3, 9]),
    st.sampled_from([1, 3, 16, 17, 50]),
    st.sampled_from([1, 2, 16, 33]),
    st.sampled_from(["float32", "float64"]),
)
def test_reference_and_kernel_agree(kernels, geometry, n, inputs, outputs, dtype):
    arrays = operands(geometry, n, inputs, outputs, dtype)[:4]
    exact = all_three(SLOW, geometry, [a.astype(float) for a in arrays], "selu")
    bound = 2e-5 if dtype == "float32" else 1e-13
    for found, expected in zip(all_three(kernels, geometry, arrays, "selu"), exact, strict=True):
        assert found.dtype == dtype
        assert error(found, expected) < bound


@pytest.mark.skipif(torch is None, reason="PyTorch is not installed")
@settings(max_examples=60, deadline=None)
@given(geometries(), st.integers(1, 2), st.sampled_from([1, 16]), st.sampled_from([2, 16]))
def test_reference_and_pytorch_agree(geometry, n, inputs, outputs):
    x, w, b, gy = (
        torch.from_numpy(a) for a in operands(geometry, n, inputs, outputs, "float64")[:4]
    )
    x.requires_grad_()
    w.requires_grad_()
    (top, bottom), (left, right) = geometry.pads
    padded = torch.nn.functional.pad(x.permute(0, 3, 1, 2), (left, right, top, bottom))
    kernel = w.permute(3, 2, 0, 1)
    options = geometry.stride, 0, geometry.dilation, geometry.groups
    y = torch.nn.functional.conv2d(padded, kernel, b, *options).permute(0, 2, 3, 1)
    expected = y, *torch.autograd.grad(y, (x, w), gy)
    found = all_three(SLOW, geometry, [t.detach().numpy() for t in (x, w, b, gy)])
    for a, e in zip(found, expected, strict=True):
        assert error(a, e.detach().numpy()) < 1e-12


@compiled_kernels
@settings(max_examples=40, deadline=None)
@given(geometries(), st.sampled_from([2, 16]), st.sampled_from([1, 20]))
def test_a_transposed_convolution_has_its_bias_and_activation(kernels, geometry, inputs, outputs):
    _, w, _, y = operands(geometry, 2, inputs, outputs, "float64")[:4]
    b = np.arange(inputs * geometry.groups) - 2.0
    found, expected = (
        each.conv2d_transpose(y, w, b, geometry, "elu", 0.5) for each in (kernels, SLOW)
    )
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


ACCURATE = [  # pixels, channels in, channels out, kernel, stride
    (32, 64, 64, 3, 1),
    (8, 256, 128, 3, 1),
    (4, 512, 512, 3, 1),
    (28, 1, 64, 5, 2),
    (14, 64, 128, 5, 2),
    (14, 64, 64, 3, 1),
    (16, 128, 128, 1, 1),
]


@pytest.mark.parametrize("shape", ACCURATE, ids=str)
def test_accuracy(shape):
    """Relative to the norm: 2e-6 directly, 2e-5 by Winograd's way."""
    pixels, inputs, outputs, size, stride = shape
    around = ((size // 2,) * 2,) * 2
    geometry = Geometry((pixels, pixels), (size, size), (stride, stride), around)
    arrays = operands(geometry, 9, inputs, outputs, "float32")[:4]
    exact = all_three(SLOW, geometry, [a.astype(float) for a in arrays])
    bound = 2e-5 if way("forward", 9, geometry, inputs, outputs).plan else 2e-6
    for found, expected in zip(all_three(FAST, geometry, arrays), exact, strict=True):
        assert error(found, expected) < bound


OTHERS = (20, 3, 2, 3, 1), (14, 80, 96, 3, 1)  # the weights of the last: points are shared out


@pytest.mark.parametrize("shape", [*ACCURATE[:2], *ACCURATE[3:], *OTHERS], ids=str)
def test_the_bits_do_not_depend_on_the_number_of_threads(shape):
    pixels, inputs, outputs, size, stride = shape
    around = ((size // 2,) * 2,) * 2
    geometry = Geometry((pixels, pixels), (size, size), (stride, stride), around)
    arrays = operands(geometry, 9, inputs, outputs, "float32")[:4]
    threads = numba.get_num_threads()
    results = []
    for n in {1, threads}:
        numba.set_num_threads(n)
        results.append(all_three(FAST, geometry, arrays, "tanh"))
    numba.set_num_threads(threads)
    for found, expected in zip(results[-1], results[0], strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kernels", [FAST, SLOW], ids=["cpu", "reference"])
def test_inputs_may_have_any_layout(kernels):
    geometry = Geometry((9, 8), (3, 3), pads=((1, 1), (1, 1)))
    x, w, b, gy = operands(geometry, 2, 16, 17, "float64")[:4]
    expected = all_three(SLOW, geometry, (x, w, b, gy))
    others = [np.asfortranarray(a) for a in (x, w, b, gy)]
    wide = [np.repeat(a, 2, axis=-1)[..., ::2] for a in (x, w, b, gy)]
    for arrays in (others, wide):
        for found, e in zip(all_three(kernels, geometry, arrays), expected, strict=True):
            assert error(found, e) < 1e-13


WINOGRAD = [  # images, pixels, kernel, stride, padding, channels in, channels out
    (3, 13, (3, 3), (1, 1), ((1, 1), (1, 1)), 17, 20),
    (4, 12, (3, 3), (1, 1), ((0, 5), (2, 0)), 16, 48),
    (3, 14, (5, 5), (2, 2), ((2, 2), (2, 2)), 20, 33),
    (3, 15, (5, 5), (2, 2), ((1, 2), (1, 2)), 33, 16),
    (3, 16, (4, 4), (2, 2), ((1, 1), (1, 1)), 16, 50),
    (3, 14, (5, 3), (2, 1), ((1, 2), (1, 1)), 16, 30),
    (9, 7, (3, 3), (1, 1), ((1, 1), (1, 1)), 17, 40),  # from 8 images on: tiles of 3 pixels too
    (21, 10, (3, 3), (1, 1), ((1, 1), (0, 3)), 16, 33),
    (8, 3, (3, 3), (1, 1), ((1, 1), (1, 1)), 16, 20),
    (13, 14, (5, 5), (2, 2), ((1, 2), (1, 2)), 20, 33),
    (9, 13, (3, 5), (1, 2), ((1, 1), (2, 2)), 16, 20),
    (6, 4, (3, 3), (1, 1), ((1, 1), (1, 1)), 150, 101),  # few tiles: by channels
    (9, 7, (3, 3), (1, 1), ((1, 1), (1, 1)), 150, 101),
    (4, 8, (5, 5), (2, 2), ((2, 2), (2, 2)), 130, 100),
    (2, 20, (3, 3), (1, 1), ((1, 1), (1, 1)), 340, 350),  # many weights: by channels
    (20, 7, (3, 3), (1, 1), ((1, 1), (1, 1)), 90, 91),  # the gradient of many weights: by points
    (5, 20, (3, 3), (1, 1), ((1, 1), (1, 1)), 91, 90),
    (20, 14, (5, 5), (2, 2), ((1, 2), (1, 2)), 35, 60),
]


def test_the_shapes_share_out_work_in_every_way():
    found = [
        explain(n, Geometry((pixels, pixels), kernel, stride, pads), inputs, outputs)
        for n, pixels, kernel, stride, pads, inputs, outputs in WINOGRAD
    ]
    for shared in ("tiles", "points", "channels"):
        assert (
            sum("weights: winograd" in w and w.endswith(f"{shared} shared out") for w in found) > 1
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", WINOGRAD, ids=str)
def test_winograd_s_way(shape, dtype):
    n, pixels, kernel, stride, pads, inputs, outputs = shape
    geometry = Geometry((pixels, pixels), kernel, stride, pads)
    assert {way(task, n, geometry, inputs, outputs).kernel for task in TASKS} == {"winograd"}
    x, w, b, gy = operands(geometry, n, inputs, outputs, dtype)[:4]
    exact = all_three(SLOW, geometry, [a.astype(float) for a in (x, w, b, gy)], "elu", 0.7)
    bound = 2e-5 if dtype == "float32" else 1e-13
    for found, expected in zip(
        all_three(FAST, geometry, (x, w, b, gy), "elu", 0.7), exact, strict=True
    ):
        assert error(found, expected) < bound
    other = "float64" if dtype == "float32" else "float32"
    mixed = x, w.astype(other), b.astype(other), gy.astype(other)
    y, gx, gw = all_three(FAST, geometry, mixed)
    assert (y.dtype, gx.dtype, gw.dtype) == (dtype, other, dtype)
    for found, expected in zip((y, gx, gw), all_three(SLOW, geometry, mixed), strict=True):
        assert error(found, expected.astype(float)) < 2e-5


@pytest.mark.parametrize("huge", [1e6, 1e38, np.inf, np.nan])
@pytest.mark.parametrize(("kernel", "stride"), [((3, 3), (1, 1)), ((5, 5), (2, 2))])
@pytest.mark.parametrize("precision", ["float32", "exact"])
def test_an_outlier_and_the_results_that_it_is_no_part_of(precision, kernel, stride, huge):
    """Their products are small integers, whose sums float32 holds; Winograd's way spoils them."""
    geometry = Geometry((12, 12), kernel, stride, ((1, 1), (1, 1)))
    rng = np.random.default_rng(0)
    x, w, b, gy = (
        rng.integers(1, 3, a.shape).astype("float32")
        for a in operands(geometry, 2, 16, 16, "float32")[:4]
    )
    place = 0, 3, 2, 5
    mark_x, mark_gy = np.zeros_like(x), np.zeros_like(gy)
    mark_x[place] = mark_gy[place] = 1
    y, gx, _ = all_three(SLOW, geometry, (mark_x, w, b * 0, mark_gy))
    apart = y == 0, gx == 0, np.broadcast_to(np.arange(16)[:, None] != place[3], w.shape)
    clean = all_three(SLOW, geometry, (x, w, b, gy))
    with using_precision(precision), np.errstate(all="ignore"):
        winograd = explain(2, geometry, 16, 16).count("winograd")
        y, _, gw = all_three(FAST, geometry, (np.where(mark_x, np.float32(huge), x), w, b, gy))
        gx = FAST.conv2d_transpose(
            np.where(mark_gy, np.float32(huge), gy), w, None, geometry, *PLAIN
        )
    same = [
        np.array_equal(found[mask], expected[mask])
        for found, expected, mask in zip((y, gx, gw), clean, apart, strict=True)
    ]
    assert (winograd, same) == ((0, [True] * 3) if precision == "exact" else (3, [False] * 3))


def test_a_few_shapes_and_their_ways():
    def ways(n, geometry, inputs, outputs):
        return [way(task, n, geometry, inputs, outputs).kernel for task in TASKS]

    around = (1, 1), (1, 1)
    assert ways(8, Geometry((16, 16), (3, 3), pads=around), 64, 64) == ["winograd"] * 3
    assert ways(8, Geometry((16, 16), (3, 3), pads=around), 3, 64) == ["product", "dots", "product"]
    assert ways(8, Geometry((16, 16), (3, 3), (2, 2), around), 64, 64) == ["product"] * 3
    assert ways(8, Geometry((16, 16), (3, 3), (1, 1), around, groups=4), 64, 64) == ["product"] * 3
    assert "4.0 times fewer" in explain(8, Geometry((16, 16), (3, 3), pads=around), 64, 64)


def test_a_batch_of_none():
    geometry = Geometry((9, 8), (3, 3), pads=((1, 1), (1, 1)))
    for inputs, outputs in ((16, 16), (1, 3)):
        x, w, b, gy = operands(geometry, 0, inputs, outputs, "float32")[:4]
        y, gx, gw = all_three(FAST, geometry, (x, w, b, gy))
        assert y.shape == gy.shape
        assert gx.shape == x.shape
        np.testing.assert_array_equal(gw, np.zeros_like(w))
