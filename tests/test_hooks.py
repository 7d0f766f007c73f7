"""Hooks look over the engine's shoulder, and change nothing."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tinygen_kernels

import tinygen
from tinygen import ops, tensor
from tinygen.config import debug_level
from tinygen.config import hooks as active
from tinygen.hooks import Hook, Memory, NaNFinder, Places, Printer, Recorder, Timer

PACKAGE = Path(tinygen.__file__).parent


@pytest.fixture(autouse=True)
def all_switched_off():
    yield
    assert not active
    active.clear()


def example():
    x = tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    return x, ops.tanh(x * x).sum()


def test_hooks_change_nothing_and_are_off_after_the_block():
    x, y = example()
    y.backward()
    expected = y.item(), x.grad.numpy()
    with Timer(), Memory(), NaNFinder(), Places(), Recorder(), Hook():
        assert len(active) == 6
        x, y = example()
        y.backward()
    assert y.item() == expected[0]
    np.testing.assert_array_equal(x.grad.numpy(), expected[1])


def test_hooks_are_off_after_an_error():
    with pytest.raises(ValueError, match="matmul"), Timer(), Recorder():
        ops.matmul(tensor([[1.0]]), tensor([[1.0], [2.0]]))
    assert not active


def test_hooks_see_both_phases_with_what_goes_in_and_comes_out():
    seen = []

    class Diary(Hook):
        def before(self, op, phase, inputs):
            seen.append(("before", op.name, phase, [x.shape for x in inputs]))

        def after(self, op, phase, inputs, outputs):
            several = outputs if isinstance(outputs, tuple) else (outputs,)
            shapes = [getattr(y, "shape", None) for y in several]
            seen.append(("after", op.name, phase, shapes))

    x = tensor([[1.0, 2.0]], requires_grad=True)
    with Diary():
        y = ops.exp(x)
        y.backward(np.ones((1, 2), np.float32))
    backward = [entry for entry in seen if entry[2] == "backward"]
    assert seen[:2] == [
        ("before", "exp", "forward", [(1, 2)]),
        ("after", "exp", "forward", [(1, 2)]),
    ]
    assert backward == [
        ("before", "exp", "backward", [(1, 2)]),
        ("after", "exp", "backward", [(1, 2)]),
    ]
    inner = seen[3:-1]  # the op that exp's backward is made of
    assert {entry[1] for entry in inner} == {"multiply"}


# Timer, Memory


def test_the_timer_counts_calls():
    with Timer() as timer:
        x = tensor(np.ones((300, 300)), requires_grad=True)
        for _ in range(3):
            y = ops.tanh(x @ x)
        y.sum().backward()
    assert timer.calls["tanh", "forward"] == 3
    assert timer.calls["tanh", "backward"] == 1
    assert timer.calls["matmul", "backward"] == 1
    assert set(timer.calls) == set(timer.seconds)
    lines = timer.table().splitlines()
    assert len(lines) == len(timer.calls)
    times = [float(line.split()[-2]) for line in lines]
    assert times == sorted(times, reverse=True)


def test_the_seconds_of_a_backward_include_those_of_its_ops(monkeypatch):
    """By a clock that goes on by one second whenever somebody looks at it."""
    monkeypatch.setattr(time, "perf_counter", partial(next, itertools.count()))
    x = tensor([1.0, 2.0], requires_grad=True)
    with Timer() as timer:
        ops.exp(x).backward(np.ones(2, np.float32))
    assert dict(timer.seconds) == {
        ("exp", "forward"): 1,
        ("multiply", "forward"): 1,  # what the backward of exp is made of
        ("exp", "backward"): 3,
    }


@pytest.mark.parametrize("side", [10, 300])  # results of 800 bytes, and of 720 kB
def test_memory_counts_new_arrays_and_no_views(side):
    x = tensor(np.ones((side, side)))
    with Memory() as memory:
        ops.tanh(x)
        ops.tanh(x)
        ops.transpose(x)
        ops.reshape(x, (side * side,))
        ops.dense(x, x)
    size = 8 * side * side
    assert memory.bytes["tanh", "forward"] == 2 * size
    assert memory.bytes["dense", "forward"] == size
    assert memory.bytes["transpose", "forward"] == memory.bytes["reshape", "forward"] == 0


# NaNFinder, Places


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's own note on the same thing
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda x: ops.log(x),
            "the forward of log made the first NaN, from inputs of shapes \\(2,\\)",
        ),
        (lambda x: ops.exp(1000.0 * x), "the forward of exp made the first infinity"),
        (lambda x: 1.0 / (x - x), "the forward of divide made the first infinity"),
        (
            lambda x: ops.sqrt(0.0 * x).sum().backward(),
            "the backward of sqrt \\(in its divide\\) made",
        ),
    ],
)
def test_the_nan_finder_names_the_op(make, message):
    x = tensor([-1.0, 2.0], requires_grad=True)
    with NaNFinder(), pytest.raises(FloatingPointError, match=message):
        make(x)


def test_the_nan_finder_does_not_blame_who_only_passes_it_on():
    for bad in (np.inf, -np.inf, np.nan):
        x = tensor([1.0, bad], requires_grad=True)
        with NaNFinder():
            (x * 2.0).sum().backward()
            ops.concatenate([x, x])
    with NaNFinder():
        ops.take(tensor([1.0, 2.0]), np.array([1, 0]))  # integers are never bad


def test_places_name_the_line_of_the_user():
    def my_layer(x):
        return ops.log(x)  # here

    lines = Path(__file__).read_text().splitlines()
    number = next(i for i, line in enumerate(lines, 1) if line.endswith("# here"))
    x = tensor([-1.0])
    with (
        np.errstate(all="ignore"),
        Places(),
        NaNFinder(),
        pytest.raises(FloatingPointError) as caught,
    ):
        my_layer(x)
    assert str(caught.value).endswith(f"; the op was called at {__file__}:{number}")


def test_places_of_a_backward_are_those_of_its_forward():
    with np.errstate(all="ignore"), Places(), NaNFinder():
        x = tensor([0.0], requires_grad=True)
        y = ops.sqrt(x)
        line = sys._getframe().f_lineno - 1
        with pytest.raises(FloatingPointError) as caught:
            y.backward()
    assert "the backward of sqrt " in str(caught.value)
    assert f"{__file__}:{line}" in str(caught.value)


# Printer, Recorder


def test_the_printer_shows_shapes(capsys):
    with Printer():
        x = tensor(np.ones((2, 3)), requires_grad=True)
        ops.dense(x, np.ones((3, 4))).sum().backward()
    out, err = capsys.readouterr()
    assert not out
    lines = [line.split() for line in err.splitlines()]
    assert lines[0] == ["forward", "dense", "(2,", "3),", "(3,", "4)", "->", "(2,", "4)", "float64"]
    assert {line[0] for line in lines} == {"forward", "backward"}


def test_the_recorder_keeps_the_graph():
    x = tensor(np.ones((2, 3)), requires_grad=True)
    with Recorder() as recorder:
        h = ops.tanh(x)
        y = ops.exp(h) + h
    assert [(op.name, shape) for op, shape in recorder.nodes] == [
        ("tanh", (2, 3)),
        ("exp", (2, 3)),
        ("add", (2, 3)),
    ]
    assert recorder.edges() == [("tanh.0", "exp.1"), ("exp.1", "add.2"), ("tanh.0", "add.2")]
    edges = recorder.edges()
    with Recorder() as other:
        y.sum().backward()
    assert recorder.edges() == edges  # though backward freed those of the ops
    assert "exp" not in [op.name for op, _ in other.nodes]  # only what runs forward


# TINYGEN_DEBUG


def test_debug_levels(monkeypatch):
    for text, level in (("0", 0), ("1", 1), ("3", 3)):
        monkeypatch.setenv("TINYGEN_DEBUG", text)
        assert debug_level() == level
    monkeypatch.delenv("TINYGEN_DEBUG")
    assert debug_level() == 0
    for text in ("yes", "4", "-1", ""):
        monkeypatch.setenv("TINYGEN_DEBUG", text)
        with pytest.raises(ValueError, match="TINYGEN_DEBUG must be 0, 1, 2 or 3"):
            debug_level()


SCRIPT = """
import numpy as np
import tinygen
x = tinygen.tensor([-1.0], requires_grad=True)
with np.errstate(all="ignore"):
    print(tinygen.ops.log(x))
"""


def run_script(script: Path, package: Path, level: str) -> subprocess.CompletedProcess[str]:
    """Run SCRIPT, in a process of its own, at a debug level."""
    script.parent.mkdir(exist_ok=True)
    script.write_text(SCRIPT)
    kernels = Path(tinygen_kernels.__file__).parents[1]
    environment = {"TINYGEN_DEBUG": level, "PYTHONPATH": f"{package.parent}{os.pathsep}{kernels}"}
    command = [sys.executable, str(script)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("level", ["0", "1", "2", "3"])
def test_levels_in_a_process_of_their_own(tmp_path, level):
    script = tmp_path / "script.py"
    done = run_script(script, PACKAGE, level)
    named = "FloatingPointError: the forward of log made the first NaN" in done.stderr
    assert named == (level >= "1")
    assert (f"the op was called at {script}:6" in done.stderr) == (level >= "2")
    assert (done.returncode == 0) == ("nan" in done.stdout) == (level == "0")


def test_a_script_in_a_folder_whose_name_begins_like_the_packages(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "tinygen")
    script = tmp_path / "tinygen-experiments" / "script.py"
    done = run_script(script, tmp_path / "tinygen", "2")
    assert f"the op was called at {script}:6" in done.stderr
