"""Settings take turns beside busy processes, which end with the measurement."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import harness, loaded
from benchmarks.harness import Contestant, Worker
from benchmarks.libraries import NotInstalledError

HERE = Path(__file__).parent


def test_a_worker_can_have_variables_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")  # the shell's own count for nobody
    monkeypatch.setenv("TINYGEN_THREADS", "1")
    assert "TINYGEN_THREADS" not in loaded.libraries.environment(2)
    with Worker("tinygen", 1, paths=(HERE,), variables={"GOMP_SPINCOUNT": "5"}) as worker:
        assert Contestant.load("toy", worker, "toys", "environment").check(1) == [5.0]


def test_busy_processes_are_busy_and_end() -> None:
    with loaded.busy(2) as processes:
        time.sleep(0.3)
        assert all(process.poll() is None for process in processes)
        if sys.platform == "linux":
            assert all(harness.cpu_seconds(process) > 0 for process in processes)
    assert all(process.poll() is not None for process in processes)
    assert harness.cpu_seconds(processes[0]) == 0.0


def test_busy_processes_end_with_the_one_that_started_them() -> None:
    code = "from benchmarks.loaded import busy\nprint(busy(1).__enter__()[0].pid, flush=True)\n"
    done = subprocess.run([sys.executable, "-c", code], cwd=loaded.libraries.ROOT, text=True,
                          capture_output=True, check=True)  # fmt: skip
    status = Path(f"/proc/{int(done.stdout)}/stat")
    for _ in range(200):
        if not status.exists() or status.read_text().split()[2] == "Z":
            return
        time.sleep(0.05)
    pytest.fail("the busy process goes on")


def test_steps_are_measured_beside_busy_processes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = ("tinygen", "one thread", "1,000 turns", "torch eager")
    monkeypatch.setattr(loaded, "SETTINGS", {k: loaded.SETTINGS[k] for k in shown})
    monkeypatch.setattr(loaded, "WARM_UP", 0.0)
    file = tmp_path / "out.json"
    call = ["stacked-ae", "--processes", "0", "1", "--blocks", "2", "--seconds", "0.01"]
    status = loaded.main([*call, "--json", str(file)])
    printed = capsys.readouterr().out
    assert status == 0, printed
    found = json.loads(file.read_text())["models"]["stacked-ae"]
    for label in shown:
        assert label in printed
        if label not in found["left out"]:
            assert set(found["mean step"][label]) == set(found["blocks"]) == {"0", "1"}
            assert len(found["blocks"]["1"][label]) == 2
            assert found["disagreement"][label] <= loaded.PROBLEMS["stacked-ae"].tolerance
    assert "one thread" in found["mean step"]


def test_a_library_that_is_missing_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"tinygen": loaded.Setting("tinygen"), "other": loaded.Setting("absent")}
    monkeypatch.setattr(loaded, "SETTINGS", settings)
    monkeypatch.setattr(loaded, "WARM_UP", 0.0)
    real = Worker

    def worker(library: str, *arguments: object, **options: object) -> Worker:
        if library == "absent":
            raise NotInstalledError("there is no such library")
        return real(library, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(loaded, "Worker", worker)
    call = ["stacked-ae", "--processes", "0", "--blocks", "1", "--seconds", "0.01"]
    assert loaded.main(call) == 0
    assert "left out: other: there is no such library" in capsys.readouterr().out
