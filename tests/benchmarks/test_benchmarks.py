"""The harness takes turns, says what died, and compares like with like. No time is judged here."""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import itertools
import json
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tinygen_kernels.cuda import conv_table

from benchmarks import engine, gpu, harness, libraries, machine, report, steps
from benchmarks.__main__ import modules, page
from benchmarks.harness import Contestant, Spread, Worker, WorkerDiedError
from benchmarks.libraries import ROOT, NotInstalledError
from benchmarks.peers import tinygen_tune
from benchmarks.subject import AbsentError
from tests.cuda.equipment import needs_compiler

HERE = Path(__file__).parent
needs_torch = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed"
)


def toy_worker() -> Worker:
    return Worker("tinygen", 1, paths=(HERE,))


def test_workers_take_turns_and_never_overlap() -> None:
    with toy_worker() as first, toy_worker() as second:
        a, b = (Contestant.load("toy", w, "toys", "diary") for w in (first, second))
        harness.take_turns([a, b], blocks=4, seconds=0.01, warm_up=0.0)
        spans = []
        for c in (a, b):
            times = c.check(0)
            spans += [
                (start, end, c is a) for start, end in zip(times[::2], times[1::2], strict=True)
            ]
        spans.sort()
    assert all(one[1] <= other[0] for one, other in itertools.pairwise(spans))
    turns = [who for i, (_, _, who) in enumerate(spans) if i == 0 or spans[i - 1][2] != who]
    # The warm-up, then four rounds, every other one backwards, so that turns of one meet.
    assert turns == [True, False, True, False, True, False, True]
    assert len(a.times()) == len(b.times()) == 4
    assert harness.ratio(a, b).median > 0


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the time of other processes")
def test_the_time_of_a_worker_is_that_of_all_its_threads() -> None:
    with toy_worker() as worker:
        c = Contestant.load("toy", worker, "toys", "spinning")
        before = worker.cpu()
        worker.ask(do="block", key=c.key, seconds=0.0)
        (spent,) = c.check(0)  # by a thread of its own, after the block as well
        assert worker.cpu() - before >= spent >= 0.05


class Timetable:
    """A clock that only sleeping moves, and a worker whose threads take a core up to some time."""

    def __init__(self, until: float) -> None:
        self.now, self.until = 0.0, until

    def perf_counter(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def cpu(self) -> float:
        return min(self.now, self.until)


@pytest.mark.parametrize("spinning", [0.0, 0.2, harness.IDLE_WITHIN + 1.0])
def test_a_turn_waits_until_threads_of_the_others_have_stopped(
    monkeypatch: pytest.MonkeyPatch, spinning: float
) -> None:
    worker = Timetable(until=spinning)
    monkeypatch.setattr(harness, "time", worker)
    waited = harness.wait_until_idle([worker])  # type: ignore[list-item]
    due = min(spinning, harness.IDLE_WITHIN)
    assert due <= waited == worker.now < due + 2.5 * harness.IDLE_WINDOW


def test_every_turn_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    class Noted:
        def ask(self, **command: Any) -> dict[str, Any]:
            done.append(command["do"])
            return {}

        def cpu(self) -> float:
            return 0.0

    monkeypatch.setattr(harness, "wait_until_idle", lambda workers: done.append("wait"))
    monkeypatch.setattr(harness, "others_seconds", lambda workers: 0.0)
    a, b = (Contestant("toy", Noted(), 0, {}) for _ in range(2))  # type: ignore[arg-type]
    harness.take_turns([a, b], blocks=2, seconds=0.0)
    assert done == ["wait", "warm"] * 2 + ["wait", "block"] * 4


def test_parts_that_a_subject_times_itself() -> None:
    with toy_worker() as worker:
        c = Contestant.load("toy", worker, "toys", "parts")
        harness.take_turns([c], blocks=1, seconds=0.0, warm_up=0.0)
    assert (c.time("forward"), c.time("backward"), c.time()) == (1.0, 2.0, 3.0)


@pytest.mark.parametrize(
    ("way", "said"), [("raises", "code 1.*the toy is broken"), ("exits", "code 7.*on the way out")]
)
def test_a_worker_that_dies_is_reported_with_its_standard_error(way: str, said: str) -> None:
    with toy_worker() as worker:
        c = Contestant.load("toy", worker, "toys", way)
        with pytest.raises(WorkerDiedError, match=rf"(?s){said}"):
            harness.take_turns([c], blocks=1, seconds=0.0)


def test_a_way_that_ends_its_process_takes_no_other_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpu, "Worker", lambda *arguments: toy_worker())
    monkeypatch.setattr(gpu, "THEIRS", "toys")
    chosen = argparse.Namespace(threads=1, torch_python=None, rehearse=False)
    with contextlib.ExitStack() as stack:
        session = gpu.Session(chosen, stack)
        found = session.steps_of_torch(["diary", "yo-yo"], ["eager", "graph"], stack)
        works = found["diary", "eager"]
        assert isinstance(works, Contestant)
        assert works.check(0) == []
    assert isinstance(found["yo-yo", "eager"], AbsentError)
    for name in ("diary", "yo-yo"):
        assert isinstance(found[name, "graph"], WorkerDiedError)
        assert "code 7" in str(found[name, "graph"])


def test_what_a_library_has_not_got_is_told_apart_from_a_failure() -> None:
    with toy_worker() as worker, pytest.raises(AbsentError, match="no toy called yo-yo"):
        Contestant.load("toy", worker, "toys", "yo-yo")


def test_a_peer_without_an_interpreter_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(NotInstalledError, match=r"cannot run .*nowhere"):
        libraries.interpreter("jax", str(tmp_path / "nowhere"))
    absent = libraries.Library("absent", ("no_such_package",), "pip install absent")
    monkeypatch.setitem(libraries.LIBRARIES, "absent", absent)
    with pytest.raises(NotInstalledError, match="--absent-python or TINYGEN_BENCH_ABSENT_PYTHON"):
        libraries.interpreter("absent")


def test_workers_start_without_settings_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KMP_BLOCKTIME", "infinite")
    environment = libraries.environment(3)
    assert "KMP_BLOCKTIME" not in environment
    assert environment["OMP_NUM_THREADS"] == environment["NUMBA_NUM_THREADS"] == "3"


@needs_torch
def test_training_steps_agree_and_are_written_down(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ceilings = {"flops": 1e11, "flops by": {"guess": 1e11}, "bandwidth": 1e10}
    monkeypatch.setattr(machine, "measure", lambda threads: ceilings)
    monkeypatch.setattr(
        steps, "PEERS", {k: v for k, v in steps.PEERS.items() if k in ("tinygen", "torch eager")}
    )
    monkeypatch.setattr(steps, "take_turns", partial(harness.take_turns, warm_up=0.0))
    file = tmp_path / "out.json"
    names = ["stacked-ae", "gan"]
    status = steps.main([*names, "--blocks", "2", "--seconds", "0.005", "--json", str(file)])
    printed = capsys.readouterr().out
    assert status == 0, printed
    for name in names:
        assert name in printed
        found = json.loads(file.read_text())["models"][name]
        assert found["disagreement"]["torch eager"] <= steps.PROBLEMS[name].tolerance
        assert set(found["libraries"]["torch eager"]["ratio"]) == {"median", "low", "high"}


@needs_torch
def test_chains_agree() -> None:
    with Worker("tinygen", 1) as ours, Worker("torch", 1) as theirs:
        for name, single in itertools.product(engine.OPERATIONS, (False, True)):
            values = [
                Contestant.load(
                    name, w, f"benchmarks.peers.{w.library}_engine", name, single=single
                ).check(1)
                for w in (ours, theirs)
            ]
            assert harness.disagreement(*values) <= engine.TOLERANCE, name


def test_losses_that_differ_are_found() -> None:
    assert harness.disagreement([2.0, 4.0], [2.0, 4.4]) == pytest.approx(0.1)
    assert not harness.disagreement([2.0], [float("nan")]) <= 1.0
    outcome = steps.Outcome(steps.PROBLEMS["stacked-ae"])
    with toy_worker() as worker:
        for loss in (0.5, 0.6):
            c = Contestant.load(f"toy {loss}", worker, "toys", "parts")
            c.check = lambda steps, loss=loss: [loss] * steps  # type: ignore[method-assign]
            steps.compare(outcome, c)
        harness.take_turns(outcome.contestants, blocks=1, seconds=0.0, warm_up=0.0)
    assert outcome.failed
    assert "DISAGREES: the first losses of toy 0.6" in steps.show(outcome, 1e11)


def test_nothing_is_compared_when_tinygen_died(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*arguments: object, **options: object) -> Contestant:
        raise WorkerDiedError("it died")

    monkeypatch.setattr(Contestant, "load", die)
    with pytest.raises(WorkerDiedError, match="it died"):
        steps.measure(steps.PROBLEMS["vae"], argparse.Namespace(only=["torch"], threads=1))


def test_the_help_page_lists_every_benchmark() -> None:
    text = subprocess.run(
        [sys.executable, "-m", "benchmarks"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert text.strip() == page().strip()
    assert {"engine", "machine", "steps"} <= set(modules())
    for name in modules():
        assert f"python -m benchmarks.{name}" in text
    for library in libraries.LIBRARIES.values():
        assert library.name == "tinygen" or library.variable in text


def test_figures_read_well() -> None:
    assert report.seconds(0.00052) == "0.52 ms"
    assert report.seconds(2.5e-6) == "2.50 us"
    assert report.seconds(123.4) == "123 s"
    assert report.spread(Spread(0.4, 0.38, 0.41)) == "0.40 (0.38 - 0.41)"
    assert report.table(["", "b"], [["long name", "1"], ["x", "22"]]) == (
        "            b\nlong name   1\nx          22"
    )


@needs_compiler
@pytest.mark.slow
def test_the_benchmark_for_cards_can_be_rehearsed(capsys: pytest.CaptureFixture[str]) -> None:
    """All of it runs on the CPU, and every result agrees with PyTorch's."""
    pytest.importorskip("torch")
    code = gpu.main([*gpu.SECTIONS, "--rehearse", "--blocks", "1", "--seconds", "0.001"])
    text = capsys.readouterr().out
    assert code == 0, text
    assert "copying" in text
    assert "captured / eager" in text


def test_what_was_tuned_is_written_into_the_table(tmp_path: Path) -> None:
    path = tmp_path / "conv_table.py"
    path.write_text(Path(conv_table.__file__).read_text())
    found = {"conv_mma tf32 1 x 64 x 64 x 64": ("64x64", 4, 10.0, 12.0)}
    tinygen_tune.write(found, path)
    space: dict[str, Any] = {}
    exec(path.read_text(), space)
    assert space["TABLE"]["conv_mma tf32 1 x 64 x 64 x 64"] == ("64x64", 4)
    assert space["__doc__"] == conv_table.__doc__
