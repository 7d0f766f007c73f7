"""The pool of threads that parallel kernels share: which one it is, and how its threads wait.

Between two parallel kernels, and for each other at the end of one, threads of OpenMP wait awake, in
a loop: to sleep and be woken takes longer than most kernels. GNU's OpenMP lets them do so for
milliseconds. On a machine that does other work too, the one that is waited for may not be running
at all, because those that wait for it have its core, and a step takes a hundred times as long. So
they wait for SPINS turns of that loop, some fifty microseconds, and then sleep.

The number is read when the library is loaded, so it is set just then, and for it alone. A user's
own GOMP_SPINCOUNT or OMP_WAIT_POLICY counts instead. Nothing changes where the library is in the
process before (PyTorch brings it along, and if imported first shares it), nor in other pools: TBB's
threads sleep, LLVM's OpenMP has KMP_BLOCKTIME.
"""

from __future__ import annotations

import functools
import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import numba

SPINS = 2000


@functools.cache
def load_pool() -> bool:
    """Load the pool before Numba does; whether several threads of Python may use it at once.

    Numba's own work queue, which it uses where neither OpenMP nor TBB is at hand, aborts the
    process when two threads of Python enter it together.
    """
    if numba.config.THREADING_LAYER == "workqueue":
        return False
    found = False
    with bounded_waiting():
        for layer in ("tbbpool", "omppool"):
            with suppress(ImportError):
                importlib.import_module(f"numba.np.ufunc.{layer}")
                found = True
    return found


@contextmanager
def bounded_waiting() -> Iterator[None]:
    """Within the block, a library of GNU's OpenMP that is loaded will wait for SPINS turns."""
    if "GOMP_SPINCOUNT" in os.environ or "OMP_WAIT_POLICY" in os.environ:
        yield
        return
    os.environ["GOMP_SPINCOUNT"] = str(SPINS)
    try:
        yield
    finally:
        del os.environ["GOMP_SPINCOUNT"]
