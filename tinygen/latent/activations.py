"""How active codings are: whether a sparse autoencoder's are sparse."""

from __future__ import annotations

import numpy as np

from ..backend import Array

BINS = 10


def mean_activations(codings: Array) -> Array:
    """The mean of each unit over the samples: (n, d) -> (d,), float64."""
    if codings.ndim != 2 or not codings.size:
        raise ValueError(f"mean_activations: codings are (n, d), not {codings.shape}")
    return np.asarray(codings.mean(axis=0, dtype=np.float64))


def shares(
    values: Array, bins: int = BINS, low: float | None = None, high: float | None = None
) -> tuple[Array, Array]:
    """A histogram as shares: what part of all values each bin holds, and the edges of the bins.

    Args:
        values: of any shape.
        bins: how many, of one width.
        low: where the first begins; by default the least value.
        high: where the last ends, itself included; by default the greatest value.

    Returns the shares, (bins,), with the sum 1, and the edges, (bins + 1,).
    Raises ValueError for values that are not finite, or outside low and high.
    """
    low = float(values.min()) if low is None else low
    high = float(values.max()) if high is None else high
    counts, edges = np.histogram(values, bins, (low, high))
    if counts.sum() != values.size:
        raise ValueError(f"shares: some of the values are not from {low:g} to {high:g}")
    return counts / values.size, edges
