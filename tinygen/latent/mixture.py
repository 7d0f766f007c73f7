"""Sampling from any autoencoder: a Gaussian mixture is fitted to its codings and drawn from."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..backend import Array
from ..ops.random import Random
from ..system import require

AXES = 30  # of more principal axes of the codings, the mixture is one in the first so many
CODINGS = 10_000  # of more codings, so many are fitted
ITERATIONS, AT_A_TIME = 500, 5


@dataclass(frozen=True, eq=False)
class Subspace:
    """The principal axes of codings, most variance first: the mixture is one in the first m.

    Attributes:
        centre: (d,), the mean of the codings.
        axes: (d, d), a unit vector a row.
        rest: (d - m,), the standard deviations along the axes after the first m, where a single
            Gaussian stands for all components.
    """

    centre: Array
    axes: Array
    rest: Array


@dataclass(frozen=True, eq=False)
class Mixture:
    """A mixture of k Gaussians in d dimensions.

    Attributes:
        weights: (k,), not negative, with the sum 1.
        means: (k, d); or (k, m) along the first m axes of `subspace`.
        factors: (k, d, d) or (k, m, m), lower triangular L with L L^T the covariance of each.
        subspace: None where the mixture is one in all d dimensions.
    """

    weights: Array
    means: Array
    factors: Array
    subspace: Subspace | None = None

    def sample(self, n: int, *, rng: Random) -> Array:
        """n points: mean + L e of a component drawn by its weight, e ~ N(0, 1): (n, d)."""
        steps = np.cumsum(self.weights)
        drawn = rng.uniform((n,), dtype=np.float64) * steps[-1]
        component = np.searchsorted(steps[:-1], drawn, side="right")
        noise = rng.normal((n, self.means.shape[1]), dtype=np.float64)
        turned = np.einsum("nij,nj->ni", self.factors[component], noise)
        points: Array = self.means[component] + turned
        if self.subspace is None:
            return points
        own = self.subspace
        beside = rng.normal((n, len(own.rest)), dtype=np.float64) * own.rest
        return np.asarray(own.centre + np.concatenate([points, beside], axis=1) @ own.axes)


def fit_mixture(
    codings: Array,
    components: int = 10,
    *,
    seed: int = 0,
    progress: Callable[[int], object] | None = None,
) -> Mixture:
    """A Gaussian mixture with full covariances, fitted to codings by scikit-learn's EM.

    It closes the holes between the codings that a decoder has seen (Ghosh et al. 2020). So that it
    takes no longer than a minute, at most 10,000 codings are fitted, drawn by chance; and of
    codings in more than 30 dimensions the first 30 principal components, while the others are
    drawn from Gaussians with their variances.

    Args:
        codings: (n, d).
        components: Gaussians, 1 to n.
        seed: of the initial means.
        progress: called with the number of iterations so far, every few of them.

    Raises ModuleNotFoundError without scikit-learn, ValueError if there are too few codings, they
    are not finite, or the mixture did not converge.
    """
    require("sklearn")

    if codings.ndim != 2 or not 1 <= components <= min(len(codings), CODINGS):
        raise ValueError(
            f"fit_mixture: {components} components need as many codings (n, d), not "
            f"{codings.shape}, and are at most {CODINGS:,}"
        )
    if not np.isfinite(codings).all():
        raise ValueError("fit_mixture: some of the codings are NaN or infinite")
    points, subspace = codings.astype(np.float64), None
    if len(points) > CODINGS:
        points = points[Random(seed, "mixture").permutation(len(points))[:CODINGS]]
    if points.shape[1] > AXES:
        points, subspace = _reduced(points)
    return Mixture(*_fitted(points, components, seed, progress), subspace)


def _reduced(points: Array) -> tuple[Array, Subspace]:
    """The points along their first principal axes, and what there is beside these."""
    centre = points.mean(axis=0)
    variances, axes = np.linalg.eigh(np.cov(points - centre, rowvar=False))
    variances, axes = np.maximum(variances[::-1], 0), axes.T[::-1]
    return (points - centre) @ axes[:AXES].T, Subspace(centre, axes, np.sqrt(variances[AXES:]))


def _fitted(
    points: Array, components: int, seed: int, progress: Callable[[int], object] | None
) -> tuple[Array, Array, Array]:
    """Weights, means and factors that EM finds, a few iterations at a time."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    model = GaussianMixture(
        components,
        reg_covar=1e-5,
        max_iter=AT_A_TIME,
        warm_start=True,
        random_state=seed % 2**32,  # which takes no more
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", ConvergenceWarning)
        warnings.filterwarnings("ignore", ".*nitialization.* did not converge", ConvergenceWarning)
        try:
            for done in range(AT_A_TIME, ITERATIONS + 1, AT_A_TIME):
                with threadpool_limits(1):  # its threads spin, which is slower on busy cores
                    model.fit(points)
                if progress is not None:
                    progress(done)
                if model.converged_:
                    return model.weights_, model.means_, np.linalg.cholesky(model.covariances_)
            problem = f"EM did not converge in {ITERATIONS} iterations"
        except ConvergenceWarning as warning:
            problem = str(warning)
    raise ValueError(
        f"fit_mixture: no mixture of {components} fits these codings; try fewer ({problem})"
    )
