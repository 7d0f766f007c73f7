"""StyleGAN's ablation: each row changes one part of the one before, and a short run has a table."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest

from benchmarks import style_ablation as ablation
from tinygen import Random, models


def test_each_row_changes_one_part_of_the_row_before() -> None:
    rows = list(ablation.ROWS.values())[:6]
    assert [row.model for row in rows] == ["progan"] * 2 + ["stylegan"] * 4
    parts = [{**models.options(row.model), **row.config} for row in rows]
    changed = [{k for k in a.keys() & b.keys() if a[k] != b[k]} for a, b in pairwise(parts)]
    # the decay of the average is the model's own
    assert changed == [{"blur"}, {"average"}, {"constant"}, {"layer_noise"}, {"mixing"}]


def test_a_short_run_goes_on_and_ends_with_a_table(tmp_path, monkeypatch, capsys) -> None:
    def network(dataset, **_):
        return models.create("regressor", image_shape=(16, 16, 3), widths=[2], features=3)

    monkeypatch.setattr(ablation, "judging_model", network)
    for name, n in (("JUDGED", 20), ("PATHS", 4), ("SEPARATED", 500)):
        monkeypatch.setattr(ablation, name, n)
    monkeypatch.setattr(ablation, "SMALL", {**ablation.SMALL, "width": 4, "maps": 32, "count": 200})
    call = ["--only", "B ", "F mixing", "--images", "64", "--seeds", "1"]
    assert ablation.main([*call, "--json", str(tmp_path / "a.json")]) == 0
    first = capsys.readouterr()
    assert "F mixing 90 %" in first.out
    for run in json.loads((tmp_path / "a.json").read_text())["runs"]:
        assert all(np.isfinite(run[figure]) for figure in ablation.FIGURES)
    assert ablation.main([*call, "--json", str(tmp_path / "a.json")]) == 0
    again = capsys.readouterr()
    assert (again.out, again.err) == (first.out, "")


def test_attributes_are_the_regressors() -> None:
    regressor = models.create("regressor", image_shape=(8, 8, 3), widths=[2], features=3).eval()
    x = Random(0).uniform((5, 8, 8, 3))
    p, told = ablation.attributes(regressor, x), regressor.predict(x)
    names = [f.name for f in regressor.factors if f.name in ablation.ATTRIBUTES]
    assert {*names} == {*ablation.ATTRIBUTES}
    age = p[:, names.index("age")]
    low, high = age.min(), age.max()
    np.testing.assert_allclose(np.argsort(age), np.argsort(told["age"]))
    assert 0 <= low < high <= 1
    assert ablation.interval([1.0, 2.0, 3.0]) == "2 +- 2.5"  # 4.303 / sqrt 3
    assert ablation.interval([1.0]) == "1"


def test_unknown_rows_are_refused() -> None:
    with pytest.raises(SystemExit):
        ablation.main(["--only", "nothing"])
