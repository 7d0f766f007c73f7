"""The bench of remedies: its protocol, its intervals and bars, and that it goes on where it was."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import remedies, remedy_rows
from tinygen.data.digits import base_digits
from tinygen.data.mixtures import SIGMA, centres
from tinygen.models import find
from tinygen.training.settings import settings

EVERY = [(name, remedy) for name, bench in remedies.BENCHES.items() for remedy in bench.remedies]


def run(remedy: str, seed: int, modes: int, name: str = "ring", steps: int = 5) -> dict[str, Any]:
    key = {"bench": name, "remedy": remedy, "seed": seed, "steps": steps}
    return {**key, "seconds": 1.0, "modes": modes, "quality": 0.5, "divergence": 0.1}


@pytest.mark.parametrize(("name", "remedy"), EVERY)
def test_every_remedy_is_a_change_of_the_settings_of_its_bench(name: str, remedy: str) -> None:
    bench = remedies.BENCHES[name]
    chosen = bench.remedies[remedy]
    assert find(bench.model).recipe(bench.preset).batch_size == bench.batch
    own, other = (
        settings(bench.model, preset=preset, data=name, steps=5, overrides=overrides)
        for preset, overrides in (
            (chosen.preset or bench.preset, chosen.settings(500)),
            (bench.preset, {}),
        )
    )
    assert (own == other) == (remedy == "plain")
    assert own["training"]["max_steps"] == 5
    assert own["training"]["batch_size"] % own["config"]["packing"] == 0


def test_noise_fades_out_in_the_first_half_of_a_run() -> None:
    assert remedy_rows.POINTS["instance noise"].settings(1000)["noise_images"] == 500
    assert "noise_images" not in remedy_rows.POINTS["replay"].settings(1000)


@pytest.mark.parametrize("name", SIGMA)
def test_modes_of_points_are_counted_as_pacgan_does(name: str) -> None:
    middle = centres(name)
    found = remedies.figures(name, np.tile(middle[:3], (4, 1)).astype(np.float32))
    assert (found["modes"], found["quality"]) == (3, 1.0)
    assert found["divergence"] == pytest.approx(math.log(len(middle) / 3))
    far = remedies.figures(name, (middle + 4 * SIGMA[name]).astype(np.float32))
    assert (far["modes"], far["quality"]) == (0, 0.0)
    assert far["divergence"] == pytest.approx(0, abs=1e-12)


def test_modes_of_stacked_digits_are_told_channel_by_channel() -> None:
    images, values = base_digits()
    triple = images[:30].reshape(10, 3, 8, 8).transpose(0, 2, 3, 1) / np.float32(255)
    expected = values[:30].reshape(10, 3) @ np.array([100, 10, 1])
    np.testing.assert_array_equal(remedies.told(triple), expected)
    found = remedies.figures("stacked-digits", triple)
    assert found["modes"] == len(set(expected))
    assert math.isnan(found["quality"])
    assert found["divergence"] == pytest.approx(math.log(1000 / 10))


@pytest.mark.parametrize("name", remedies.BENCHES)
def test_samples_that_are_no_numbers_capture_nothing(name: str) -> None:
    modes = remedies.BENCHES[name].modes
    for samples in (None, np.full((2, 2), np.nan, np.float32)):
        found = remedies.figures(name, samples)
        assert found["modes"] == 0
        assert found["divergence"] == pytest.approx(math.log(modes))


def test_intervals_are_standard_errors() -> None:
    values = np.array([6.0, 8.0, 7.0, 7.0])
    error = values.std(ddof=1) / 2
    assert remedies.interval(list(values), 3) == f"7.000 +- {error:.3f}"
    assert remedies.interval([7.0], 1) == "7.0"
    assert remedies.interval([math.nan, 7.0], 1) == ""


def test_bars_compare_seed_by_seed() -> None:
    ring = [run("plain", 0, 6), run("packing 2", 0, 8), run("packing 2", 1, 7), run("modern", 0, 8)]
    assert [bar.holds for bar in remedies.bars("ring", ring)] == [True, True, True]
    worse = [run("plain", 0, 8), run("packing 2", 0, 7), run("modern", 0, 8), run("modern", 1, 7)]
    assert [bar.holds for bar in remedies.bars("ring", worse)] == [False, False, False]
    digits = [run("plain", s, 100, "stacked-digits") for s in (0, 1)]
    digits += [run("packing 2", s, m, "stacked-digits") for s, m in enumerate((101, 99))]
    (bar,) = remedies.bars("stacked-digits", digits)
    assert "1 of 2 seeds" in bar.text
    assert not bar.holds
    assert not remedies.bars("grid", [run("plain", 0, 1, "grid")])


def test_a_bar_says_how_many_seeds_are_due_still() -> None:
    every = [run(remedy, s, 8) for remedy in ("packing 2", "modern") for s in range(10)]
    assert [bar.verdict for bar in remedies.bars("ring", every)] == ["holds", "holds"]
    part = [*every[:12], run("plain", 0, 7)]
    assert [bar.verdict for bar in remedies.bars("ring", part)] == [
        "holds", "holds so far, 9 more seeds are due", "holds so far, 8 more seeds are due",
    ]  # fmt: skip
    missed = [run(remedy, 0, 100, "stacked-digits") for remedy in ("plain", "packing 2")]
    (bar,) = remedies.bars("stacked-digits", missed)
    assert bar.verdict == "MISSED so far, 4 more seeds are due"


def test_a_run_that_was_done_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[tuple[str, str, int, int]] = []

    def train(*key: Any) -> dict[str, Any]:
        trained.append(key)
        name, remedy, seed, steps = key
        if len(trained) == 3:
            raise KeyboardInterrupt
        return run(remedy, seed, 8, name, steps)

    monkeypatch.setattr(remedies, "train", train)
    path = tmp_path / "runs.json"
    asked = ["ring", "--only", "plain", "packing 2", "--seeds", "2", "--steps", "7"]
    with pytest.raises(KeyboardInterrupt):
        remedies.main([*asked, "--json", str(path)])
    assert len(json.loads(path.read_text("utf-8"))["runs"]) == 2
    assert remedies.main([*asked, "--json", str(path)]) == 1  # packing is no better than plain
    expected = [("ring", r, s, 7) for s in (0, 1) for r in ("plain", "packing 2")]
    assert trained == [*expected[:3], *expected[2:]]
    shown = capsys.readouterr().out
    assert "PacGAN 2" in shown
    assert "and plain 8.0, fewer are due: MISSED so far, 8 more seeds are due" in shown
    assert remedies.main([*asked, "--json", str(path)]) == 1
    assert len(trained) == 5


def test_a_run_of_few_steps_goes_through() -> None:
    found = remedies.train("ring", "modern", 0, 2)
    assert (found["bench"], found["remedy"], found["seed"], found["steps"]) == (
        "ring", "modern", 0, 2,
    )  # fmt: skip
    assert found["seconds"] > 0
    assert 0 <= found["quality"] <= 1


@pytest.mark.parametrize(
    "wrong", [["nothing"], ["--only", "nothing"], ["--seeds", "0"], ["--steps", "-1"]]
)
def test_wrong_arguments_are_told(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        remedies.main(wrong)
