"""Every model is trained, resumed, sampled and measured from the shell, on all that it takes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinygen
from tests.cli.test_errors import failing
from tinygen import models
from tinygen.cli import main
from tinygen.ops.random import Random
from tinygen.training import Run
from tinygen.view.report import setting_tables

SEQUENCES = [n for n in models.names() if models.find(n).padded]
VARIANTS = [(name, "images") for name in models.names()]
VARIANTS += [(name, kind) for name in SEQUENCES for kind in ("series", "text")]
SIZE = {"classifier": "features=9", "regressor": "features=9"}  # others make images
LINES = [f"{i} plus {i + 1} makes {2 * i + 1}" for i in range(60)]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def data(kind: str) -> list[str]:
    """Arguments for `train` of little data; the images are 8 x 8, the least for conv-ae."""
    if kind == "faces":
        return ["--data", "faces", "--set", "count=60", "--set", "size=8"]
    if kind == "series":
        return ["--data", "series", "--set", "count=60", "--set", "size=9"]
    if kind == "text":
        Path("sums.txt").write_text("\n".join(LINES))
        return ["--data", "sums.txt"]
    images = Random(0).integers(0, 255, (60, 8, 8)).astype(np.uint8)
    np.savez("images.npz", images=images, labels=np.arange(60) % 3)
    return ["--data", "images.npz", "--set", "size=8", "--set", "channels=1"]


def metrics(folder: str) -> list[dict]:
    return [json.loads(line) for line in Path(folder, "metrics.jsonl").read_text().splitlines()]


@pytest.mark.parametrize(("name", "kind"), VARIANTS)
def test_trained_stopped_resumed_and_looked_at(capsys, monkeypatch, name, kind):
    """Commands look at the run that was resumed, the only one that draws its figures."""
    given = data("faces" if models.find(name).factored else kind)
    adversarial = issubclass(models.find(name), models.Adversarial)
    size = "latents=4" if adversarial else SIZE.get(name, "codings=4")
    call = ["train", name, *given, "--batch-size", "16", "--set", size]
    call += ["--set", "phase_images=32"] if name in ("progan", "stylegan") else []
    with monkeypatch.context() as undrawn:
        undrawn.setattr("tinygen.view.draw_figures", lambda subject: [])
        assert main([*call, "--epochs", "2", "--out", "whole"]) == 0
        assert main([*call, "--steps", "2", "--out", "stopped"]) == 0
    assert main(["resume", "stopped", "--epochs", "2"]) == 0
    assert metrics("stopped")[-1] == metrics("whole")[-1]
    a, b = (tinygen.load(folder).state_dict() for folder in ("stopped", "whole"))
    for key in a:
        np.testing.assert_array_equal(a[key], b[key])
    makes = name not in SIZE
    for command in ("sample", "evaluate", "report") if makes else ("evaluate", "report"):
        assert main([command, "stopped"]) == 0
    assert "validation" in capsys.readouterr().out
    for picture in ("sample.png", "curves.png") if makes else ("curves.png",):
        with Image.open(f"stopped/{picture}") as found:
            assert np.asarray(found.convert("L")).std() > 0


@pytest.mark.parametrize("preset", ["series", "characters"])
def test_a_preset_is_found_by_the_data(capsys, no_pictures, preset):
    given = data("text" if preset == "characters" else preset)
    assert main(["train", "gru-ae", *given, "--dry-run"]) == 0
    assert f'preset = "{preset}"' in capsys.readouterr().out
    assert main(["train", "gru-ae", *given, "--epochs", "1", "--out", "run"]) == 0
    tables = setting_tables(Run.open("run"))
    changed = {row.key for table in tables.values() for row in table if row.changed}
    assert changed - {"count", "size"} == {"epochs"}  # nobody chose the kind, or the alphabet


# What cannot be


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (
            "train stacked-ae --data series",
            2,
            "stacked-ae takes no series, which series has; recurr",
        ),
        ("train conv-ae --data sums.txt", 2, "conv-ae takes no characters, which sums.txt has"),
        ("train recurrent-ae --preset characters", 2, "is for a text of yours: --data FILE.txt"),
        ("train gru-ae --preset text --data series", 2, "'text' is for images, not for series"),
        ("train recurrent-ae --preset ed3 --data sums.txt", 2, "images, not for characters"),
        ("train recurrent-ae --data no.txt", 2, "there is no such file or folder"),
        ("train recurrent-ae --data blank.txt", 2, "blank.txt: there is no text in it"),
        ("train recurrent-ae --data sums.txt --set kind=series", 2, "kind comes from the data"),
        ("train recurrent-ae --data sums.txt --set channels=3", 1, "a text has no channels"),
        (
            "train recurrent-ae --data sums.txt --set count=61",
            1,
            "60 lines; count=61 asks for more",
        ),
        ("train conv-ae --data images.npz --set size=7", 2, "7 x 7 pixels cannot be halved 3"),
        ("train conv-ae --data empty", 2, "empty: no image in this folder or below"),
    ],
)
def test_data_that_a_model_cannot_take(capsys, arguments, code, message):
    for kind in ("images", "text"):
        data(kind)
    Path("blank.txt").write_text("\n \n")
    Path("empty").mkdir()
    capsys.readouterr()
    found, line = failing(capsys, *arguments.split(), "--out", "run")
    assert (found, message in line) == (code, True), line
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("kind", "other", "message"),
    [
        ("text", "Wörter\n" * 60, "sums.txt has other characters than when the run began"),
        ("images", (60, 9, 8), "samples of shape (9, 8), the model is one for (8, 8)"),
        ("images", (60, 8, 8, 3), "samples of shape (8, 8, 3), the model is one for (8, 8)"),
    ],
)
def test_data_that_is_not_what_it_was(capsys, no_pictures, kind, other, message):
    own = [] if kind == "text" else ["--set", "size=null", "--set", "channels=null"]
    assert main(["train", "gru-ae", *data(kind), *own, "--epochs", "1", "--out", "run"]) == 0
    if kind == "text":
        Path("sums.txt").write_text(other)
    else:
        np.savez("images.npz", images=np.zeros(other, np.uint8))
    capsys.readouterr()
    for command in ("resume", "sample", "evaluate", "report"):
        code, line = failing(capsys, command, "run")
        assert (code, message in line) == (1, True), (command, line)


@pytest.mark.parametrize("kind", ["series", "text"])
def test_commands_about_images_say_that_these_are_none(capsys, no_pictures, kind):
    call = ["train", "gru-ae", *data(kind), "--set", "codings=4", "--epochs", "1", "--out", "run"]
    assert main(call) == 0
    capsys.readouterr()
    what = {"series": "series", "text": "characters"}[kind]
    for command in (
        "interpolate run",
        *([] if kind == "series" else ["explore run tsne"]),
        "explore run look-alikes",
        "explore run outliers",
        "explore run arithmetic --add sine --remove chirp",
        "sample run --mixture 2",
    ):
        assert f"run makes {what}" in (line := failing(capsys, *command.split())[1]) or (
            f"run: the model was trained on {what}, not on images" in line
        )
    assert main(["explore", "run", "activations"]) == 0
    assert main(["explore", "run", "tsne"]) == (kind != "series")


def test_what_is_listed_and_shown(capsys):
    data("text")
    assert main(["data", "show", "series", "-n", "3", "--out", "series.png"]) == 0
    with Image.open("series.png") as found:
        assert np.asarray(found.convert("L")).std() > 0
    capsys.readouterr()
    assert main(["data", "show", "sums.txt", "-n", "60"]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == "Dataset('sums', 60 lines of up to 40 steps)"
    assert sorted(lines) == sorted(LINES)
    assert main(["data", "list"]) == 0
    assert "series" in (listed := capsys.readouterr().out)
    assert "or a .txt file" in listed


def test_a_text_of_one_line_trains_without_validation(capsys, no_pictures):
    Path("one.txt").write_text("once upon a time")
    call = ["train", "gru-ae", "--data", "one.txt", "--epochs", "2", "--set", "codings=4"]
    assert main([*call, "--out", "run"]) == 0
    assert "1 samples to fit, 0 to validate" in capsys.readouterr().out
    assert list(metrics("run")[-1]) == ["epoch", "step", "stage", "loss"]
    assert main(["sample", "run"]) == 0
