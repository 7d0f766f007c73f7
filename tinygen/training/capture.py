"""Training steps that a card does from a recording, instead of being told each operation anew.

Python needs longer to say what is to be done than a card needs to do it, if the model is small. So
forward and backward are recorded as a CUDA graph, and the graph is launched as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..backend import (
    Array,
    Recording,
    device_of,
    empty,
    recording_of,
    to_device,
    to_numpy,
)
from ..config import hooks
from ..core import Tensor, data_of

REHEARSALS = 2
AT_ONCE = 50  # steps whose losses are read together


class Captured:
    """Forward and backward of a phase: on a card recorded, on the CPU just called.

    For every combination of shapes it does `compute` twice, records it, and from then on replays
    the recording: the same numbers to the last bit. What the recording reads and writes stays where
    it is: parameters are updated in place, each call's batch is copied to the same arrays, and loss
    and gradients are overwritten by the next call. It is recorded anew if a parameter has another
    array by now, or is frozen. While hooks are at work (tinygen.hooks, TINYGEN_DEBUG), `compute` is
    called as it is.

    Args:
        compute: a function of arrays, and of `step` by name, that runs forward and backward and
            returns the loss. It may not read a value (item, numpy, float, if), nor draw random
            numbers but from streams that are `at(step)`.
        tensors: the parameters and buffers that it reads or leaves gradients at.

    >>> import numpy as np
    >>> from tinygen import nn, ops
    >>> net = nn.Dense(3, 1)
    >>> def compute(x, *, step):
    ...     net.zero_grad()
    ...     loss = ops.mse(net(x), np.zeros((len(x), 1), np.float32))
    ...     loss.backward()
    ...     return loss
    >>> captured = Captured(compute, net.parameters())
    >>> captured(np.zeros((4, 3), np.float32), step=0).item()
    0.0
    """

    def __init__(self, compute: Callable[..., Tensor], tensors: Iterable[Tensor]) -> None:
        self.compute, self.tensors = compute, list(tensors)
        self._recorded: dict[Any, _Recorded] = {}

    def __call__(self, *batch: Array | Tensor, step: int) -> Tensor:
        """The loss, of which `.grad` of the tensors then holds the gradients."""
        if hooks or all(device_of(t.array) == "cpu" for t in self.tensors[:1]):
            return self.compute(*batch, step=step)
        arrays = [to_device(data_of(x), "cuda") for x in batch]
        shapes = tuple((array.shape, array.dtype) for array in arrays)
        state = [(id(t.array), t.requires_grad) for t in self.tensors]
        found = self._recorded.get(shapes)
        if found is None or found.state != state:
            found = self._recorded[shapes] = _Recorded(self.compute, self.tensors, state)
        return found(arrays, step)


class _Recorded:
    """A recording for batches of certain shapes, or the rehearsals for it.

    Args:
        compute, tensors: of the Captured.
        state: what the tensors were like.
    """

    def __init__(
        self, compute: Callable[..., Tensor], tensors: Sequence[Tensor], state: Sequence[Any]
    ) -> None:
        self.compute, self.tensors, self.state = compute, tensors, state
        self.arrays = [t.array for t in tensors]  # kept, so that no other gets the id of one
        self.recording = Recording()
        self.rehearsed = 0
        self.inputs: list[Array] = []
        self.loss: Tensor | None = None
        self.gradients: list[Tensor | None] = []

    def __call__(self, batch: Sequence[Array], step: int) -> Tensor:
        if self.rehearsed < REHEARSALS:
            self.rehearsed += 1
            return self.recording.rehearse(lambda: self.compute(*batch, step=step))
        if self.loss is None:
            self.inputs = [array.copy() for array in batch]
            with recording_of(step):
                loss = self.recording.record(lambda: self.compute(*self.inputs, step=step))
            self.loss = loss.detach()
            self.gradients = [t.grad for t in self.tensors]
        for place, array in zip(self.inputs, batch, strict=True):
            place[...] = array
        self.recording.replay(step)
        for t, gradient in zip(self.tensors, self.gradients, strict=True):
            t.grad = gradient
        return self.loss


class Unread:
    """Losses of the last steps that nobody has waited for yet: they are kept where they are made.

    Attributes:
        last: the losses of the last step that was read, by phase.
    """

    def __init__(self) -> None:
        self.steps: list[tuple[int, int]] = []  # the number of each, and its samples
        self.kept: Array | None = None
        self.last: dict[str, float] = {}

    @property
    def full(self) -> bool:
        """Whether there is no room for another step."""
        return len(self.steps) >= AT_ONCE

    def keep(self, phase: int, phases: int, loss: Tensor) -> None:
        """Keep the loss of one of so many phases of the current step."""
        if self.kept is None or self.kept.shape[1] != phases or self.kept.dtype != loss.dtype:
            self.kept = empty((AT_ONCE, phases), loss.dtype, loss.device)
        self.kept[len(self.steps), phase] = loss.data

    def end_step(self, step: int, samples: int) -> None:
        """The phases of the step have all been kept."""
        self.steps.append((step, samples))

    def read(self, phases: Sequence[str]) -> list[tuple[int, int, dict[str, float]]]:
        """(step, samples, losses by phase) of all that were kept; then it is empty again."""
        if not self.steps or self.kept is None:
            return []
        rows = to_numpy(self.kept)[: len(self.steps)].tolist()
        read = [
            (step, samples, dict(zip(phases, row, strict=True)))
            for (step, samples), row in zip(self.steps, rows, strict=True)
        ]
        self.steps, self.last = [], read[-1][2]
        return read
