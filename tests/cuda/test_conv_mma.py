"""Convolutions on the tensor cores: all passes, precisions, tiles and splits."""

import numpy as np
import pytest
from tinygen_kernels import Kernels
from tinygen_kernels.cuda import conv_mma, conv_tiles
from tinygen_kernels.cuda.conv_table import TABLE
from tinygen_kernels.cuda.conv_tiles import TILES, Plan, Product, candidates, tiles_for
from tinygen_kernels.geometry import Geometry
from tinygen_kernels.precision import PRECISIONS, current, using_precision
from tinygen_kernels.reference.activation import ACTIVATIONS

from .equipment import distance, in_every_order, needs_compiler

REFERENCE = Kernels("reference")
PASSES = ("conv2d", "conv2d_transpose", "conv2d_weight_grad")

# Norm-wise: of numbers drawn at random, and of what is left once the factors are representable.
BOUNDS = {"tf32": 5e-4, "3xtf32": 2e-7, "bf16": 4e-3}
EXACT = 5e-7

# images, channels in, channels out, geometry
CASES = {
    "same": (2, 16, 24, Geometry((7, 9), (3, 3), pads=((1, 1), (1, 1)))),
    "one pixel": (3, 20, 12, Geometry((5, 5), (1, 1))),
    "stride": (2, 12, 40, Geometry((9, 8), (4, 4), (2, 2), ((1, 1), (1, 2)))),
    "stride beyond the kernel": (1, 8, 8, Geometry((11, 7), (2, 1), (3, 2))),
    "dilation": (2, 12, 16, Geometry((9, 10), (3, 2), (1, 1), ((2, 0), (0, 3)), (2, 3))),
    "stride and dilation": (2, 16, 8, Geometry((13, 12), (3, 4), (2, 3), ((1, 3), (2, 2)), (3, 2))),
    "stride and dilation in step": (1, 8, 8, Geometry((9, 9), (3, 3), (2, 4), dilation=(2, 2))),
    "odd channels": (2, 9, 13, Geometry((6, 5), (3, 3), (2, 1), ((1, 0), (1, 1)))),
    "more pads than image": (1, 8, 12, Geometry((2, 3), (5, 5), (2, 2), ((4, 3), (3, 4)))),
    "many tiles": (5, 36, 132, Geometry((8, 6), (3, 3), (1, 1), ((1, 1), (1, 1)))),
}


def drawn(case, seed=0):
    """x, w, gy and the biases of both sides."""
    images, inputs, outputs, geometry = CASES[case] if isinstance(case, str) else case
    rng = np.random.default_rng(seed)
    shapes = (
        (images, *geometry.size, inputs),
        (*geometry.kernel, inputs, outputs),
        (images, *geometry.output_size, outputs),
        (inputs,),
        (outputs,),
    )
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


def run(module, name, case, data, epilogue=("identity", 0.0), **plan):
    """A pass of a module, or of a backend."""
    geometry = (CASES[case] if isinstance(case, str) else case)[3]
    x, w, gy, of_image, of_result = data
    if name == "conv2d":
        return module.conv2d(x, w, of_result, geometry, *epilogue, **plan)
    if name == "conv2d_transpose":
        return module.conv2d_transpose(gy, w, of_image, geometry, *epilogue, **plan)
    return module.conv2d_weight_grad(x, gy, geometry, **plan)


def in_double(data):
    return [None if a is None else a.astype("float64") for a in data]


def rounded(a, precision):
    """To the numbers that the tensor cores take: 10 or 7 bits after the point."""
    bits = {"tf32": 13, "bf16": 16}[precision]
    whole = a.view(np.uint32) + np.uint32(1 << (bits - 1))
    return (whole >> bits << bits).view(np.float32)


@needs_compiler
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("name", PASSES)
def test_against_the_reference_in_double(name, precision, case):
    data = drawn(case)
    with using_precision(precision):
        y = in_every_order(lambda: run(conv_mma, name, case, data))
    expected = run(REFERENCE, name, case, in_double(data))
    assert y.dtype == np.float32
    assert y.shape == expected.shape
    assert distance(y, expected) < BOUNDS[precision]


@needs_compiler
@pytest.mark.parametrize("precision", ["tf32", "bf16"])
@pytest.mark.parametrize("name", PASSES)
def test_nothing_but_the_factors_is_rounded(name, precision):
    data = drawn("many tiles")
    rough = [rounded(a, precision) for a in data[:3]] + data[3:]
    with using_precision(precision):
        y = run(conv_mma, name, "many tiles", rough)
    assert distance(y, run(REFERENCE, name, "many tiles", in_double(rough))) < EXACT


@needs_compiler
@pytest.mark.parametrize("splits", [1, 3])
@pytest.mark.parametrize("precision", BOUNDS)
@pytest.mark.parametrize("name", PASSES)
def test_every_tile(name, precision, splits):
    case = (2, 36, 132, Geometry((13, 11), (3, 2), (2, 1), ((1, 1), (0, 1))))
    data = drawn(case)
    expected = run(REFERENCE, name, case, in_double(data))
    for tile in tiles_for(precision):
        with using_precision(precision):
            y = run(conv_mma, name, case, data, plan=Plan(tile, splits))
        assert distance(y, expected) < BOUNDS[precision], tile


@needs_compiler
def test_more_parts_than_stages():
    case, data, plan = "one pixel", drawn("one pixel"), Plan("64x64", 16)
    for name in PASSES:
        with using_precision("3xtf32"):
            y = in_every_order(lambda name=name: run(conv_mma, name, case, data, plan=plan))
        assert distance(y, run(REFERENCE, name, case, in_double(data))) < BOUNDS["3xtf32"]


@needs_compiler
@pytest.mark.parametrize("splits", [1, 4])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_biases_and_activations(activation, splits):
    plan, epilogue = Plan("128x32", splits), (activation, 0.3)
    for with_bias in (True, False):
        data = drawn("same") if with_bias else [*drawn("same")[:3], None, None]
        data[1] /= 12  # where activations bend
        for name in PASSES[:2]:
            with using_precision("3xtf32"):
                y = run(conv_mma, name, "same", data, epilogue, plan=plan)
            expected = run(REFERENCE, name, "same", in_double(data), epilogue)
            assert distance(y, expected) < 3e-7


@needs_compiler
def test_no_images_and_arrays_that_lie_otherwise():
    _, inputs, outputs, geometry = CASES["stride"]
    empty, data = drawn((0, inputs, outputs, geometry)), drawn("stride")
    other = [a[::-1].copy()[::-1] if a.ndim == 4 else a for a in data]
    memory = np.zeros(data[1].size + 1, "float32")
    other[1] = memory[1:].reshape(data[1].shape)  # at no multiple of 16 bytes
    other[1][...] = data[1]
    with using_precision("tf32"):
        for name in PASSES:
            expected = run(REFERENCE, name, (0, inputs, outputs, geometry), empty)
            found = run(conv_mma, name, (0, inputs, outputs, geometry), empty)
            np.testing.assert_array_equal(found, expected)
            other[3:] = in_double(data[3:])
            found = run(conv_mma, name, "stride", other)
            np.testing.assert_array_equal(found, run(conv_mma, name, "stride", data))


# --- What runs here, and how ----------------------------------------------------------------------


def test_the_switch():
    assert current() == "float32"
    with using_precision("bf16"):
        with using_precision("tf32"):
            assert current() == "tf32"
        assert current() == "bf16"
        message = "choose from float32, tf32, 3xtf32, bf16, exact"
        with pytest.raises(ValueError, match=message), using_precision("fp8"):
            pass
    assert current() == "float32"


def test_what_is_served():
    plain, grouped = Geometry((8, 8), (3, 3)), Geometry((8, 8), (3, 3), groups=2)
    for name in PRECISIONS:
        with using_precision(name):
            assert conv_mma.serves(plain, 8, 513, np.float32) == (name in BOUNDS)
            assert not conv_mma.serves(plain, 3, 64, np.float32)
            assert not conv_mma.serves(grouped, 64, 64, np.float32)
            assert not conv_mma.serves(plain, 64, 64, np.float64)
    data = drawn("same")
    for name in PASSES:
        with pytest.raises(ValueError, match="precision is float32"):
            run(conv_mma, name, "same", data)
        with pytest.raises(ValueError, match="not float64"), using_precision("tf32"):
            run(conv_mma, name, "same", in_double(data))


def product(geometry, images, inputs, outputs, name="forward_product"):
    with using_precision("tf32"):
        return getattr(conv_mma, name)(geometry, images, inputs, outputs)


def test_small_maps_are_split_and_large_ones_are_not():
    same = ((1, 1), (1, 1))
    small = product(Geometry((4, 4), (3, 3), pads=same), 16, 512, 512)
    tile, splits = conv_tiles.default(small)
    blocks = -(-small.rows // TILES[tile].rows) * -(-small.columns // TILES[tile].columns)
    assert blocks * splits >= 132 * 0.8
    assert splits <= small.depth // 64
    large = product(Geometry((64, 64), (3, 3), pads=same), 64, 128, 128)
    assert conv_tiles.default(large) == ("128x128", 1)
    gradient = product(Geometry((64, 64), (3, 3), pads=same), 64, 64, 64, "weights_product")
    assert conv_tiles.default(gradient).splits > 16
    narrow = product(Geometry((64, 64), (3, 3), pads=same), 64, 64, 16)
    assert conv_tiles.default(narrow).tile == "128x32"


def test_the_table_names_plans_that_exist(monkeypatch):
    for key, entry in TABLE.items():
        assert entry[0] in TILES, key
        assert entry[1] in conv_tiles.SPLITS, key
    one = Product("conv_mma", "tf32", 1, 1000, 60, 300)
    assert all(tile in TILES for tile, _ in candidates(one))
    assert conv_tiles.default(one) in candidates(one)
    monkeypatch.setitem(TABLE, "conv_mma tf32 1 x 1024 x 64 x 512", ("64x64", 2))
    conv_tiles.plan.cache_clear()
    assert conv_tiles.plan(one) == ("64x64", 2)
    conv_tiles.plan.cache_clear()


def test_shared_memory_fits():
    for tile in TILES.values():
        blocks = 2 if tile.warp_columns == 64 else 256 // tile.threads
        assert blocks * (tile.shared + (1 << 10)) <= 164 << 10  # of a multiprocessor of sm_80
        assert tile.shared <= 99 << 10  # of a block on every card since then
