"""Averages of the weights over the steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..backend import Array, device_of, kernels, to_device, to_numpy
from ..nn.module import Module
from ..ranges import fraction


class EMA:
    """An exponential moving average of a module's parameters, for sampling from a steadier model.

    average = decay average + (1 - decay) parameter, after each step. Buffers are not averaged.

    >>> import tinygen
    >>> layer = tinygen.nn.Dense(2, 1, rng=tinygen.Random(0))
    >>> ema = tinygen.optim.EMA(layer, decay=0.5)
    >>> layer.bias.data[...] = 1.0
    >>> ema.update()
    >>> with ema.applied():
    ...     layer.bias.numpy()
    array([0.5], dtype=float32)
    """

    def __init__(self, module: Module, decay: float = 0.999) -> None:
        fraction("EMA: decay", decay)
        self.decay = decay
        self.parameters = dict(module.named_parameters())
        self.averages = {name: p.data.ravel().copy() for name, p in self.parameters.items()}

    def update(self) -> None:
        """Move the average towards the parameters of now."""
        self._follow()
        arrays = [p.data for p in self.parameters.values()]
        if arrays:
            kernels(arrays[0]).ema(list(self.averages.values()), arrays, self.decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the module has the averages for parameters."""
        self._follow()
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _follow(self) -> None:
        """Start the average of a parameter that has grown anew."""
        for name, p in self.parameters.items():
            if self.averages[name].size != p.size:
                self.averages[name] = p.data.ravel().copy()

    def _swap(self) -> None:
        for name, p in self.parameters.items():
            now = p.data.ravel().copy()
            p.data[...] = self.averages[name].reshape(p.shape)
            self.averages[name] = now
            p.version += 1

    def state_dict(self) -> dict[str, Array]:
        """Copies of the averages by name."""
        return {name: to_numpy(a).copy() for name, a in self.averages.items()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict()` of an average of the same parameters."""
        if {k: np.shape(v) for k, v in state.items()} != {
            k: v.shape for k, v in self.averages.items()
        }:
            raise ValueError("EMA.load_state_dict: names or sizes differ from the module's")
        for name, average in self.averages.items():
            given = np.asarray(state[name], average.dtype)
            average[...] = to_device(given, device_of(average))
