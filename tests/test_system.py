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

import tinygen
from tinygen import models
from tinygen.system import info, require, set_threads


@pytest.fixture
def threads():
    """The number of threads is as before afterwards."""
    yield os.cpu_count()
    set_threads(os.cpu_count())


def in_use() -> tuple[int, set[int]]:
    """Threads of our kernels, and of each BLAS."""
    pools = [p["num_threads"] for p in threadpool_info() if p["user_api"] == "blas"]
    return numba.get_num_threads(), set(pools)


def test_set_threads(threads):
    for n in (1, threads, 1):
        set_threads(n)
        assert in_use() == (n, {n})
    for n in (0, -1, threads + 1):
        with pytest.raises(ValueError, match=f"n must be from 1 to {threads}, .* not {n}"):
            set_threads(n)
    assert in_use() == (1, {1})


def test_fewer_threads_give_the_same_numbers_from_our_kernels(threads):
    x = np.random.default_rng(0).standard_normal((500, 300)).astype(np.float32)
    found = []
    for n in (1, threads):
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


def test_threads_may_be_set_before_and_after_the_first_kernel():
    root = Path(tinygen.__file__).parents[1]
    clean = {k: v for k, v in os.environ.items() if not k.startswith("NUMBA")}
    done = subprocess.run(
        [sys.executable, "-c", LATER],
        env={**clean, "PYTHONPATH": f"{root}:{root / 'kernels'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


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
