"""Sampling from any autoencoder: a Gaussian mixture is fitted to its codings and drawn from."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from ..backend import Array
from ..ops.random import Random
from ..system import require


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of k Gaussians in d dimensions.

    Attributes:
        weights: (k,), not negative, with the sum 1.
        means: (k, d).
        factors: (k, d, d), lower triangular L with L L^T the covariance of each.
    """

    weights: Array
    means: Array
    factors: Array

    def sample(self, n: int, *, rng: Random) -> Array:
        """n points: mean + L e of a component drawn by its weight, e ~ N(0, 1): (n, d)."""
        steps = np.cumsum(self.weights)
        drawn = rng.uniform((n,), dtype=np.float64) * steps[-1]
        component = np.searchsorted(steps[:-1], drawn, side="right")
        noise = rng.normal((n, self.means.shape[1]), dtype=np.float64)
        turned = np.einsum("nij,nj->ni", self.factors[component], noise)
        return np.asarray(self.means[component] + turned)


def fit_mixture(codings: Array, components: int = 10, *, seed: int = 0) -> Mixture:
    """A Gaussian mixture with full covariances, fitted to codings by scikit-learn's EM.

    It closes the holes between the codings that a decoder has seen (Ghosh et al. 2020).

    Args:
        codings: (n, d).
        components: Gaussians, 1 to n.
        seed: of the initial means.

    Raises ModuleNotFoundError without scikit-learn, ValueError if there are too few codings, they
    are not finite, or the mixture did not converge.
    """
    require("sklearn")
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    if codings.ndim != 2 or not 1 <= components <= len(codings):
        raise ValueError(
            f"fit_mixture: {components} components need as many codings (n, d), not {codings.shape}"
        )
    if not np.isfinite(codings).all():
        raise ValueError("fit_mixture: some of the codings are NaN or infinite")
    model = GaussianMixture(components, reg_covar=1e-5, max_iter=500, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        try:
            model.fit(codings.astype(np.float64))
        except ConvergenceWarning as problem:
            raise ValueError(
                f"fit_mixture: no mixture of {components} fits these codings; try fewer ({problem})"
            ) from problem
    return Mixture(model.weights_, model.means_, np.linalg.cholesky(model.covariances_))
