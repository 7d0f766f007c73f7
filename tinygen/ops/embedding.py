"""Looking vectors up in a table."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..backend import Array, array_module, as_array, beside, device_of, kernels
from ..core import Tensor, TensorLike, data_of
from ..function import Function
from .selection import where


class EmbeddingFunction(Function):
    """y[i] = table[indices[i]];  gtable = zeros with gy[i] added at indices[i]."""

    def __init__(self, indices: Array) -> None:
        self.indices = indices

    def forward(self, table: Array) -> Array:
        self.rows = len(table)
        return table[self.indices]

    def backward(self, gy: Tensor) -> Tensor:
        return EmbeddingGradFunction(self.indices, self.rows)(gy)


class EmbeddingGradFunction(Function):
    """y = zeros with x[i] added at indices[i];  gx[i] = gy[indices[i]]."""

    def __init__(self, indices: Array, rows: int) -> None:
        self.indices, self.rows = indices, rows

    def forward(self, x: Array) -> Array:
        count, features = math.prod(self.indices.shape), x.shape[-1]
        return kernels(x).add_rows(x.reshape(count, features), self.indices.ravel(), self.rows)

    def backward(self, gy: Tensor) -> Tensor:
        return EmbeddingFunction(self.indices)(gy)


def embedding(indices: Any, table: TensorLike) -> Tensor:
    """The rows of a table that integers stand for: (...), (rows, features) -> (..., features).

    Args:
        indices: integers from 0 to rows - 1, of any shape.
        table: one vector for each of them. Where an index comes up twice, gradients add up.

    Raises ValueError for other indices. Those that are on a card already are not waited for:
    vectors of NaN then stand for them.
    """
    array, rows = as_array(data_of(indices)), data_of(table).shape
    if len(rows) != 2:
        raise ValueError(f"embedding: the table must be (rows, features), not {rows}")
    if array.dtype.kind not in "iu" and array.size:
        raise ValueError(f"embedding: indices must be integers, not {array.dtype}")
    known = device_of(array) == "cpu"
    if known and array.size and not (array.min() >= 0 and array.max() < rows[0]):
        raise ValueError(
            f"embedding: indices must be from 0 to {rows[0] - 1}, "
            f"got some from {array.min()} to {array.max()}"
        )
    places = beside(array.astype(np.int64), data_of(table))
    if known:
        return EmbeddingFunction(places)(table)
    inside = (places >= 0) & (places < rows[0])
    y = EmbeddingFunction(array_module(places).where(inside, places, 0))(table)
    return where(inside[..., None], y, math.nan)
