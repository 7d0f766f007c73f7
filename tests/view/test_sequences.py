"""Pictures of series and of text show what is in them, where it is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.models.cases import ALPHABET, samples
from tests.view.runs import trained
from tinygen import models
from tinygen.data.text import one_hot
from tinygen.latent import reconstruct
from tinygen.view import draw_figures
from tinygen.view.axes import BLUE, ORANGE
from tinygen.view.plate import save_png
from tinygen.view.sequences import (
    LETTER,
    LINE,
    MARK,
    MOST,
    PAIR,
    SMALL,
    STROKE,
    draw_sequences,
    draw_series,
    draw_text,
    small_curves,
)


def rgb(color: str) -> np.ndarray:
    return np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)])


def opened(path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def has(pixels: np.ndarray, color: str) -> np.ndarray:
    """Where pixels are of about a colour."""
    return abs(pixels - rgb(color)).max(axis=-1) < 12


def test_text_is_marked_where_it_differs(tmp_path):
    sheet = draw_text(["same", "word", "long"], ["same", "ward", "lo"])
    pixels = opened(save_png(sheet, tmp_path / "a.png"))
    marks = has(pixels, MARK)
    first, second, third = (marks[LETTER + i * PAIR : LETTER + (i + 1) * PAIR] for i in range(3))
    assert not first.any()
    width = (pixels.shape[1] - 2 * LETTER) // 4
    left = LETTER + np.array([1, 2]) * width  # the second letter of four
    (columns,) = np.nonzero(second.any(axis=0))
    assert left[0] <= columns.min() <= columns.max() < left[1]
    (rows,) = np.nonzero(second.any(axis=1))
    assert LINE <= rows.min() <= rows.max() < 2 * LINE  # of the reconstruction, not the original
    (columns,) = np.nonzero(third.any(axis=0))  # the two letters that are missing
    assert columns.min() == LETTER + 2 * width
    assert columns.max() == LETTER + 4 * width - 1


def test_series_end_where_they_end(tmp_path):
    x = np.zeros((1, 41, 1), np.float32)
    x[0, 21:] = np.nan
    x[0, 0] = 1.0
    pixels = opened(save_png(draw_series(x), tmp_path / "a.png"))
    (columns,) = np.nonzero(has(pixels, BLUE).any(axis=0))
    dark = pixels.sum(axis=2) < 60
    (axis,) = np.nonzero(dark[dark.sum(axis=1).argmax()])  # that at the bottom
    share = (columns.max() - axis.min()) / (axis.max() - axis.min())
    assert share == pytest.approx(0.5, abs=0.05)
    assert not has(pixels, ORANGE).any()
    both = opened(save_png(draw_series(x, x + 0.5), tmp_path / "b.png"))
    assert has(both, ORANGE).any()
    assert has(both, BLUE).any()


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 3), (7, 4, 1)])
def test_any_number_of_series(tmp_path, shape):
    figure = draw_series(np.full(shape, 0.5, np.float32))
    assert len(figure.axes) == shape[0]
    assert opened(save_png(figure, tmp_path / "new" / "flat.png")).std() > 0


def test_small_curves_run_where_the_series_do():
    x = np.full((2, 21, 1), np.nan)
    x[0, :, 0] = np.linspace(-1, 1, 21)
    x[1, :11, 0] = 1.0  # on top, and only the first half
    rising, short = small_curves(x) > 0
    height, width = SMALL
    (columns,) = np.nonzero(rising.any(axis=0))
    inner = columns[STROKE:-STROKE]  # without the caps
    middles = [np.nonzero(rising[:, c])[0].mean() for c in inner]
    assert (columns.min() < STROKE + 1, columns.max() > width - STROKE - 2) == (True, True)
    slope = (2 * STROKE - height) / (width - 2 * STROKE)
    line = height - STROKE + slope * (inner - STROKE)
    np.testing.assert_allclose(middles, line, atol=2)
    rows, columns = np.nonzero(short)
    assert rows.max() <= 2 * STROKE
    assert columns.max() == pytest.approx(width / 2, abs=STROKE)


def test_small_curves_of_flat_series_and_of_several_features():
    assert (small_curves(np.full((1, 5, 1), 0.3)) > 0).any()
    two = np.stack([np.ones(9), -np.ones(9)], axis=1)[np.newaxis]
    rows = (small_curves(two)[0] > 0).any(axis=1)
    assert (np.diff(rows.astype(int)) == 1).sum() + rows[0] == 2


CASES = {
    "series": {"preset": "series", "kind": "series"},
    "characters": {"preset": "characters", "kind": "characters", "alphabet": ALPHABET[:4]},
}


@pytest.mark.parametrize("kind", CASES)
def test_a_run_draws_its_sequences(tmp_path, kind):
    x = samples(kind, MOST + 3, (6, 4))
    done = trained(tmp_path / "run", "gru-ae", x, epochs=2, **CASES[kind])
    model, shown = done.model, done.samples[:MOST]
    drawn = sorted((tmp_path / "run" / "samples").iterdir())
    assert [path.name for path in drawn] == ["epoch-0001.png", "epoch-0002.png"]
    last = draw_sequences(model, shown[:10], reconstruct(model, shown[:10]))
    np.testing.assert_array_equal(opened(drawn[1]), opened(save_png(last, tmp_path / "a.png")))
    paths = draw_figures(done)
    wanted = {"series": ["tsne"], "characters": []}[kind]
    assert [path.stem for path in paths] == ["reconstructions", *wanted, "curves"]
    whole = draw_sequences(model, shown, reconstruct(model, shown))
    np.testing.assert_array_equal(opened(paths[0]), opened(save_png(whole, tmp_path / "b.png")))


def test_a_perfect_reconstruction_of_text_has_no_marks():
    model = models.create("gru-ae", image_shape=(6, 4), **CASES["characters"])
    x = one_hot(["abcd", "d"], ALPHABET[:4], steps=6)
    assert not has(np.asarray(draw_sequences(model, x, x)).astype(int), MARK).any()
    other = one_hot(["abcd", "c"], ALPHABET[:4], steps=6)
    assert has(np.asarray(draw_sequences(model, x, other)).astype(int), MARK).any()
