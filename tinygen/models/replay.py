"""Experience replay: a discriminator that does not forget what it has seen."""

from __future__ import annotations

import numpy as np

from ..backend import Array, array_module, device_of
from ..core import Buffer, Tensor, TensorLike, data_of
from ..nn import Module
from ..ops.random import Random, default_rng
from ..ranges import whole


class ReplayPool(Module):
    """A pool of past fakes (Shrivastava et al. 2017; of 50 in CycleGAN, Zhu et al. 2017).

    Each fake that comes in, in the order of the batch: while the pool is not full it is stored, and
    comes out as it is. From then on, with probability 1/2, it takes the place of a stored one that
    is drawn at random, and that one comes out; else it comes out itself, and is not stored. So if
    two fakes of a batch draw the same place, the second gets the first. In inference all come out
    as they are and nothing is stored.

    The pool is in the buffers `samples` and `count` (how many are stored), and in every checkpoint.

    Args:
        size: how many it holds.
        shape: of a sample.
    """

    def __init__(self, size: int = 50, shape: int | tuple[int, ...] = ()) -> None:
        self.size = whole("ReplayPool: size", size)
        lengths = shape if isinstance(shape, (tuple, list)) else (shape,)
        self.shape = tuple(whole("ReplayPool: shape", length) for length in lengths)
        self.samples = Buffer(np.zeros((self.size, *self.shape), np.float32))
        self.count = Buffer(np.zeros((), np.int64))

    def forward(self, x: TensorLike, *, rng: Random | None = None) -> Tensor:
        """As many samples as come in, some of them from before; constants without gradient."""
        new = data_of(x)
        if new.shape[1:] != self.shape or not new.ndim:
            wanted = ", ".join(["n", *map(str, self.shape)])
            raise ValueError(f"ReplayPool: takes samples ({wanted}), got {new.shape}")
        if not self.training or not len(new):
            return Tensor(new)
        n, stored, count = len(new), self.samples.array, self.count.array
        xp, stream = array_module(stored), (rng or default_rng()).on(device_of(stored))
        drawn, coin = stream.integers(0, self.size, (n,)), stream.uniform((n,)) < 0.5
        order = xp.arange(n)
        fills = count + order < self.size
        place = xp.where(fills, count + order, drawn)
        exchanges = ~fills & coin
        writes = fills | coin

        # who was the last to write to a place: before a sample's turn, and in the end
        earlier = (place[:, None] == place) & writes & (order < order[:, None])
        latest = xp.where(earlier, order, -1).max(axis=1)
        theirs = (place == xp.arange(self.size)[:, None]) & writes
        final = xp.where(theirs, order, -1).max(axis=1)

        def chosen(mask: Array, yes: Array, no: Array) -> Array:
            return xp.where(mask.reshape(-1, *[1] * len(self.shape)), yes, no)

        old = xp.take(stored, place, axis=0).astype(new.dtype, copy=False)
        old = chosen(latest >= 0, xp.take(new, xp.maximum(latest, 0), axis=0), old)
        y = chosen(exchanges, old, new)
        stored[...] = chosen(final >= 0, xp.take(new, xp.maximum(final, 0), axis=0), stored)
        count[...] = xp.minimum(count + n, self.size)
        self.samples.version += 1
        self.count.version += 1
        return Tensor(y)

    def describe(self) -> str:
        """The size, and the shape of a sample."""
        return ", ".join(map(str, (self.size, *self.shape)))
