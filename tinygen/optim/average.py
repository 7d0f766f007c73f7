"""Moving averages of the weights over the steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..backend import Array, kernels, to_device
from ..core import Parameter, Tensor
from ..nn.module import Module
from ..ranges import fraction


class EMA:
    """An exponential moving average of a module, for sampling from a steadier model.

    average = decay average + (1 - decay) parameter, after each step. Buffers (running statistics,
    tracked means) are copied, not averaged: they are averages themselves. A part that has grown
    since (a new parameter, or one of another shape) starts its average anew.

    Args:
        module: the module that is trained.
        decay: at least 0 and below 1; or a function of the images seen that gives it.
        average: the module that holds the averages, of the same structure; by default a copy of
            `module`. Give the one that a model keeps beside it, so that it is part of its state.

    Attributes:
        average: the module with the averages, whose parameters require no gradient.

    >>> import tinygen
    >>> layer = tinygen.nn.Dense(2, 1, rng=tinygen.Random(0))
    >>> ema = tinygen.optim.EMA(layer, decay=0.5)
    >>> layer.bias.data[...] = 1.0
    >>> ema.update()
    >>> ema.average.bias.numpy()
    array([0.5], dtype=float32)

    Source: Polyak & Juditsky 1992; for generators Karras et al. 2018.
    """

    def __init__(
        self,
        module: Module,
        decay: float | Callable[[int], float] = 0.999,
        average: Module | None = None,
    ) -> None:
        if not callable(decay):
            fraction("EMA: decay", decay)
        self.module, self.decay = module, decay
        self.average = copy.deepcopy(module) if average is None else average
        self.average.freeze()
        self._pairs: list[tuple[Tensor, Tensor]] = []  # each tensor of the average, and its source
        self.follow()

    def update(self, images: int = 0) -> None:
        """Move the average towards the module of now, after so many images have been seen."""
        decay = self.decay(images) if callable(self.decay) else self.decay
        fraction("EMA: decay", decay)
        if any(a.array.shape != t.array.shape for a, t in self._pairs):
            self.follow()
        averages, arrays = [], []
        for a, t in self._pairs:
            if isinstance(t, Parameter):
                averages.append(a.array.reshape(-1))
                arrays.append(t.array)
            else:
                a.array[...] = t.array
            a.version += 1
        if arrays:
            kernels(arrays[0]).ema(averages, arrays, decay)

    def follow(self) -> None:
        """Take over what has grown in the module, or moved; all else keeps its average."""
        own, sources = _tensors(self.average), _tensors(self.module)
        if list(own) != list(sources):
            grown = copy.deepcopy(self.module)
            for name, t in _tensors(grown).items():
                if name in own and own[name].shape == t.shape:
                    t.data[...] = to_device(own[name].data, t.device)
            vars(self.average).clear()
            vars(self.average).update(vars(grown))
            own = _tensors(self.average.freeze())
        for name, t in sources.items():
            if own[name].shape != t.shape:
                own[name].data = t.data.copy()
            elif (own[name].device, own[name].dtype) != (t.device, t.dtype):
                own[name].data = to_device(own[name].data, t.device).astype(t.dtype)
        self._pairs = [(own[name], t) for name, t in sources.items()]

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the module has the averages for parameters and buffers."""
        self.follow()
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        for a, t in self._pairs:
            now = t.array.copy()
            t.array[...] = a.array
            a.array[...] = now
            t.version += 1
            a.version += 1

    def state_dict(self) -> dict[str, Array]:
        """Copies of the averages, and of the buffers, by name."""
        self.follow()
        return self.average.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict()` of an average of the same module."""
        self.follow()
        self.average.load_state_dict(state)


def _tensors(module: Module) -> dict[str, Tensor]:
    """Parameters and buffers by name."""
    return {**dict(module.named_parameters()), **dict(module.named_buffers())}
