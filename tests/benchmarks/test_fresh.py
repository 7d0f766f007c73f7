"""Fresh processes note what they should, and tables say it. No time or size of ours is judged."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import first_call, memory
from benchmarks.fresh import Fresh, Stage, first_steps
from benchmarks.harness import WorkerDiedError
from benchmarks.libraries import NotInstalledError
from benchmarks.peers import choice
from benchmarks.subject import AbsentError, Subject

HERE = Path(__file__).parent
MIB = 1 << 20
STAGES = ["started", "imported", "complete", "built", "first", "second", "last"]


def toy_steps(name: str, **options: Any) -> Fresh:
    return first_steps("tinygen", name, {}, 1, module="toys", paths=(HERE,), **options)


def test_stages_come_in_order_and_the_peak_is_noted() -> None:
    found = toy_steps("hungry", steps=3)
    assert list(found.stages) == STAGES
    at = [stage.at for stage in found.stages.values()]
    assert at == sorted(at)
    assert found.stages["last"].peak - found.stages["complete"].peak > 60 * MIB
    assert found.losses == [0.5, 0.5]
    assert found.said == ""
    if sys.platform == "linux":
        assert found.stages["second"].peak - found.stages["complete"].peak < 60 * MIB


def test_modules_that_come_late_are_found_and_can_be_imported_beforehand() -> None:
    found = toy_steps("hungry")
    assert "colorsys" in found.late
    again = toy_steps("hungry", beforehand=["colorsys", "a_name_that_is_no_module"])
    assert "colorsys" not in again.late


def test_failures_are_told_apart() -> None:
    with pytest.raises(WorkerDiedError, match=r"(?s)code 1.*the toy is broken"):
        toy_steps("raises")
    with pytest.raises(AbsentError, match="no toy called yo-yo"):
        toy_steps("yo-yo")


@pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed")
def test_one_setting_of_several_is_taken_without_a_trial() -> None:
    found = first_steps("torch", "stacked-ae", {"compiled": False}, 1, candidate=1)
    assert (found.facts["setting"], found.facts["settings"]) == ("foreach", 3)
    assert "candidates" not in found.facts


def test_without_a_choice_made_beforehand_the_settings_are_tried_out() -> None:
    assert choice.alone is None
    assert set(choice.fastest({"a": Idle, "b": Idle}).facts["candidates"]) == {"a", "b"}


class Idle(Subject):
    chunk = 1000

    def run(self, count: int) -> None:
        pass


def fresh(imports: int, rest: int, step: int, loss: float = 0.5, **more: Any) -> Fresh:
    """A process with these sizes in MiB, and a second for each stage."""
    sizes = [1, imports, imports + rest, *[imports + rest + step] * 4]
    stages = {name: Stage(i, size * MIB) for i, (name, size) in enumerate(zip(STAGES, sizes))}  # noqa: B905
    empty = Fresh(stages, [loss, loss], {}, {"numpy": "2"}, [], {}, "")
    return replace(empty, **more)


def test_the_table_of_memory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def steps(library: str, name: str, *_: Any, candidate: int, **options: Any) -> Fresh:
        asked.append((library, candidate, options["beforehand"]))
        if library == "tinygen":
            code = {"bytes": 2 * MIB, "kernels": 3, "compiled": 0}
            return fresh(20, 30, 12, code=code)
        if library == "torch":  # the second of its settings takes less
            facts = {"setting": "ab"[candidate], "settings": 2}
            return fresh(100, 50, 20 - 4 * candidate, facts=facts, late=["slow"])
        raise NotInstalledError(f"{library} is nowhere")

    monkeypatch.setattr(memory, "first_steps", steps)
    file = tmp_path / "out.json"
    assert memory.main(["conv-ae", "--repeats", "2", "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    ours = next(line for line in printed.splitlines() if line.startswith("tinygen  "))
    assert ours.split() == ["tinygen", "50.0", "30.0", "12.0", "2.0", "62.0"]
    theirs = next(line for line in printed.splitlines() if line.startswith("torch eager"))
    assert "150.0" in theirs  # the imports, of which 50.0 come late
    assert "16.0  0.75 (0.75 - 0.75)" in theirs
    assert "0.37 (0.37 - 0.37)" in theirs  # 62 MiB in all by 166
    assert "left out: jax jit: jax is nowhere" in printed
    assert [each[1:] for each in asked if each[0] == "torch"] == [
        (0, []), (1, []), (1, ["slow"]), (1, ["slow"]),
    ]  # fmt: skip
    libraries = json.loads(file.read_text())["models"]["conv-ae"]["libraries"]
    assert libraries["torch eager"]["steps"] == [16 * MIB] * 2


def test_memory_of_something_else_and_a_cold_cache_are_called_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def steps(library: str, *_: Any, **options: Any) -> Fresh:
        if library == "tinygen":
            return fresh(20, 30, 12, code={"compiled": 5})
        return fresh(100, 50, 16, loss=0.6)

    monkeypatch.setattr(memory, "first_steps", steps)
    assert memory.main(["conv-ae", "--only", "torch"]) == 1
    printed = capsys.readouterr().out
    assert "DISAGREES: the first losses of torch eager" in printed
    assert "NOT from a warm cache: 5 of tinygen's kernels" in printed


@pytest.mark.parametrize("said", ["tinygen: compiling CPU kernels", ""])
def test_the_table_of_first_calls(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    said: str,
) -> None:
    def steps(library: str, *_: Any, variables: Any = None, **options: Any) -> Fresh:
        if library == "torch":
            raise NotInstalledError("torch is nowhere")
        cold = bool(variables) and Path(variables["TINYGEN_CACHE_DIR"]).is_dir()
        return fresh(20, 0, 10, said=said if cold else "")

    monkeypatch.setattr(first_call, "first_steps", steps)
    file = tmp_path / "out.json"
    assert first_call.main(["--repeats", "2", "--json", str(file)]) == int(not said)
    printed = capsys.readouterr().out
    assert f"with a cold cache it says{': ' + said if said else ' NOTHING'}" in printed
    assert "left out: torch eager: torch is nowhere" in printed
    rows = json.loads(file.read_text())["models"]["conv-ae"]
    assert [len(rows[label]) for label in (first_call.WARM, first_call.COLD)] == [2, 1]
    assert rows[first_call.WARM][0]["build"] == 2  # it begins where the imports end
    assert rows[first_call.WARM][0]["in all"] == 4


@pytest.mark.parametrize("module", [memory, first_call])
def test_a_model_that_is_not_there_is_a_usage_error(
    module: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        module.main(["conv-fe"])
    assert stopped.value.code == 2
    assert "no model 'conv-fe': choose from" in capsys.readouterr().err


def test_a_real_step_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    found = first_steps("tinygen", "stacked-ae", {}, 1, watch="benchmarks.peers.tinygen_code")
    assert found.code["kernels"] > 0
    assert 0.5 < found.losses[0] < 1
    assert "numba" in found.late
    assert "numba" in found.versions
