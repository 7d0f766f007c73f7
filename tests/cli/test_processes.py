"""The shell as a process: exit codes, signals, pipes, terminals, TINYGEN_DEBUG."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest

import tinygen
import tinygen.view
from tests.cli.data import small
from tinygen.cli.main import main
from tinygen.view import Subject

ROOT = Path(tinygen.__file__).parents[1]


def start(
    folder: Path,
    *arguments: str,
    stdout: int = subprocess.PIPE,
    stderr: int = subprocess.PIPE,
    **environment: str,
) -> subprocess.Popen[bytes]:
    """`tinygen ...` in a folder."""
    paths = [str(ROOT), str(ROOT / "kernels"), os.environ.get("PYTHONPATH", "")]
    clean = {k: v for k, v in os.environ.items() if k != "TINYGEN_DEBUG"}
    return subprocess.Popen(
        [sys.executable, "-m", "tinygen", *arguments],
        cwd=folder,
        env={**clean, "PYTHONPATH": os.pathsep.join(paths), **environment},
        stdout=stdout,
        stderr=stderr,
    )


def finish(process: subprocess.Popen[bytes]) -> tuple[int, str, str]:
    """Exit code, stdout and stderr; the note on compiling kernels may come at any time."""
    out, err = (text.decode() for text in process.communicate(timeout=120))
    assert "Traceback" not in err
    return process.returncode, out, "\n".join(x for x in err.splitlines() if "compiling" not in x)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [("--help", 0), ("info", 0), ("resume nowhere", 1), ("train nothing", 2), ("--nothing", 2)],
)
def test_exit_codes(tmp_path, arguments, code):
    found, out, err = finish(start(tmp_path, *arguments.split()))
    assert found == code
    assert bool(out) == (code == 0)
    assert bool(err) == (code != 0)


def test_a_number_of_threads_in_the_environment_that_makes_no_sense(tmp_path):
    found, _, err = finish(start(tmp_path, "gradcheck", "tanh", TINYGEN_THREADS="many"))
    assert found == 2
    assert err == (
        "tinygen gradcheck: TINYGEN_THREADS: the number of threads must be a whole number, "
        "not 'many'"
    )


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_saves_and_says_how_to_go_on(tmp_path, number, code):
    train = ["train", "stacked-ae", *small(tmp_path), "--epochs", "100000", "--out", "a run"]
    process = start(tmp_path, *train)
    for line in process.stdout:  # training is under way
        if line.startswith(b"epoch"):
            break
    process.send_signal(number)
    found, _, err = finish(process)
    assert found == code
    stopped = re.search(r"stopped in epoch (\d+) of 100000, after step \d+; saved (.*)", err)
    assert stopped, err
    assert (tmp_path / stopped[2]).exists()
    assert "Go on with: tinygen resume 'a run'" in err
    epochs = int(stopped[1]) + 1
    found, out, err = finish(start(tmp_path, "resume", "a run", "--epochs", str(epochs)))
    assert (found, err) == (0, "")
    assert "a run/curves.png" in out
    rows = [json.loads(x) for x in (tmp_path / "a run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(1, epochs + 1))


def test_two_processes_on_one_run(tmp_path):
    train = ["train", "stacked-ae", *small(tmp_path), "--epochs", "100000", "--out", "run"]
    first = start(tmp_path, *train)
    for line in first.stdout:
        if line.startswith(b"epoch"):
            break
    for second in (["resume", "run"], ["resume", "run", "--epochs", "200000"], train):
        code, _, err = finish(start(tmp_path, *second))
        assert code == 1
        refused = rf"process {first.pid} \(.*train stacked-ae .*\) is training in it"
        assert re.search("run holds another run" if second is train else refused, err), err
    assert first.poll() is None
    first.kill()
    first.communicate()
    rows = [json.loads(x) for x in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    assert "epochs = 100000\n" in (tmp_path / "run" / "config.toml").read_text()
    done = str(len(rows) + 2)
    assert finish(start(tmp_path, "resume", "run", "--epochs", done))[0] == 0


def test_an_interrupt_while_the_last_pictures_are_drawn(tmp_path, monkeypatch, capsys):
    def interrupted(subject: Subject) -> list[Path]:
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(tinygen.view, "draw_figures", interrupted)
        train = ["train", "stacked-ae", *small(tmp_path), "--epochs", "1", "--out", "a run"]
        assert main(train) == 130
    err = capsys.readouterr().err
    assert "training is done: a run/model.safetensors" in err
    assert "Draw the pictures with: tinygen resume 'a run'" in err
    assert main(["resume", "a run"]) == 0
    assert "a run/curves.png" in capsys.readouterr().out


def test_output_off_a_terminal_is_plain(tmp_path):
    code, out, err = finish(
        start(tmp_path, "train", "stacked-ae", *small(tmp_path), "--epochs", "2", "--out", "run")
    )
    assert (code, err) == (0, "")
    assert out.count("epoch ") == 2
    log = (tmp_path / "run" / "log.txt").read_text()
    assert all(c.isprintable() or c == "\n" for c in out + log)


def on_a_terminal(folder: Path, *arguments: str) -> str:
    """What `tinygen ...` writes to a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    process = start(folder, *arguments, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], 60)[0]:
        try:
            shown += os.read(ours, 4096)
        except OSError:  # the other end is closed
            break
    os.close(ours)
    assert process.wait(60) == 0
    return shown.decode()


def test_on_a_terminal_there_is_a_bar_which_goes_away(tmp_path):
    """Epochs of 10,000 steps take long enough for a bar."""
    train = ["train", "linear-ae", "--set", "count=10000", "--batch-size", "1"]
    text = on_a_terminal(tmp_path, *train, "--epochs", "2", "--out", "run")
    assert re.search(r"epoch 1/2: +\d+%\|.*steps/s", text)
    assert "steps/s, loss " in text
    left = [line.split("\r")[-1] for line in text.replace("\r\n", "\n").split("\n")]
    assert sum(line.startswith("epoch") for line in left) == 2
    assert not any("|" in line for line in left)


def test_a_terminal_that_cannot_show_the_path(tmp_path):
    code, out, _ = finish(
        start(
            tmp_path, "train", "linear-ae", "--steps", "1", "--out", "é", PYTHONIOENCODING="ascii"
        )
    )
    assert code == 0
    assert r"\xe9/curves.png" in out
    assert (tmp_path / "é" / "curves.png").exists()


@pytest.mark.parametrize("arguments", ["data list", "train stacked-ae --dry-run"])
def test_a_reader_that_goes_away(tmp_path, arguments):
    process = start(tmp_path, *arguments.split())
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, b"")


# TINYGEN_DEBUG


@pytest.mark.parametrize("level", ["1", "2"])
def test_debug_names_the_op_that_made_the_first_nan(tmp_path, level):
    arguments = ["train", "linear-ae", "--set", "learning_rate=1e9", "--out", "run"]
    code, _, err = finish(start(tmp_path, *arguments, TINYGEN_DEBUG=level))
    assert code == 1
    named = r"the (forward|backward) of \w+( \(.*\))? made the first (NaN|infinity)"
    assert re.search(named, err), err
    assert ("; the op was called at " in err) == (level == "2")


def test_debug_prints_every_op(tmp_path):
    arguments = ["train", "linear-ae", "--steps", "1", "--out", "run"]
    code, _, err = finish(start(tmp_path, *arguments, TINYGEN_DEBUG="3"))
    assert code == 0
    assert re.search(
        r"^forward  dense +\(32, 3\), \(3, 2\), \(2,\) -> \(32, 2\) float32$", err, re.M
    )
    assert re.search(r"^backward mse ", err, re.M)


def test_an_unknown_debug_level(tmp_path):
    process = start(tmp_path, "info", TINYGEN_DEBUG="9")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"TINYGEN_DEBUG must be 0, 1, 2 or 3, not '9'" in err
