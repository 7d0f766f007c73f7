"""Every rung computes the right thing, and a wrong one is noticed. No time is judged here."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.ladders import climb, ladder, main, naive
from benchmarks.ladders.ladder import LADDERS, TOLERANCE, Rung

SIZES = {
    "convolution": [(2, 7, 5, 6), (1, 9, 16, 33), (3, 4, 4, 64), (1, 1, 1, 1)],
    "product": [(3, 5, 7), (8, 16, 48), (1, 1, 1), (33, 18, 100)],
}
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed"
)
RUNGS = [
    pytest.param(kind, rung, marks=[needs_torch] if rung.endswith("torch") else [], id=rung)
    for kind, each in LADDERS.items()
    for rung in each.rungs
]


@pytest.mark.parametrize(("kind", "rung"), RUNGS)
def test_every_rung_agrees_with_numpy(kind: str, rung: str) -> None:
    for sizes in SIZES[kind]:
        (far,) = ladder.load(rung, 1, list(sizes)).check(1)
        assert far <= TOLERANCE, sizes


def test_a_rung_is_a_small_file_to_be_read() -> None:
    folder = Path(ladder.__file__).parent
    for each in LADDERS.values():
        for rung in each.rungs:
            assert len((folder / f"{rung}.py").read_text().splitlines()) <= 60


def test_a_rung_alone_says_what_it_found(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ladder.alone(naive.__file__, ["1", "3", "2", "2"]) == 0
    assert "GFLOP/s by the direct count" in capsys.readouterr().out
    monkeypatch.setattr(naive, "convolve", lambda x, w: np.zeros((1, 3, 3, 2), np.float32))
    assert ladder.alone(naive.__file__, ["1", "3", "2", "2"]) == 1
    assert "DISAGREES" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        ladder.alone(naive.__file__, ["1", "3"])
    assert "4 numbers are needed: batch pixels inputs outputs" in capsys.readouterr().err


def test_a_result_that_is_not_a_number_disagrees() -> None:
    problem = ladder.product(2, 3, 4)
    (far,) = Rung(lambda a, b: np.full((2, 4), np.nan, np.float32), problem).check(1)
    assert not far <= TOLERANCE


def test_climbing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    short = dataclasses.replace(LADDERS["product"], rungs=("matmul_blas", "matmul_order"))
    monkeypatch.setitem(LADDERS, "product", short)
    options = ["--blocks", "1", "--seconds", "0.01", "--json", str(tmp_path / "out.json")]
    assert main(["product", "--sizes", "4", "6", "5", *options]) == 0
    printed = capsys.readouterr().out
    assert "rows 4, depth 6, columns 5: 0.0 million multiply-adds" in printed
    assert [line.split()[0] for line in printed.splitlines() if line.startswith("matmul")] == [
        "matmul_blas",
        "matmul_order",
    ]
    figures = json.loads((tmp_path / "out.json").read_text())["ladders"]["product"]
    assert figures["matmul_order"]["error"] <= TOLERANCE


@pytest.mark.parametrize("arguments", [["product", "--sizes", "4"], ["--sizes", "1", "2", "3"]])
def test_sizes_that_fit_no_ladder_are_a_usage_error(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
    assert (
        f"--sizes are for one ladder, all of them: {climb.all_sizes()}" in capsys.readouterr().err
    )
