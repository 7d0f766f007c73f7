"""Directions of factors: planted ones are told by every way, and a run has a table and a plate."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks import directions
from tinygen import models
from tinygen.cli import main
from tinygen.latent import Effects

RNG = np.random.default_rng(0)


def test_every_way_finds_planted_factors() -> None:
    codes = RNG.standard_normal((3000, 5))
    values = {"a": codes[:, 1], "b": codes[:, 3] * 2}
    weights = [
        np.outer(np.eye(5)[axis], RNG.uniform(1, 2, n)) + 0.01 * RNG.standard_normal((5, n))
        for axis, n in ((1, 30), (3, 20))
    ]
    found = directions.found_directions(codes, values, weights)
    assert len(found) == 4
    for way, own in found.items():
        for name, axis in (("a", 1), ("b", 3)):
            of = own.values() if "weights" in way else [own[name]]
            assert max(abs(d[axis]) for d in of) > 0.95, (way, name)


def test_rows_are_a_factors_own_or_the_one_that_moves_it_most() -> None:
    shifts = np.array([[0.1, 2.0], [-3.0, 0.2], [0.5, 0.5]])
    named = Effects(("a", "b"), ("a", "b"), shifts[:2], shifts[:2])
    assert directions.best_rows(named) == {"a": 0, "b": 1}
    numbered = Effects(("0", "1", "2"), ("a", "b"), shifts, shifts)
    assert directions.best_rows(numbered) == {"a": 1, "b": 0}


def test_a_run_has_a_table_and_a_plate(tmp_path, monkeypatch, capsys) -> None:
    def network(dataset, **_):
        return models.create("regressor", image_shape=(8, 8, 3), widths=[2], features=3).eval()

    monkeypatch.setattr(directions, "judging_model", network)
    sight = RNG.standard_normal((8 * 8 * 3, 4))  # the regressor knows nothing yet
    monkeypatch.setattr(directions, "attributes", lambda _, x: x.reshape(len(x), -1) @ sight)
    monkeypatch.setattr(directions, "FITTED", 40)
    small = ("latents=4", "width=4", "maps=16", "mapping_layers=2", "count=60", "start=8")
    call = ["train", "stylegan", "--size", "8", "--batch-size", "16", "--steps", "2"]
    sets = [word for s in small for word in ("--set", s)]
    assert main([*call, *sets, "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    files = ["--json", str(tmp_path / "a.json"), "--plate", str(tmp_path / "a.png")]
    assert directions.main([str(tmp_path / "run"), "--codes", "6", *files]) == 0
    told = capsys.readouterr().out
    records = json.loads((tmp_path / "a.json").read_text())
    assert len(records) == 4 * (3 + 4)  # factors, and ways in z and in w
    for way in ("class means", "logistic regression", "linear regression", "weights (SeFa)"):
        assert way in told
    with Image.open(tmp_path / "a.png") as picture:
        assert np.asarray(picture).std() > 0


def test_other_runs_are_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("images.npz", images=RNG.integers(0, 255, (40, 8, 8)).astype(np.uint8))
    call = ["train", "stacked-ae", "--data", "images.npz", "--size", "8", "--channels", "1"]
    assert main([*call, "--steps", "1", "--out", "run"]) == 0
    with pytest.raises(SystemExit):
        directions.main(["run"])
