"""Edited settings, random command lines, damaged files: a designed exit code and one line each."""

from __future__ import annotations

import datetime
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import tomli_w

import tinygen
from tests.cli.data import called, small
from tinygen import models
from tinygen.cli import main
from tinygen.training import Run, Trainer
from tinygen.training.checkpoint import CheckpointError, checkpoints, load_arrays, save_arrays
from tinygen.training.run import without_none
from tinygen.training.settings import settings

HUGE = 10**30
VALUES: list[Any] = [
    *(True, False, 0, -1, 1, 2, 3, 6, 2.5, 28.0, -0.5, HUGE, -HUGE, 2**63, 2**64, 10**400),
    *(float("nan"), float("inf"), float("-inf"), 1e308, 1e-300),
    *("", "many", "selu", "adam", "\0", "é\u2028", "a" * 5000, "plane", "nowhere.npz", ".", "/"),
    *([], [[]], [1], [[1]], [1, "x"], ["leaky_relu", 0.1], ["elu", "x"], [-1], [0], [2.5], [HUGE]),
    *({}, {"a": 1}, {"source": "x"}, {"learning_rate": "x"}, {"generator": {"learning_rate": []}}),
    *(datetime.date(2024, 1, 1), [{}], [True]),
]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The folder of a short run."""
    folder = tmp_path_factory.mktemp("hostile")
    call = ["train", "vae", *small(folder), "--set", "widths=[5]", "--steps", "3"]
    assert main([*call, "--out", str(folder / "run")]) == 0
    return folder / "run"


@pytest.fixture
def settings_only(monkeypatch):
    """What is tested ends where training and drawing begin."""
    monkeypatch.setattr(Trainer, "train", lambda self: self.rows)
    monkeypatch.setattr("tinygen.view.draw_figures", lambda subject: [])
    monkeypatch.setattr("tinygen.view.report.draw_figures", lambda subject: [])


def edited(config: dict[str, Any], rng: random.Random) -> tuple[dict[str, Any], str]:
    """Settings with one key changed, removed or added, and the name of the key."""
    config = json.loads(json.dumps(config))
    table = rng.choice(["", *(name for name, value in config.items() if isinstance(value, dict))])
    place = config[table] if table else config
    name = rng.choice([*place, "surplus"]) if place else "surplus"
    if name in place and rng.random() < 0.15:
        del place[name]
    else:
        place[name] = rng.choice(VALUES)
    return config, name


def check_edits(capsys, trained: Path, tmp_path: Path, number: int, seed: int) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    config, rng = Run.open(trained).config, random.Random(seed)
    failures = 0
    for _ in range(number):
        changed, name = edited(config, rng)
        (run / "config.toml").write_text(tomli_w.dumps(without_none(changed)), "utf-8")
        for file in ("metrics.jsonl", "model.safetensors"):
            shutil.copy(trained / file, run / file)
        for checkpoint in (trained / "checkpoints").iterdir():
            shutil.copy(checkpoint, run / "checkpoints")
        command = rng.choice(["report", "evaluate", "resume"])
        code, line = called(capsys, command, str(run))
        assert code in (0, 1), (name, line)
        if code:
            failures += 1
            assert line.startswith(f"tinygen {command}: ")
            data = changed.get("data")  # whose source may be what is wrong
            source = str(data.get("source")) if isinstance(data, dict) else str(run)
            assert str(run) in line or source in line or repr(source) in line, line
    assert failures > number // 3


def test_edited_settings(capsys, trained, tmp_path, settings_only):
    check_edits(capsys, trained, tmp_path, 150, seed=1)


@pytest.mark.slow
def test_many_edited_settings(capsys, trained, tmp_path, settings_only):
    check_edits(capsys, trained, tmp_path, 5000, seed=2)


@pytest.mark.parametrize(
    ("table", "name", "value", "message"),
    [
        ("config", "codings", "many", r"[config]: codings cannot be 'many'; an example is 10"),
        ("config", "activation", [[1]], "[config]: activation cannot be [[1]]; an example is"),
        ("config", "codigns", 3, "[config]: vae has no setting 'codigns', did you mean 'codings'"),
        ("data", "size", 28.0, "[data]: size cannot be 28.0; it is a whole number"),
        ("data", "source", [], "[data]: source cannot be []; it is a text"),
        ("data", "count", -1, "[data]: count must be a whole number of at least 1, not -1"),
        ("data", "seed", -1, "[data]: Random: seed must be a whole number of at least 0"),
        ("training", "epochs", 2.5, "[training]: epochs cannot be 2.5; it is a whole number"),
        ("training", "epohcs", 2, "training has no option 'epohcs', did you mean 'epochs'"),
        ("options", "learning_rate", "fast", "learning_rate must be a number, not 'fast'"),
        ("options", "learning_rate", float("nan"), "learning_rate must not be negative, got nan"),
        ("options", "momentum", 0.5, "the optimizer has no option 'momentum'"),
        ("", "model", [], "config.toml: model cannot be []; it is a text"),
        ("", "model", "va", "config.toml: unknown model 'va', did you mean 'vae'?"),
        ("", "data", [], "config.toml: data cannot be []; it is a table"),
        ("", "surplus", 1, "config.toml: there is no setting 'surplus'"),
    ],
)
@pytest.mark.parametrize("command", ["report", "evaluate", "resume", "pretrain", "sample"])
def test_what_is_wrong_with_a_setting(
    capsys, trained, tmp_path, command, table, name, value, message
):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    config = Run.open(run).config
    (config[table] if table else config)[name] = value
    (run / "config.toml").write_text(tomli_w.dumps(config))
    code, line = called(capsys, command, str(run))
    assert code == 1
    assert f"{run / 'config.toml'}" in line
    assert message in line
    assert line.endswith("; put back what it was")


# Files


FILES = ("config.toml", "metrics.jsonl", "timing.jsonl", "environment.json", "model.safetensors")


def damaged(data: bytes, rng: random.Random) -> dict[str, bytes]:
    """Ways in which a file may be damaged."""
    return {
        "empty": b"",
        "cut": data[: rng.randrange(1, len(data))],
        "garbage": rng.randbytes(len(data)),
        "in the middle": data[: len(data) // 2] + b"\xff\xfe" + data[len(data) // 2 + 2 :],
        "nothing": b"null\n",
        "list": b"[]\n",
        "nested": b"[" * 100_000,
        "digits": b'{"epoch": ' + b"9" * 5000 + b"}\n",
        "lines": b"[1]\nnull\n" + data,
    }


@pytest.mark.parametrize("file", [*FILES, "log.txt", "checkpoint"])
@pytest.mark.parametrize("command", ["report", "evaluate", "resume"])
def test_every_file_of_a_run_may_be_damaged(
    capsys, trained, tmp_path, settings_only, command, file
):
    checkpoint = checkpoints(trained)[-1]
    place = Path("checkpoints") / checkpoint.name if file == "checkpoint" else Path(file)
    for how, data in damaged((trained / place).read_bytes(), random.Random(0)).items():
        run = tmp_path / how
        shutil.copytree(trained, run)
        (run / place).write_bytes(data)
        if file == "checkpoint" and command != "resume":
            (run / "model.safetensors").unlink()
        code, line = called(capsys, command, str(run))
        assert code in (0, 1)
        if code:
            assert str(run / place) in line, (how, line)
        elif how in ("nested", "garbage", "in the middle"):
            assert file not in ("config.toml", "checkpoint")


@pytest.mark.parametrize("line", ["[]", "null", "3", '{"epoch": "1"}', '{"epoch": 1, "step": 1}'])
def test_a_row_of_metrics_that_is_none(capsys, trained, tmp_path, line):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    with open(run / "metrics.jsonl", "a") as file:
        file.write(line + "\n")
    code, told = called(capsys, "report", str(run))
    assert code == 1
    assert f"{run / 'metrics.jsonl'}, line 4 cannot be read: " in told


FORGED = {
    "config": 3,
    "step": "many",
    "epoch": HUGE,
    "stage": 7,
    "batch": -1,
    "rows": [[]],
    "sums": {"train": 1},
    "optimizers": {},
    "callbacks": [],
    "data": "x",
    "ended": 3,
    "model": None,
}


@pytest.mark.parametrize("name", [*FORGED, "nothing"])
def test_forged_checkpoints(capsys, trained, tmp_path, name):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    path = checkpoints(run)[-1]
    arrays, meta = load_arrays(path)
    save_arrays(path, arrays, None if name == "nothing" else {**meta, name: FORGED[name]})
    code, line = called(capsys, "resume", str(run), "--epochs", "9")
    assert code == 1
    assert "stage" in line if name == "stage" else name in line or str(path) in line
    save_arrays(path, arrays, {"model": "vae", "config": FORGED.get(name)})
    with pytest.raises(CheckpointError, match="no model that this tinygen knows"):
        tinygen.load(path)


# Command lines


WORDS = """
train resume sample interpolate explore report evaluate pretrain sweep data info gradcheck list
show fetch stacked-ae vae linear-ae faces plane mnsit RUN nowhere . / tsne outliers traverse
arithmetic look-alikes --dry-run --quick --json --data --epochs --images --steps --batch-size
--seed --size --channels --preset --precision --device --out --set --samples --mixture --labels
--seeds --hidden --learning-rate --by --image --threads -n -k
"""
GIVEN = """
0 -1 1 2 nan inf 1e18 2.5 x é 99999999999999999999 codings=3 codings=many count=2.5 size=0
count=-1 learning_rate=-1 learning_rate=NaN training.optimizer=adam activation=[[1]]
data.source=[] optimizer=3 optimizer=[] seed=3 data.seed=1.5 =3 a= greedy=1 codings=null
"""
LONG = ["9" * 400, "[" * 5000, "codings=" + "[" * 5000, "codings=" + "9" * 5000, ""]


def check_command_lines(capsys, monkeypatch, trained: Path, number: int, seed: int) -> None:
    def nothing(*arguments, **keywords):
        raise RuntimeError("work")

    words, rng = WORDS.split(), random.Random(seed)
    dry = ("tinygen.view.write_report", "tinygen.data.load")
    for name in (*dry, "tinygen.training.experiment.load_data", "tinygen.system.info"):
        monkeypatch.setattr(name, nothing)
    monkeypatch.setattr(Trainer, "train", nothing)
    monkeypatch.setattr("tinygen.ops.examples.EXAMPLES", {})
    for _ in range(number):
        first = rng.choice(words[:12])
        rest = rng.choices([*words, *GIVEN.split(), *LONG], k=rng.randrange(5))
        usual = {"train": ["vae"], "sweep": ["vae"], "data": [], "info": [], "gradcheck": []}
        line = [first, *(usual.get(first, ["RUN"]) if rng.random() < 0.7 else []), *rest]
        called(capsys, *(str(trained) if word == "RUN" else word for word in line))


def test_command_lines(capsys, monkeypatch, trained, tmp_path):
    monkeypatch.chdir(tmp_path)
    check_command_lines(capsys, monkeypatch, trained, 200, seed=3)


@pytest.mark.slow
def test_many_command_lines(capsys, monkeypatch, trained, tmp_path):
    monkeypatch.chdir(tmp_path)
    check_command_lines(capsys, monkeypatch, trained, 2000, seed=4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--set learning_rate=NaN", "learning_rate cannot be nan"),
        ("--set learning_rate=-1", "learning_rate must not be negative, got -1"),
        ("--set size=0", "size must be a whole number of at least 1, not 0"),
        ("--set count=-1", "count must be a whole number of at least 1, not -1"),
        ("--set data.count=2.5", "count cannot be 2.5; it is a whole number"),
        ("--set codings=0", "codings must be from 1 to 1,000,000, not 0"),
        ("--set activation=[[1]]", "activation cannot be [[1]]; an example is 'selu'"),
        ("--set activation=sleu", "did you mean 'selu'"),
        ("--set output=relu", "output must be 'sigmoid'"),
        ("--set data.source=[]", "source cannot be []"),
        ("--set greedy=true", "vae cannot be trained layer by layer"),
        (f"--set training.seed={HUGE}", "seed must be at most 2^64 - 1"),
        (f"--set epochs={HUGE}", "epochs must be at most 2^63 - 1"),
        ("--channels 3 --set channels=2", "channels must be 1 (grey) or 3 (RGB), not 2"),
    ],
)
def test_a_dry_run_refuses_what_the_run_refuses(capsys, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    call = ["train", "vae", *small(tmp_path), *arguments.split(), "--out", "run"]
    for more in ([], ["--dry-run"]):
        code, line = called(capsys, *call, *more)
        assert code == 2
        assert message in line
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("sample run -n 1000000", "argument -n: must be at most 10,000, not 1000000"),
        ("sample run --mixture 5000", "argument --mixture: must be at most 100"),
        ("sample run --seed -1", "argument --seed: must be at least 0"),
        ("evaluate run --samples 1" + "0" * 18, "argument --samples: must be at most 10,000"),
        ("train vae --images " + "9" * 400, "argument --images: must be at most 9,223,372"),
        ("pretrain run --hidden -1", "argument --hidden: must be at least 0, not -1"),
        ("interpolate run --steps 100000", "argument --steps: must be at most 100"),
        ("sweep vae --seeds 100000000", "argument --seeds: must be at most 1,000"),
    ],
)
def test_bounds_in_words(capsys, arguments, message):
    code, line = called(capsys, *arguments.split())
    assert code == 2
    assert message in line


def test_the_optimizer_by_table_and_name_has_its_own_options():
    alike = [
        settings("vae", overrides={name: "adam"}) for name in ("optimizer", "training.optimizer")
    ]
    assert alike[0] == alike[1]
    assert "beta1" in alike[0]["options"]
    assert "rho" not in alike[0]["options"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"rows": 3, "settings": {}}', "\xff"])
def test_results_that_cannot_be_read(capsys, tmp_path, monkeypatch, text):
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    Path("out/sweep.json").write_text(text, "latin-1")
    call = ["sweep", "vae", *small(tmp_path)[:2], "--set", "codings=2,3", "--out", "out"]
    code, line = called(capsys, *call)
    assert code == 1
    assert "out/sweep.json cannot be read" in line


@pytest.mark.parametrize("row", [3, [], {}, {"loss": "x"}, {"loss": []}])
def test_results_that_are_none(capsys, tmp_path, monkeypatch, row):
    monkeypatch.chdir(tmp_path)
    Path("out").mkdir()
    rows = dict.fromkeys([f"codings={n}/seed-0" for n in (2, 3)], row) | {
        f"pca/{n}": {"mse": 1.0} for n in (2, 3)
    }
    whole = {"settings": {"model": "vae", "setting": "codings"}, "rows": rows}
    Path("out/sweep.json").write_text(json.dumps(whole))
    call = ["sweep", "vae", *small(tmp_path)[:2], "--set", "codings=2,3", "--out", "out"]
    code, line = called(capsys, *call)
    assert code == 1
    assert "out/sweep.json cannot be read" in line


# Interrupted


@pytest.mark.parametrize("as_script", [True, False])
def test_interrupted_while_it_imports(tmp_path, as_script):
    (tmp_path / "numpy.py").write_text("raise KeyboardInterrupt")
    script = tmp_path / "tinygen"
    script.write_text("import sys\nfrom tinygen.cli import main\nsys.exit(main())\n")
    roots = [str(Path(root)) for root in sys.path if root]
    lines = f"import sys; sys.path[:0] = {[str(tmp_path), *roots]!r}\n"
    script.write_text(lines + script.read_text())
    how = [str(script)] if as_script else ["-m", "tinygen"]
    found = subprocess.run(
        [sys.executable, *how, "info"],
        env={"PYTHONPATH": ":".join([str(tmp_path), *roots])},
        capture_output=True,
        text=True,
    )
    assert (found.returncode, found.stderr) == (130, "interrupted\n")


def test_other_programs_keep_their_hook():
    assert sys.excepthook is not tinygen.interruption.end_quietly
    assert "vae" in models.names()
