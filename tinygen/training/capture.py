"""CUDA-graph capture of training steps.

Python needs longer to launch the kernels of a small model one by one than a GPU needs to run them.
So forward and backward are recorded as a CUDA graph, and the graph is launched as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..backend import Array, Recording, device_of, recording_of, to_device
from ..config import hooks
from ..core import Tensor, data_of

REHEARSALS = 2

Values = dict[str, Tensor]  # a loss and other figures, each without axes


class Captured:
    """Forward and backward of a phase: on a GPU recorded, on the CPU just called.

    For every combination of shapes it does `compute` twice, records it, and from then on replays
    the recording: the same numbers to the last bit. What the recording reads and writes stays where
    it is: parameters are updated in place, each call's batch is copied to the same arrays, and loss
    and gradients are overwritten by the next call. It is recorded anew if a parameter has another
    array by now, or is frozen. While hooks are at work (tinygen.hooks, TINYGEN_DEBUG), `compute` is
    called as it is.

    Args:
        compute: a function of arrays, and of `step` by name, that runs forward and backward and
            returns the loss, and other figures if it likes, by name. It may not read a value (item,
            numpy, float, if), nor draw random numbers but from streams that are `at(step)`.
        tensors: the parameters and buffers that it reads or leaves gradients at.

    >>> import numpy as np
    >>> from tinygen import nn, ops
    >>> net = nn.Dense(3, 1)
    >>> def compute(x, *, step):
    ...     net.zero_grad()
    ...     loss = ops.mse(net(x), np.zeros((len(x), 1), np.float32))
    ...     loss.backward()
    ...     return {"loss": loss}
    >>> captured = Captured(compute, net.parameters())
    >>> captured(np.zeros((4, 3), np.float32), step=0)["loss"].item()
    0.0
    """

    def __init__(self, compute: Callable[..., Values], tensors: Iterable[Tensor]) -> None:
        self.compute, self.tensors = compute, list(tensors)
        self._recorded: dict[Any, _Recorded] = {}

    def __call__(self, *batch: Array | Tensor, step: int) -> Values:
        """The figures of `compute`; `.grad` of the tensors then holds the gradients."""
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
        self, compute: Callable[..., Values], tensors: Sequence[Tensor], state: Sequence[Any]
    ) -> None:
        self.compute, self.tensors, self.state = compute, tensors, state
        self.arrays = [t.array for t in tensors]  # kept, so that no other gets the id of one
        self.recording = Recording()
        self.rehearsed = 0
        self.inputs: list[Array] = []
        self.values: Values | None = None
        self.gradients: list[Tensor | None] = []

    def __call__(self, batch: Sequence[Array], step: int) -> Values:
        if self.rehearsed < REHEARSALS:
            self.rehearsed += 1
            return self.recording.rehearse(lambda: self.compute(*batch, step=step))
        if self.values is None:
            self.inputs = [array.copy() for array in batch]
            with recording_of(step):
                values = self.recording.record(lambda: self.compute(*self.inputs, step=step))
            self.values = {name: value.detach() for name, value in values.items()}
            self.gradients = [t.grad for t in self.tensors]
        for place, array in zip(self.inputs, batch, strict=True):
            place[...] = array
        self.recording.replay(step)
        for t, gradient in zip(self.tensors, self.gradients, strict=True):
            t.grad = gradient
        return self.values
