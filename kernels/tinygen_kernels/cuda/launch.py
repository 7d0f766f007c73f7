"""The seam of the GPU: one `launch`, with CuPy behind it on a card and the shim in tests.

A kernel is named by its file and its C++ name, template arguments included:

    SOURCE = Source("activation.cu", ("activate<float>", "activate<double>"))
    launch(SOURCE["activate<float>"], grid, block, (x, y, np.int32(n)))

A Source lists all instances that its family can launch, so that all of them can be compiled and
checked on a machine without a card.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

FOLDER = Path(__file__).parent
OPTIONS = ("-std=c++17",)
STATIC_SHARED = 48 << 10  # bytes of dynamic shared memory that a kernel gets without asking

LARGEST_GRID = 2**31 - 1, 65_535, 65_535

Size = int | tuple[int, ...]


class Kernel(NamedTuple):
    """One instance of a kernel: the file, and its name there with template arguments."""

    source: Source
    name: str

    def __repr__(self) -> str:
        return f"{self.name} of {self.source.file}"


@dataclass(frozen=True)
class Source:
    """A .cu file of this folder, and the instances of its kernels."""

    file: str
    instances: tuple[str, ...]

    def __getitem__(self, name: str) -> Kernel:
        if name not in self.instances:
            raise KeyError(f"{self.file} declares no instance {name}; it has {self.instances}")
        return Kernel(self, name)


@functools.cache
def source_text(file: str) -> str:
    """The file with its headers in it: a cache that hashes the text then misses no change.

    `#line` says where each part is from, for the compiler's messages.
    """
    included: set[str] = set()

    def expand(name: str) -> Iterator[str]:
        included.add(name)
        yield f'#line 1 "{name}"'
        for number, line in enumerate((FOLDER / name).read_text().splitlines(), 1):
            header = re.fullmatch(r'#include "(.+)"', line)
            if header and header[1] not in included:
                yield from expand(header[1])
                yield f'#line {number + 1} "{name}"'
            elif not header and line != "#pragma once":
                yield line
            else:
                yield ""

    return "\n".join(expand(file)) + "\n"


class Driver(Protocol):
    """What runs kernels."""

    def launch(
        self,
        kernel: Kernel,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: Sequence[Any],
        smem: int,
    ) -> None:
        """Run it; `args` are arrays, NumPy scalars and None for a null pointer."""


class CuPy:
    """Kernels on the current device and stream of CuPy, compiled by NVRTC when first launched."""

    def __init__(self) -> None:
        self._functions: dict[tuple[Kernel, int], Any] = {}

    def launch(
        self,
        kernel: Kernel,
        grid: tuple[int, ...],
        block: tuple[int, ...],
        args: Sequence[Any],
        smem: int,
    ) -> None:
        """Put it into the stream."""
        import cupy

        key = kernel, cupy.cuda.runtime.getDevice()
        function = self._functions.get(key)
        if function is None:
            module = cupy.RawModule(
                code=source_text(kernel.source.file),
                options=OPTIONS,
                name_expressions=(kernel.name,),
            )
            function = self._functions[key] = module.get_function(kernel.name)
        if smem > STATIC_SHARED and function.max_dynamic_shared_size_bytes < smem:
            function.max_dynamic_shared_size_bytes = smem
        function(grid, block, tuple(map(_for_cupy, args)), shared_mem=smem)


def _for_cupy(arg: Any) -> Any:
    return np.uint64(0) if arg is None else arg


_cupy = CuPy()
_shim: Driver | None = None


def register_shim(driver: Driver | None) -> None:
    """From now on kernels given NumPy arrays run by this driver; it is test equipment."""
    global _shim
    _shim = driver


def shim() -> Driver | None:
    """The driver for NumPy arrays, if there is one."""
    return _shim


def is_host_array(arg: Any) -> bool:
    """Whether an argument is NumPy's and goes by address: a structure goes by value."""
    return isinstance(arg, np.ndarray) and arg.dtype.kind != "V"


def launch(kernel: Kernel, grid: Size, block: Size, args: Sequence[Any], smem: int = 0) -> None:
    """Run a kernel on so many blocks of so many threads.

    Args:
        kernel: from a Source.
        grid, block: one to three numbers; with a 0 among them nothing is done.
        args: arrays that lie by rows, NumPy scalars of the kernel's types, structures (NumPy's,
            as arrays without axes), None for a null pointer.
        smem: bytes of dynamic shared memory.

    Raises TypeError for other arguments, ValueError for more blocks than a card takes, RuntimeError
    if there is nothing to run it on.
    """
    grid = (grid,) if isinstance(grid, int) else grid
    block = (block,) if isinstance(block, int) else block
    driver: Driver = _cupy
    for i, arg in enumerate(args):
        if is_host_array(arg):
            if _shim is None:
                raise RuntimeError(f"{kernel!r} was given NumPy arrays: CUDA kernels take CuPy's")
            driver = _shim
        elif not (arg is None or isinstance(arg, np.generic) or hasattr(arg, "data")):
            raise TypeError(
                f"argument {i} of {kernel!r} must be an array or a NumPy scalar: {arg!r}"
            )
        if getattr(arg, "ndim", 0) and not arg.flags.c_contiguous:
            raise TypeError(f"argument {i} of {kernel!r} does not lie by rows: {arg.strides}")
    if any(n > most for n, most in zip(grid, LARGEST_GRID, strict=False)):
        raise ValueError(f"{kernel!r} would take a grid of {grid}, a card takes {LARGEST_GRID}")
    if 0 not in grid and 0 not in block:
        driver.launch(kernel, grid, block, args, smem)
