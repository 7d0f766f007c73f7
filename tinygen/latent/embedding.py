"""A map of the codings: points in the plane, near each other where their codings are."""

from __future__ import annotations

from typing import cast

import numpy as np

from ..backend import Array
from ..system import require

PERPLEXITY = 30.0


def tsne(codings: Array, *, perplexity: float | None = None, seed: int = 0) -> Array:
    """t-SNE (van der Maaten & Hinton 2008) by scikit-learn: (n, d) -> (n, 2), float32.

    Args:
        codings: at least 4 of them.
        perplexity: about how many neighbours a point has; below n. By default 30, or a third of n
            where that is less.
        seed: of the optimisation; the same seed gives the same map.

    Raises ModuleNotFoundError without scikit-learn, ValueError for codings that are too few or not
    finite.
    """
    require("sklearn")
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    n = len(codings)
    if codings.ndim != 2 or n < 4:
        raise ValueError(f"tsne: at least 4 codings (n, d) are needed, not {codings.shape}")
    if not np.isfinite(codings).all():
        raise ValueError("tsne: some of the codings are NaN or infinite")
    perplexity = min(PERPLEXITY, n / 3) if perplexity is None else perplexity
    if not 0 < perplexity < n:
        raise ValueError(f"tsne: perplexity must be above 0 and below {n}, not {perplexity}")
    flat = (
        codings.shape[1] < 2 or not np.ptp(codings, axis=0).any()
    )  # no principal axes to start from
    start = "random" if flat else "pca"
    with threadpool_limits(1):  # its threads spin: two on busy cores are ten times slower than one
        fitted = TSNE(perplexity=perplexity, init=start, random_state=seed % 2**32).fit_transform(
            codings
        )
    return cast(Array, fitted.astype(np.float32))
