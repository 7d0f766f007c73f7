"""The figures of a run: which are drawn, of what, and that they open."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.view.runs import images, opened, subject_of, trained
from tinygen import models
from tinygen.data.plane import noisy_plane
from tinygen.latent import reconstruct
from tinygen.view import FIGURES, draw_figures, plate, to_pixels
from tinygen.view.plate import SHOWN


@pytest.mark.parametrize(
    ("name", "data", "drawn"),
    [
        ("linear-ae", noisy_plane(20), ["projection", "curves"]),
        ("linear-ae", images(12, 5, 7), ["reconstructions", "tsne", "curves"]),
        ("linear-ae", images(12, 9), ["curves"]),
        ("stacked-ae", images(12, 8, 8), ["reconstructions", "tsne", "curves"]),
        ("stacked-ae", images(2, 5, 7), ["reconstructions", "curves"]),
        ("tied-ae", images(12, 16, 16, 3), ["reconstructions", "tsne", "curves"]),
    ],
)
def test_each_model_draws_what_its_data_allows(tmp_path, name, data, drawn):
    done = trained(tmp_path / "run", name, data)
    paths = draw_figures(done)
    assert [path.stem for path in paths] == drawn
    assert {path.parent for path in paths} == {tmp_path / "run"}
    for path in paths:
        opened(path)


def test_every_figure_that_a_model_names_is_known():
    for name in models.names():
        assert set(models.find(name).figures) <= set(FIGURES)


def test_a_plate_shows_originals_and_epochs(tmp_path):
    x = images(12, 8, 8)
    done = trained(tmp_path / "run", "stacked-ae", x, epochs=40)
    samples = sorted((tmp_path / "run" / "samples").iterdir())
    assert [path.name for path in samples] == [f"epoch-{i + 1:04d}.png" for i in range(40)]
    last = np.asarray(plate(reconstruct(done.model, x[:SHOWN]), SHOWN, scale=1, gap=0))
    np.testing.assert_array_equal(opened(samples[-1]), last)
    (path, *_) = draw_figures(done)
    sheet = opened(path)
    expected = np.asarray(plate(np.concatenate([x[:SHOWN]]), SHOWN))
    assert sheet.shape[0] == 4 + 60 * 8  # the originals, and 7 of 40 epochs
    margin = sheet.shape[1] - expected.shape[1]
    np.testing.assert_array_equal(sheet[:60, margin + 4 :], expected[:60, 4:])
    enlarged = to_pixels(reconstruct(done.model, x[:1]))[0].repeat(7, 0).repeat(7, 1)
    start = margin + 4
    np.testing.assert_array_equal(sheet[-60:-4, start : start + 56], enlarged)


def test_epochs_that_were_abandoned_are_not_shown(tmp_path):
    x = images(12, 8, 8)
    done = trained(tmp_path / "run", "stacked-ae", x, epochs=3)
    (path, *_) = draw_figures(replace(done, rows=done.rows[:1]))
    assert opened(path).shape[0] == 4 + 60 * 2
    for sample in (tmp_path / "run" / "samples").iterdir():
        sample.unlink()
    assert [p.stem for p in draw_figures(done)] == ["tsne", "curves"]


def test_without_a_single_epoch_there_are_no_figures(tmp_path):
    assert draw_figures(subject_of(models.create("stacked-ae"), images(9, 28, 28), tmp_path)) == []


@pytest.mark.parametrize("codings", [1, 2, 3])
def test_projections_of_any_number_of_codings(tmp_path, codings):
    points = noisy_plane(20)
    done = trained(tmp_path / "run", "linear-ae", points, codings=codings)
    assert draw_figures(done)[0].stem == "projection"


def test_curves_of_one_epoch_and_of_stages(tmp_path):
    x = images(12, 8, 8)
    one = trained(tmp_path / "one", "stacked-ae", x, epochs=1)
    two = trained(tmp_path / "two", "stacked-ae", x, epochs=2, preset="greedy")
    for done in (one, two):
        assert draw_figures(done)[-1].stem == "curves"
    assert [row["stage"] for row in two.rows] == 2 * ["layer 1"] + 2 * ["layer 2"] + 2 * [
        "fine-tune"
    ]


def test_drawing_changes_nothing_of_the_model(tmp_path):
    model = models.create("stacked-ae", image_shape=(8, 8)).train()
    before = model.state_dict()
    reconstruct(model, images(3, 8, 8))
    assert model.training
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
