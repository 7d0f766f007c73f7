"""Plates: every pixel of an image is where it should be."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tinygen.ops.random import Random
from tinygen.view import plate, save_png, to_pixels

PAPER = (255, 255, 255)


def random_images(n: int, height: int, width: int, *channels: int) -> np.ndarray:
    return Random(0).integers(0, 255, (n, height, width, *channels)).astype(np.uint8)


def test_floats_become_pixels():
    x = np.array([[[0.0, 1.0, 0.5], [-3.0, 7.0, np.nan]]])
    pixels = to_pixels(x)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (1, 2, 3, 3))
    assert pixels[0, :, :, 0].tolist() == [[0, 255, 128], [0, 255, 0]]
    assert (pixels[..., 0] == pixels[..., 1]).all()
    assert (pixels[..., 0] == pixels[..., 2]).all()


@pytest.mark.parametrize("shape", [(3, 4, 5), (3, 4, 5, 1), (3, 4, 5, 3)])
def test_bytes_stay_as_they_are(shape):
    x = random_images(*shape)
    pixels = to_pixels(x)
    expected = x if shape[3:] == (3,) else np.repeat(x.reshape(3, 4, 5, 1), 3, axis=3)
    np.testing.assert_array_equal(pixels, expected)
    np.testing.assert_array_equal(to_pixels(expected / 255), expected)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((4, 5)), r"expected .* got \(4, 5\)"),
        (np.zeros((2, 4, 5, 2)), r"got \(2, 4, 5, 2\)"),
        (np.zeros((2, 4, 5), np.int64), r"pixels are uint8, or floats in \[0, 1\], not int64"),
    ],
)
def test_what_is_no_image(images, message):
    with pytest.raises(ValueError, match=message):
        to_pixels(images)


@pytest.mark.parametrize("images", [np.zeros((0, 4, 5)), np.zeros((2, 0, 5))])
def test_nothing_to_see(images):
    with pytest.raises(ValueError, match="nothing to see in images of shape"):
        plate(images)


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize(("n", "columns", "rows"), [(1, 1, 1), (5, 3, 2), (6, 3, 2), (2, 7, 1)])
@pytest.mark.parametrize(("scale", "gap"), [(1, 0), (1, 4), (3, 2)])
def test_images_are_where_they_should_be(n, columns, rows, scale, gap, channels):
    x = random_images(n, 4, 6, *channels)
    sheet = np.asarray(plate(x, columns, scale=scale, gap=gap))
    height, width = 4 * scale, 6 * scale
    assert sheet.shape == (gap + rows * (height + gap), gap + columns * (width + gap), 3)
    left = sheet.copy()
    for i, image in enumerate(to_pixels(x)):
        row, column = divmod(i, columns)
        top, start = gap + row * (height + gap), gap + column * (width + gap)
        place = np.s_[top : top + height, start : start + width]
        np.testing.assert_array_equal(sheet[place], np.kron(image, np.ones((scale, scale, 1))))
        left[place] = PAPER
    assert (left == PAPER).all()


@pytest.mark.parametrize(
    ("shape", "size"),
    [((28, 28), 56), ((5, 7), 56), ((64, 64, 3), 64), ((20, 10), 60), ((100, 3), 100)],
)
def test_small_images_are_enlarged_by_whole_numbers(shape, size):
    sheet = plate(random_images(1, *shape), gap=0)
    assert max(sheet.size) == size
    assert sheet.height * shape[1] == sheet.width * shape[0]


def test_by_default_a_plate_is_nearly_square():
    sizes = {n: plate(random_images(n, 8, 8), scale=1, gap=0).size for n in (1, 4, 5, 9, 10)}
    assert sizes == {1: (8, 8), 4: (16, 16), 5: (24, 16), 9: (24, 24), 10: (32, 24)}


def test_captions_stand_in_front_of_their_rows():
    x = np.zeros((4, 28, 28), np.uint8)
    plain = np.asarray(plate(x, 2))
    for captions in (["one", ""], ["", "one"]):
        sheet = np.asarray(plate(x, 2, captions=captions))
        margin = sheet.shape[1] - plain.shape[1]
        assert sheet.shape[0] == plain.shape[0]
        np.testing.assert_array_equal(sheet[:, margin + 4 :], plain[:, 4:])
        ink = (sheet[:, :margin] != 255).any(axis=(1, 2)).nonzero()[0]
        row = captions.index("one")
        assert len(ink)
        assert 4 + 60 * row <= ink.min() <= ink.max() < 60 * (row + 1)
    longer = plate(x, 2, captions=["a much longer caption", ""])
    assert longer.width > sheet.shape[1]


def test_pictures_are_written_to_folders_that_need_not_exist(tmp_path):
    x = random_images(3, 5, 7, 3)
    path = save_png(plate(x, 3, scale=1, gap=0), tmp_path / "a b" / "c.png")
    with Image.open(path) as found:
        assert (found.format, found.mode, found.size) == ("PNG", "RGB", (21, 5))
        np.testing.assert_array_equal(np.asarray(found)[:, 7:14], x[1])
