"""Losses of training steps, read back from a GPU in batches to avoid synchronising."""

from __future__ import annotations

from typing import NamedTuple

from ..backend import Array, empty, to_numpy
from ..core import Tensor

STEPS = 50  # whose losses are read together
SLOTS = 1000  # losses for which there is room on the GPU


class Figure(NamedTuple):
    """The value of a loss, or of another figure, of one batch."""

    step: int
    name: str
    samples: int
    value: float


class Losses:
    """Losses that were kept where they were computed, until they are read.

    On the CPU they are numbers at once; on a GPU they are copied to slots there, and `read` waits
    for all of them together.
    """

    def __init__(self) -> None:
        self._known: list[Figure] = []
        self._waiting: list[tuple[int, str, int]] = []  # step, name and samples of each full slot
        self._slots: Array | None = None

    @property
    def full(self) -> bool:
        """Whether those of enough steps are waiting on a GPU that it is time to read them."""
        return bool(self._waiting) and self._waiting[-1][0] - self._waiting[0][0] >= STEPS - 1

    def keep(self, step: int, name: str, samples: int, value: Tensor) -> None:
        """Keep the value of one batch of so many samples."""
        if value.device == "cpu":
            self._known.append(Figure(step, name, samples, value.item()))
            return
        if len(self._waiting) == SLOTS:
            self._fetch()
        if self._slots is None:
            self._slots = empty((SLOTS,), "float64", value.device)
        self._slots[len(self._waiting)] = value.array
        self._waiting.append((step, name, samples))

    def read(self) -> list[Figure]:
        """All that were kept since the last time, in their order."""
        if self._waiting:
            self._fetch()
        known, self._known = self._known, []
        return known

    def _fetch(self) -> None:
        assert self._slots is not None
        values = to_numpy(self._slots[: len(self._waiting)]).tolist()
        self._known += [
            Figure(*kept, value) for kept, value in zip(self._waiting, values, strict=True)
        ]
        self._waiting = []
