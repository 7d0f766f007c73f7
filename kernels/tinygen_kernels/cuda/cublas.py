"""Matrix products by cuBLAS, by a binding of the few functions that it takes.

CuPy has one of its own, which refuses to be captured into a CUDA graph and forms batched products
only in full float32. Here each thread has a handle for each device, and the workspace is memory of
ours: cuBLAS allocates nothing while a graph is captured.

cuBLAS thinks by columns: a matrix by rows is its transpose to it. So Z = X Y is asked for as
Z^T = Y^T X^T, which lies in memory just as Z does by rows.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
import itertools
import math
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..precision import current
from .arrays import MOST, address, contiguous, empty, module_of

Array = NDArray[Any]

VERSIONS = (13, 12)  # of libcublas.so
WORKSPACE = 32 << 20  # bytes; what NVIDIA advises for Hopper

STATUSES = {
    1: "CUBLAS_STATUS_NOT_INITIALIZED",
    3: "CUBLAS_STATUS_ALLOC_FAILED",
    7: "CUBLAS_STATUS_INVALID_VALUE",
    8: "CUBLAS_STATUS_ARCH_MISMATCH",
    11: "CUBLAS_STATUS_MAPPING_ERROR",
    13: "CUBLAS_STATUS_EXECUTION_FAILED",
    14: "CUBLAS_STATUS_INTERNAL_ERROR",
    15: "CUBLAS_STATUS_NOT_SUPPORTED",
    16: "CUBLAS_STATUS_LICENSE_ERROR",
}

# Types of data (cudaDataType) and of computing (cublasComputeType_t)
R_32F, R_64F = 0, 1
COMPUTE_32F, COMPUTE_64F, COMPUTE_32F_FAST_16BF, COMPUTE_32F_FAST_TF32 = 68, 70, 75, 77
GEMM_DEFAULT = -1

# cuBLAS has no product by three of TF32; what stands for it is the exact one.
COMPUTE = {
    "float32": COMPUTE_32F,
    "exact": COMPUTE_32F,
    "3xtf32": COMPUTE_32F,
    "tf32": COMPUTE_32F_FAST_TF32,
    "bf16": COMPUTE_32F_FAST_16BF,
}

_INT, _LONG, _POINTER = ctypes.c_int, ctypes.c_longlong, ctypes.c_void_p
_OPERAND = (_POINTER, _INT, _INT)  # address, type, leading dimension
SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cublasCreate_v2": (ctypes.POINTER(_POINTER),),
    "cublasSetStream_v2": (_POINTER, _POINTER),
    "cublasSetWorkspace_v2": (_POINTER, _POINTER, ctypes.c_size_t),
    "cublasGemmStridedBatchedEx": (
        *(_POINTER, _INT, _INT, _INT, _INT, _INT, _POINTER),  # handle, transposed, m, n, k, alpha
        *(*_OPERAND, _LONG, *_OPERAND, _LONG, _POINTER, *_OPERAND, _LONG),  # a, b, beta, c
        *(_INT, _INT, _INT),  # count, type of computing, algorithm
    ),
    "cublasGemmEx": (
        *(_POINTER, _INT, _INT, _INT, _INT, _INT, _POINTER),
        *(*_OPERAND, *_OPERAND, _POINTER, *_OPERAND),
        *(_INT, _INT),
    ),
}


class CublasError(RuntimeError):
    """A call of cuBLAS failed."""


class Library:
    """The functions of libcublas; each raises CublasError if its status is not success."""

    def __init__(self, path: str) -> None:
        self.path = path
        library = ctypes.CDLL(path)
        for name, types in SIGNATURES.items():
            function = getattr(library, name)
            function.argtypes, function.restype = types, _INT
            setattr(self, name, self._checked(name, function))

    def __getattr__(self, name: str) -> Callable[..., None]:
        raise AttributeError(f"the binding of cuBLAS has no {name}: see SIGNATURES")

    @staticmethod
    def _checked(name: str, function: Callable[..., int]) -> Callable[..., None]:
        def call(*args: Any) -> None:
            status = function(*args)
            if status:
                raise CublasError(f"{name}: {STATUSES.get(status, f'status {status}')}")

        return call


def versions() -> list[int]:
    """The versions of libcublas to look for; first that of the CUDA which CuPy is built for."""
    try:
        import cupy
    except ImportError:
        return list(VERSIONS)
    wanted = cupy.cuda.runtime.runtimeGetVersion() // 1000
    return sorted(VERSIONS, key=lambda version: version != wanted)


def places() -> Iterator[str]:
    """Where libcublas may be, best first: packages of pip and conda, the toolkit, the loader's."""
    found = importlib.util.find_spec("nvidia")
    packages = [Path(p) for p in (found.submodule_search_locations or ())] if found else []
    roots = [os.environ.get(name) for name in ("CUDA_PATH", "CUDA_HOME")]
    toolkits = [Path(root) for root in (*roots, "/usr/local/cuda") if root]
    for version in versions():
        name = f"libcublas.so.{version}"
        for package in packages:
            yield str(package / f"cu{version}" / "lib" / name)
            yield str(package / "cublas" / "lib" / name)
        yield str(Path(sys.prefix) / "lib" / name)
        for toolkit in toolkits:
            yield str(toolkit / "lib64" / name)
        yield name


@functools.cache
def library() -> Library:
    """cuBLAS, loaded once; raises OSError, saying where it was looked for, if it is nowhere."""
    tried = []
    for path in places():
        if os.sep in path and not os.path.exists(path):
            tried.append(path)
            continue
        try:
            return Library(path)
        except (OSError, AttributeError) as error:
            tried.append(f"{path} ({error})")
    raise OSError(
        "cuBLAS was not found: install nvidia-cublas (or nvidia-cublas-cu12), or set CUDA_PATH to "
        f"the CUDA toolkit; looked for {', '.join(tried)}"
    )


def status() -> str:
    """For people: which cuBLAS is used, or why none."""
    try:
        return library().path
    except OSError as error:
        return str(error)


class Handle:
    """A handle of cuBLAS, for one thread at a time and one device.

    Each stream has a workspace of its own, which is never freed: a captured graph goes on using
    that of the stream it was captured in. So nothing else that was put into that stream may run at
    the same time as the graph; and the first product in a stream, which allocates the workspace,
    must not be captured.

    Args:
        library: the functions.
        allocate: gives so many bytes of the device's memory, an object with the address in `ptr`.
    """

    def __init__(self, library: Library, allocate: Callable[[int], Any]) -> None:
        self.library, self.allocate = library, allocate
        self.workspaces: dict[int, Any] = {}
        self.stream: int | None = None
        self.handle = _POINTER()
        library.cublasCreate_v2(ctypes.byref(self.handle))

    def enter(self, stream: int) -> None:
        """Let the next products go into that stream (a cudaStream_t)."""
        if stream == self.stream:
            return
        if stream not in self.workspaces:
            self.workspaces[stream] = self.allocate(WORKSPACE)
        self.stream = None
        self.library.cublasSetStream_v2(self.handle, stream)  # takes the workspace away, too
        workspace = self.workspaces[stream].ptr
        self.library.cublasSetWorkspace_v2(self.handle, workspace, WORKSPACE)
        self.stream = stream


class _OfThread:
    """The handles of a thread by device; when it ends they are free for others."""

    free: dict[int, list[Handle]] = {}

    def __init__(self) -> None:
        self.handles: dict[int, Handle] = {}

    def __del__(self) -> None:
        for device, handle in self.handles.items():
            self.free.setdefault(device, []).append(handle)


_local = threading.local()


def handle() -> Handle:
    """This thread's handle for the current device of CuPy, set to CuPy's current stream.

    Raises OSError if there is no cuBLAS.
    """
    import cupy

    if not hasattr(_local, "own"):
        _local.own = _OfThread()
    own: _OfThread = _local.own
    device = cupy.cuda.runtime.getDevice()
    if device not in own.handles:
        free = own.free.get(device)
        own.handles[device] = free.pop() if free else Handle(library(), cupy.cuda.Memory)
    own.handles[device].enter(cupy.cuda.get_current_stream().ptr)
    return own.handles[device]


class Operand(NamedTuple):
    """A stack of matrices as cuBLAS sees them."""

    array: Array
    transposed: int  # 1 where the matrices lie by columns
    leading: int  # elements from a row (or column) to the next
    step: int  # elements from a matrix to the next; 0 where all are the same


def operand(x: Array, batch: tuple[int, ...]) -> Operand:
    """x as an operand of so many products; copied only if cuBLAS cannot take it as it lies."""
    found = _as_it_lies(x, batch)
    if found is None:
        if x.ndim > 2 and x.shape[:-2] != batch:
            x = module_of(x).broadcast_to(x, batch + x.shape[-2:])
        found = _as_it_lies(contiguous(x), batch)
        assert found is not None, "what lies by rows can be taken"
    return found


def _as_it_lies(x: Array, batch: tuple[int, ...]) -> Operand | None:
    """x as an operand if its matrices have a leading dimension, and all are the same step apart."""
    *lengths, rows, columns = x.shape
    *steps, row, column = x.strides  # in bytes
    size = x.itemsize
    row = row if rows > 1 else columns * size
    column = column if columns > 1 else rows * size
    if (column == size or columns == 1) and row >= columns * size:
        transposed, leading = 0, row
    elif (row == size or rows == 1) and column >= rows * size:
        transposed, leading = 1, column
    else:
        return None
    axes = [(n, step) for n, step in zip(lengths, steps, strict=True) if n > 1]
    step = axes[-1][1] if axes else 0
    if leading % size or leading > MOST * size or step % size or step < 0:
        return None
    if axes and (
        (1,) * (len(batch) - len(lengths)) + tuple(lengths) != batch
        or any(outer != n * inner for (_, outer), (n, inner) in itertools.pairwise(axes))
    ):
        return None
    return Operand(x, transposed, leading // size, step // size)


def product(handle: Handle, x: Array, y: Array) -> Array:
    """x y over the last two axes, for arrays of one type, float32 or float64.

    Raises ValueError for shapes that do not fit, CublasError if cuBLAS fails.
    """
    if x.ndim < 2 or y.ndim < 2 or x.shape[-1] != y.shape[-2]:
        raise ValueError(f"matmul: mismatch of sizes, {x.shape} times {y.shape}")
    (n, k), m = x.shape[-2:], y.shape[-1]
    batch = np.broadcast_shapes(x.shape[:-2], y.shape[:-2]) if x.ndim + y.ndim > 4 else ()
    if x.ndim > 2 and math.prod(y.shape[:-2]) == 1 and x.flags.c_contiguous:  # one of more rows
        rows = product(handle, x.reshape(math.prod(x.shape[:-1]), k), y.reshape(k, m))
        return rows.reshape(*batch, n, m)
    z = empty((*batch, n, m), x.dtype, x)
    if not z.size or not k:
        z[...] = 0
        return z
    count = math.prod(batch)
    left, right = operand(x, batch), operand(y, batch)
    double = x.dtype == np.float64
    kind, compute = (R_64F, COMPUTE_64F) if double else (R_32F, COMPUTE[current()])
    number = ctypes.c_double if double else ctypes.c_float
    one, zero = ctypes.byref(number(1)), ctypes.byref(number(0))
    a = address(right.array), kind, right.leading
    b = address(left.array), kind, left.leading
    c = address(z), kind, m
    sizes = handle.handle, right.transposed, left.transposed, m, n, k, one
    call = handle.library
    if count == 1:
        call.cublasGemmEx(*sizes, *a, *b, zero, *c, compute, GEMM_DEFAULT)
    else:
        steps = (*a, right.step, *b, left.step, zero, *c, n * m)
        call.cublasGemmStridedBatchedEx(*sizes, *steps, count, compute, GEMM_DEFAULT)
    return z
