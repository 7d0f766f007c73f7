"""CUDA graphs: work on a card that is recorded once, and done again for the price of one launch.

A graph keeps the addresses of all that it reads and writes. So each has a pool of memory of its
own, from which nobody else takes anything, and what changes from one time to the next lies in
arrays at fixed places: inputs, parameters, and the step that random numbers are counted by.
"""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np

from .random import counting_from

Result = TypeVar("Result")


class Recording:
    """The work that a function puts into the stream of the current device.

    `rehearse` it once or twice: kernels are compiled and memory is found. Then `record` it, which
    only notes the work down; `replay` does it, and what `record` returned then holds the results.
    """

    def __init__(self) -> None:
        import cupy

        self.pool = cupy.cuda.MemoryPool()
        self.step = cupy.zeros(1, np.uint64)
        self.graph: Any = None
        # A pool of CuPy that ends by itself keeps what is free in it from everybody for good.
        weakref.finalize(self, self.pool.free_all_blocks).atexit = False

    def rehearse(self, do: Callable[[], Result]) -> Result:
        """Do it in the memory and the stream in which it will be recorded."""
        with self._aside():
            return do()

    def record(self, do: Callable[[], Result]) -> Result:
        """Note it down. Whatever waits for the card in it raises an error of CUDA."""
        collecting = gc.isenabled()
        gc.disable()  # what it would free may not be freed now
        try:
            with self._aside() as stream, counting_from(self.step.view(np.uint32)):
                stream.begin_capture()
                try:
                    result = do()
                except BaseException:
                    with contextlib.suppress(Exception):  # it would only say that it has failed
                        stream.end_capture()
                    raise
                self.graph = stream.end_capture()
        finally:
            if collecting:
                gc.enable()
        return result

    def replay(self, step: int) -> None:
        """Do it in the current stream, with the random numbers of that step."""
        self.step.fill(np.uint64(step))
        self.graph.launch()

    @contextmanager
    def _aside(self) -> Iterator[Any]:
        """Within the block, work goes into a stream that can be recorded, with memory of ours."""
        import cupy

        cupy.cuda.get_current_stream().synchronize()
        with _stream() as stream, cupy.cuda.using_allocator(self.pool.malloc):
            yield stream
        stream.synchronize()


_local = threading.local()


def _stream() -> Any:
    """The stream for recordings of this thread and device; only one, as cuBLAS gives each room."""
    import cupy

    streams: dict[int, Any] = _local.__dict__.setdefault("streams", {})
    device = cupy.cuda.runtime.getDevice()
    if device not in streams:
        streams[device] = cupy.cuda.Stream(non_blocking=True)
    return streams[device]
