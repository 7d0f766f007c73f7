"""The kernel distance between two sets of features."""

from __future__ import annotations

import math

import numpy as np

from ..backend import Array
from ..core import TensorLike
from ..ops.random import Random, default_rng
from ..ranges import whole
from .features import features_of
from .statistics import Score


def kernel_distance(
    real: TensorLike,
    fake: TensorLike,
    subsets: int = 100,
    size: int = 1000,
    *,
    rng: Random | None = None,
) -> Score:
    """Kernel distance: squared maximum mean discrepancy of the cubic kernel, without bias.

    k(x, y) = (x.y / d + 1)^3;  of m samples each

        mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_ij k(x_i, y_j)

    as a mean over `subsets` draws of m = min(size, samples) without replacement. Its expectation
    is 0 for equal laws, so that it may be negative and is left so; unlike the Fréchet distance it
    does not depend on how many samples there are.

    Args:
        real: features (n, d) of at least two samples.
        fake: likewise.
        subsets: how many draws; the standard error is that of their mean, for these samples: it
            says nothing of what others would give. Where a draw is of all samples of both sets,
            one is enough, and there is no error.
        size: samples in a draw.
        rng: where they are drawn; by default the process's stream.

    Source: Bińkowski et al. 2018, "Demystifying MMD GANs".
    """
    whole("kernel_distance: subsets", subsets)
    whole("kernel_distance: size", size)
    real, fake = features_of("kernel_distance", {"real": real, "fake": fake}, 2)
    m = min(size, len(real), len(fake))
    if m < 2:
        raise ValueError(f"kernel_distance: size must be at least 2, not {size}")
    if m == len(real) == len(fake):
        return Score(_discrepancy(real, fake), count=m)
    draws = (rng or default_rng()).on("cpu")
    values = np.empty(subsets)
    for i in range(subsets):
        chosen = [x[draws.permutation(len(x))[:m]] for x in (real, fake)]
        values[i] = _discrepancy(*chosen)
    error = float(values.std(ddof=1)) / math.sqrt(subsets) if subsets > 1 else math.nan
    return Score(float(values.mean()), error, m)


def _discrepancy(x: Array, y: Array) -> float:
    """The unbiased squared discrepancy of as many samples each."""
    m, d = x.shape
    within = 0.0
    for z in (x, y):
        kernel = (z @ z.T / d + 1.0) ** 3
        within += (kernel.sum() - np.trace(kernel)) / (m * (m - 1))
    return float(within - 2.0 * ((x @ y.T / d + 1.0) ** 3).mean())
