"""Test equipment: CUDA kernels on the CPU, unmodified, one fiber for each thread.

`install()` makes it the driver for NumPy arrays in `tinygen_kernels.cuda.launch`; with
`tinygen_kernels.using("shim")` all kernels of the library then are the CUDA ones. It needs g++.

It finds missing barriers and waits (threads run in several orders, shared memory starts as NaN,
asynchronous copies land when they are waited for), barriers that not all threads reach, arguments
of the wrong size, and memory touched outside of arrays (each ends at a guard page). It is blind to
races between blocks that happen in no order of whole blocks, to bank conflicts and to speed.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import hashlib
import importlib
import itertools
import mmap
import os
import pkgutil
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tinygen_kernels.cuda
from numpy.typing import NDArray
from tinygen_kernels.cpu.jit import UNUSED_AFTER_DAYS, cache_folder
from tinygen_kernels.cuda.launch import Kernel, Source, is_host_array, register_shim, source_text

HERE = Path(__file__).parent
FLAGS = ("-std=c++17", "-O1", "-shared", "-fPIC", "-fvisibility=hidden", "-Wno-unknown-pragmas")
FORWARD, REVERSED, SHUFFLED, BLOCKS_PERMUTED = 0, 1, 2, 4
ORDERS = (FORWARD, REVERSED, SHUFFLED, SHUFFLED | BLOCKS_PERMUTED, REVERSED | BLOCKS_PERMUTED)

_CANARY = 0xA5
_PAGE = mmap.PAGESIZE


class KernelError(RuntimeError):
    """A kernel did what no kernel may do."""


class Shim:
    """A driver of `launch`.

    Args:
        order: of threads and blocks, one of ORDERS; None for another one at each launch.
    """

    def __init__(self, order: int | None = None) -> None:
        self.order = order
        self.launches = 0

    def launch(
        self,
        kernel: Kernel,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: Sequence[Any],
        smem: int,
    ) -> None:
        """Run it to the end; raises KernelError if it did what it must not."""
        order = ORDERS[self.launches % len(ORDERS)] if self.order is None else self.order
        self.launches += 1
        function = self.functions(kernel.source)[kernel.name]
        memory = GuardedMemory([a for a in args if is_host_array(a)])
        values = [memory.address(a) if is_host_array(a) else a for a in args]
        cells = [np.array([np.uint64(0) if v is None else v]) for v in values]
        pointers = (ctypes.c_void_p * len(cells))(*(c.ctypes.data for c in cells))
        sizes = (ctypes.c_int * len(cells))(*(c.itemsize for c in cells))
        wrong = function(
            _three(grid), _three(block), ctypes.c_size_t(smem), pointers, sizes, len(cells),
            order, self.launches,
        )  # fmt: skip
        if wrong:
            raise KernelError(f"{kernel!r}, grid {grid}, block {block}: {wrong.decode()}")
        memory.give_back(repr(kernel))

    def functions(self, source: Source) -> Mapping[str, Any]:
        """The compiled instances of a source, by name."""
        return compiled(source, source_text(source.file))


def install(order: int | None = None) -> Shim:
    """Make a shim the driver for NumPy arrays; raises RuntimeError if there is no compiler."""
    if compiler() is None:
        raise RuntimeError("the shim needs a C++ compiler: install g++, or set CXX")
    driver = Shim(order)
    register_shim(driver)
    return driver


def sources() -> list[Source]:
    """Every Source that a family of CUDA kernels declares, by their files."""
    found: set[Source] = set()
    for family in pkgutil.iter_modules(tinygen_kernels.cuda.__path__):
        module = importlib.import_module(f"tinygen_kernels.cuda.{family.name}")
        found.update(value for value in vars(module).values() if isinstance(value, Source))
    return sorted(found, key=lambda source: source.file)


def compiler() -> str | None:
    """The C++ compiler: CXX, or g++."""
    return shutil.which(os.environ.get("CXX", "g++"))


class GuardedMemory:
    """Copies of arrays, each of which ends where memory ends.

    Arrays that overlap without being the same are left where they are.
    """

    def __init__(self, arrays: Sequence[NDArray[Any]]) -> None:
        self.arrays: dict[int, NDArray[Any]] = {}  # by address
        for a in arrays:
            here = a.ctypes.data
            if here not in self.arrays or self.arrays[here].nbytes < a.nbytes:
                self.arrays[here] = a
        spans = sorted((here, here + a.nbytes) for here, a in self.arrays.items())
        apart = all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))
        self.copies: dict[int, NDArray[np.uint8]] = {}
        self.canaries: list[NDArray[np.uint8]] = []
        if apart:
            for here, a in self.arrays.items():
                self.copies[here] = self._guarded(a)

    def _guarded(self, a: NDArray[Any]) -> NDArray[np.uint8]:
        room = _guard_page(len(self.copies), -(-a.nbytes // _PAGE) * _PAGE)
        start = len(room) - a.nbytes
        room[:start], self.canaries = _CANARY, [*self.canaries, room[:start]]
        room[start:] = a.reshape(-1).view(np.uint8)
        return room[start:]

    def address(self, a: NDArray[Any]) -> np.uint64:
        """Where the kernel finds it."""
        copy = self.copies.get(a.ctypes.data)
        return np.uint64(a.ctypes.data if copy is None else copy.ctypes.data)

    def give_back(self, who: str) -> None:
        """Copy what was written back, and look at what lies before each array."""
        if any((canary != _CANARY).any() for canary in self.canaries):
            raise KernelError(f"{who} wrote before the start of an array")
        for here, copy in self.copies.items():
            a = self.arrays[here]
            if a.flags.writeable:
                a.reshape(-1).view(np.uint8)[...] = copy
            elif (a.reshape(-1).view(np.uint8) != copy).any():
                raise KernelError(f"{who} wrote to an array that is only to be read")


_rooms: dict[tuple[int, int], tuple[mmap.mmap, NDArray[np.uint8]]] = {}


def _guard_page(number: int, size: int) -> NDArray[np.uint8]:
    """So many bytes (a multiple of the page) before a page that nobody may touch; used again."""
    if (number, size) not in _rooms:
        if len(_rooms) > 256:
            _rooms.clear()
        memory = mmap.mmap(-1, size + _PAGE)
        whole = np.frombuffer(memory, np.uint8)
        libc = ctypes.CDLL(None, use_errno=True)
        guard = ctypes.c_void_p(whole.ctypes.data + size)
        if libc.mprotect(guard, ctypes.c_size_t(_PAGE), 0):
            raise OSError(ctypes.get_errno(), "mprotect failed")
        _rooms[number, size] = memory, whole[:size]
    return _rooms[number, size][1]


def _three(numbers: tuple[int, ...]) -> Any:
    return (ctypes.c_uint * 3)(*(*numbers, 1, 1)[:3])


@functools.lru_cache(256)
def compiled(source: Source, text: str) -> dict[str, Any]:
    """The instances of a source, compiled from a text; libraries are kept by what is in them."""
    exports = "".join(
        f"SHIM_EXPORT(kernel_{i}, {name})\n" for i, name in enumerate(source.instances)
    )
    program = f'#include "cuda.h"\n{text}\n{exports}'
    flags = FLAGS if platform.machine() == "x86_64" else (*FLAGS, "-DSHIM_UCONTEXT")
    headers = "".join(path.read_text() for path in sorted(HERE.glob("*.h")))
    digest = hashlib.sha256("\0".join([program, headers, *flags]).encode()).hexdigest()[:24]
    library = _folder() / f"{Path(source.file).stem}-{digest}.so"
    if not library.exists():
        _compile(program, flags, library)
    loaded = ctypes.CDLL(str(library))
    functions = {}
    for i, name in enumerate(source.instances):
        function = getattr(loaded, f"kernel_{i}")
        function.restype = ctypes.c_char_p
        functions[name] = function
    return functions


def _compile(program: str, flags: Sequence[str], library: Path) -> None:
    cxx = compiler()
    assert cxx is not None
    with tempfile.TemporaryDirectory(dir=library.parent) as folder:
        made = Path(folder) / library.name
        command = [cxx, *flags, "-I", str(HERE), "-x", "c++", "-", "-o", str(made)]
        result = subprocess.run(command, input=program, capture_output=True, text=True)
        if result.returncode:
            raise RuntimeError(f"{library.stem} does not compile:\n{result.stderr[:4000]}")
        os.replace(made, library)


@functools.cache
def _folder() -> Path:
    """Where compiled kernels are kept, beside those of Numba."""
    own = cache_folder()
    folder = Path(tempfile.mkdtemp(prefix="shim-")) if own is None else own.parent.parent / "shim"
    folder.mkdir(parents=True, exist_ok=True)
    _prune(folder)
    return folder


def _prune(folder: Path) -> None:
    """Remove libraries that nobody has used for a month."""
    for path in folder.glob("*.so"):
        with contextlib.suppress(OSError):  # another process may be pruning too
            if time.time() - path.stat().st_atime > UNUSED_AFTER_DAYS * 86_400:
                path.unlink()
