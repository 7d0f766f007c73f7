"""The pool of threads that parallel kernels share: how many there are, and how they wait.

Between two parallel kernels, and for each other at the end of one, threads of OpenMP wait awake, in
a loop: to sleep and be woken takes longer than most kernels. GNU's OpenMP lets them do so for
milliseconds. On a machine that does other work too, the one that is waited for may not be running
at all, because those that wait for it have its core, and a step takes a hundred times as long. So
they wait for SPINS turns of that loop, half a millisecond or so, and then sleep.

The number is read when the library is loaded, so it is set just then. A user's own GOMP_SPINCOUNT
or OMP_WAIT_POLICY counts instead. The library is there once in a process: where PyTorch has loaded
its own before our first kernel, nothing changes, and where it comes later, it waits as we do. Other
pools are left alone: TBB's threads sleep, LLVM's OpenMP has KMP_BLOCKTIME. `python -m
benchmarks.loaded` compares numbers of turns.

A process that forks has a child without these threads: GNU's OpenMP ends it, or waits for them for
ever. There every kernel runs on one thread; see `after_fork`.
"""

from __future__ import annotations

import functools
import importlib
import operator
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numba

SPINS = 30_000  # with less, steps on a quiet machine take longer: a thread that sleeps wakes late
VARIABLE = "TINYGEN_THREADS"

_chosen = (0, "")  # how many threads were asked for, and by what
_limits: Any = None  # keeps threadpoolctl's limits in force
_forked = False  # whether this process is a child that was forked when our kernels were there


def in_forked_child() -> bool:
    """Whether this process was forked by one that had loaded this module: no pool may be used."""
    return _forked


def after_fork(action: Callable[[], None]) -> Callable[[], None]:
    """Decorator: run `action` in every forked child, before anything else of ours."""
    if hasattr(os, "register_at_fork"):  # Windows cannot fork
        os.register_at_fork(after_in_child=action)
    return action


def hold_while_forking(lock: Any) -> None:
    """Let whoever forks hold a lock meanwhile: else a child may find it locked for ever.

    The thread that held it would not be there to release it, and what it guards be half done. Of
    several locks the last one that came here is taken first.
    """
    if hasattr(os, "register_at_fork"):
        release = lock.release
        os.register_at_fork(before=lock.acquire, after_in_parent=release, after_in_child=release)


@after_fork
def _note_fork() -> None:
    global _forked
    _forked = True


@functools.cache
def load_pool() -> bool:
    """Load the pool before Numba does; whether several threads of Python may use it at once.

    Numba's own work queue, which it uses where neither OpenMP nor TBB is at hand, aborts the
    process when two threads of Python enter it together. From then on as many threads are used as
    TINYGEN_THREADS says; raises ValueError if that makes no sense.
    """
    may_overlap = _load()
    wanted = os.environ.get(VARIABLE)
    if wanted:
        if not wanted.strip().isdecimal():
            raise ValueError(
                f"{VARIABLE}: the number of threads must be a whole number, not {wanted!r}"
            )
        _use(int(wanted), VARIABLE)
    return may_overlap


def use_threads(n: int, origin: str) -> None:
    """Use `n` threads in BLAS and in our own kernels, from now on.

    Args:
        n: from 1 to the number of cores.
        origin: what asked for it, for messages.

    In a forked child only BLAS heeds it: kernels have one thread there.

    Raises ValueError, with the origin, for any other n.
    """
    load_pool()
    _use(n, origin)


def _use(n: int, origin: str) -> None:
    """The same with a pool that is loaded."""
    global _chosen, _limits
    from threadpoolctl import threadpool_limits

    n = operator.index(n)
    most = min(os.cpu_count() or 1, numba.config.NUMBA_NUM_THREADS)
    if not 1 <= n <= most:
        raise ValueError(
            f"{origin}: the number of threads must be from 1 to {most}, as there are cores, not {n}"
        )
    _limits = threadpool_limits(n)
    numba.set_num_threads(n)
    _chosen = n, origin


def threads_in_use() -> tuple[int, str]:
    """How many threads a parallel kernel is shared by, and what asked for so many."""
    if _forked:
        return 1, "a forked process"
    load_pool()
    n, origin = numba.get_num_threads(), "all cores"
    if n == _chosen[0]:
        origin = _chosen[1]
    elif "NUMBA_NUM_THREADS" in os.environ:
        origin = "NUMBA_NUM_THREADS"
    elif n < (os.cpu_count() or 1):
        origin = "what Numba was told, or the cores that this process may use"
    return n, origin


def _load() -> bool:
    """Load the libraries, and tell whether there are any."""
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
