"""Each command of the shell does what its help says, called within this process."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinygen
from tests.cli.data import small, write_images
from tests.models.test_registry import width
from tinygen import data, models, ops
from tinygen.backend import threads_in_use
from tinygen.cli import main
from tinygen.cli.main import parser
from tinygen.ops.elementwise import ExpFunction
from tinygen.ops.examples import EXAMPLES


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Whatever is written without a place given goes into a fresh folder."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def trained(tmp_path, *more: str, name: str = "stacked-ae") -> str:
    """The folder of a short run."""
    folder = str(tmp_path / "run")
    assert main(["train", name, *small(tmp_path), "--epochs", "2", "--out", folder, *more]) == 0
    return folder


def metrics(folder: str) -> list[dict]:
    with open(f"{folder}/metrics.jsonl") as file:
        return [json.loads(line) for line in file]


# Help


def commands(top: argparse.ArgumentParser, path: tuple[str, ...] = ()):
    """Every command with its parser, down to the last."""
    for action in top._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, part in action.choices.items():
                yield (*path, name), part
                yield from commands(part, (*path, name))


ALL = dict(commands(parser()))


def test_there_are_the_commands_that_the_readme_names():
    assert {" ".join(path) for path in ALL} == {
        *("train", "resume", "evaluate", "sample", "interpolate", "report", "gradcheck", "info"),
        *("explore", "explore tsne", "explore activations", "explore look-alikes"),
        *("explore outliers", "explore arithmetic", "explore traverse"),
        *("pretrain", "sweep", "style-mix", "project"),
        *("data", "data list", "data fetch", "data show"),
    }


def test_the_readme_names_every_command_and_every_model():
    text = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
    for path in ALL:
        assert f"`tinygen {path[0]}" in text
    for name in models.names():
        assert f"`{name}`" in text


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_help_has_examples_that_parse(path, capsys):
    with pytest.raises(SystemExit) as left:
        main([*ALL[path].prog.split()[1:], "--help"])  # prog names what comes before a part, too
    assert left.value.code == 0
    lines = capsys.readouterr().out.splitlines()
    examples = [line.strip() for line in lines if line.startswith("  tinygen ")]
    assert any(set(path) < set(line.split()) for line in examples)
    for line in examples:
        words = shlex.split(re.split(r"  +", line)[0])
        assert parser().parse_args(words[1:]).run


def test_what_computes_takes_a_number_of_threads():
    takes = {" ".join(path) for path, part in ALL.items() if "--threads" in part.format_help()}
    assert {" ".join(path) for path in ALL} - takes == {
        *("info", "data", "data list", "data fetch", "data show"),
    }


def test_threads_are_set_for_the_command(capsys, monkeypatch):
    before = threads_in_use()[0]
    try:
        assert main(["gradcheck", "tanh", "--threads", "1"]) == 0
        assert threads_in_use() == (1, "--threads")
        assert main(["info"]) == 0
        assert re.search(r"^threads +1 \(--threads\)$", capsys.readouterr().out, re.M)
    finally:
        tinygen.set_threads(before)
    for place in (["--threads", "1", "tsne"], ["tsne", "--threads", "1"]):
        assert parser().parse_args(["explore", "run", *place]).threads == 1


def test_the_first_page_says_where_to_start(capsys):
    with pytest.raises(SystemExit) as left:
        main(["--help"])
    assert left.value.code == 0
    assert "tinygen train stacked-ae --data faces" in capsys.readouterr().out


# train


@pytest.mark.parametrize("name", ["stacked-ae", "tied-ae"])
def test_train_leaves_pictures_a_model_and_metrics(tmp_path, capsys, name):
    folder = trained(tmp_path, name=name)
    out = capsys.readouterr().out
    assert f"{name} with " in out
    assert "48 samples to fit, 6 to validate" in out
    named = [line.strip() for line in out.splitlines() if line.startswith("  ")]
    wanted = ("reconstructions.png", "tsne.png", "curves.png", "model.safetensors")
    assert named == [f"{folder}/{n}" for n in wanted]
    for path in named[:2]:
        with Image.open(path) as picture:
            picture.load()
    model = tinygen.load(folder)
    assert model.config["image_shape"] == (6, 6)
    assert [row["epoch"] for row in metrics(folder)] == [1, 2]
    with open(f"{folder}/config.toml", "rb") as file:
        config = tomllib.load(file)
    assert config["config"]["image_shape"] == [6, 6]
    assert config["training"]["epochs"] == 2
    with open(f"{folder}/log.txt") as file:
        assert "epoch 2/2" in file.read()


def test_train_on_points_draws_the_projection(tmp_path, capsys):
    assert main(["train", "linear-ae", "--epochs", "3", "--out", str(tmp_path / "run")]) == 0
    assert f"{tmp_path}/run/projection.png" in capsys.readouterr().out


def test_runs_get_folders_of_their_own(tmp_path, capsys):
    for wanted in ("runs/linear-ae", "runs/linear-ae-2", "runs/linear-ae-3"):
        assert main(["train", "linear-ae", "--steps", "2"]) == 0
        assert f"{wanted}/curves.png" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "steps"),
    [
        (["--epochs", "3"], [3, 6, 9]),
        (["--steps", "4"], [3, 4]),
        (["--images", "64"], [3, 4]),
        (["--images", "1_000", "--batch-size", "250"], [1, 2, 3, 4]),
        (["--epochs", "2", "--batch-size", "48"], [1, 2]),
        (["--quick"], [3, 6]),
        (["--quick", "--epochs", "3"], [3, 6, 9]),
    ],
)
def test_how_long_to_train(tmp_path, no_pictures, arguments, steps):
    """48 samples in batches of 16, unless told otherwise."""
    folder = str(tmp_path / "run")
    size = [] if "--batch-size" in arguments else ["--batch-size", "16"]
    call = ["train", "stacked-ae", *small(tmp_path), "--out", folder, *size, *arguments]
    assert main(call) == 0
    assert [row["step"] for row in metrics(folder)] == steps


def test_settings_of_model_recipe_and_optimiser(tmp_path, no_pictures):
    settings = ["widths=[7,5]", "codings=3", "loss=mse", "optimizer=adam", "beta1=0.5"]
    settings += ["learning_rate=0.01", "patience=1", "accumulate=2", "size=5"]
    folder = trained(tmp_path, *(part for s in settings for part in ("--set", s)))
    with open(f"{folder}/config.toml", "rb") as file:
        config = tomllib.load(file)
    assert config["config"]["widths"] == [7, 5]
    assert config["options"]["beta1"] == 0.5
    assert config["training"]["optimizer"] == "adam"
    model = tinygen.load(folder)
    assert [layer.weight.shape for layer in model.down] == [(25, 7), (7, 5), (5, 3)]


def test_the_greedy_preset(tmp_path, no_pictures):
    folder = trained(tmp_path, "--preset", "greedy", "--epochs", "1")
    assert [row["stage"] for row in metrics(folder)] == ["layer 1", "layer 2", "fine-tune"]


def test_the_seed_decides(tmp_path, no_pictures):
    losses = []
    for number, seed in enumerate(("3", "3", "4")):
        out = str(tmp_path / str(number))
        call = ["train", "stacked-ae", *small(tmp_path), "--epochs", "1", "--seed", seed]
        assert main([*call, "--out", out]) == 0
        losses.append(metrics(out))
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("name", models.names())
def test_a_dry_run_shows_all_and_writes_nothing(tmp_path, capsys, name):
    key = width(name)
    assert main(["train", name, "--dry-run", "--set", f"{key}=7", "--seed", "5"]) == 0
    out = capsys.readouterr().out
    text, table = out.split("\nlayer ")
    shown = tomllib.loads(text)
    assert shown["config"][key] == 7
    assert shown["config"]["seed"] == shown["training"]["seed"] == 5
    assert shown["options"]["learning_rate"] > 0
    shape = shown["config"]["image_shape"]
    model = models.create(name, image_shape=shape, **{key: 7})
    parameters = sum(p.size for p in model.parameters() if p.requires_grad)
    assert f" {parameters:,}" in table.splitlines()[-1]
    assert [path.name for path in tmp_path.rglob("*")] == ["here"]


# resume


def test_resume_a_run_for_more_epochs(tmp_path, capsys):
    folder = trained(tmp_path)
    rows = metrics(folder)
    assert main(["resume", folder]) == 0
    assert "is done after step 4; --epochs N trains it for longer" in capsys.readouterr().out
    assert metrics(folder) == rows
    assert main(["resume", folder, "--epochs", "4"]) == 0
    out = capsys.readouterr().out
    assert f"going on with {folder} after step 4" in out
    assert f"{folder}/curves.png" in out
    assert metrics(folder)[:2] == rows
    assert len(metrics(folder)) == 4
    whole = str(tmp_path / "whole")
    call = ["train", "stacked-ae", *small(tmp_path), "--epochs", "4", "--out", whole]
    assert main(call) == 0
    assert metrics(folder) == metrics(whole)
    for a, b in zip(
        tinygen.load(folder).parameters(), tinygen.load(whole).parameters(), strict=True
    ):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


def test_resume_a_run_that_was_measured_in_steps(tmp_path, no_pictures):
    folder = str(tmp_path / "run")
    assert main(["train", "stacked-ae", *small(tmp_path), "--steps", "3", "--out", folder]) == 0
    assert [row["step"] for row in metrics(folder)] == [2, 3]
    assert main(["resume", folder, "--epochs", "3"]) == 0
    assert [row["step"] for row in metrics(folder)] == [2, 4, 6]


def test_resume_a_checkpoint(tmp_path, capsys, no_pictures):
    folder = trained(tmp_path)
    rows = metrics(folder)
    checkpoint = f"{folder}/checkpoints/00000004.safetensors"
    assert main(["resume", checkpoint, "--epochs", "3"]) == 0
    assert metrics(folder)[:2] == rows
    capsys.readouterr()
    assert main(["resume", f"{folder}/model.safetensors"]) == 1
    assert "a trained model, not a state to go on from" in capsys.readouterr().err
    assert main(["resume", folder, "--epochs", "1"]) == 1
    assert "is in epoch 3 already; a total of 1 is too few" in capsys.readouterr().err


def test_resume_may_not_change_the_epochs_of_stages(tmp_path, capsys, no_pictures):
    folder = trained(tmp_path, "--preset", "greedy", "--epochs", "1")
    assert main(["resume", folder, "--epochs", "5"]) == 1
    assert "has several stages" in capsys.readouterr().err
    assert main(["resume", folder]) == 0


# sample


def test_sample_shows_originals_and_reconstructions(tmp_path, capsys, no_pictures):
    folder = trained(tmp_path)
    capsys.readouterr()
    assert main(["sample", folder]) == 0
    path = capsys.readouterr().out.strip()
    assert path == f"{folder}/sample.png"
    with Image.open(path) as picture:
        two_rows = picture.height  # six images to validate with, in one row of each kind
    assert two_rows == 4 + 2 * (60 + 4)
    call = ["sample", f"{folder}/model.safetensors", "-n", "3", "--out", "a plate.png"]
    assert main(call) == 0
    with Image.open("a plate.png") as picture:
        assert picture.height == two_rows


def test_sample_takes_the_best_weights_of_a_stopped_run(tmp_path, no_pictures):
    settings = ["patience=1", "learning_rate=8.0", "momentum=0.9"]
    folder = trained(tmp_path, "--epochs", "30", *(p for s in settings for p in ("--set", s)))
    losses = [row["valid_loss"] for row in metrics(folder)]
    assert min(losses) < losses[-1]
    from tinygen.training import evaluate
    from tinygen.training.experiment import restore

    experiment, _ = restore(folder)
    assert evaluate(experiment.model, *experiment.valid)["loss"] == pytest.approx(min(losses))


def test_sample_needs_images(tmp_path, capsys, no_pictures):
    assert main(["train", "linear-ae", "--steps", "1", "--out", str(tmp_path / "run")]) == 0
    assert main(["sample", str(tmp_path / "run")]) == 1
    assert "trained on points, not on images" in capsys.readouterr().err


# report


def test_report_writes_a_page(tmp_path, capsys):
    folder = trained(tmp_path)
    capsys.readouterr()
    assert main(["report", folder]) == 0
    assert capsys.readouterr().out == f"{folder}/report.html\n"
    assert main(["report", f"{folder}/model.safetensors", "--out", "a page.html"]) == 0
    with open("a page.html", encoding="utf-8") as page, open(f"{folder}/report.html") as other:
        assert page.read() == other.read()


# data


def test_data_list(capsys, monkeypatch):
    monkeypatch.setattr(data, "is_here", lambda name: name != "mnist")
    assert main(["data", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = {line.split()[0]: " not here " in line for line in lines[: len(data.names())]}
    assert found == {name: name == "mnist" for name in data.names()}
    assert max(map(len, lines)) < 120


def test_data_fetch(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(data, "fetch", lambda name, progress: [tmp_path / name])
    assert main(["data", "fetch", "mnist"]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/mnist\n"
    assert main(["data", "fetch", "faces"]) == 0
    assert "needs no files" in capsys.readouterr().out


def test_data_show(tmp_path, capsys):
    path = write_images(tmp_path)
    assert main(["data", "show", path, "-n", "9", "--channels", "3"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["images.png"]
    with Image.open("images.png") as picture:
        assert picture.size == (4 + 3 * 64, 4 + 3 * 64)
    assert main(["data", "show", path, "-n", "4", "--size", "12", "--out", "b.png"]) == 0
    with Image.open("b.png") as picture:
        assert picture.size == (4 + 2 * 64, 4 + 2 * 64)


# gradcheck, info


def test_gradcheck_of_one_op(capsys):
    assert main(["gradcheck", "exp"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"exp +first and second order agree", line)


def test_gradcheck_of_all_ops(capsys):
    assert main(["gradcheck"]) == 0
    names = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert names == list(EXAMPLES)
    assert len(names) > 40


@pytest.mark.parametrize(
    "backward",
    [
        lambda self, gy: gy * 2.0,  # wrong in first order
        lambda self, gy: gy * ops.exp(self.saved[0].detach()) * 1.0,
        lambda self, gy: gy * self.saved[0].detach(),  # right, but wrong in second order
    ],
)
def test_gradcheck_finds_a_wrong_op(capsys, monkeypatch, backward):
    monkeypatch.setattr(ExpFunction, "backward", backward)
    assert main(["gradcheck", "exp"]) == 1
    assert "exp " in (out := capsys.readouterr().out)
    assert "WRONG: grad" in out


def test_info(capsys):
    assert main(["info"]) == 0
    found = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert found["tinygen"] == tinygen.__version__
    assert found["numpy"] == np.__version__
    assert found["models"] == ", ".join(models.names())


def test_errors_of_the_program_itself_are_not_hidden(monkeypatch):
    def broken(*arguments):
        raise AttributeError("a mistake of ours")

    monkeypatch.setattr("tinygen.system.info", broken)
    with pytest.raises(AttributeError, match="a mistake of ours"):
        main(["info"])
