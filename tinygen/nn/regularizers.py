"""Penalties on the activities of a layer, which make codes sparse."""

from __future__ import annotations

from .. import ops
from ..core import Tensor, TensorLike, data_of
from ..ranges import not_negative, share
from .module import Module


class ActivityRegularizer(Module):
    """Passes x on unchanged and leaves a penalty on it in `last_penalty`.

    The penalty is  l1 * sum |x|  +  kl * sum over units of [KL(p, q) + KL(1 - p, 1 - q)],  where p
    is `target` and q the mean activity of each unit (the last axis) over the batch.
    `Module.penalty()` adds up those of a whole model.

    Args:
        l1: weight of the absolute values.
        kl: weight of the divergence; the activities must then be probabilities.
        target: the mean activity p that the divergence pulls towards.
        divide_by_batch: divide by the batch size, as Keras 2 does and the chapter's weights need.

    Source: Ng 2011, "Sparse autoencoder"; Géron, chapter 17.
    """

    def __init__(
        self,
        l1: float = 0.0,
        kl: float = 0.0,
        target: float = 0.1,
        divide_by_batch: bool = True,
    ) -> None:
        name = type(self).__name__
        self.l1, self.kl = not_negative(f"{name}: l1", l1), not_negative(f"{name}: kl", kl)
        self.target = share(f"{name}: target", target)
        if not 0 < self.target < 1:
            raise ValueError(f"{name}: target must be between 0 and 1, not {target}")
        self.divide_by_batch = divide_by_batch
        self.last_penalty: Tensor | float = 0.0

    def forward(self, x: TensorLike) -> TensorLike:
        """x itself."""
        self.last_penalty = self.of(x)
        return x

    def of(self, x: TensorLike) -> Tensor | float:
        """The penalty on activities x (n, ..., units)."""
        total: Tensor | float = 0.0
        if self.l1:
            total = total + self.l1 * ops.sum(ops.abs(x))
        if self.kl:
            batch = tuple(range(data_of(x).ndim - 1))
            total = total + self.kl * ops.sum(bernoulli_kl(self.target, ops.mean(x, batch)))
        return total * (1.0 / data_of(x).shape[0]) if self.divide_by_batch else total

    def describe(self) -> str:
        """The weights that are not 0."""
        parts = [f"l1={self.l1:g}"] if self.l1 else []
        parts += [f"kl={self.kl:g}, target={self.target:g}"] if self.kl else []
        return ", ".join(parts)


def bernoulli_kl(p: float, q: Tensor) -> Tensor:
    """KL(p, q) + KL(1 - p, 1 - q) of each unit, where q is clipped to [1e-7, 1] as in Keras."""
    low = ops.SMALLEST_PROBABILITY
    on, off = ops.clip(q, low, 1.0), ops.clip(1.0 - q, low, 1.0)
    return p * ops.log(p / on) + (1.0 - p) * ops.log((1.0 - p) / off)
