"""Animations of pictures, and points over the field of a discriminator."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from tinygen import data
from tinygen.view.animation import save_animation
from tinygen.view.field import draw_points

CENTRES = data.centres("ring")
POINTS = data.load("ring", count=100).floats()


def filled(*levels):
    return [Image.new("RGB", (16, 8), (level,) * 3) for level in levels]


def read(path):
    """The grey level of each frame and how long it is shown."""
    shown = []
    with Image.open(path) as film:
        for i in range(film.n_frames):
            film.seek(i)
            film.load()
            shown.append((film.convert("L").getpixel((8, 4)), film.info["duration"]))
    return shown


def test_every_frame_is_there_in_order_and_for_its_time(tmp_path):
    levels = [0, 60, 120, 180, 240]
    path = save_animation(iter(filled(*levels)), tmp_path / "new" / "film.webp", 0.2)
    found, times = zip(*read(path), strict=True)
    np.testing.assert_allclose(found, levels, atol=4)  # the file is compressed
    assert times == (200, 200, 200, 200, 600)


def test_equal_frames_keep_their_time(tmp_path):
    found = read(save_animation(filled(0, 0, 200), str(tmp_path / "film.webp"), 0.1))
    assert [time for _, time in found] == [200, 300]


def test_figures_are_frames(tmp_path):
    frames = [draw_points(share * POINTS, CENTRES, 0.01) for share in (0.5, 1.0)]
    assert len(read(save_animation(frames, tmp_path / "film.webp"))) == 2


@pytest.mark.parametrize(
    ("frames", "seconds", "message"),
    [
        ([], 0.3, "needs a picture"),
        ([*filled(0), Image.new("RGB", (9, 8))], 0.3, r"frame 1 has \(9, 8\) pixels"),
        (filled(0, 1), 0.0, "above 0, not 0.0"),
        (filled(0, 1), -1.0, "above 0, not -1.0"),
        (filled(0, 1), float("nan"), "above 0, not nan"),
    ],
)
def test_what_is_no_animation(tmp_path, frames, seconds, message):
    with pytest.raises(ValueError, match=message):
        save_animation(frames, tmp_path / "film.webp", seconds)
    assert not list(tmp_path.iterdir())


def test_the_field_is_the_function_at_each_place():
    figure = draw_points(POINTS, CENTRES, 0.01, lambda x: (x[:, 0] > 0).astype(float))
    axis, bar = figure.axes
    values, (left, right, *_) = axis.images[0].get_array(), axis.images[0].get_extent()
    sides = np.linspace(left, right, values.shape[1] + 1)  # of pixels, whose points are between
    expected = np.broadcast_to((sides[:-1] + sides[1:]) / 2 > 0, values.shape)
    np.testing.assert_array_equal(values, expected)
    assert bar.get_ylabel() == "discriminator: probability of real"
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("x1", "x2")


@pytest.mark.parametrize("certain", [0.0, 0.5, 1.0])
def test_circles_stand_out_from_the_field(certain):
    """By lightness, as all eyes see it: a ratio of at least 3, as for text in large letters."""
    figure = draw_points(POINTS, CENTRES, 0.01, lambda x: np.full(len(x), certain))
    axis = figure.axes[0]
    image = axis.images[0]
    behind = (
        image.get_alpha() * np.array(image.cmap(image.norm(certain))[:3]) + 1 - image.get_alpha()
    )
    lightness = [luminance(c) for c in (behind, to_rgb(axis.lines[0].get_color()))]
    assert (max(lightness) + 0.05) / (min(lightness) + 0.05) > 3


def luminance(rgb):
    c = np.asarray(rgb)
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def test_circles_have_three_standard_deviations_and_samples_outside_are_counted():
    samples = np.float32([[0, 0], [100, 0], [np.nan, 0]])
    axis = draw_points(samples, CENTRES, 0.05).axes[0]
    assert len(axis.lines) == 8
    for line, centre in zip(axis.lines, CENTRES, strict=True):
        distance = np.linalg.norm(np.stack(line.get_data(), 1) - centre, axis=1)
        np.testing.assert_allclose(distance, 0.15)
    assert "samples (2 outside)" in [text.get_text() for text in axis.get_legend().get_texts()]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros((4, 3)), r"points \(n, 2\), not \(4, 3\)"),
        (np.zeros((0, 2)), "no finite points"),
        (np.full((4, 2), np.nan), "no finite points"),
    ],
)
def test_what_cannot_be_drawn(samples, message):
    with pytest.raises(ValueError, match=message):
        draw_points(samples)
