"""pretrain and sweep: tables, files and pictures; what is done is not done again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.data import small, write_images
from tinygen import metrics
from tinygen.cli import main
from tinygen.training import Interrupted, pretrain, sweep

QUICK = ["--labels", "20", "--frozen-epochs", "1", "--epochs", "2", "--hidden", "4"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    call = ["train", "stacked-ae", *small(folder), "--epochs", "1", "--out", str(folder / "run")]
    assert main(call) == 0
    return folder / "run"


@pytest.fixture
def run(trained, tmp_path) -> Path:
    """A copy of a trained run."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def printed(capsys, *arguments: str) -> list[str]:
    capsys.readouterr()
    assert main(list(arguments)) == 0
    return capsys.readouterr().out.splitlines()


def failing(capsys, *arguments: str) -> tuple[int, str]:
    capsys.readouterr()
    code = main(list(arguments))
    return code, capsys.readouterr().err.strip()


def is_picture(path: Path) -> bool:
    with Image.open(path) as picture:
        return np.asarray(picture).std() > 0


# pretrain


def test_pretrain_writes_a_table_json_and_a_picture(capsys, run):
    lines = printed(capsys, "pretrain", str(run), *QUICK, "--seeds", "3")
    picture, file = run / "pretrain-labels-20.png", run / "pretrain-labels-20.json"
    assert lines[-2:] == [str(picture), str(file)]
    assert is_picture(picture)
    found = json.loads(file.read_text())
    assert found["settings"]["labels"] == 20
    ends = [(row["pretrained"][-1], row["scratch"][-1]) for row in found["rows"].values()]
    assert len(ends) == 3
    for seed, (a, b) in enumerate(ends):
        assert lines[seed] == f"seed {seed}: accuracy  pretrained {a:.4f}  scratch {b:.4f}"
    difference = metrics.interval([a - b for a, b in ends])
    assert f"  difference    {difference}" in lines
    assert found["summary"]["difference"] == difference._asdict()
    assert "accuracy from 20 labels, 3 seeds, mean and 95 % interval" in lines


def test_a_seed_that_is_done_is_not_done_again(capsys, run, monkeypatch):
    whole = printed(capsys, "pretrain", str(run), *QUICK, "--seeds", "3", "--out", f"{run}/a.png")
    compare, asked = pretrain.compare_pretraining, []

    def stopping(model, train, valid, plan, seeds):
        asked.append(list(seeds))
        yield from compare(model, train, valid, plan, seeds[:2])
        raise Interrupted(15, "stopped")

    monkeypatch.setattr(pretrain, "compare_pretraining", stopping)
    code, err = failing(capsys, "pretrain", str(run), *QUICK, "--seeds", "3")
    assert code == 143
    assert "2 seeds are kept in " in err
    assert "the same command goes on from there" in err
    monkeypatch.setattr(
        pretrain, "compare_pretraining", lambda *a: asked.append(list(a[-1])) or compare(*a)
    )
    lines = printed(capsys, "pretrain", str(run), *QUICK, "--seeds", "3")
    assert asked == [[0, 1, 2], [2]]
    assert lines[0] == whole[2]
    assert lines[1:-2] == whole[3:-2]  # the same table
    assert printed(capsys, "pretrain", str(run), *QUICK, "--seeds", "3") == lines[1:]
    kept = [json.loads((run / name).read_text()) for name in ("a.json", "pretrain-labels-20.json")]
    assert kept[0] == kept[1]


def test_pretrain_for_the_age_of_faces(capsys, tmp_path):
    run = str(tmp_path / "run")
    data = ["--data", "faces", "--set", "count=60", "--set", "size=8", "--set", "codings=4"]
    assert main(["train", "stacked-ae", *data, "--epochs", "1", "--out", run]) == 0
    lines = printed(capsys, "pretrain", run, "--task", "age", *QUICK, "--seeds", "2")
    assert lines[0].startswith("seed 0: mean absolute error of age  pretrained ")
    assert is_picture(Path(run) / "pretrain-age-20.png")
    code, err = failing(capsys, "pretrain", run, *QUICK)
    assert (code, "faces has no 'labels'; known are background, skin" in err) == (2, True)
    code, err = failing(capsys, "pretrain", run, "--task", "agee", *QUICK)
    assert (code, "faces has no 'agee', did you mean 'age'?" in err) == (2, True)


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        (["--seeds", "1"], 2, "--seeds must be from 2, as one tells nothing of the spread"),
        (["--labels", "49"], 1, "49 labels are asked for, the training data has 48 samples"),
        (["--optimizer", "nadma"], 2, "unknown optimizer 'nadma', did you mean 'nadam'"),
        (["--learning-rate", "0"], 2, "learning_rate must be positive"),
    ],
)
def test_pretrain_says_what_is_wrong(capsys, run, more, code, message):
    found, err = failing(capsys, "pretrain", str(run), *more)
    assert (found, message in err) == (code, True), err
    assert not list(run.glob("pretrain*"))


def test_pretrain_needs_labels_and_an_encoder(capsys, tmp_path):
    np.savez(tmp_path / "a.npz", images=np.arange(60 * 36).reshape(60, 6, 6).astype(np.uint8))
    run = str(tmp_path / "run")
    data = ["--data", str(tmp_path / "a.npz"), "--set", "size=6", "--set", "codings=4"]
    assert main(["train", "stacked-ae", *data, "--epochs", "1", "--out", run]) == 0
    code, err = failing(capsys, "pretrain", run)
    assert (code, "has no 'labels': nothing is known of its images" in err) == (2, True)
    points = str(tmp_path / "points")
    assert main(["train", "linear-ae", "--steps", "1", "--out", points]) == 0
    code, err = failing(capsys, "pretrain", points)
    assert (code, "trained on points, not on images" in err) == (1, True)


def test_models_without_an_encoder_are_told_apart(capsys, run, monkeypatch):
    monkeypatch.setattr("tinygen.models.Autoencoder", type("Other", (), {}))
    code, err = failing(capsys, "pretrain", str(run))
    assert (code, "stacked-ae has no codings; an autoencoder does" in err) == (1, True)


def test_results_of_other_settings_are_not_mixed_in(capsys, run):
    printed(capsys, "pretrain", str(run), *QUICK, "--seeds", "2")
    code, err = failing(capsys, "pretrain", str(run), *QUICK, "--seeds", "2", "--epochs", "3")
    assert code == 1
    assert "holds results with epochs 2, not 3; choose another --out" in err


# sweep


def sweeping(folder: Path, *more: str, name: str = "stacked-ae") -> list[str]:
    data = ["--data", write_images(folder), "--set", "size=6", "--epochs", "2"]
    return ["sweep", name, *data, "--out", str(folder / "sweep"), *more]


def test_sweep_of_widths_is_held_against_pca(capsys, tmp_path):
    lines = printed(capsys, *sweeping(tmp_path, "--set", "codings=5,2", "--seeds", "2"))
    picture, file = tmp_path / "sweep" / "sweep.png", tmp_path / "sweep" / "sweep.json"
    assert lines[-2:] == [str(picture), str(file)]
    assert is_picture(picture)
    rows = json.loads(file.read_text())["rows"]
    assert list(rows)[:4] == [f"codings={n}/seed-{s}" for n in (5, 2) for s in (0, 1)]
    assert rows["pca/5"]["mse"] < rows["pca/2"]["mse"] < rows["codings=2/seed-0"]["mse"]
    table = [line.split() for line in lines[5:8]]
    assert table[0][:2] == ["codings", "mse"]
    for cells, value in zip(table[1:], (5, 2), strict=True):
        found = metrics.interval([rows[f"codings={value}/seed-{s}"]["mse"] for s in (0, 1)])
        assert (cells[0], " ".join(cells[1:4])) == (str(value), str(found))
    (pca,) = (line for line in lines if line.startswith("PCA of the same width: mse "))
    assert pca.endswith(f"{rows['pca/5']['mse']:.4g}, {rows['pca/2']['mse']:.4g}")


def test_a_sweep_goes_on_where_it_was_stopped(capsys, tmp_path, monkeypatch):
    arguments = sweeping(tmp_path, "--set", "codings=2,4")
    train_member, calls = sweep.train_member, []

    def train(member, folder):
        calls.append(member.name)
        if len(calls) == 2:
            raise Interrupted(2, "stopped")
        return train_member(member, folder)

    monkeypatch.setattr(sweep, "train_member", train)
    code, err = failing(capsys, *arguments)
    assert code == 130
    assert "1 of 2 runs are done in " in err
    printed(capsys, *arguments)
    assert calls == ["codings=2/seed-0", "codings=4/seed-0", "codings=4/seed-0"]
    again = printed(capsys, *arguments)
    assert len(calls) == 3
    code, err = failing(capsys, *arguments, "--epochs", "3")
    assert (code, "run with training.epochs 2, not 3; choose another --out" in err) == (1, True)
    assert printed(capsys, *arguments) == again
    more = printed(capsys, *sweeping(tmp_path, "--set", "codings=2,4,3"))  # one value more
    assert calls[3:] == ["codings=3/seed-0"]
    assert any(line.startswith("3/3") for line in more)


def test_sweep_of_the_target_of_sparse_codings(capsys, tmp_path):
    more = ("--set", "target=0.05,0.1", "--set", "codings=7")
    lines = printed(capsys, *sweeping(tmp_path, *more, name="sparse-kl-ae"))
    rows = json.loads((tmp_path / "sweep" / "sweep.json").read_text())["rows"]
    assert 0 < rows["target=0.05/seed-0"]["activation"] < 1
    (head,) = (line for line in lines if line.startswith("target "))
    assert head.split()[1] == "activation"
    assert "the target: activation 0.05, 0.1" in lines


def test_sweep_of_a_setting_that_is_no_number(capsys, tmp_path):
    printed(capsys, *sweeping(tmp_path, "--set", "activation=selu,tanh", "--set", "codings=3"))
    assert is_picture(tmp_path / "sweep" / "sweep.png")
    widths = sweeping(tmp_path, "--set", "widths=[9],[7,5]", "--set", "codings=3")
    printed(capsys, *widths, "--out", str(tmp_path / "other"))
    assert (tmp_path / "other" / "widths=[7,5]" / "seed-0" / "model.safetensors").exists()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--set", "codings=5"], "give one setting several values"),
        (["--set", "codings=5,6", "--set", "widths=[7],[8]"], "2 of those given has more than one"),
        (["--set", "codings=5,5"], "codings: there are two alike among 5, 5"),
        (["--set", "coding=5,6"], "no setting 'coding', did you mean 'codings'"),
        (["--set", "codings=5,x"], "codings cannot be 'x'; an example is 30"),
    ],
)
def test_sweep_says_what_is_wrong(capsys, tmp_path, more, message):
    code, err = failing(capsys, *sweeping(tmp_path, *more))
    assert (code, message in err) == (2, True), err
    assert not (tmp_path / "sweep").exists()
