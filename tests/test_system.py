"""Threads, facts about the machine, and what is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numba
import numpy as np
import pytest
from threadpoolctl import threadpool_info
from tinygen_kernels.cpu import threads

import tinygen
from tinygen import models
from tinygen.system import info, require, set_threads


@pytest.fixture
def most():
    """The number of threads is as before afterwards."""
    yield os.cpu_count()
    set_threads(os.cpu_count())


@pytest.fixture
def environment():
    """That of a process of its own, without what is set here."""
    root = Path(tinygen.__file__).parents[1]
    dropped = ("NUMBA", "TINYGEN_THREADS")
    clean = {k: v for k, v in os.environ.items() if not k.startswith(dropped)}
    return {**clean, "PYTHONPATH": f"{root}:{root / 'kernels'}"}


def in_use() -> tuple[int, set[int]]:
    """Threads of our kernels, and of each BLAS."""
    pools = [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]
    return numba.get_num_threads(), set(pools)


def test_set_threads(most):
    for n in (1, most, 1):
        set_threads(n)
        assert in_use() == (n, {n})
    for n in (0, -1, most + 1):
        with pytest.raises(ValueError, match=f"set_threads: .* from 1 to {most}, .* not {n}$"):
            set_threads(n)
    with pytest.raises(TypeError, match="float"):
        set_threads(1.0)
    assert in_use() == (1, {1})
    assert info()["threads"] == "1 (tinygen.set_threads)"


def test_fewer_threads_give_the_same_numbers_from_our_kernels(most):
    x = np.random.default_rng(0).standard_normal((500, 300)).astype(np.float32)
    found = []
    for n in (1, most):
        set_threads(n)
        found.append(tinygen.ops.mse(tinygen.ops.tanh(x), x).item())
    assert found[0] == found[1]


# Fewer threads before the first kernel, all of them after it.
LATER = """
import os
import numba, numpy as np, tinygen
most = os.cpu_count()
tinygen.set_threads(1)
assert numba.get_num_threads() == 1
tinygen.ops.tanh(np.ones(100_000, np.float32))
tinygen.set_threads(most)
assert numba.get_num_threads() == most
assert "NUMBA_NUM_THREADS" not in os.environ
"""


def test_threads_may_be_set_before_and_after_the_first_kernel(environment):
    done = subprocess.run(
        [sys.executable, "-c", LATER], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# What the first kernel, BLAS and `info` say of the environment, and after one's own choice.
ASKS = """
import os
import numpy as np, tinygen
from threadpoolctl import threadpool_info
def show():
    blas = {p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"}
    print(tinygen.info()["threads"], sorted(blas))
tinygen.ops.tanh(np.ones(100_000, np.float32))
show()
tinygen.set_threads(os.cpu_count())
show()
"""


@pytest.mark.parametrize(
    ("settings", "first"),
    [
        ({}, f"{os.cpu_count()} (all cores)"),
        ({"TINYGEN_THREADS": ""}, f"{os.cpu_count()} (all cores)"),
        ({"TINYGEN_THREADS": "1"}, "1 (TINYGEN_THREADS) [1]"),
        ({"TINYGEN_THREADS": " 1 ", "NUMBA_THREADING_LAYER": "workqueue"}, "1 (TINYGEN_THREADS) ["),
        ({"NUMBA_NUM_THREADS": str(os.cpu_count())}, f"{os.cpu_count()} (NUMBA_NUM_THREADS)"),
    ],
)
def test_the_environment_sets_threads_for_the_first_kernel(environment, settings, first):
    done = subprocess.run(
        [sys.executable, "-c", ASKS],
        env={**environment, **settings},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith(first)
    assert lines[1] == f"{os.cpu_count()} (tinygen.set_threads) [{os.cpu_count()}]"


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            "0",
            f"TINYGEN_THREADS: the number of threads must be from 1 to {os.cpu_count()}, .* not 0",
        ),
        ("999999", "TINYGEN_THREADS: the number of threads must be from 1 to .* not 999999"),
        ("two", "TINYGEN_THREADS: the number of threads must be a whole number, not 'two'"),
        ("-1", "TINYGEN_THREADS: the number of threads must be a whole number, not '-1'"),
        ("1.5", "TINYGEN_THREADS: the number of threads must be a whole number, not '1.5'"),
    ],
)
def test_a_number_of_threads_that_makes_no_sense_is_said_to_be(value, message, monkeypatch):
    monkeypatch.setenv("TINYGEN_THREADS", value)
    with pytest.raises(ValueError, match=message):
        threads.load_pool.__wrapped__()


def test_info():
    found = info()
    assert found == tinygen.info()
    assert found["tinygen"] == tinygen.__version__
    assert found["numpy"] == np.__version__
    assert found["numba"] == numba.__version__
    assert found["cores"] == str(os.cpu_count())
    assert found["python"] == sys.version.split()[0]
    assert "tomli-w" in found["extras"]
    assert all(isinstance(value, str) and value for value in found.values())


def test_info_knows_the_users_own_folder(monkeypatch):
    monkeypatch.setenv("TINYGEN_DATA_DIR", "/some/where")
    assert info()["data"] == "/some/where"
    monkeypatch.delenv("TINYGEN_DATA_DIR")
    assert info()["data"] == "not set (TINYGEN_DATA_DIR)"


def test_require(monkeypatch):
    require("json", "tomli_w")
    monkeypatch.setitem(sys.modules, "tomli_w", None)
    with pytest.raises(ModuleNotFoundError, match="tomli_w is missing: pip install") as caught:
        require("json", "tomli_w")
    assert caught.value.name == "tomli_w"
    with pytest.raises(ModuleNotFoundError, match="no_such_thing is missing"):
        require("no_such_thing")


def test_the_models_do_not_need_what_is_extra(monkeypatch):
    for name in ("tomli_w", "matplotlib", "tqdm", "pooch", "jinja2", "sklearn"):
        monkeypatch.setitem(sys.modules, name, None)
    model = models.create("stacked-ae", image_shape=(4, 4))
    x = np.random.default_rng(0).random((8, 4, 4), dtype=np.float32)
    assert len(tinygen.training.fit(model, x, epochs=1, verbose=False)) == 1
