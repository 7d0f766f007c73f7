"""Benchmarks of metrics and of findings: what they compare, and how they tell it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import disturbances, findings, metrics
from benchmarks.peers import sample_metrics
from tinygen import Random


def test_values_of_other_packages_are_held_against_ours() -> None:
    ours = {"distance": 1.0, "error": 0.01}
    assert not metrics.disagreements("m", "peer", ours, {"distance": 1.03, "error": 0.0})
    (line,) = metrics.disagreements("m", "peer", ours, {"distance": 1.05, "error": 0.0})
    assert line.startswith("DISAGREES: m, distance: 1.05 by peer, ours 1")
    assert metrics.disagreements("m", "peer", {"x": 1.0}, {"x": 1.0001})
    assert metrics.disagreements("m", "peer", {"x": 1.0}, {"x": float("nan")})
    assert not metrics.disagreements("m", "peer", {"x": 1.0, "y": 2.0}, {"x": 1.000001})


@pytest.mark.parametrize(("library", "metric"), [("prdc", "four of neighbours"),
                                                 ("scipy", "frechet distance"),
                                                 ("skimage", "ssim of pairs")])  # fmt: skip
def test_ours_agree_with_other_packages_on_the_same_features(
    library: str, metric: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip(library)
    rng = Random(0)
    arrays = {name: rng.uniform((60, 12, 12)) for name in ("real", "fake")}
    for name in ("real", "fake"):
        arrays[f"{name}_features"] = rng.normal((60, 5), dtype=np.float64)
    np.savez(tmp_path / "samples.npz", **arrays)
    answers = []
    for each in ("tinygen", library):
        sample_metrics.main(each, metric, str(tmp_path / "samples.npz"))
        answers.append(json.loads(capsys.readouterr().out.splitlines()[-1]))
    assert not metrics.disagreements(metric, library, *(a["values"] for a in answers))
    assert all(a["seconds"] > 0 and a["memory"] >= 0 for a in answers)


def test_a_study_tells_what_a_metric_is_blind_to() -> None:
    still, falling, mixed = [1.0, 1.0, 1.001], [3.0, 2.0, 1.0], [1.0, 3.0, 2.0]
    found = {
        kind: dict.fromkeys(disturbances.NAMES, values)
        for kind, values in (("blur", still), ("noise", falling), ("shift", mixed))
    }
    row = disturbances.responses(found)[0]
    assert row[0] == disturbances.NAMES[0]
    assert [cell.partition(", ")[2] for cell in row[1:]] == ["blind", "in order", "not in order"]


def test_faults_and_false_alarms_are_counted() -> None:
    last = {"valid_separation": 0.9, "diversity": 0.5}
    rows = [
        {"case": name, "model": "gan", "data": "ring", "due": due, "found": found, "last": last}
        for name, due, found in (
            ("healthy", (), []),
            ("alarmed", (), ["collapse"]),
            ("named", ("collapse", "divergence"), ["collapse"]),
            ("missed", ("divergence",), ["collapse"]),
        )
    ]
    shown = findings.table(rows)
    assert "named: 1 of 2 faults; false alarms: in 1 of 2 healthy runs" in shown
    assert [line.split()[-1] for line in shown.splitlines()[1:5]] == [
        "nothing", "ALARM", "collapse", "MISSED",
    ]  # fmt: skip
    with pytest.raises(SystemExit):
        findings.main(["--only", "nothing of that name"])
    known = {"separation", "collapse", "missing modes", "missing classes", "divergence",
             "low fidelity", "vanishing gradient", "memorisation"}  # fmt: skip
    assert {name for case in findings.CASES for name in case.due} <= known
