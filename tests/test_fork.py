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
RIGHT = "forward [True, True]\nweights [True, True]\n['1 (a forked process)']\n"


@pytest.mark.parametrize("layer", ["default", "workqueue"])
def test_a_pool_of_forked_processes_computes_and_trains(tmp_path, layer):
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    path = f"{ROOT}{os.pathsep}{ROOT / 'kernels'}"
    done = subprocess.run(
        [sys.executable, str(script)],
        env={**os.environ, "PYTHONPATH": path, "NUMBA_THREADING_LAYER": layer},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.stdout, done.returncode) == (RIGHT, 0), done.stderr
