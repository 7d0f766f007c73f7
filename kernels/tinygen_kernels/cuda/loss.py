"""Losses on CUDA, and their gradients; the twin of reference/loss.py."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..reference.loss import LOSSES
from .arrays import MOST_BLOCKS, THREADS, blocks, c_type, contiguous, empty, for_both_types
from .launch import Source, launch
from .reduce import add_all

Array = NDArray[Any]

KINDS = {name: np.int32(i) for i, name in enumerate(LOSSES)}  # Loss in loss.cu counts alike

SOURCE = Source("loss.cu", for_both_types("loss", "loss_sum", "loss_grad"))


def loss(p: Array, t: Array, name: str, parameter: float) -> Array:
    """The loss of each element."""
    y, grid = empty(p.shape, p.dtype, p), blocks(p.size, THREADS, MOST_BLOCKS)
    args = contiguous(p), contiguous(t, p.dtype), y, np.int32(p.size)
    kernel = SOURCE[f"loss<{c_type(p)}>"]
    launch(kernel, grid, THREADS, (*args, KINDS[name], p.dtype.type(parameter)))
    return y


def loss_sum(p: Array, t: Array, name: str, parameter: float) -> Array:
    """The sum over all elements, added up in float64: an array without axes where `p` lives.

    Its value is not read here, so the host need not wait for it.
    """
    grid = blocks(p.size, THREADS, MOST_BLOCKS)
    part = empty((grid,), np.float64, p)
    args = contiguous(p), contiguous(t, p.dtype), part, np.int32(p.size)
    kernel = SOURCE[f"loss_sum<{c_type(p)}>"]
    launch(kernel, grid, THREADS, (*args, KINDS[name], p.dtype.type(parameter)))
    return add_all(part)


def loss_grad(p: Array, t: Array, g: Any, name: str, parameter: float, scale: float) -> Array:
    """scale g dl/dp; g is an array of the shape of p or without axes, or a number.

    Raises ValueError for a g of another shape.
    """
    gp, grid = empty(p.shape, p.dtype, p), blocks(p.size, THREADS, MOST_BLOCKS)
    if isinstance(g, type(p)):
        if g.ndim and g.shape != p.shape:
            raise ValueError(f"loss_grad: p has shape {p.shape}, g {g.shape}")
        each = np.int32(g.ndim > 0)
        g = contiguous(g, p.dtype)
    else:  # a number of the host, also one that NumPy holds while p is on a card
        each, g, scale = np.int32(0), None, scale * float(g)
    args = contiguous(p), contiguous(t, p.dtype), g, gp, np.int32(p.size), each
    numbers = p.dtype.type(parameter), p.dtype.type(scale)
    launch(SOURCE[f"loss_grad<{c_type(p)}>"], grid, THREADS, (*args, KINDS[name], *numbers))
    return gp
