"""What goes wrong is said in a line: exit code 2 for the command line, 1 for all else."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.data import small, write_images
from tinygen import data
from tinygen.cli import main


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def failing(capsys, *arguments: str) -> tuple[int, str]:
    """The exit code, and the one line on stderr."""
    code = main(arguments)
    out, err = capsys.readouterr()
    assert "Traceback" not in out + err
    (line,) = err.splitlines()
    assert line.startswith(f"tinygen {arguments[0]}: ")
    return code, line


# The command line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train stakced-ae", "unknown model 'stakced-ae', did you mean 'stacked-ae'?"),
        ("train stacked-ae --preset gredy", "did you mean 'greedy'?"),
        ("train stacked-ae --data fasion-mnist", "Did you mean 'fashion-mnist'?"),
        ("train stacked-ae --data ./photos", "there is no such file or folder"),
        ("train stacked-ae --set codigns=3", "no setting 'codigns', did you mean 'codings'?"),
        ("train stacked-ae --set codings=few", "codings cannot be 'few'; an example is 30"),
        ("train stacked-ae --set seed=3", "say config.seed or data.seed or training.seed"),
        ("train stacked-ae --device cuda", "not available"),
        ("train stacked-ae --precision tf32", "precision 'tf32' is for device 'cuda'"),
        ("gradcheck tanh --threads 9999", "--threads: the number of threads must be from 1 to "),
        ("gradcheck tanhh", "no op 'tanhh' to check, did you mean 'tanh'?"),
        ("data fetch mnsit", "Did you mean 'mnist'?"),
        ("data show mnsit", "Did you mean 'mnist'?"),
    ],
)
def test_names_and_values_that_make_no_sense(capsys, tmp_path, arguments, message):
    code, line = failing(capsys, *arguments.split())
    assert code == 2
    assert message in line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "required: COMMAND"),
        ("trian stacked-ae", "invalid choice: 'trian'"),
        ("train", "required: NAME"),
        ("train stacked-ae --epochs 0", "must be at least 1, not 0"),
        ("evaluate run --threads 0", "must be at least 1, not 0"),
        ("train stacked-ae --epochs few", "invalid positive value: 'few'"),
        ("train stacked-ae --epochs 2 --steps 3", "not allowed with"),
        ("train stacked-ae --set codings", "expected KEY=VALUE, got 'codings'"),
        ("train stacked-ae --seed x", "invalid int value"),
        ("train stacked-ae --epoch", "expected one argument"),
        ("sample run --out picture.jpg", "a picture's name ends in .png, 'picture.jpg' does not"),
        ("report run --out page.pdf", "a page's name ends in .html, 'page.pdf' does not"),
        ("data show faces --channels 2", "invalid choice"),
    ],
)
def test_usage(capsys, arguments, message):
    with pytest.raises(SystemExit) as left:
        main(arguments.split())
    assert left.value.code == 2
    assert message in capsys.readouterr().err


# Folders and files


def test_a_folder_that_is_taken(capsys, tmp_path):
    call = ["train", "stacked-ae", *small(tmp_path), "--steps", "1"]
    assert main([*call, "--out", "a run"]) == 0
    before = Path("a run/metrics.jsonl").read_bytes()
    capsys.readouterr()
    code, line = failing(capsys, *call, "--out", "a run")
    assert (code, line) == (
        1,
        "tinygen train: a run holds another run; choose another --out, or go on with it: "
        "tinygen resume 'a run'",
    )
    assert Path("a run/metrics.jsonl").read_bytes() == before
    for taken in (str(tmp_path), call[3]):
        code, line = failing(capsys, *call, "--out", taken)
        assert code == 1
        assert "is there already and not empty; choose another --out" in line
    code, line = failing(capsys, *call, "--out", f"{call[3]}/run")
    assert code == 1
    assert "Not a directory" in line


@pytest.mark.parametrize("command", ["resume", "sample", "evaluate", "interpolate"])
def test_what_is_no_run(capsys, tmp_path, command):
    code, line = failing(capsys, command, str(tmp_path))
    assert code == 1
    assert "is not the folder of a run: there is no config.toml in it" in line
    assert failing(capsys, command, "nowhere")[0] == 1
    code, line = failing(capsys, command, write_images(tmp_path))
    assert code == 1
    assert "is not the folder of a run" in line
    Path("config.toml").write_text("[config]\n[data]\n")
    code, line = failing(capsys, command, ".")
    assert code == 1
    assert "config.toml has no model and no training and no options" in line
    Path("config.toml").write_text("model = 'a script'\n")
    code, line = failing(capsys, command, ".")
    assert "was made in a script, which has its data: fit(..., out='.', resume=True)" in line


def test_a_run_with_damaged_files(capsys, tmp_path):
    call = ["train", "stacked-ae", *small(tmp_path), "--steps", "2", "--out", "run"]
    assert main(call) == 0
    capsys.readouterr()
    (newest,) = Path("run/checkpoints").iterdir()
    whole = newest.read_bytes()
    newest.write_bytes(whole[: len(whole) // 2])
    code, line = failing(capsys, "resume", "run")
    assert code == 1
    assert f"{newest}: damaged or cut short" in line
    newest.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "do not match their SHA-256" in failing(capsys, "resume", "run")[1]
    newest.unlink()
    Path("run/model.safetensors").unlink()
    assert "no checkpoint in it" in failing(capsys, "sample", "run")[1]
    assert main(["resume", "run"]) == 0  # begins anew
    assert Path("run/model.safetensors").exists()


def test_a_folder_with_a_broken_picture(capsys, tmp_path):
    (tmp_path / "my photos").mkdir()
    for i in range(12):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / "my photos" / f"{i}.png")
    call = ["train", "stacked-ae", "--data", "my photos", "--steps", "1", "--out", "run"]
    assert main([*call, "--quick", "--set", "size=8"]) == 0
    broken = tmp_path / "my photos" / "5.png"
    broken.write_bytes(broken.read_bytes()[:40])
    capsys.readouterr()
    code, line = failing(capsys, *call[:-1], "other")
    assert code == 1
    assert "5.png" in line
    assert not Path("other").exists()


def test_data_whose_name_is_not_utf8_leaves_no_run(capsys, tmp_path):
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    Image.new("L", (28, 28)).save(folder / "x.png")
    code, line = failing(capsys, "train", "stacked-ae", "--data", str(folder), "--out", "run")
    assert (code, "caf\\udce9': this name is not UTF-8" in line) == (1, True), line
    assert not Path("run").exists()


def test_data_that_does_not_fit_the_model(capsys, tmp_path):
    code, line = failing(capsys, "train", "stacked-ae", "--data", "plane", "--out", "run")
    assert code == 2
    assert "stacked-ae takes no points, which plane has; linear-ae and gan do" in line
    np.savez("x.npz", images=np.zeros((3, 2, 2, 7), np.uint8))
    assert failing(capsys, "train", "stacked-ae", "--data", "x.npz", "--out", "run")[0] == 1
    code, line = failing(capsys, "train", "linear-ae", "--set", "greedy=true", "--out", "run")
    assert code == 2  # as --dry-run says
    assert "linear-ae cannot be trained layer by layer" in line
    assert not Path("run").exists()


def test_more_memory_than_there_is(capsys, monkeypatch, tmp_path):
    def none_left(*arguments, **config):
        raise MemoryError("Unable to allocate 37.3 GiB")

    monkeypatch.setattr("tinygen.models.create", none_left)
    code, line = failing(capsys, "train", "stacked-ae", *small(tmp_path), "--out", "run")
    assert (code, line) == (1, "tinygen train: Unable to allocate 37.3 GiB")


def test_a_loss_that_is_no_number(capsys):
    call = ["train", "linear-ae", "--set", "learning_rate=1e9", "--out", "run"]
    code, line = failing(capsys, *call)
    assert code == 1
    assert "The last good state is run/checkpoints/" in line
    assert main(["sample", "run"]) == 1  # points; but the checkpoint can be read
    assert "on points" in capsys.readouterr().err


def test_no_network(capsys, monkeypatch, tmp_path):
    def retrieve(*arguments, **options):
        raise OSError("no route to host")

    monkeypatch.setenv("TINYGEN_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TINYGEN_DATA_DIR", raising=False)
    monkeypatch.setattr("pooch.retrieve", retrieve)
    code, line = failing(capsys, "data", "fetch", "mnist")
    assert code == 1
    assert "cannot be fetched" in line
    assert "use 'faces', the built-in data that needs no network" in line


# What is not installed


@pytest.mark.parametrize("package", ["tomli_w", "matplotlib", "sklearn"])
@pytest.mark.parametrize("command", ["train", "resume"])
def test_what_is_missing_is_said_before_anything_is_done(
    capsys, monkeypatch, tmp_path, package, command
):
    call = ["train", "stacked-ae", *small(tmp_path), "--steps", "1", "--out", "run"]
    if command == "resume":
        assert main(call) == 0
        call = ["resume", "run", "--epochs", "2"]
        capsys.readouterr()
    before = sorted(p.name for p in tmp_path.rglob("*"))
    monkeypatch.setitem(sys.modules, package, None)
    code, line = failing(capsys, *call)
    assert code == 1
    assert line == f'tinygen {command}: {package} is missing: pip install "tinygen[app]"'
    assert sorted(p.name for p in tmp_path.rglob("*")) == before


def test_a_dry_run_needs_tomli_w(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tomli_w", None)
    assert 'pip install "tinygen[app]"' in failing(capsys, "train", "tied-ae", "--dry-run")[1]


def test_fetching_needs_pooch(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("TINYGEN_CACHE_DIR", str(tmp_path))
    monkeypatch.delenv("TINYGEN_DATA_DIR", raising=False)
    monkeypatch.setitem(sys.modules, "pooch", None)
    code, line = failing(capsys, "data", "fetch", "mnist")
    assert code == 1
    assert 'needs pooch: pip install "tinygen[app]"' in line


def test_any_other_package_gets_the_same_advice(capsys, monkeypatch):
    def missing(*arguments):
        raise ModuleNotFoundError("No module named 'jinja2'", name="jinja2")

    monkeypatch.setattr("tinygen.system.info", missing)
    code, line = failing(capsys, "info")
    assert code == 1
    assert line == "tinygen info: No module named 'jinja2': pip install \"tinygen[app]\""


def test_a_hole_in_the_package_itself_is_no_missing_extra(monkeypatch):
    def missing(*arguments):
        raise ModuleNotFoundError("No module named 'tinygen.gone'", name="tinygen.gone")

    monkeypatch.setattr("tinygen.system.info", missing)
    with pytest.raises(ModuleNotFoundError, match="gone"):
        main(["info"])


def test_interrupted_before_training(capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "names", interrupted)
    assert main(["data", "list"]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_the_extras_are_installed_here():
    for package in ("tomli_w", "matplotlib", "tqdm", "pooch"):
        assert importlib.util.find_spec(package), f'these tests need {package}: ".[test]"'
