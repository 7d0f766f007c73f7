"""Maps with thumbnails, and histograms."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from tinygen.ops.random import Random
from tinygen.view.embedding import TEN, draw_activations, draw_map, with_room
from tinygen.view.plate import save_png


def pixels(path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def test_thumbnails_are_where_there_is_room():
    places = Random(0).uniform((400, 2))
    chosen = with_room(places, 0.1)
    apart = np.sqrt(np.square(places[chosen][:, None] - places[chosen]).sum(axis=2))
    assert (apart + np.eye(len(chosen)) >= 0.1).all()
    others = np.setdiff1d(np.arange(400), chosen)  # none of them would have had room
    near = np.sqrt(np.square(places[others][:, None] - places[chosen]).sum(axis=2))
    assert (near.min(axis=1) < 0.1).all()
    assert chosen[0] == 0


@pytest.mark.parametrize("shape", [(6, 4), (4, 6, 3)])
@pytest.mark.parametrize("labelled", [True, False])
def test_a_map_has_all_points_in_the_colours_of_their_classes(tmp_path, shape, labelled):
    points, x = 50 * Random(0).normal((40, 2)), Random(1).uniform((40, *shape))
    labels, names = (np.arange(40) % 3, ("a", "b", "c", "never")) if labelled else (None, ())
    figure = draw_map(points, x, labels, names, title="a map")
    (axis,) = figure.axes
    drawn = np.concatenate([c.get_offsets() for c in axis.collections])
    assert len(drawn) == 40
    groups = [tuple(c.get_facecolor()[0]) for c in axis.collections]
    assert len(groups) == len(set(groups)) == (3 if labelled else 1)
    sizes = np.ptp(points, axis=0)  # both directions keep their proportion
    np.testing.assert_allclose(np.ptp(drawn, axis=0) / sizes, 1 / sizes.max(), rtol=1e-5)
    assert axis.images  # thumbnails
    found = pixels(save_png(figure, tmp_path / "new" / "map.png"))
    assert found.std() > 0


def test_frames_of_thumbnails_have_the_colours_of_their_classes():
    points, labels = 9.0 * np.stack([np.arange(6), np.arange(6)], axis=1), np.arange(6) % 3
    (axis,) = draw_map(points, np.zeros((6, 4, 4)), labels, ("a", "b", "c")).axes
    frames = sorted(axis.patches, key=lambda frame: frame.get_x())
    assert [to_hex(frame.get_edgecolor()) for frame in frames] == [TEN[i] for i in labels]


def test_grey_thumbnails_on_black_are_turned_dark_on_paper_and_no_others():
    points = np.array([[0.0, 0.0], [1.0, 1.0]])
    black, grey, colour = np.zeros((2, 5, 5)), np.full((2, 5, 5), 0.2), np.zeros((2, 5, 5, 3))
    for x, expected in ((black, 255), (black[..., None], 255), (grey, 51), (colour, 0)):
        (axis,) = draw_map(points, x).axes
        assert [image.get_array().max() for image in axis.images] == [expected] * 2


def test_more_classes_than_colours_and_points_that_coincide():
    (axis,) = draw_map(
        np.zeros((12, 2)), np.zeros((12, 4, 4)), np.arange(12), tuple("abcdefghijkl")
    ).axes
    assert len(axis.collections) == 12
    assert len(axis.images) == 1


def test_histograms_have_the_heights_of_the_shares():
    codings = Random(0).uniform((50, 8)).astype(np.float64) ** 3
    means = codings.mean(axis=0)
    axes = draw_activations(codings, 0.1, title="codings").axes
    for axis, values, high in zip(axes, (codings, means), (1.0, 1.1 * means.max()), strict=True):
        heights = [bar.get_height() for bar in axis.patches]
        expected = np.histogram(values, len(heights), (0, high))[0] / values.size
        np.testing.assert_allclose(heights, 100 * expected)
        np.testing.assert_allclose(
            [line.get_xdata()[0] for line in axis.lines], [means.mean(), 0.1]
        )
        told = [text.get_text() for text in axis.get_legend().get_texts()]
        assert told == [f"mean {means.mean():.3g}", "target 0.1"]
    assert [len(axis.lines) for axis in draw_activations(codings).axes] == [1, 1]


@pytest.mark.parametrize("codings", [np.zeros((3, 2)), np.array([[-2.0, 3.0], [0.5, 9.0]])])
def test_histograms_of_any_codings_hold_all_of_them(codings):
    for axis in draw_activations(codings).axes:
        assert sum(bar.get_height() for bar in axis.patches) == pytest.approx(100)
