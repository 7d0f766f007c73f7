"""Which kernels threads share, that it changes no bit, and how idle threads wait."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from tinygen_kernels import kernels
from tinygen_kernels.cpu import jit, threads
from tinygen_kernels.geometry import Geometry

import tinygen

ROOT = Path(tinygen.__file__).parents[1]
FAST = kernels(np.zeros(1))
RNG = np.random.default_rng(0)
IMAGES = RNG.standard_normal((3, 8, 8, 40), np.float32)
ROWS, POSITIVE = IMAGES.reshape(-1, 40), np.abs(IMAGES.reshape(-1, 40))
SHARES, LOGITS = POSITIVE / POSITIVE.max(), "binary_cross_entropy_with_logits"
SCALE = np.ones((1, 40), np.float32)
POOLED = FAST.max_pool2d(IMAGES, Geometry((8, 8), (2, 2), (2, 2)))


def updated(name, states, *numbers):
    """The arrays that an update leaves behind."""
    p, *state = (ROWS.ravel().copy(), *(POSITIVE.ravel().copy() for _ in range(states)))
    getattr(FAST, name)([p], [ROWS], *([s] for s in state), *numbers)
    return p, *state


CALLS = {
    "activate": lambda: FAST.activate(ROWS, "selu", 0.0),
    "activation_grad": lambda: FAST.activation_grad(ROWS, ROWS, "tanh", 0.0),
    "activation_grad_sum": lambda: FAST.activation_grad_sum(ROWS, ROWS, "tanh", 0.0),
    "bias_activate": lambda: FAST.bias_activate(ROWS.copy(), ROWS[0], "sigmoid", 0.0),
    "loss": lambda: FAST.loss(ROWS, SHARES, LOGITS, 0.0),
    "loss_sum": lambda: FAST.loss_sum(ROWS, SHARES, LOGITS, 0.0),
    "loss_grad": lambda: FAST.loss_grad(ROWS, SHARES, ROWS[:1, 0], LOGITS, 0.0, 0.5),
    "channel_norm": lambda: FAST.channel_norm(ROWS[None], SCALE, SCALE, 1e-3),
    "layer_norm": lambda: FAST.layer_norm(ROWS, SCALE[0], SCALE[0], 1e-3),
    "pixel_norm": lambda: FAST.pixel_norm(ROWS, 1e-3),
    "max_pool2d": lambda: FAST.max_pool2d(IMAGES, Geometry((8, 8), (3, 3), (2, 2))),
    "max_pool2d_grad": lambda: FAST.max_pool2d_grad(*POOLED, Geometry((8, 8), (2, 2), (2, 2))),
    "sum_rows": lambda: FAST.sum_rows(ROWS),
    "sgd": lambda: updated("sgd", 1, 0.9, -0.1, 1.0, 0.0, 0.5),
    "rmsprop": lambda: updated("rmsprop", 1, 0.01, 0.9, 1e-3, 0.0, 0.5),
    "adam": lambda: updated("adam", 2, 0.9, 0.99, 0.1, 0.0, 1.0, 1e-3, 1.0, 1.0),
}


@pytest.mark.parametrize("name", CALLS)
def test_whether_threads_share_a_loop_changes_no_bit(name, monkeypatch):
    monkeypatch.setattr(jit, "SHARED_FROM", 1 << 60)
    alone = as_tuple(CALLS[name]())
    monkeypatch.setattr(jit, "SHARED_FROM", 0)
    shared = as_tuple(CALLS[name]())
    for one, many in zip(alone, shared, strict=True):
        assert np.asarray(one).tobytes() == np.asarray(many).tobytes()


def as_tuple(result):
    return result if isinstance(result, tuple) else (result,)


# A process that uses a parallel kernel, after which the environment is as it was before.
USES = """
import os
before = dict(os.environ)
import numpy as np
from tinygen_kernels.cpu.jit import jit
from numba import prange, threading_layer
@jit(parallel=True)
def fill(x):
    for i in prange(x.size):
        x[i] = i
x = np.zeros(1000)
fill(x)
assert (x == np.arange(1000)).all()
assert dict(os.environ) == before
print(threading_layer())
"""


def waiting(**settings: str) -> tuple[str, str]:
    """The layer that a process uses, and the turns that GNU's OpenMP says its threads wait."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "NUMBA_"))}
    done = subprocess.run(
        [sys.executable, "-c", USES],
        env={
            **clean,
            "PYTHONPATH": f"{ROOT}:{ROOT / 'kernels'}",
            "OMP_DISPLAY_ENV": "verbose",
            **settings,
        },
        capture_output=True,
        text=True,
        check=True,
    )
    told = [line for line in done.stderr.splitlines() if "GOMP_SPINCOUNT" in line]
    return done.stdout.strip(), told[-1].split("'")[1] if told else ""


@pytest.mark.parametrize(
    ("settings", "turns"),
    [
        ({}, str(threads.SPINS)),
        ({"GOMP_SPINCOUNT": "77"}, "77"),
        ({"OMP_WAIT_POLICY": "passive"}, "0"),
        ({"NUMBA_THREADING_LAYER": "workqueue"}, ""),
    ],
)
def test_threads_wait_for_so_many_turns_unless_the_user_says_otherwise(settings, turns):
    layer, found = waiting(**settings)
    if "NUMBA_THREADING_LAYER" in settings:
        assert layer == "workqueue"
    if layer == "omp" and found:  # GNU's; another OpenMP does not tell, another pool has none
        assert found == turns
    else:
        assert layer in ("workqueue", "tbb", "omp")
