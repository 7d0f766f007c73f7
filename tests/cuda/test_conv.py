"""Convolutions as CUDA kernels: every tile, phase and share, and groups of few channels."""

import numpy as np
import pytest
import shim
from tinygen_kernels.cuda import conv, conv_shares, conv_ways
from tinygen_kernels.cuda.conv_ways import LARGE, MEDIUM, TALL, TASKS, WIDE, explain, way
from tinygen_kernels.geometry import Geometry
from tinygen_kernels.reference.activation import ACTIVATIONS

from tests.kernels.convolutions import all_three, operands

from .equipment import CUDA, REFERENCE, distance, in_every_order, needs_compiler

pytestmark = needs_compiler
BOUNDS = {"float32": 5e-7, "float64": 2e-15}
AROUND = (1, 1), (1, 1)

GEOMETRIES = {
    "3x3": Geometry((7, 9), (3, 3), pads=AROUND),
    "1x1": Geometry((5, 6), (1, 1)),
    "stride": Geometry((9, 8), (5, 5), (2, 2), ((1, 2), (1, 2))),
    "odd": Geometry((9, 7), (5, 4), (2, 3), ((2, 1), (0, 3)), (1, 2)),
    "dilated by the stride": Geometry((9, 7), (3, 2), (2, 2), ((2, 1), (0, 3)), (2, 4)),
    "stride 4 of 6": Geometry((13, 14), (3, 2), (4, 4), ((3, 2), (6, 6)), (6, 6)),
    "gaps": Geometry((8, 9), (2, 1), (3, 4)),  # pixels that no tap sees
    "stride beyond": Geometry((3, 2), (3, 2), (5, 7), pads=AROUND),
    "groups": Geometry((6, 5), (3, 3), (1, 2), AROUND, groups=3),
}
CHANNELS = [(8, 12), (5, 7), (20, 33), (1, 9), (9, 2), (4, 4), (3, 1), (64, 3)]  # of a group


def check(geometry, arrays, name="identity", parameter=0.0):
    """All three in every order, against the reference in float64."""
    dtype = arrays[0].dtype
    found = in_every_order(lambda: all_three(CUDA, geometry, arrays, name, parameter))
    exact = [a.astype("float64") for a in arrays]
    expected = all_three(REFERENCE, geometry, exact, name, parameter)
    for each, e in zip(found, expected, strict=True):
        assert each.shape == e.shape
        assert each.dtype == dtype
        assert distance(each, e) < BOUNDS[dtype.name]


@pytest.fixture
def launched(monkeypatch):
    """The names of the kernels that are launched."""
    names = []
    plain = shim.Shim.launch

    def launch(self, kernel, *args):
        names.append(kernel.name)
        plain(self, kernel, *args)

    monkeypatch.setattr(shim.Shim, "launch", launch)
    return names


@pytest.fixture
def tiles(monkeypatch):
    """A function that leaves only one tile to choose from, and lets few tiles be shared out."""

    def only(tile, least_depth=conv_ways.LEAST_DEPTH):
        monkeypatch.setattr(conv_ways, "TILES", dict.fromkeys(TASKS, (tile,)))
        monkeypatch.setattr(conv_ways, "LEAST_DEPTH", least_depth)
        way.cache_clear()

    yield only
    way.cache_clear()


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("channels", CHANNELS, ids=str)
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=list(GEOMETRIES))
def test_geometries_and_channels(geometry, channels, dtype):
    check(geometry, operands(geometry, 3, *channels, dtype), "leaky_relu", 0.2)


@pytest.mark.parametrize("n", [1, 5])
@pytest.mark.parametrize("least_depth", [16, 10**9], ids=["shares", "whole"])
@pytest.mark.parametrize("tile", [LARGE, MEDIUM, TALL, WIDE], ids=lambda tile: tile.name)
def test_tiles(tile, least_depth, n, tiles, launched):
    tiles(tile, least_depth)
    if tile is WIDE:  # only weight gradients have it
        conv_ways.TILES.update(forward=(MEDIUM,), input=(MEDIUM,))
    geometry = Geometry((9, 7), (3, 3), (2, 1), ((1, 2), (2, 0)), groups=2)
    check(geometry, operands(geometry, n, 36, 132), "relu")
    assert any(f", {tile.name}" in name for name in launched)
    assert ("add_shares<float>" in launched) == (least_depth == 16)


def test_all_kernels_are_among_those_that_are_tested(tiles, launched):
    several = Geometry((6, 5), (2, 2))
    for dtype in BOUNDS:
        for channels in [(8, 8), (4, 4), (3, 3), (8, 3), (3, 8)]:
            check(several, operands(several, 2, *channels, dtype))
    large = Geometry((4, 4), (3, 3), pads=AROUND)
    for dtype in BOUNDS:
        check(large, operands(large, 2, 128, 128, dtype))
    for tile in (LARGE, MEDIUM, TALL, WIDE):
        tiles(tile)
        x, w, b, gy, c = operands(large, 1, 8, 8)
        CUDA.conv2d_weight_grad(x, gy, large)
        if tile is not WIDE:
            all_three(CUDA, large, (x, w, b, gy, c))
    sources = conv.PRODUCTS, conv.SMALL, conv_shares.SOURCE
    assert set(launched) == {name for source in sources for name in source.instances}


@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("channels", [(5, 6), (20, 3), (300, 8)], ids=str)
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_bias_and_activation(name, channels, dtype):
    """In the tile's registers, in the loop after it, with few channels, after adding shares."""
    geometry = Geometry((4, 5), (3, 3), pads=AROUND)
    x, w, b, gy, c = operands(geometry, 2, *channels, dtype)
    arrays = x, w / np.sqrt(9 * channels[0]).astype(dtype), b, gy, c
    shares = way("forward", 2, geometry, *channels, dtype == "float64").shares
    assert (shares > 1) == (channels[0] == 300)
    for found, expected in zip(
        all_three(CUDA, geometry, arrays, name, 0.3),
        all_three(REFERENCE, geometry, [a.astype(float) for a in arrays], name, 0.3),
        strict=True,
    ):
        assert distance(found, expected) < BOUNDS[dtype]


@pytest.mark.parametrize("channels", [(8, 12), (8, 3), (300, 8)], ids=str)
def test_numbers_that_are_not_finite_stay_where_they_belong(channels):
    geometry = Geometry((5, 5), (3, 3), pads=AROUND)
    x, w, b, *_ = operands(geometry, 1, *channels)
    x[0, 4, 4, 0] = np.nan
    seen = np.zeros((5, 5), bool)
    seen[3:, 3:] = True
    for name in ("identity", "relu", "tanh"):
        y = CUDA.conv2d(x, w, b, geometry, name, 0.0)[0]
        np.testing.assert_array_equal(np.isnan(y), np.broadcast_to(seen[..., None], y.shape))


def test_arrays_may_have_any_layout_type_and_place():
    geometry = Geometry((9, 8), (3, 3), pads=AROUND)
    arrays = operands(geometry, 2, 16, 20, "float64")
    expected = all_three(REFERENCE, geometry, arrays)
    columns = [np.asfortranarray(a) for a in arrays]
    wide = [np.repeat(a, 2, axis=-1)[..., ::2] for a in arrays]
    shifted = [np.concatenate([[0], a.reshape(-1)])[1:].reshape(a.shape) for a in arrays]
    assert all(a.ctypes.data % 16 for a in shifted)
    for others in (columns, wide, shifted):
        for found, e in zip(all_three(CUDA, geometry, others), expected, strict=True):
            assert distance(found, e) < BOUNDS["float64"]
    x, w, b, gy, c = arrays
    y, gx, gw = all_three(CUDA, geometry, (x, w.astype("f"), b, gy.astype("f"), c))
    assert (y.dtype, gx.dtype, gw.dtype) == ("float64", "float32", "float64")


@pytest.mark.parametrize("channels", [(8, 12), (1, 3)], ids=str)
def test_a_batch_of_none(channels):
    geometry = Geometry((9, 8), (3, 3), pads=AROUND)
    arrays = x, w, _, gy, _ = operands(geometry, 0, *channels)
    y, gx, gw = all_three(CUDA, geometry, arrays)
    assert (y.shape, gx.shape) == (gy.shape, x.shape)
    np.testing.assert_array_equal(gw, np.zeros_like(w))


def test_no_channels_to_read():
    geometry = Geometry((4, 4), (3, 3), pads=AROUND)
    arrays = operands(geometry, 2, 0, 5)
    y, gx, gw = all_three(CUDA, geometry, arrays, "relu")
    np.testing.assert_array_equal(y, np.broadcast_to(np.maximum(arrays[2], 0), y.shape))
    assert (gx.shape, gw.shape) == ((2, 4, 4, 0), (3, 3, 0, 5))


def test_an_array_that_is_too_large():
    x = np.lib.stride_tricks.as_strided(np.zeros(1, "f"), (1, 2**16, 2**15, 1), (0,) * 4)
    geometry = Geometry((2**16, 2**15), (1, 1))
    with pytest.raises(ValueError, match="more elements than CUDA kernels take"):
        CUDA.conv2d(x, np.zeros((1, 1, 1, 1), "f"), None, geometry, "identity", 0.0)


def test_a_few_shapes_and_their_ways():
    def ways(n, size, inputs, outputs, double=False):
        geometry = Geometry((size, size), (3, 3), pads=AROUND)
        found = [way(task, n, geometry, inputs, outputs, double) for task in TASKS]
        return [w.tile.name if w.kernel == "tiles" else w.kernel for w in found]

    assert ways(32, 64, 256, 256) == ["Large"] * 3
    assert ways(32, 64, 256, 256, True) == ["Medium"] * 3
    assert ways(32, 64, 257, 256) == ["Medium"] * 3
    assert ways(8, 512, 32, 32)[:2] == ["Tall"] * 2
    assert ways(128, 28, 3, 256) == ["Medium", "few", "Wide"]
    assert ways(128, 28, 64, 1) == ["few", "Medium", "few"]
    last = Geometry((4, 4), (4, 4))  # of a discriminator: too few pixels to fill a card
    assert [way("forward", n, last, 512, 1).kernel for n in (32, 1024)] == ["tiles", "few"]
    small = way("forward", 8, Geometry((4, 4), (3, 3), pads=AROUND), 512, 512)
    assert small.blocks * small.shares >= 2 * conv_ways.PROCESSORS
    assert "1 channel made: lanes" in explain(8, Geometry((9, 9), (3, 3)), 16, 1)


def test_shares_cover_the_depth_and_none_is_empty():
    rng = np.random.default_rng(3)
    for _ in range(300):
        n, size, inputs, outputs = (int(rng.integers(1, top)) for top in (65, 40, 600, 600))
        geometry = Geometry((size, size), (3, 3), pads=AROUND)
        for task in TASKS:
            how = way(task, n, geometry, inputs, outputs)
            if how.kernel == "tiles":
                slices = -(
                    -conv_ways.product(task, n, geometry, inputs, outputs).depth // how.tile.depth
                )
                share = -(-slices // how.shares)
                assert share * (how.shares - 1) < slices <= share * how.shares
