"""Pictures of series and of text show what is in them, where it is."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.models.cases import ALPHABET, samples
from tinygen import models
from tinygen.data.text import one_hot
from tinygen.latent import reconstruct
from tinygen.training import Run, Trainer
from tinygen.view import Plates, draw_figures
from tinygen.view.axes import BLUE, ORANGE
from tinygen.view.sequences import (
    LETTER,
    LINE,
    MARK,
    MOST,
    PAIR,
    draw_sequences,
    draw_series,
    draw_text,
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
    path = draw_text(["same", "word", "long"], tmp_path / "a.png", ["same", "ward", "lo"])
    pixels = opened(path)
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
    pixels = opened(draw_series(x, tmp_path / "a.png"))
    (columns,) = np.nonzero(has(pixels, BLUE).any(axis=0))
    (frame,) = np.nonzero((pixels.sum(axis=2) < 60).mean(axis=0) > 0.3)  # the axis on the left
    share = (columns.max() - frame.max()) / (pixels.shape[1] - frame.max())
    assert share == pytest.approx(0.5, abs=0.05)
    assert not has(pixels, ORANGE).any()
    both = opened(draw_series(x, tmp_path / "b.png", x + 0.5))
    assert has(both, ORANGE).any()
    assert has(both, BLUE).any()


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 5, 3), (7, 4, 1)])
def test_any_number_of_series(tmp_path, shape):
    flat = draw_series(np.full(shape, 0.5, np.float32), tmp_path / "new" / "flat.png")
    assert opened(flat).std() > 0
    rows = -(-shape[0] // 5)
    assert opened(flat).shape[0] == pytest.approx(120 * (1.4 * rows + 0.4), abs=1)


CASES = {
    "series": {"preset": "series", "kind": "series"},
    "characters": {"preset": "characters", "kind": "characters", "alphabet": ALPHABET[:4]},
}


@pytest.mark.parametrize("kind", CASES)
def test_a_run_draws_its_sequences(tmp_path, kind):
    model = models.create("gru-ae", image_shape=(6, 4), **CASES[kind])
    x = samples(kind, MOST + 3, (6, 4))
    stages = [stage._replace(epochs=2) for stage in model.stages(model.recipe("series"))]
    trainer = Trainer(model, stages, [x], valid=[x], callbacks=[Plates(x)])
    trainer.write_to(Run.create(tmp_path / "run", {}))
    trainer.train()
    drawn = sorted((tmp_path / "run" / "samples").iterdir())
    assert [path.name for path in drawn] == ["epoch-0001.png", "epoch-0002.png"]
    last = draw_sequences(model, x[:10], reconstruct(model, x[:10]), tmp_path / "last.png")
    np.testing.assert_array_equal(opened(drawn[1]), opened(last))
    paths = draw_figures(model, x, trainer.rows, tmp_path / "run")
    assert [path.stem for path in paths] == ["reconstructions", "curves"]
    made = reconstruct(model, x[:MOST])
    shown = draw_sequences(model, x[:MOST], made, tmp_path / "shown.png")
    np.testing.assert_array_equal(opened(paths[0]), opened(shown))


def test_a_perfect_reconstruction_of_text_has_no_marks(tmp_path):
    model = models.create("gru-ae", image_shape=(6, 4), **CASES["characters"])
    x = one_hot(["abcd", "d"], ALPHABET[:4], steps=6)
    assert not has(opened(draw_sequences(model, x, x, tmp_path / "a.png")), MARK).any()
    other = one_hot(["abcd", "c"], ALPHABET[:4], steps=6)
    assert has(opened(draw_sequences(model, x, other, tmp_path / "b.png")), MARK).any()
