"""One process at a time trains in a folder, and follows it where it is renamed."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tinygen
from tests.training.folders import digests, go_on
from tests.training.toys import STEPS, images, run_in, tiny, trainer
from tinygen.training import Callback, Run, RunError, fit, load

ROOT = Path(tinygen.__file__).parents[1]

# One process at a time

HOLD = """
import sys, time
from tinygen.training import Run
with Run.open(sys.argv[1]).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def holding(folder: Path) -> subprocess.Popen[bytes]:
    """Another process that has the lock of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "kernels")])},
    )
    assert process.stdout.readline() == b"held\n"
    return process


def test_a_run_that_is_being_trained_is_refused(run, tmp_path):
    other = holding(run)
    try:
        before, busy = digests(run), rf"process {other.pid} \(.*\) is training in it"
        with pytest.raises(RunError, match=busy):
            go_on(run, 5)
        with pytest.raises(RunError, match="process"):
            go_on(run.rename(tmp_path / "renamed"), 5)
        (tmp_path / "renamed").rename(run)
        mine = trainer(tiny())
        mine.write_to(Run.open(run))
        with pytest.raises(RunError, match=busy):
            mine.train()
        assert digests(run) == before
    finally:
        other.kill()
        other.communicate()
    assert len(go_on(run, 3).rows) == 3  # the lock of a killed process holds nobody up


def test_two_in_one_process(run):
    with (
        Run.open(run).locked(),
        pytest.raises(RunError, match=rf"this process \({os.getpid()}\) is training"),
    ):
        go_on(run)
    go_on(run)


def test_fit_is_kept_out_too(tmp_path):
    folder = tmp_path / "run"
    found = []

    class Second(Callback):
        def on_step(self, trainer, losses):
            if not found:
                found.append(None)
                call = {"out": folder, "resume": True, "verbose": False}
                with pytest.raises(RunError, match="is training in it"):
                    fit(tiny(), images(), **call)

    fit(tiny(), images(), epochs=1, out=folder, callbacks=[Second()], verbose=False)
    assert found == [None]
    fit(tiny(), images(), epochs=2, out=folder, resume=True, verbose=False)


def _sleep(started) -> None:
    started.set()
    time.sleep(60)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_a_child_does_not_hold_its_parents_lock(run, method):
    """A worker that outlives the training, or its parent, keeps nobody out."""
    one = Run.open(run)
    with one.locked():
        context = multiprocessing.get_context(method)
        started = context.Event()
        child = context.Process(target=_sleep, args=(started,))
        child.start()
        assert started.wait(60)  # by then a forked child has closed what it inherited
        with pytest.raises(RunError, match="is training in it"):
            go_on(run)  # nor does it take it away
    try:
        go_on(run)
    finally:
        child.kill()
        child.join()


# Renamed while it trains


class Rename(Callback):
    """Renames the folder of the run after a step, and may put something in its old place."""

    def __init__(self, step: int, to: Path, instead: bool = False) -> None:
        self.step, self.to, self.instead = step, to, instead

    def on_step(self, trainer, losses):
        if trainer.step == self.step:
            before = trainer.run.folder
            before.rename(self.to)
            if self.instead:
                before.mkdir()


@pytest.mark.parametrize("instead", [False, True])
def test_a_folder_renamed_while_it_trains_is_followed(tmp_path, instead):
    whole = run_in(tmp_path / "whole", trainer(tiny()))
    whole.train()
    rename = Rename(STEPS + 2, tmp_path / "new", instead)
    moved = run_in(tmp_path / "old", trainer(tiny(), callbacks=[rename]))
    moved.train()
    assert list((tmp_path / "old").iterdir() if instead else tmp_path.glob("old")) == []
    assert digests(tmp_path / "new") == digests(tmp_path / "whole")
    assert moved.run.folder.samefile(tmp_path / "new")


def test_a_folder_renamed_while_a_file_is_written(tmp_path, monkeypatch):
    from tinygen.training import run as module

    write, moves = module.save_arrays, [tmp_path / "new"]

    def slow(path, *arguments):
        if moves:
            (tmp_path / "old").rename(moves.pop())
        write(path, *arguments)

    monkeypatch.setattr(module, "save_arrays", slow)
    run_in(tmp_path / "old", trainer(tiny())).train()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert load(tmp_path / "new").config == tiny().config


def test_a_folder_renamed_while_a_picture_is_drawn(tmp_path, monkeypatch):
    from tinygen.view import Plates, epochs

    draw, moves = epochs.plate, [tmp_path / "new"]

    def slow(*arguments, **keywords):
        if moves:
            (tmp_path / "old").rename(moves.pop())
        return draw(*arguments, **keywords)

    monkeypatch.setattr(epochs, "plate", slow)
    run_in(tmp_path / "old", trainer(tiny(), callbacks=[Plates(images(4))])).train()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert len([*(tmp_path / "new" / "samples").iterdir()]) == 3


def test_a_folder_removed_while_it_trains(tmp_path):
    class Remove(Callback):
        def on_step(self, trainer, losses):
            if trainer.step == 2:
                shutil.rmtree(trainer.run.folder)

    model = tiny()
    with pytest.raises(RunError, match="was moved or removed while training wrote to it") as e:
        fit(model, images(), out=tmp_path / "run", callbacks=[Remove()], verbose=False)
    assert not (tmp_path / "run").exists()
    assert not model.training
    assert len(e.value.history) == 1
