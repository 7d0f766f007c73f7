"""Leaves of a graph for the tests: tensors that require a gradient."""

from __future__ import annotations

import math

import numpy as np

from tinygen import Tensor


def leaf(*data, dtype="float64") -> Tensor:
    """A leaf of given rows or numbers."""
    return Tensor(np.array(data, dtype), requires_grad=True)


def normal_leaf(*shape: int) -> Tensor:
    """A leaf of random numbers, the same for the same shape."""
    return Tensor(np.random.default_rng(0).normal(size=shape), requires_grad=True)


def distinct_leaf(shape: tuple[int, ...]) -> Tensor:
    """A leaf of random numbers, no two of them near each other."""
    rng = np.random.default_rng(math.prod(shape) + len(shape))
    data = (rng.permutation(math.prod(shape)) + rng.uniform(0.2, 0.4)) / 8
    return Tensor(data.reshape(shape), requires_grad=True)
