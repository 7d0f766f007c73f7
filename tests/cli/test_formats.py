"""What `train` and `data show` say of images that have another format than the model takes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.cli.data import called, small
from tinygen import latent
from tinygen.cli import main
from tinygen.training import Run
from tinygen.training.experiment import restore


def test_images_of_another_format_are_told(capsys, tmp_path, monkeypatch, no_pictures):
    monkeypatch.chdir(tmp_path)
    images = np.zeros((20, 8, 8, 3), np.uint8)
    np.savez("rgb.npz", images=images)
    Path("folder").mkdir()
    for i in range(12):
        Image.fromarray(images[i]).save(f"folder/{i}.png")
    for source in ("rgb.npz", "folder"):
        call = ["train", "stacked-ae", "--data", source, "--steps", "1", "--set", "widths=[3]"]
        assert main([*call, "--out", f"{source}-grey"]) == 0
        told = "images of 8 x 8 RGB become 28 x 28 grey; --size and --channels choose another"
        assert told in capsys.readouterr().out
        assert told in Path(f"{source}-grey/log.txt").read_text()
        assert main([*call, "--size", "8", "--channels", "3", "--out", f"{source}-rgb"]) == 0
        assert "become" not in capsys.readouterr().out
        assert Run.open(f"{source}-rgb").config["config"]["image_shape"] == [8, 8, 3]


def test_images_are_not_enlarged_beyond_the_limit(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    for i in range(12):
        Image.new("L", (8, 8)).save(f"folder/{i}.png")
    monkeypatch.setattr(ImageOps, "fit", lambda *given, **options: pytest.fail("enlarged"))
    np.savez("x.npz", images=np.zeros((20, 8, 8), np.uint8))
    for source in ("folder", "x.npz", "series"):
        code, line = called(capsys, "data", "show", source, "--size", "30000")
        assert code == 1
        assert "Give a smaller size= or count=" in line
    code, line = called(capsys, "data", "show", "faces", "--size", "30000")
    assert code == 1
    assert "Give a smaller size" in line


def test_evaluation_reports_how_far_it_is(capsys, tmp_path):
    assert (
        main(["train", "vae", *small(tmp_path), "--steps", "1", "--out", str(tmp_path / "run")])
        == 0
    )
    experiment, _ = restore(tmp_path / "run")
    shares: list[float] = []
    x, model = experiment.train[0], experiment.model
    quiet = latent.negative_log_likelihood(model, x, 3)
    assert latent.negative_log_likelihood(model, x, 3, progress=shares.append) == quiet
    np.testing.assert_allclose(shares, [1 / 3, 2 / 3, 1])
