"""Batches of arrays, in an order that depends on the seed and the epoch alone."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, TypeAlias

import numpy as np

from ..backend import Array, as_array, check_device, to_device
from ..ops.random import Random
from .errors import DataError

Batch: TypeAlias = tuple[Array, ...]

GROUP_BYTES = 2**20  # the thread hands over small batches in groups of about this size,
GROUP_BATCHES = 16  # but no more than this many: each hand-over costs as much as a small batch


class Loader:
    """Goes through one or several arrays in batches, each sample once an epoch.

    `loader.epoch(e, start=k)` gives batch k and the following ones of epoch e. Which samples they
    hold depends on the seed of `rng`, on e and on k alone: an interrupted run goes on exactly
    where it was. `for batch in loader` goes through the next epoch, from epoch 0.

    Args:
        *arrays: arrays with the same first axis, the samples.
        batch_size: samples in a batch; the last batch of an epoch may have fewer.
        rng: the stream that shuffles; without one, samples come in their order.
        shuffle: False to keep the order although there is an `rng`.
        drop_remainder: leave out the last batch if it is not full.
        prefetch: how many batches (groups of them, if they are small) a thread prepares ahead;
            0 for no thread. By default 2 if there is a `transform`, else 0: to gather a batch
            takes a few microseconds, less than to hand it from one thread to another.
        transform: a function of a batch, called for each, in the thread if there is one.
        device: "cpu", or "cuda" to copy each batch to the card when its turn comes.

    Batches are tuples of new arrays, one for each of `arrays`.

    >>> from tinygen.ops.random import Random
    >>> x, y = np.arange(5), np.arange(5) ** 2
    >>> loader = Loader(x, y, batch_size=2, rng=Random(seed=1))
    >>> len(loader)
    3
    >>> all((b == a**2).all() for a, b in loader)
    True

    Raises:
        DataError: the arrays do not fit together or are too short.
    """

    def __init__(
        self,
        *arrays: Any,
        batch_size: int,
        rng: Random | None = None,
        shuffle: bool | None = None,
        drop_remainder: bool = False,
        prefetch: int | None = None,
        transform: Callable[[Batch], Batch] | None = None,
        device: str = "cpu",
    ) -> None:
        check_device(device)
        # take() would copy a strided array as a whole, every time
        self.arrays: Batch = tuple(np.ascontiguousarray(as_array(array)) for array in arrays)
        self.samples = _samples(arrays)
        if batch_size < 1:
            raise DataError(f"Loader: batch_size must be at least 1, not {batch_size}")
        if drop_remainder and batch_size > self.samples:
            raise DataError(
                f"Loader: {self.samples} samples do not fill one batch of {batch_size};"
                " use a smaller batch_size or drop_remainder=False"
            )
        if shuffle and rng is None:
            raise DataError("Loader: shuffle=True needs rng=, such as rng=Random(seed=0)")
        if prefetch is None:
            prefetch = 0 if transform is None else 2
        if prefetch < 0:
            raise DataError(f"Loader: prefetch must be at least 0, not {prefetch}")
        self.batch_size, self.drop_remainder = batch_size, drop_remainder
        self.prefetch, self.transform, self.device = prefetch, transform, device
        self._rng = rng.stream("shuffle") if rng is not None and shuffle is not False else None
        self._next_epoch = 0

    def __len__(self) -> int:
        """How many batches an epoch has."""
        whole, rest = divmod(self.samples, self.batch_size)
        return whole if self.drop_remainder or not rest else whole + 1

    def __iter__(self) -> Iterator[Batch]:
        """The batches of the next epoch."""
        self._next_epoch += 1
        return self.epoch(self._next_epoch - 1)

    def order(self, epoch: int) -> Array:
        """The samples in the order of that epoch, (n,) int64."""
        if self._rng is None:
            return np.arange(self.samples)
        return self._rng.at(epoch).permutation(self.samples)

    def epoch(self, epoch: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from batch `start` on."""
        if not 0 <= start <= len(self):
            raise DataError(f"Loader: start={start}, but an epoch has {len(self)} batches")
        batches = self._batches(self.order(epoch), start)
        if self.prefetch:
            batches = self._ahead(batches)
        if self.device == "cpu":
            return batches
        return (tuple(to_device(array, self.device) for array in batch) for batch in batches)

    def _batches(self, order: Array, start: int) -> Iterator[Batch]:
        """The batches, one by one, made when they are asked for."""
        for first in range(start * self.batch_size, len(self) * self.batch_size, self.batch_size):
            rows = order[first : first + self.batch_size]
            batch = tuple(array.take(rows, axis=0) for array in self.arrays)
            yield batch if self.transform is None else self.transform(batch)

    def _ahead(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches, made by a thread that lives as long as this iterator is in use."""
        ready: queue.Queue[Any] = queue.Queue(self.prefetch)
        stop = threading.Event()
        thread = threading.Thread(
            target=_fill,
            args=(batches, self._group(), ready, stop),
            name="tinygen-loader",
            daemon=True,
        )
        thread.start()
        try:
            while (item := ready.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield from item
        finally:
            stop.set()
            while thread.is_alive():  # it may be waiting for room
                with suppress(queue.Empty):
                    ready.get_nowait()
                thread.join(0.001)

    def _group(self) -> int:
        """How many batches are handed over at a time."""
        sample = sum(array.nbytes for array in self.arrays) / self.samples
        return int(min(max(GROUP_BYTES / (sample * self.batch_size + 1), 1), GROUP_BATCHES))


def _fill(
    batches: Iterator[Batch], size: int, ready: queue.Queue[Any], stop: threading.Event
) -> None:
    """Put the batches into `ready` in lists of `size`; at the end None, or what went wrong."""
    group: list[Batch] = []
    end: BaseException | None = None
    try:
        for batch in batches:
            group.append(batch)
            if stop.is_set():
                return
            if len(group) == size:
                ready.put(group)
                group = []
    except BaseException as error:  # whatever it is, it belongs to the consumer
        end = error
    ready.put(group)
    ready.put(end)


def _samples(arrays: tuple[Any, ...]) -> int:
    """The length of the first axis, which all arrays must share."""
    if not arrays:
        raise DataError("Loader: no array was given")
    shapes = [np.shape(array) for array in arrays]
    lengths = {shape[0] if shape else 0 for shape in shapes}
    if len(lengths) > 1:
        raise DataError(f"Loader: the first axes differ in arrays of shapes {_listed(shapes)}")
    if lengths == {0}:
        raise DataError(f"Loader: no samples in arrays of shapes {_listed(shapes)}")
    return int(lengths.pop())


def _listed(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(map(str, shapes))
