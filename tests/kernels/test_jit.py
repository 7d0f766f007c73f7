"""The cache of compiled kernels: private, never stale, never in the way.

Every run is a process of its own with a cache of its own.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.kernels.processes import LINE, PACKAGE, finish, start

# Two kernels, one of them with a piece, and what they must give.
USE = """
import numpy as np
from tinygen_kernels.cpu import activation, optim
average = np.zeros(3, np.float32)
optim.ema([average], [np.ones(3, np.float32)], 0.5)
print(average.tolist(), activation.activate(np.float32([-1, 2]), "relu", 0.0).tolist())
"""
RIGHT = "[0.5, 0.5, 0.5] [0.0, 2.0]\n"


class Cold(NamedTuple):
    """A first run: the folder it was given, and what it printed."""

    cache: Path
    out: str
    err: str


@pytest.fixture(scope="module")
def cold(tmp_path_factory) -> Cold:
    """A first run; in its cache were folders of other versions, of long ago and of last week."""
    cache = tmp_path_factory.mktemp("cache")
    for name, days in (("old", 31), ("recent", 7)):
        folder = cache / "tinygen" / "numba" / name
        folder.mkdir(parents=True)
        (folder / "lock").touch()
        then = time.time() - days * 86_400
        os.utime(folder, (then, then))
    return Cold(cache, *finish(start(USE, cache)))


def test_a_first_run_says_once_that_it_compiles_and_a_second_is_silent(cold):
    assert (cold.out, cold.err) == (RIGHT, LINE)
    assert finish(start(USE, cold.cache)) == (RIGHT, "")


def test_every_family_comes_from_the_cache(tmp_path):
    """What a kernel closes over is part of its key, and must be the same in every process."""
    code = """
import numpy as np
from tinygen_kernels import kernels
from tinygen_kernels.geometry import Geometry
def ones(*shape):
    return np.ones(shape, np.float32)
k, f = kernels(ones(1)), ("selu", 0.0)
for pixels, inputs, outputs in ((16, 16, 16), (4, 2, 3), (4, 8, 1)):
    geometry = Geometry((pixels, pixels), (3, 3), pads=((1, 1), (1, 1)))
    x, w = ones(4, pixels, pixels, inputs), ones(3, 3, inputs, outputs)
    y = k.conv2d(x, w, ones(outputs), geometry, *f)
    k.conv2d_transpose(y, w, None, geometry, *f)
    k.conv2d_weight_grad(x, y, geometry)
x, w, u = ones(3, 2, 4), ones(4, 8), ones(2, 8)
after = k.recurrent("lstm", x, w, u, ones(1, 8), ones(2, 2), ones(2, 2), None)
k.recurrent_grad("lstm", x, w, u, None, after, None, ones(2, 2), ones(2, 2), [True] * 6)
k.dense(ones(2, 3), ones(3, 4), None, *f)
k.channel_norm(ones(1, 8, 4), ones(1, 4), ones(1, 4), 1e-5)
"""
    assert finish(start(code, tmp_path)) == ("", LINE)
    assert finish(start(code, tmp_path)) == ("", "")


def test_loading_does_not_need_what_compiling_needs(cold):
    """Numba's set-up of a compiler would take half a second and 50 MiB."""
    compilers = "numba.np.linalg", "numba.cpython.setobj"
    look = f"\nimport sys; print([name in sys.modules for name in {compilers}])"
    assert finish(start(USE + look, cold.cache)) == (RIGHT + "[False, False]\n", "")
    more = """
average = np.zeros(3)  # a type that is not in the cache
optim.ema([average], [np.ones(3)], 0.5)
print(average.tolist())
"""
    out, err = finish(start(USE + more + look, cold.cache))
    assert (out, err) == (RIGHT + "[0.5, 0.5, 0.5]\n[True, True]\n", LINE)


def test_a_kernel_from_the_cache_is_not_linked_into_another(tmp_path):
    """Only its machine code is kept; Numba must say so, not crash."""
    code = """
import numba, numpy as np
from tinygen_kernels.cpu import optim
x, kernel = np.ones(3), optim._sgd_plain.alone
kernel(x, np.ones(3), 2.0)
print(x.tolist())
try:
    numba.njit(lambda x: kernel(x, x, 1.0))(x)
    print("linked")
except RuntimeError as error:
    print("library unfit for linking" in str(error))
"""
    assert finish(start(code, tmp_path)) == ("[3.0, 3.0, 3.0]\nlinked\n", LINE)
    assert finish(start(code, tmp_path)) == ("[3.0, 3.0, 3.0]\nTrue\n", "")


def test_the_folder_is_private(cold):
    (folder,) = {path.parent.parent for path in cold.cache.rglob("*.nbc")}
    assert folder.parent == cold.cache / "tinygen" / "numba"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_only_folders_that_nobody_used_for_a_month_are_removed(cold):
    names = {path.name for path in (cold.cache / "tinygen" / "numba").iterdir()}
    assert "old" not in names
    assert "recent" in names
    assert len(names) == 2


def flipped(content: bytes) -> bytes:
    """One bit in the middle, which for a data file is in the machine code."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :]


DAMAGES = {
    "empty": lambda content: b"",
    "truncated": lambda content: content[: len(content) // 2],
    "garbage": lambda content: b"\x80garbage" * 100,
    "flipped": flipped,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_files_are_replaced(cold, tmp_path, damage):
    """The index of one kernel and the machine code of another are damaged."""
    shutil.copytree(cold.cache, tmp_path, dirs_exist_ok=True)
    (index,) = tmp_path.rglob("optim._ema*.nbi")
    (code,) = tmp_path.rglob("activation.*piece*.nbc")
    before = {}
    for path in (index, code):
        before[path] = damage(path.read_bytes())
        path.write_bytes(before[path])
    assert finish(start(USE, tmp_path)) == (RIGHT, LINE)
    for path, content in before.items():
        assert path.read_bytes() != content
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("base", [Path(os.devnull), Path(__file__)], ids=["device", "file"])
def test_without_a_folder_to_write_to_nothing_is_kept(base):
    assert finish(start(USE, base / "x")) == (RIGHT, "")


def test_a_user_without_a_home_has_no_cache():
    no_home = """
import pathlib
def expanduser(path):
    raise RuntimeError("Could not determine home directory.")
pathlib.Path.expanduser = expanduser
"""
    assert finish(start(no_home + USE, None)) == (RIGHT, "")


def test_a_folder_that_vanishes_is_not_missed(tmp_path):
    vanishes = """
import shutil
from tinygen_kernels.cpu import activation, jit, optim
shutil.rmtree(jit.cache_folder())
"""
    out, _ = finish(start(vanishes + USE, tmp_path))
    assert out == RIGHT


def test_an_edited_source_is_compiled_anew(tmp_path):
    """The edited files are not those of the kernel, but those that it imports constants from."""
    package = tmp_path / "tinygen_kernels"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    near, far = package / "cpu" / "elementary.py", package / "reference" / "activation.py"
    for path, name in ((near, "NEAR"), (far, "FAR")):
        path.write_text(path.read_text() + f"\n{name} = 1.0\n")
    (package / "cpu" / "example.py").write_text(
        "from ..reference.activation import FAR\n"
        "from .elementary import NEAR\n"
        "from .jit import jit\n"
        "@jit()\n"
        "def add(x):\n"
        "    return x + 10.0 * NEAR + 100.0 * FAR\n"
    )
    use = "from tinygen_kernels.cpu.example import add; print(add(1.0))"
    cache = tmp_path / "cache"
    assert finish(start(use, cache, package)) == ("111.0\n", LINE)
    near.write_text(near.read_text().replace("NEAR = 1.0", "NEAR = 2.0"))
    assert finish(start(use, cache, package)) == ("121.0\n", LINE)
    far.write_text(far.read_text().replace("FAR = 1.0", "FAR = 3.0"))
    assert finish(start(use, cache, package)) == ("321.0\n", LINE)
    assert finish(start(use, cache, package)) == ("321.0\n", "")


def test_processes_that_compile_at_once_do_not_disturb_each_other(tmp_path):
    processes = [start(USE, tmp_path) for _ in range(2)]
    for process in processes:
        out, err = finish(process)
        assert out == RIGHT
        assert err in (LINE, "")
    assert finish(start(USE, tmp_path)) == (RIGHT, "")


def test_a_loop_for_one_thread_and_the_same_for_all_are_kept_apart(tmp_path):
    loops = """
import numpy as np
from tinygen_kernels.cpu.optim import _sgd_plain
for kernel in (_sgd_plain.alone, _sgd_plain.shared):
    x = np.ones(3)
    kernel(x, np.ones(3), 2.0)
    print(x.tolist(), kernel.stats.cache_hits.total(), kernel.stats.cache_misses.total())
"""
    assert finish(start(loops, tmp_path)) == ("[3.0, 3.0, 3.0] 0 1\n" * 2, LINE)
    assert finish(start(loops, tmp_path)) == ("[3.0, 3.0, 3.0] 1 0\n" * 2, "")


def test_numbas_own_setting_is_left_alone(tmp_path):
    code = "import numba; from tinygen_kernels.cpu import optim; print([numba.config.CACHE_DIR])"
    assert finish(start(code, tmp_path))[0] == "['']\n"


def test_two_threads_of_python_may_use_parallel_kernels_together(cold: Cold):
    code = """
import threading
import numpy as np
from tinygen_kernels.cpu import matmul
a = np.ones((64, 64), np.float32)
right = []
def work():
    right.append(all((matmul.matmul(a, a) == 64).all() for _ in range(200)))
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(right)
"""
    for layer in ("default", "workqueue"):
        choose = f"import os; os.environ['NUMBA_THREADING_LAYER'] = '{layer}'"
        assert finish(start(choose + code, cold.cache))[0] == "[True, True]\n"


def test_threads_that_compile_at_once_keep_everything_in_the_cache(tmp_path):
    """Numba's setting of the folder is global: threads change it in turn."""
    code = """
import os, sys, threading
from tinygen_kernels.cpu import jit, optim
sys.setswitchinterval(1e-6)
places = set()
def decorate():
    for _ in range(200):
        kernel = type("Kernel", (), {"compile": print})()
        jit.keep_compiled(kernel, optim.sgd)
        places.add(os.path.isabs(kernel._cache.cache_path))
threads = [threading.Thread(target=decorate) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(places, jit.numba.config.CACHE_DIR == "")
"""
    here = tmp_path / "here"
    here.mkdir()
    code = f"import os; os.chdir({str(here)!r})\n" + code
    assert finish(start(code, tmp_path / "cache")) == ("{True} True\n", "")
