"""Layers over sequences (batch, steps, features)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from .. import ops
from ..core import Parameter, Tensor, TensorLike, data_of
from ..ops.random import Random
from ..ranges import whole
from . import arguments, initializers
from .module import Module


class _Recurrent(Module):
    """What the recurrent layers have in common; `_gates` is how many columns a unit has."""

    _gates: ClassVar[int]

    def __init__(
        self,
        inputs: int,
        units: int,
        *,
        return_sequences: bool = False,
        return_state: bool = False,
        initializer: str | initializers.Initializer = "glorot_uniform",
        recurrent_initializer: str | initializers.Initializer = "orthogonal",
        rng: Random | None = None,
    ) -> None:
        name = type(self).__name__
        inputs = whole(f"{name}: inputs", inputs)
        self.units = whole(f"{name}: units", units)
        rng = arguments.stream(name, rng)
        columns = self._gates * self.units
        self.return_sequences, self.return_state = return_sequences, return_state
        self.weight = initializers.parameter(name, (inputs, columns), initializer, rng)
        self.recurrent_weight = initializers.parameter(
            name, (self.units, columns), recurrent_initializer, rng, "recurrent_initializer"
        )
        self.bias = Parameter(self._first_bias(columns))

    def _first_bias(self, columns: int) -> Any:
        """The bias to start with."""
        return np.zeros(columns, np.float32)

    def forward(self, x: TensorLike, *, mask: Any = None, state: Any = None) -> Any:
        """The output for sequences (batch, steps, inputs)."""
        raise NotImplementedError

    def describe(self) -> str:
        """Sizes, and what comes out."""
        sizes = f"{self.weight.shape[0]}, {self.units}"
        return sizes + (", return_sequences=True" if self.return_sequences else "")


class SimpleRNN(_Recurrent):
    """h' = tanh(x weight + h recurrent_weight + bias): (batch, steps, inputs) -> (batch, units).

    Args:
        inputs: length of the last axis that comes in.
        units: length of the state, and of the last axis that goes out.
        return_sequences: give h after every step (batch, steps, units), not only the last one.
        return_state: give (output, h after the last step).
        initializer: of the weight; a name from `nn.initializers` or a function (shape, rng).
        recurrent_initializer: of the recurrent weight.
        rng: where the weights are drawn.

    Called with `mask`, booleans (batch, steps), it lets the state be where that is False; with
    `state`, it starts from that instead of 0. See ops.simple_rnn.
    """

    _gates = 1

    def forward(self, x: TensorLike, *, mask: Any = None, state: TensorLike | None = None) -> Any:
        """The output for sequences (batch, steps, inputs)."""
        return ops.simple_rnn(
            x, self.weight, self.recurrent_weight, self.bias, state, mask=mask,
            return_sequences=self.return_sequences, return_state=self.return_state,
        )  # fmt: skip


class LSTM(_Recurrent):
    """Long short-term memory: (batch, steps, inputs) -> (batch, units); see ops.lstm.

    The bias starts at 0, that of the forget gate at 1 (Jozefowicz et al. 2015), as in Keras. For
    the arguments see SimpleRNN; the state is a pair (h, c), and `return_state` gives
    (output, h, c).

    >>> import numpy as np
    >>> from tinygen.nn import LSTM
    >>> LSTM(28, 100, return_sequences=True)(np.zeros((32, 28, 28), np.float32)).shape
    (32, 28, 100)
    """

    _gates = 4

    def _first_bias(self, columns: int) -> Any:
        bias = np.zeros(columns, np.float32)
        bias[columns // 4 : columns // 2] = 1
        return bias

    def forward(
        self, x: TensorLike, *, mask: Any = None, state: tuple[TensorLike, TensorLike] | None = None
    ) -> Any:
        """The output for sequences (batch, steps, inputs)."""
        return ops.lstm(
            x, self.weight, self.recurrent_weight, self.bias, state, mask=mask,
            return_sequences=self.return_sequences, return_state=self.return_state,
        )  # fmt: skip


class GRU(_Recurrent):
    """Gated recurrent units: (batch, steps, inputs) -> (batch, units); see ops.gru.

    There are two biases (2, 3 units), for the sides of the input and of the state, which start
    at 0. For the arguments see SimpleRNN.
    """

    _gates = 3

    def _first_bias(self, columns: int) -> Any:
        return np.zeros((2, columns), np.float32)

    def forward(self, x: TensorLike, *, mask: Any = None, state: TensorLike | None = None) -> Any:
        """The output for sequences (batch, steps, inputs)."""
        return ops.gru(
            x, self.weight, self.recurrent_weight, self.bias, state, mask=mask,
            return_sequences=self.return_sequences, return_state=self.return_state,
        )  # fmt: skip


class RepeatVector(Module):
    """Every vector as a sequence of equal steps: (batch, features) -> (batch, steps, features)."""

    def __init__(self, steps: int) -> None:
        self.steps = whole("RepeatVector: steps", steps)

    def forward(self, x: TensorLike) -> Tensor:
        """x, `steps` times."""
        shape = data_of(x).shape
        if len(shape) != 2:
            raise ValueError(f"RepeatVector: x must be (batch, features), got {shape}")
        wide = (shape[0], self.steps, shape[1])
        return ops.broadcast_to(ops.expand_dims(x, 1), wide)

    def describe(self) -> str:
        """The number of steps."""
        return str(self.steps)


class TimeDistributed(Module):
    """A layer on every step by itself: (batch, steps, ...) -> (batch, steps, ...).

    Args:
        layer: what takes (n, ...); it gets the steps of all sequences as one large batch.
    """

    def __init__(self, layer: Module) -> None:
        if not isinstance(layer, Module):
            raise TypeError(f"TimeDistributed: layer must be a Module, not {layer!r}")
        self.layer = layer

    def forward(self, x: TensorLike, *, rng: Random | None = None) -> Tensor:
        """The outputs of all steps."""
        n, steps, *rest = data_of(x).shape
        y = self.layer(ops.reshape(x, (n * steps, *rest)), rng=rng)
        return ops.reshape(y, (n, steps, *y.shape[1:]))
