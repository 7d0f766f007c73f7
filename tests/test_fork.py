"""Processes that fork after training: their children compute on one thread, with the same bits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tinygen

ROOT = Path(tinygen.__file__).parents[1]

SCRIPT = """
import multiprocessing
import numpy as np
import tinygen
from tinygen import Random, info, nn
from tinygen.training import fit

x = np.random.default_rng(0).random((512, 256), np.float32)

def trained(seed):
    model = nn.Sequential(
        nn.Dense(256, 256, activation="tanh", rng=Random(0)), nn.Dense(256, 256, rng=Random(1))
    )
    fit(model, x, x, loss="mse", optimizer="adam", epochs=1, seed=seed, verbose=False)
    return model

def weights(seed):
    return np.concatenate([p.numpy().ravel() for p in trained(seed).parameters()])

def forward(rows):
    return model(x[:rows]).numpy()

def threads(_):
    return info()["threads"]

if __name__ == "__main__":
    model = trained(0)
    with multiprocessing.get_context("fork").Pool(2) as pool:
        for work, values in ((forward, (32, 512)), (weights, (0, 1)), (threads, (0,))):
            found = pool.map(work, values)
            if work is threads:
                print(found)
            else:
                same = [np.array_equal(a, work(v)) for a, v in zip(found, values)]
                print(work.__name__, same)
"""
WHILE_COMPILING = """
import os, threading, time
import numpy as np
from tinygen_kernels.cpu import jit

x = np.ones(8, np.float32)

def add(number):
    def work(a):
        return a[0] + number
    return jit.jit()(work)(x)

def compile_on():
    while not stopped.is_set():
        add(len(compiled))
        compiled.append(0)

stopped, compiled, ended = threading.Event(), [], []
thread = threading.Thread(target=compile_on)
thread.start()
while not compiled:
    time.sleep(0.01)
children = []
for number in range(6):
    child = os.fork()
    if not child:
        os._exit(int(add(number)))
    children.append(child)
until = time.monotonic() + 60
while children and time.monotonic() < until:
    for child in list(children):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            ended.append(os.waitstatus_to_exitcode(status))
            children.remove(child)
    time.sleep(0.01)
for child in children:
    os.kill(child, 9)
stopped.set()
thread.join()
print(sorted(ended))
"""
RIGHT = "forward [True, True]\nweights [True, True]\n['1 (a forked process)']\n"


@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_a_pool_of_forked_processes_computes_and_trains(tmp_path, layer):
    done = run(tmp_path, SCRIPT, NUMBA_THREADING_LAYER=layer)
    assert (done.stdout, done.returncode) == (RIGHT, 0), done.stderr


def test_a_fork_waits_for_the_thread_that_compiles(tmp_path):
    """Else its child would find the compiler's lock held for ever, at its first kernel."""
    done = run(tmp_path, WHILE_COMPILING, TINYGEN_CACHE_DIR=str(tmp_path))
    assert (done.stdout, done.returncode) == ("[1, 2, 3, 4, 5, 6]\n", 0), done.stderr


DRAWING = """
import os, threading, time
from tinygen import Random, ops
from tinygen.ops import random

def draw_on():
    with random._counting:
        held.set()
        time.sleep(0.2)

held = threading.Event()
thread = threading.Thread(target=draw_on)
thread.start()
held.wait()
child = os.fork()
if not child:
    ops.gaussian_noise([1.0, 2.0], 0.1)
    os._exit(3)
until = time.monotonic() + 20
while time.monotonic() < until and not (done := os.waitpid(child, os.WNOHANG))[0]:
    time.sleep(0.01)
if not done[0]:
    os.kill(child, 9)
print(os.waitstatus_to_exitcode(done[1]))
"""


def test_a_fork_waits_for_the_thread_that_counts_a_draw(tmp_path):
    done = run(tmp_path, DRAWING)
    assert (done.stdout, done.returncode) == ("3\n", 0), done.stderr


def run(folder, script, **environment):
    """A script in a process of its own."""
    (folder / "script.py").write_text(script)
    path = f"{ROOT}{os.pathsep}{ROOT / 'kernels'}"
    return subprocess.run(
        [sys.executable, str(folder / "script.py")],
        env={**os.environ, "PYTHONPATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
