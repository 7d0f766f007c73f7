"""Sheets: every image is where it should be, whole, with its frame."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import ImageColor

from tinygen.ops.random import Random
from tinygen.view.axes import BLUE, GREEN, ORANGE
from tinygen.view.codings import arithmetic, look_alikes, outliers, square, traversals, walks
from tinygen.view.sheet import FRAME, Tile, sheet


def images(*shape: int) -> np.ndarray:
    """Images of 64 x 64 pixels, so that none is enlarged."""
    return Random(0).integers(0, 255, (*shape, 64, 64, 3)).astype(np.uint8)


def place_of(image: np.ndarray, page: np.ndarray) -> tuple[int, int]:
    """The top left corner of an image on a page, where it must be exactly once."""
    height, width = image.shape[:2]
    corners = (page[: 1 - height, : 1 - width] == image[0, 0]).all(axis=2)
    found = [
        (int(y), int(x))
        for y, x in np.argwhere(corners)
        if (page[y : y + height, x : x + width] == image).all()
    ]
    assert len(found) == 1
    return found[0]


def frame_of(place: tuple[int, int], page: np.ndarray) -> str:
    """The colour around an image of 64 x 64, the same on all its sides; none if it is paper."""
    y, x = place
    near = page[y - FRAME : y + 64 + FRAME, x - FRAME : x + 64 + FRAME].copy()
    inside = np.zeros(near.shape[:2], bool)
    inside[FRAME:-FRAME, FRAME:-FRAME] = True
    (color,) = np.unique(near[~inside], axis=0)
    found = {ImageColor.getrgb(c): c for c in (BLUE, GREEN, ORANGE)}
    return found[tuple(color)] if color.min() < 255 else ""


def test_rows_of_tiles_stand_below_each_other_and_in_columns():
    x = images(2, 3)
    page = np.asarray(sheet([[Tile(image) for image in row] for row in x]))
    places = np.array([[place_of(image, page) for image in row] for row in x])
    assert len(np.unique(places[:, :, 0])) == 2
    assert len(np.unique(places[:, :, 1])) == 3
    assert (np.diff(places[0, :, 1]) == 64 + 2 * FRAME + 6).all()


def test_titles_captions_signs_and_texts_cover_no_image():
    x = images(4)
    tiles = [Tile(x[0], "a very long text below it"), Tile(x[1], "two\nlines", "+")]
    tiles += [Tile(x[2], sign="-"), Tile(x[3], "end", "=", BLUE)]
    plain = sheet([[Tile(image) for image in x]])
    full = sheet([tiles], title="A title " * 20, note="one\ntwo", captions=["a caption"])
    page = np.asarray(full)
    places = [place_of(image, page) for image in x]
    assert [frame_of(place, page) for place in places] == ["", "", "", BLUE]
    assert full.width > plain.width
    assert full.height > plain.height
    assert (page[:, -4:] == 255).all()  # the title is not cut off


@pytest.mark.parametrize("sign", ["+", "-", "="])
def test_signs_are_drawn_between_tiles(sign):
    x = images(2)
    page = np.asarray(sheet([[Tile(x[0]), Tile(x[1], sign=sign)]]))
    (y, left), (_, right) = (place_of(image, page) for image in x)
    between = page[y : y + 64, left + 64 + FRAME : right - FRAME].min(axis=2) < 200
    rows = between.any(axis=1)
    bars = {"+": 1, "-": 1, "=": 2}[sign]
    assert (np.diff(rows.astype(int)) == 1).sum() == bars
    assert (between.sum(axis=0).max() > 10) == (sign == "+")


def test_small_images_are_enlarged_and_floats_and_grey_will_do():
    page = np.asarray(sheet([[Tile(np.full((10, 8), 0.5)), Tile(np.zeros((10, 8)))]]))
    grey = (page == 128).all(axis=2)
    assert grey.sum() == 70 * 56
    assert (page == 0).all(axis=2).sum() == 70 * 56


def test_rows_without_tiles():
    for rows in ([], [[Tile(np.zeros((2, 2)))], []]):
        with pytest.raises(ValueError, match="every row needs a tile"):
            sheet(rows)


# The plates


def test_walks_begin_and_end_with_framed_originals():
    ends, steps = images(2, 2), 255 - images(2, 3)
    page = np.asarray(walks(ends, steps, title="a walk"))
    for (first, last), way in zip(ends, steps, strict=True):
        places = [place_of(image, page) for image in (first, *way, last)]
        assert [frame_of(p, page) for p in places] == [BLUE, "", "", "", BLUE]
        assert sorted(places) == places
        assert len({y for y, _ in places}) == 1


def test_a_square_has_its_corners_framed():
    x = images(3, 4)
    page = np.asarray(square(x))
    frames = [[frame_of(place_of(image, page), page) for image in row] for row in x]
    edge, middle = [BLUE, "", "", BLUE], [""] * 4
    assert frames == [edge, middle, edge]


def test_look_alikes_show_who_is_of_the_class():
    x = images(2, 4)
    same = np.array([[True, False, True], [False, True, True]])
    texts = [["0 bits"] * 3] * 2
    page = np.asarray(look_alikes(x[:, 0], x[:, 1:], texts, ["cat", "dog"], same))
    frames = [[frame_of(place_of(image, page), page) for image in row] for row in x]
    assert frames == [[BLUE, GREEN, ORANGE, GREEN], [BLUE, ORANGE, GREEN, GREEN]]
    page = np.asarray(look_alikes(x[:, 0], x[:, 1:], texts))
    assert [frame_of(place_of(image, page), page) for image in x[0]] == [BLUE, "", "", ""]


def test_outliers_are_the_worst_and_the_best():
    x = images(5)
    made, scores = 255 - x, np.array([0.3, 0.9, 0.1, 0.5, 0.7])
    page = np.asarray(outliers(x, made, scores, 0.6, shown=2))
    by_place = sorted((place_of(x[i], page), i) for i in (1, 4, 2, 0))
    assert [i for _, i in by_place] == [1, 4, 2, 0]
    assert [frame_of(place, page) for place, _ in by_place] == [ORANGE, ORANGE, "", ""]
    for (y, left), i in by_place:
        below, beside = place_of(made[i], page)
        assert below > y
        assert beside == left
    assert outliers(x, made, scores, 0.6, shown=9).height == page.shape[0]


def test_arithmetic_has_an_equation_and_images():
    x = images(4, 4)
    names = ("dress", "pullover", "shirt")
    page = np.asarray(arithmetic(x[0], x[1:3], x[3], names))
    places = [[place_of(image, page) for image in row] for row in x]
    assert places == sorted(places)
    assert [frame_of(p, page) for p in places[0]] == ["", "", "", BLUE]
    assert [frame_of(p, page) for p in places[3]] == [BLUE] * 4
    alone = arithmetic(x[0], x[1:3, :0], x[3, :0], names)
    assert alone.height < page.shape[0] / 2


def test_traversals_frame_the_value_where_they_began():
    x, values = images(2, 3), np.array([-3.0, 0.0, 3.0])
    ends = 255 - images(2)
    captions = ["coding 1: 2.00 nats\nage 0.50", "coding 0"]
    for image, extra in ((None, 0), ((ends[0], ends[1]), 1)):
        page = np.asarray(traversals(x, values, np.array([2.0, -0.4]), captions, image=image))
        places = [[place_of(tile, page) for tile in row] for row in x]
        frames = [[frame_of(place, page) for place in row] for row in places]
        assert frames == [["", "", BLUE], ["", BLUE, ""]]
        assert [len({left for _, left in column}) for column in zip(*places, strict=True)] == [
            1
        ] * 3
        if extra:
            (top, _), (same, _) = (place_of(tile, page) for tile in ends)
            assert top == same < places[0][0][0]


def test_captions_of_two_lines_are_beside_their_row():
    x = images(2)
    rows = [[Tile(image)] for image in x]
    one = np.asarray(sheet(rows, captions=["a", "b"]))
    two = np.asarray(sheet(rows, captions=["a\nlonger one", "b"]))
    assert two.shape[0] == one.shape[0]
    assert two.shape[1] > one.shape[1]  # as wide as the widest line
    (y, left), _ = (place_of(image, two) for image in x)
    ink = np.flatnonzero((two[:, : left - FRAME] < 200).any(axis=(1, 2)))
    first = ink[ink < y + 64 + FRAME]
    assert abs((first.min() + first.max()) / 2 - (y + 32)) < 6
