"""One way to compile a kernel: Numba, with a cache that can be trusted.

Numba's own `cache=True` keeps stale code when an imported helper changes, and stumbles over
truncated files and over two processes that compile at once. So the machine code lives in a
private folder named after a hash of all kernel sources and of Numba's version; it is read and
written under a lock; and whatever cannot be read is compiled afresh.
"""

from __future__ import annotations

import functools
import hashlib
import os
import pickle
import shutil
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import llvmlite
import llvmlite.binding as llvm
import numba
from numba import types
from numba.core.caching import CompileResultCacheImpl, FunctionCache
from numba.core.compiler_lock import global_compiler_lock
from numba.core.runtime import _nrt_python
from numba.core.serialize import dumps
from numba.extending import intrinsic

from .on_demand import in_less_time
from .threads import after_fork, hold_while_forking, in_forked_child, load_pool
from .vectors import set_attribute

try:
    import fcntl
except ImportError:  # Windows: no lock, so two processes may both compile; each file is still whole
    fcntl = None  # type: ignore[assignment]  # the name stands for "no locks here"

# Reassociation lets loops vectorise; the flags that would delete NaN and infinity checks stay off.
FASTMATH = {"reassoc", "contract", "nsz", "arcp"}
OPTIONS = {"fastmath": FASTMATH, "error_model": "numpy"}
UNUSED_AFTER_DAYS = 30


def jit(parallel: bool = False) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: compile a kernel at its first call, or load it from the cache.

    `parallel` allows `prange`. In a forked child a parallel kernel runs on one thread: it is
    compiled, or loaded, anew without the pool of threads, which fork does not copy.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        shared = parallel and not in_forked_child()
        kernel = numba.njit(parallel=shared, nogil=True, no_cfunc_wrapper=True, **OPTIONS)(function)
        keep_compiled(kernel, function, shared)
        if not shared:
            return kernel
        _parallel.add(kernel)
        return kernel if load_pool() else OneAtATime(kernel)

    return decorate


_parallel: weakref.WeakSet[Any] = weakref.WeakSet()


@after_fork
def _make_serial() -> None:
    """Make every parallel kernel serial, in place: whoever holds one need not ask before a call."""
    OneAtATime.lock = threading.Lock()  # a thread that fork did not copy may have held it
    for kernel in list(_parallel):
        kernel.targetoptions["parallel"] = False
        kernel._reset_overloads()
        if isinstance(kernel._cache, RecoveringCache):
            kernel._cache.parallel = False
    _parallel.clear()


class OneAtATime:
    """A parallel kernel behind a lock that all of them share; see threads.load_pool."""

    lock = threading.Lock()

    def __init__(self, kernel: Callable[..., Any]) -> None:
        self.kernel = kernel

    def __call__(self, *arguments: Any) -> Any:
        with self.lock:
            return self.kernel(*arguments)


@intrinsic
def prefer_wide_vectors(context):  # type: ignore[no-untyped-def]  # Numba reads the names
    """Make LLVM vectorise the function that contains this call with registers of all 512 bits.

    Left to itself it takes 256 where it fears for the clock rate; measured, logarithms and updates
    then take half as long again.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        set_attribute(builder, "prefer-vector-width", "512")
        return context.get_dummy_value()

    return types.void(), emit


SHARED_FROM = 1 << 14  # elements; below this a second thread costs more than it saves


class Loop:
    """A kernel that is one loop over elements, compiled twice: for one thread and for all.

    It is written with `prange`, and called as `loop.over(size)(arguments)`.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.alone, self.shared = jit()(function), jit(parallel=True)(function)

    def over(self, size: int) -> Callable[..., Any]:
        """The one for so many elements."""
        chosen: Callable[..., Any] = self.shared if size >= SHARED_FROM else self.alone
        return chosen


@functools.cache
def cache_folder() -> Path | None:
    """The folder for this version of the kernels, made if need be; None where none can be written.

    `TINYGEN_CACHE_DIR` moves it from its place in the user's cache folder.
    """
    home = os.environ.get("TINYGEN_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    try:
        base = Path(home) if home else Path("~/.cache").expanduser()
        folder = base / "tinygen" / "numba" / _version_of_the_kernels()
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # the cache is pickled code: nobody else may write here
        if folder.stat().st_uid != os.getuid():
            return None
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, AttributeError, RuntimeError):  # RuntimeError: the user has no home
        return None
    _prune(folder)
    return folder


def _version_of_the_kernels() -> str:
    """A hash of all that the machine code depends on."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {sys.version}".encode())
    package = Path(__file__).parent.parent  # all of it: constants come from the reference too
    for path in sorted(set(package.rglob("*.py")) - set((package / "cuda").rglob("*.py"))):
        digest.update(str(path.relative_to(package)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _prune(current: Path) -> None:
    """Mark `current` as used today and remove the folders that nobody used for a month."""
    os.utime(current)
    for folder in current.parent.iterdir():
        with suppress(OSError):  # another process may be pruning too
            if time.time() - folder.stat().st_mtime > UNUSED_AFTER_DAYS * 86_400:
                shutil.rmtree(folder, ignore_errors=True)


def keep_compiled(kernel: Any, function: Callable[..., Any], parallel: bool = False) -> None:
    """Give a Numba object a cache for `function`, and let it compile in less time.

    Numba's setting is touched only meanwhile.
    """
    kernel.compile = in_less_time(kernel.compile)
    folder = cache_folder()
    if folder is not None:
        with _setting_numba:
            before = numba.config.CACHE_DIR
            numba.config.CACHE_DIR = str(folder)
            try:
                kernel._cache = RecoveringCache(function, folder, parallel)
            except RuntimeError:  # no file to tell changes by: imported from an archive, say
                pass
            finally:
                numba.config.CACHE_DIR = before


_setting_numba = threading.Lock()  # kernels are compiled at their first call, in any thread
hold_while_forking(_setting_numba)
hold_while_forking(global_compiler_lock)  # a fork waits for whoever compiles, or loads from a file


@functools.cache
def prepare() -> None:
    """Tell LLVM where the functions of Numba's runtime are that machine code from the cache calls.

    Numba would first learn all its types and functions and compile some, for half a second and
    50 MiB: only a compiler needs them, and it sees to that itself.
    """
    for name, address in _nrt_python.c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


class CheckedCode(CompileResultCacheImpl):  # type: ignore[misc]  # Numba is untyped
    """How a kernel is kept: as machine code, which gets a checksum: damaged, it would crash.

    Numba keeps the code in LLVM's form too, for other functions that call this one. No kernel calls
    another, so here are only the names in it, by which the machine code is found.
    """

    def reduce(self, result: Any) -> tuple[bytes, bytes]:
        """What goes to the file."""
        (name, kind, (machine_code, bitcode)), *rest = super().reduce(result)
        module = llvm.parse_bitcode(bitcode)
        objects = [*module.functions, *module.global_variables]
        names = [each.name for each in objects if not each.is_declaration]
        nothing = llvm.parse_assembly("").as_bitcode()
        code = dumps((names, ((name, kind, (machine_code, nothing)), *rest)))
        return hashlib.sha256(code).digest(), code

    def rebuild(self, target_context: Any, kept: tuple[bytes, bytes]) -> Any:
        """The kernel again."""
        checksum, code = kept
        if hashlib.sha256(code).digest() != checksum:
            raise ValueError("the cached machine code is damaged")
        names, reduced = pickle.loads(code)
        target_context.codegen()._engine._defined_symbols.update(names)
        result = super().rebuild(target_context, reduced)
        result.library._shared_module = None  # so that Numba refuses to link it into another
        return result


class RecoveringCache(FunctionCache):  # type: ignore[misc]  # Numba is untyped
    """Numba's cache of one kernel, locked between processes; what it cannot read it replaces."""

    _impl_class = CheckedCode
    announced = False

    def __init__(self, function: Callable[..., Any], folder: Path, parallel: bool) -> None:
        super().__init__(function)
        self.folder, self.parallel = folder, parallel

    def _index_key(self, signature: Any, codegen: Any) -> tuple[Any, ...]:
        """What tells the kernels in a file apart: Numba forgets that a loop may be shared out."""
        return (*super()._index_key(signature, codegen), self.parallel)

    def load_overload(self, signature: Any, target_context: Any) -> Any:
        """The kernel for argument types `signature`, or None."""
        prepare()
        found = None
        with suppress(OSError), self.locked():  # OSError: the folder is gone, or cannot be written
            try:
                found = self._load_overload(signature, target_context)
            except Exception:  # a truncated or foreign file can raise anything at all
                self.flush()
        if found is None and not RecoveringCache.announced:
            RecoveringCache.announced = True
            print("tinygen: compiling CPU kernels (once; kept for the next run)", file=sys.stderr)
        return found

    def save_overload(self, signature: Any, data: Any) -> None:
        """Keep a kernel that was just compiled."""
        try:
            with self.locked():
                super().save_overload(signature, data)
        except Exception:  # a full disk, say: the kernel is compiled and works, only not kept
            self.disable()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder's lock: one process at a time reads or writes it."""
        if fcntl is None:
            yield
            return
        with open(self.folder / "lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield
