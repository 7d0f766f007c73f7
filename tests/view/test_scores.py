"""Scores of samples on the report's page."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tinygen import Random
from tinygen.training import RunError
from tinygen.training.extractors import of_function
from tinygen.training.judging import report, tables, with_error
from tinygen.view.scores import read_scores

X = Random(0).uniform((90, 16, 16)) ** 4


NONE = {"scores": {}, "extractor": "", "real": 1, "fake": 1, "seed": 0}
OTHER_KIND = json.dumps(
    {"judgement": {"kind": "x", "samples": NONE, "floor": NONE, "ceiling": NONE}}
)


def written(folder, found):
    (folder / "evaluation.json").write_text(json.dumps({"judgement": found}))


def test_a_page_shows_what_was_judged(tmp_path):
    network = of_function(lambda x: x.reshape(len(x), -1)[:, ::5], "some pixels")
    found = report(X[:30], X[30:60], X[60:], network, names=["frechet_distance", "recall"])
    written(tmp_path, tables(found))
    shown = read_scores(tmp_path)
    assert [row.name for row in shown.rows] == ["Fréchet distance", "recall"]
    recall = found.samples.scores["recall"]
    assert shown.rows[1].samples == with_error(recall, recall.standard_error, "±")
    assert "±" in shown.rows[1].samples
    assert shown.rows[1].floor == f"{found.floor.scores['recall']:.4g}"
    assert float(shown.rows[0].ceiling) > float(shown.rows[0].floor)
    assert shown.basis == f"30 samples against 30 reals, seed 0, features of network {network.hash}"
    assert shown.expected == f"{found.expected:.4g}"
    assert shown.classes == []
    assert (shown.kind, "no generator can be expected to better" in shown.floor) == (
        "samples",
        True,
    )
    found = report(X[:30], X[:30], X[60:], network, names=["recall"], kind="reconstructions")
    written(tmp_path, tables(found))
    shown = read_scores(tmp_path)
    assert shown.basis.startswith("30 reconstructions against 30 reals")
    assert "reconstructions of the reals themselves may be better" in shown.floor
    with pytest.raises(ValueError, match="kind must be one of samples, reconstructions, not 'x'"):
        report(X[:30], X[:30], X[60:], network, kind="x")


def test_shares_of_classes_have_names_where_there_are_as_many(tmp_path):
    found = report(X[:30], X[30:60], X[60:], None, names=["sliced_wasserstein"])
    written(tmp_path, {**tables(found), "classes": [9, 0, 3]})
    assert read_scores(tmp_path, ("a", "b", "c")).classes == [("a", 0.75), ("b", 0.0), ("c", 0.25)]
    assert [name for name, _ in read_scores(tmp_path, ("a",)).classes] == ["0", "1", "2"]
    assert np.isclose(sum(share for _, share in read_scores(tmp_path).classes), 1)


def test_scores_of_other_weights_are_told(tmp_path):
    found = tables(report(X[:30], X[30:60], X[60:], None, names=["sliced_wasserstein"]))
    text = json.dumps({"weights": "ab", "judgement": found})
    (tmp_path / "evaluation.json").write_text(text)
    for weights, outdated in ((None, False), ("ab", False), ("cd", True)):
        assert read_scores(tmp_path, weights=weights).outdated == outdated


def test_nothing_was_judged(tmp_path):
    assert read_scores(tmp_path) is None


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"judgement": 3}', '{"judgement": {"samples": 1}}', OTHER_KIND]
)
def test_a_damaged_file_is_named(tmp_path, text):
    (tmp_path / "evaluation.json").write_text(text)
    with pytest.raises(
        RunError, match=r"evaluation\.json cannot be read .* remove it, or write it"
    ):
        read_scores(tmp_path)
