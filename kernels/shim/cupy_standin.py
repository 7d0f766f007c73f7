"""Test equipment: what stands in for CuPy where there is no card.

`CUPY` is a module; in the place of `cupy` in sys.modules it makes the library believe in a card.
Its arrays lie in the memory of the CPU, and kernels run there under the shim, but they are as aloof
as CuPy's: they meet no array of NumPy, turn into none unless asked by `get`, and reductions of them
have no axes instead of being numbers. In some ways they are stricter, where CuPy would wait for the
card or copy to it without a word: NumPy's functions and lists of indices refuse them.

Work on a stream can be recorded as a graph and done again, in the same memory, as on a card.
Of CuPy there is only what is listed here; tests compare the lists with CuPy itself.
"""

from __future__ import annotations

import functools
import operator
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from tinygen_kernels.cuda import launch

from . import sources

FUNCTIONS = (
    "abs add all any argmax argmin argsort array_equal broadcast_to clip concatenate cos diagonal "
    "dot equal exp expand_dims expm1 flip floor isfinite isinf isnan log log1p logical_and "
    "logical_not logical_or matmul max maximum mean min minimum moveaxis multiply nonzero outer "
    "pad power prod ravel repeat reshape result_type rint round sign sin split sqrt square "
    "squeeze stack subtract sum swapaxes take take_along_axis tanh tensordot transpose where "
    "ascontiguousarray zeros_like ones_like full_like empty_like zeros ones full arange eye"
)
METHODS = (
    "all any argmax argmin argsort astype clip copy diagonal dot max mean min nonzero prod "
    "ravel repeat reshape round squeeze std sum swapaxes take transpose var view"
)
OPERATORS = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift"
COMPARISONS = "lt le gt ge eq ne"
IN_PLACE = "add sub mul truediv floordiv pow and or xor lshift rshift"
UNARY = "neg pos abs invert"
TYPES = "bool_ float32 float64 int8 int32 int64 uint8 uint32 uint64"

STATIC_SHARED = 48 << 10
TOGETHER = 8  # arrays; CuPy concatenates more by a table that it makes on the CPU


class Memory:
    """Where an array lies."""

    def __init__(self, ptr: int) -> None:
        self.ptr = ptr


class ndarray:
    """An array of the stand-in; `host` is the array of NumPy that it is made of."""

    __array_priority__ = 100

    def __init__(self, host: Any, base: ndarray | None = None) -> None:
        self.host: Any = host
        self.base = base

    shape = property(lambda self: self.host.shape)
    dtype = property(lambda self: self.host.dtype)
    ndim = property(lambda self: self.host.ndim)
    size = property(lambda self: self.host.size)
    itemsize = property(lambda self: self.host.itemsize)
    nbytes = property(lambda self: self.host.nbytes)
    strides = property(lambda self: self.host.strides)
    flags = property(lambda self: self.host.flags)
    T = property(lambda self: self.transpose())
    data = property(lambda self: Memory(self.host.ctypes.data))

    def __len__(self) -> int:
        return len(self.host)

    def __repr__(self) -> str:
        return f"stand-in {self.host!r}"

    def __array__(self, *args: Any, **options: Any) -> Any:
        raise TypeError(
            "Implicit conversion to a NumPy array is not allowed. Please use `.get()` to "
            "construct a NumPy array explicitly."
        )

    def __array_function__(self, function: Any, *rest: Any) -> Any:
        raise TypeError(f"numpy.{function.__name__} was called with an array of a card")

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        """What NumPy's numbers call when they stand on the left of an operator."""
        if method != "__call__" or options or not isinstance(inputs[0], np.generic):
            raise TypeError(f"numpy.{ufunc.__name__} was called with an array of a card")
        return run(ufunc, inputs)

    def get(self) -> Any:
        """A copy as an array of NumPy; waits for the card."""
        _wait("get")
        return self.host.copy()

    def set(self, array: Any) -> None:
        """Copy an array of NumPy into this one."""
        _wait("set")
        self.host[...] = array

    def item(self) -> Any:
        """The one element as a Python number; waits for the card."""
        _wait("item")
        return self.host.item()

    def tolist(self) -> Any:
        """The elements as lists; waits for the card."""
        _wait("tolist")
        return self.host.tolist()

    def __bool__(self) -> bool:
        _wait("bool")
        return bool(self.host)

    def __float__(self) -> float:
        _wait("float")
        return float(self.host)

    def __int__(self) -> int:
        _wait("int")
        return int(self.host)

    def __iter__(self) -> Iterator[ndarray]:
        return (self[i] for i in range(len(self)))

    __hash__ = None  # type: ignore[assignment]  # as CuPy's

    def __getitem__(self, index: Any) -> ndarray:
        parts = index if isinstance(index, tuple) else (index,)
        if any(isinstance(p, ndarray) and p.dtype == bool for p in parts):
            _wait("a mask as an index")  # to know how many there are
        if not any(p is Ellipsis for p in parts):
            parts = (*parts, Ellipsis)  # so that a single element is an array too
        found: ndarray = run(operator.getitem, (self, _indices(parts)))
        return found

    def __setitem__(self, index: Any, value: Any) -> None:
        parts = index if isinstance(index, tuple) else (index,)
        run(operator.setitem, (self, _indices(parts), value), in_place=True)

    def fill(self, value: Any) -> None:
        """Set all elements to a number."""
        run(np.ndarray.fill, (self, value), in_place=True)


def _indices(parts: Sequence[Any]) -> tuple[Any, ...]:
    """The parts of an index, none of which is to be copied to the card first."""
    for part in parts:
        if isinstance(part, (list, np.ndarray)):
            raise TypeError(f"an index of type {type(part).__name__} would be copied to the card")
    return tuple(parts)


def _host(value: Any) -> Any:
    """Arrays as NumPy's, also inside of tuples and lists; raises TypeError for NumPy's own."""
    if isinstance(value, ndarray):
        return value.host
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    if isinstance(value, (tuple, list)):
        return type(value)(map(_host, value))
    return value


def _arrays(value: Any) -> list[ndarray]:
    """All arrays of the stand-in among values."""
    if isinstance(value, (tuple, list)):
        return [array for each in value for array in _arrays(each)]
    return [value] if isinstance(value, ndarray) else []


def _wrapped(result: Any, operands: Sequence[ndarray]) -> Any:
    """A result of NumPy as arrays of the stand-in; a view says whose it is."""
    if isinstance(result, (tuple, list)):
        return type(result)(_wrapped(each, operands) for each in result)
    if not isinstance(result, (np.ndarray, np.generic, bool)):
        return result  # a type, or None
    array = np.asarray(result)
    for owner in operands:
        if array.size and np.may_share_memory(array, owner.host):
            return ndarray(array, owner if owner.base is None else owner.base)
    return ndarray(array)


def run(
    function: Callable[..., Any], args: Sequence[Any], *, in_place: bool = False, **options: Any
) -> Any:
    """A function of NumPy on arrays of the stand-in.

    While a graph is recorded it is noted down. What changes arrays `in_place` then is not done yet;
    all else is, to know the shapes of the results, but what they hold is of no worth.
    """
    hosts = [_host(a) for a in args]
    given = {name: _host(value) for name, value in options.items()}

    def call() -> Any:
        with np.errstate(all="ignore"):  # a card does not warn
            return function(*hosts, **given)

    operands, graph = _arrays([*args, *options.values()]), _recording()
    if graph is not None and in_place:
        graph.calls.append(call)
        return None
    result = _wrapped(call(), operands)
    if graph is not None:
        made = [a.host for a in _arrays(result) if a.base is None]
        if made:
            graph.calls.append(lambda: _fill(made, _arrays(_wrapped(call(), operands))))
        else:
            graph.calls.append(call)
    return result


def _fill(made: Sequence[Any], results: Sequence[ndarray]) -> None:
    """Put new results where those of the recording lie."""
    for place, result in zip(made, results, strict=True):
        place[...] = result.host


def _empty(shape: Any, dtype: Any = float) -> ndarray:
    """An array in which everything is NaN until it is written."""
    array = np.empty(shape, dtype)
    array.reshape(-1).view(np.uint8)[...] = 0xFF
    return ndarray(array)


def _asarray(a: Any, dtype: Any = None) -> ndarray:
    if isinstance(a, ndarray):
        return a if dtype in (None, a.dtype) else run(np.asarray, (a,), dtype=dtype)
    if _recording() is not None:
        raise RuntimeError("cudaErrorStreamCaptureUnsupported: a copy from the CPU in a recording")
    return ndarray(np.array(a, dtype=dtype, order="C"))


def _asnumpy(a: Any) -> Any:
    return a.get() if isinstance(a, ndarray) else np.asarray(a)


def _method(name: str) -> Callable[..., Any]:
    def method(self: ndarray, *args: Any, **options: Any) -> Any:
        return run(getattr(np.ndarray, name), (self, *args), **options)

    return method


def _operator(name: str, swapped: bool = False) -> Callable[..., Any]:
    function = getattr(operator, name if hasattr(operator, name) else f"{name}_")

    def method(self: ndarray, other: Any) -> Any:
        if getattr(other, "__array_ufunc__", True) is None:
            return NotImplemented  # it knows what to do with arrays
        if not isinstance(other, (ndarray, np.ndarray, np.generic, int, float)):
            return NotImplemented
        return run(function, (other, self) if swapped else (self, other))

    return method


def _unary(name: str) -> Callable[..., Any]:
    function = getattr(operator, name)
    return lambda self: run(function, (self,))


def _in_place(name: str) -> Callable[..., Any]:
    function = getattr(operator, f"i{name}")

    def method(self: ndarray, other: Any) -> ndarray:
        run(function, (self, other), in_place=True)
        return self

    return method


def _function(name: str) -> Callable[..., Any]:
    numpy_function = getattr(np, name)

    @functools.wraps(numpy_function, updated=())
    def function(*args: Any, **options: Any) -> Any:
        if name in ("concatenate", "stack") and len(args[0]) > TOGETHER:
            _wait("a table of addresses from the CPU")
        return run(numpy_function, args, **options)

    return function


for _name in METHODS.split():
    setattr(ndarray, _name, _method(_name))
for _name in [*OPERATORS.split(), *COMPARISONS.split()]:
    setattr(ndarray, f"__{_name}__", _operator(_name))
for _name in OPERATORS.split():
    setattr(ndarray, f"__r{_name}__", _operator(_name, swapped=True))
for _name in IN_PLACE.split():
    setattr(ndarray, f"__i{_name}__", _in_place(_name))
for _name in UNARY.split():
    setattr(ndarray, f"__{_name}__", _unary(_name))


class RawModule:
    """The kernels of a source, as the shim runs them."""

    def __init__(
        self, code: str, options: Sequence[str] = (), name_expressions: Sequence[str] = ()
    ) -> None:
        self.source, self.names = _source(code), tuple(name_expressions)

    def get_function(self, name: str) -> Function:
        """The kernel of that name."""
        if name not in self.names:
            raise KeyError(name)
        return Function(self.source[name])


class Function:
    """A kernel that can be launched."""

    def __init__(self, kernel: launch.Kernel) -> None:
        self.kernel, self.max_dynamic_shared_size_bytes = kernel, STATIC_SHARED

    def __call__(
        self, grid: tuple[int, ...], block: tuple[int, ...], args: tuple[Any, ...], shared_mem: int
    ) -> None:
        if shared_mem > self.max_dynamic_shared_size_bytes:
            raise RuntimeError(f"cudaErrorInvalidValue: {shared_mem} bytes of shared memory")
        driver = launch.shim()
        if driver is None:
            raise RuntimeError("the stand-in for CuPy needs the shim: call shim.install() first")
        hosts = [a.host if isinstance(a, ndarray) else a for a in args]
        call = functools.partial(driver.launch, self.kernel, grid, block, hosts, shared_mem)
        graph = _recording()
        if graph is None:
            call()
        else:
            graph.calls.append(call)


def _source(code: str) -> launch.Source:
    """The Source whose text this is: so its library is the one that other tests use."""
    for source in sources():
        if launch.source_text(source.file) == code:
            return source
    raise ValueError("no family of kernels has this text as its Source")


class Graph:
    """Calls that were recorded, to be done again with what their arrays then hold."""

    def __init__(self) -> None:
        self.calls: list[Callable[[], Any]] = []

    def launch(self, stream: Stream | None = None) -> None:
        """Do them all."""
        if _recording() is not None:
            raise RuntimeError("cudaErrorStreamCaptureUnsupported: a graph in a recording")
        for call in self.calls:
            call()


class Stream:
    """Work in order; all of it is done at once here, unless it is recorded."""

    def __init__(self, non_blocking: bool = False) -> None:
        self.graph: Graph | None = None
        self.non_blocking, self.ptr = non_blocking, id(self)

    def __enter__(self) -> Stream:
        _streams.append(self)
        return self

    def __exit__(self, *error: object) -> None:
        _streams.remove(self)

    def begin_capture(self, mode: int | None = None) -> None:
        """Note down what is done from now on."""
        if self.graph is not None or not self.non_blocking:
            raise RuntimeError("cudaErrorStreamCaptureUnsupported")
        self.graph = Graph()

    def end_capture(self) -> Graph:
        """What was noted down."""
        graph, self.graph = self.graph, None
        if graph is None:
            raise RuntimeError("cudaErrorIllegalState: nothing is recorded")
        return graph

    def synchronize(self) -> None:
        """Wait until all is done."""
        _wait("synchronize")

    def record(self) -> None:
        """An event, for others to wait for."""

    def wait_event(self, event: None) -> None:
        """Go on when another stream has come so far."""


_streams = [Stream()]


def _recording() -> Graph | None:
    """The graph that is being recorded, if there is one."""
    return _streams[-1].graph


def _wait(what: str) -> None:
    """To wait for the card is an error while it does not work but notes down."""
    if _recording() is not None:
        raise RuntimeError(f"cudaErrorStreamCaptureUnsupported: {what} in a recording")


class MemoryPool:
    """A pool of memory for the arrays of a graph."""

    def malloc(self, size: int) -> Any:
        """Memory, which the stand-in has from NumPy."""

    def free_all_blocks(self) -> None:
        """Give back what no array needs."""


@contextmanager
def _using_allocator(allocator: Any = None) -> Iterator[None]:
    yield


def _cupy() -> types.ModuleType:
    """The module that stands in for CuPy."""
    cuda: Any = types.ModuleType("cupy.cuda")
    cuda.is_available = lambda: True
    cuda.runtime = types.SimpleNamespace(
        getDevice=lambda: 0,
        runtimeGetVersion=lambda: 13000,
        getDeviceCount=lambda: 1,
        getDeviceProperties=lambda device: {"name": b"a stand-in for a card"},
    )
    cuda.nvrtc = types.SimpleNamespace(getVersion=lambda: (13, 0))
    cuda.Stream, cuda.MemoryPool, cuda.using_allocator = Stream, MemoryPool, _using_allocator
    cuda.get_current_stream = lambda: _streams[-1]
    cuda.Device = lambda device=0: types.SimpleNamespace(id=device, synchronize=lambda: None)
    cupy: Any = types.ModuleType("cupy")
    cupy.__version__ = "stand-in"
    for name in FUNCTIONS.split():
        setattr(cupy, name, _function(name))
    for name in TYPES.split():
        setattr(cupy, name, getattr(np, name))
    cupy.ndarray, cupy.cuda, cupy.RawModule = ndarray, cuda, RawModule
    cupy.empty, cupy.asarray, cupy.array, cupy.asnumpy = _empty, _asarray, _asarray, _asnumpy
    module: types.ModuleType = cupy
    return module


CUPY = _cupy()
