"""Resampling along one axis: each output is a weighted sum of inputs that lie side by side.

Blurring, averaging, interpolating, inserting zeros or leaving pixels out: all of it is a matrix
with a band of weights, one for the rows of an image and one for its columns. A filter has no zeros
of its own in it, whatever the factors are, and the gradient is the transposed matrix.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


class Band:
    """A matrix, (outputs, inputs), as the weights in each row from the first to the last not 0.

    Args:
        matrix: all of it.
        period: after so many outputs the weights repeat, away from the edges.
        inputs_period: after so many inputs the columns repeat.

    y[i] = sum over t < count[i] of weights[i, t] x[first[i] + t]
    """

    def __init__(self, matrix: Array, period: int = 1, inputs_period: int = 1) -> None:
        self.outputs, self.inputs = matrix.shape
        self.period, self.inputs_period = period, inputs_period
        used = matrix != 0
        self.first = used.argmax(axis=1)
        last = self.inputs - used[:, ::-1].argmax(axis=1)
        self.count = np.where(used.any(axis=1), last - self.first, 0)
        reach = np.arange(max(self.count.max(initial=0), 1))
        places = np.minimum(self.first[:, None] + reach, self.inputs - 1)
        self.weights = np.where(
            reach < self.count[:, None], np.take_along_axis(matrix, places, 1), 0.0
        )
        self.reach = self.weights.shape[1]
        self._weights_as: dict[Any, Array] = {}
        self._tables: dict[Any, tuple[Array, Array]] = {}

    @functools.cached_property
    def transposed(self) -> Band:
        """The transposed matrix: the gradient."""
        matrix = np.zeros((self.outputs, self.inputs))
        for i, (first, count) in enumerate(zip(self.first, self.count, strict=True)):
            matrix[i, first : first + count] = self.weights[i, :count]
        back = Band(matrix.T, self.inputs_period, self.period)
        back.transposed = self
        return back

    @functools.cached_property
    def runs(self) -> Array:
        """Outputs with the same weights at regular distances, as rows of five numbers.

        (first output, first input, how many, outputs from one to the next, inputs the same)
        """
        alike: dict[Any, list[int]] = {}
        for i in range(self.outputs):
            key = i % self.period, self.count[i], self.weights[i].tobytes()
            alike.setdefault(key, []).append(i)
        runs = []
        for places in alike.values():
            run = [places[0], self.first[places[0]], 1, 1, 1]
            for before, i in itertools.pairwise(places):
                steps = [i - before, self.first[i] - self.first[before]]
                if run[2] == 1 or steps == run[3:]:
                    run[2:] = [run[2] + 1, *steps]
                else:
                    runs.append(run)
                    run = [i, self.first[i], 1, 1, 1]
            runs.append(run)
        return np.array(runs, np.int64)

    def weights_as(self, dtype: np.dtype[Any]) -> Array:
        """The weights in a type."""
        if dtype not in self._weights_as:
            self._weights_as[dtype] = self.weights.astype(dtype)
        return self._weights_as[dtype]

    def tables(self, xp: Any, dtype: np.dtype[Any]) -> tuple[Array, Array]:
        """(first, count) of each output, int32, and the weights, as arrays of a module.

        They are put onto the current device of the module once.
        """
        key = dtype, None if xp is np else xp.cuda.runtime.getDevice()
        if key not in self._tables:
            places = np.stack([self.first, self.count], axis=1).astype(np.int32)
            self._tables[key] = xp.asarray(places), xp.asarray(self.weights_as(dtype))
        return self._tables[key]
