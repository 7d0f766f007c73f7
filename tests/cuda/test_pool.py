"""Pooling and resampling of images as CUDA kernels."""

import numpy as np
import pytest
import shim
from tinygen_kernels.bands import Band
from tinygen_kernels.cuda.launch import register_shim
from tinygen_kernels.cuda.launch import shim as registered
from tinygen_kernels.geometry import Geometry

from .equipment import CUDA, REFERENCE, distance, in_every_order, needs_compiler

pytestmark = needs_compiler
BOUNDS = {"float32": 3e-7, "float64": 6e-16}
GEOMETRIES = {
    "apart": Geometry((4, 6), (2, 2), (2, 2)),
    "padded": Geometry((5, 6), (3, 2), (2, 1), ((1, 2), (1, 0))),
    "with gaps": Geometry((7, 9), (2, 1), (3, 4)),
    "more positions than a byte tells": Geometry((20, 19), (17, 16), (2, 3), ((1, 2), (3, 4))),
    "a window of padding": Geometry((2, 2), (2, 2), (2, 2), ((2, 2), (2, 2))),
}

every_dtype = pytest.mark.parametrize("dtype", BOUNDS)
every_channels = pytest.mark.parametrize("channels", [1, 3, 4, 6])


def random(seed=0):
    return np.random.default_rng(seed)


@every_dtype
@every_channels
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=list(GEOMETRIES))
def test_max_pooling(geometry, channels, dtype):
    x = random().integers(-3, 4, (2, *geometry.size, channels)).astype(dtype)  # with many ties
    x[0, 1, 1, 0] = np.nan
    y, position = in_every_order(lambda: CUDA.max_pool2d(x, geometry))
    for found, expected in zip((y, position), REFERENCE.max_pool2d(x, geometry), strict=True):
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    picked = in_every_order(lambda: CUDA.max_pool2d_pick(x, position, geometry))
    np.testing.assert_array_equal(picked, y)
    gy = random(1).normal(size=y.shape).astype(dtype)
    back = in_every_order(lambda: CUDA.max_pool2d_grad(gy, position, geometry))
    np.testing.assert_array_equal(back, REFERENCE.max_pool2d_grad(gy, position, geometry))


def bands(kind):
    """Bands for the rows and the columns."""
    if kind == "dense":  # of more pixels than a thread weighs, the image growing or shrinking
        return Band(random(0).normal(size=(9, 7))), Band(random(1).normal(size=(11, 8)))
    if kind == "mean":
        return Band(np.full((1, 7), 1 / 7)), Band(np.full((1, 8), 1 / 8))
    matrices = []
    for inputs in 7, 8:
        matrix = np.zeros((inputs + 3, inputs))
        for i in range(1, inputs):
            matrix[i, i - 1 : i + 2] = random(i).normal(size=matrix[i, i - 1 : i + 2].shape)
        matrices.append(matrix)  # the first and the last outputs are made of nothing
    return Band(matrices[0]), Band(matrices[1])


@every_dtype
@every_channels
@pytest.mark.parametrize("kind", ["dense", "mean", "with empty rows"])
def test_resampling(kind, channels, dtype):
    x = random(2).normal(size=(2, 7, 8, channels)).astype(dtype)
    rows, columns = bands(kind)
    y = in_every_order(lambda: CUDA.resample2d(x, rows, columns))
    assert y.dtype == dtype
    assert distance(y, REFERENCE.resample2d(x.astype("float64"), rows, columns)) < BOUNDS[dtype]
    back = in_every_order(lambda: CUDA.resample2d(y, rows.transposed, columns.transposed))
    expected = REFERENCE.resample2d(y.astype("float64"), rows.transposed, columns.transposed)
    assert distance(back, expected) < BOUNDS[dtype]


def test_a_band_is_put_onto_a_device_once():
    band = bands("dense")[0]
    places, weights = band.tables(np, np.dtype("float32"))
    assert places.dtype == np.int32
    assert weights.dtype == np.float32
    assert band.tables(np, np.dtype("float32"))[0] is places
    assert band.tables(np, np.dtype("float64"))[1].dtype == np.float64


@pytest.mark.parametrize(("kind", "launches"), [("with empty rows", 1), ("dense", 2), ("mean", 2)])
def test_long_bands_take_two_launches(kind, launches):
    before, driver = registered(), shim.Shim()
    try:
        register_shim(driver)
        CUDA.resample2d(np.zeros((1, 7, 8, 2)), *bands(kind))
    finally:
        register_shim(before)
    assert driver.launches == launches


def test_no_images():
    geometry = GEOMETRIES["padded"]
    none = np.zeros((0, *geometry.size, 3), "float32")
    y, position = CUDA.max_pool2d(none, geometry)
    assert y.shape == position.shape == (0, *geometry.output_size, 3)
    assert CUDA.max_pool2d_grad(y, position, geometry).shape == none.shape
    rows, columns = bands("mean")
    assert CUDA.resample2d(np.zeros((0, 7, 8, 3)), rows, columns).shape == (0, 1, 1, 3)
    assert CUDA.resample2d(np.zeros((2, 7, 8, 0)), rows, columns).shape == (2, 1, 1, 0)
