"""Traversals: one coding of a variational autoencoder varies, the others stay."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..backend import Array
from ..core import Tensor, TensorLike
from ..models import Autoencoder
from ..ops import gaussian_kl
from .codings import in_batches


def traverse(start: Array, dimensions: Sequence[int], values: Array) -> Array:
    """Copies of a coding with one of its numbers replaced: (d,) -> (dimensions, values, d).

    >>> traverse(np.zeros(2), [1], np.array([-3.0, 3.0])).tolist()
    [[[0.0, -3.0], [0.0, 3.0]]]
    """
    if start.ndim != 1:
        raise ValueError(f"traverse: a coding is an array (d,), not {start.shape}")
    way = np.tile(start, (len(dimensions), len(values), 1))
    for row, dimension in zip(way, dimensions, strict=True):
        row[:, dimension] = values
    return way


def divergences(model: Autoencoder, x: Array) -> Array:
    """What each coding carries: KL(q(z_j|x) || N(0, 1)) in nats, the mean over x; (d,), float64.

    About 0 is a coding that the decoder ignores, and that training has let go back to the prior.

    Args:
        model: with a method `posterior`, as a VAE has.
        x: samples (n, ...).

    Raises ValueError for a model without a posterior.
    """
    if not hasattr(model, "posterior"):
        raise ValueError(
            f"{model.name} has single points for codings, no distributions around them; vae has"
        )

    def of_each(part: TensorLike) -> Tensor:
        mean, log_var = (t.reshape(*t.shape, 1) for t in model.posterior(part))  # a sum over one
        return gaussian_kl(mean, log_var)

    return np.asarray(in_batches(model, of_each, x).mean(axis=0, dtype=np.float64))
