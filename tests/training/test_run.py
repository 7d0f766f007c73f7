"""The folder of a run: what is in it, whose it is, and what is cleared away."""

from __future__ import annotations

import errno
import json
import os
import sys

import pytest

from tests.training.toys import STEPS, run_in, stage, tiny, trainer
from tinygen.training import Run, RunError, loop
from tinygen.training.checkpoint import checkpoints, write_atomically
from tinygen.training.run import KEEP


def test_what_a_run_leaves(tmp_path):
    model = tiny()
    done = run_in(tmp_path / "run", trainer(model, stage(model, epochs=2)))
    done.train()
    folder = done.run.folder
    assert {path.name for path in folder.iterdir()} == {
        "config.toml",
        "environment.json",
        "metrics.jsonl",
        "timing.jsonl",
        "log.txt",
        "samples",
        "checkpoints",
        "model.safetensors",
        ".lock",
    }
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert rows == done.rows == done.run.rows()
    assert list(rows[1]) == [
        "epoch",
        "step",
        "stage",
        "loss",
        "valid_loss",
        "valid_rounded_accuracy",
    ]
    assert (rows[1]["epoch"], rows[1]["step"]) == (2, 2 * STEPS)
    times = [json.loads(line) for line in (folder / "timing.jsonl").read_text().splitlines()]
    assert [(t["step"], t["steps"]) for t in times] == [(STEPS, STEPS), (2 * STEPS, STEPS)]
    known = json.loads((folder / "environment.json").read_text())
    assert {"python", "numpy", "numba", "tinygen"} <= set(known["versions"])
    assert known["cores"] == os.cpu_count()


def test_settings_come_back_without_those_that_are_none(tmp_path):
    config = {"name": 'a "b" ü', "training": {"epochs": 3, "limit": None, "sizes": (1, 2)}}
    Run.create(tmp_path / "run", config)
    found = Run.open(tmp_path / "run").config
    assert found == {"name": 'a "b" ü', "training": {"epochs": 3, "sizes": [1, 2]}}
    run = Run.open(tmp_path / "run")
    run.change("training", epochs=5, limit=None)
    assert Run.open(tmp_path / "run").config == found  # until it is written
    run.write_config()
    assert run.config["training"]["epochs"] == 5
    assert Run.open(tmp_path / "run").config["training"] == {"epochs": 5, "sizes": [1, 2]}


def test_folders_that_are_taken(tmp_path):
    Run.create(tmp_path / "a run", {})
    with pytest.raises(RunError, match=r"holds another run; .*tinygen resume '.*/a run'"):
        Run.create(tmp_path / "a run", {})
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "diary.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")
    for taken in ("full", "file"):
        with pytest.raises(RunError, match="is there already and not empty"):
            Run.create(tmp_path / taken, {})
    assert (tmp_path / "full" / "diary.txt").read_text() == "mine"
    assert (tmp_path / "file").read_text() == "mine"
    with pytest.raises(OSError, match="Not a directory"):
        Run.create(tmp_path / "file" / "run", {})
    (tmp_path / "empty").mkdir()
    Run.create(tmp_path / "empty", {})


def test_without_tomli_w_nothing_is_made(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tomli_w", None)
    with pytest.raises(
        ModuleNotFoundError, match=r'tomli_w is missing: pip install "tinygen\[app\]'
    ):
        Run.create(tmp_path / "run", {})
    assert not list(tmp_path.iterdir())


def test_only_the_last_checkpoints_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "EPOCH_SECONDS", 0)
    model = tiny()
    done = run_in(tmp_path / "run", trainer(model, stage(model, epochs=4)))
    killed = tmp_path / "run" / "checkpoints" / ".00000001.safetensors.abc"
    killed.write_bytes(b"half")
    done.train()
    assert [p.stem for p in checkpoints(tmp_path / "run")] == ["00000015", "00000020"]
    assert len(list(killed.parent.iterdir())) == KEEP


def test_epochs_that_fly_by_are_not_all_saved(tmp_path):
    model = tiny()
    written = []
    done = run_in(tmp_path / "run", trainer(model, stage(model, epochs=50)))
    keep = done.run.checkpoint
    done.run.checkpoint = lambda step, *state: (written.append(step), keep(step, *state))[1]
    done.train()
    assert written[0] == STEPS
    assert written[-1] == 50 * STEPS
    assert len(written) < 40


def test_a_disk_that_fills_up_in_mid_run_leaves_the_last_state(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "EPOCH_SECONDS", 0)
    model = tiny()
    failing = run_in(tmp_path / "run", trainer(model, stage(model, epochs=3)))

    def fsync(handle, own=os.fsync):
        if failing.step > STEPS:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        own(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match="No space left on device"):
        failing.train()
    monkeypatch.undo()
    assert [p.name for p in (tmp_path / "run" / "checkpoints").iterdir()] == [
        "00000005.safetensors"
    ]
    model = tiny()
    again = trainer(model, stage(model, epochs=3))
    again.write_to(Run.open(tmp_path / "run"))
    again.resume(checkpoints(tmp_path / "run")[-1])
    assert len(again.train()) == len(again.run.rows()) == 3


def test_files_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "folder" / "file"
    with pytest.raises(FileNotFoundError):  # a folder that was renamed is not made again
        write_atomically(path, b"one")
    assert not path.parent.exists()
    path.parent.mkdir()
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    with pytest.raises(TypeError):
        write_atomically(path, "no bytes")
    assert [p.name for p in path.parent.iterdir()] == ["file"]
    assert path.read_bytes() == b"two"
