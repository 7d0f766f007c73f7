"""Mixtures of Gaussians in the plane, on which a generator shows whether it forgets modes."""

from __future__ import annotations

import numpy as np

from ..backend import Array
from ..ops.random import Random

RING, GRID = "ring", "grid"
SIGMA = {RING: 0.01, GRID: 0.05}


def centres(name: str) -> Array:
    """The centres of the Gaussians: (modes, 2), float64.

    "ring" has 8 of them at radius 1, "grid" 25 at {-4, -2, 0, 2, 4}^2.

    >>> centres("ring").shape, centres("grid").shape
    ((8, 2), (25, 2))
    """
    if name == GRID:
        side = np.linspace(-4.0, 4.0, 5)
        return np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1).reshape(-1, 2)
    if name != RING:
        raise ValueError(f"centres: known mixtures are {RING} and {GRID}, not {name!r}")
    angles = 2.0 * np.pi * np.arange(8) / 8  # the end of the circle is its beginning
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)


def draw_mixture(name: str, n: int, seed: int = 0) -> tuple[Array, Array]:
    """n points of a mixture, (n, 2) float32, and the mode of each, (n,) int64.

    All modes are equally likely, with standard deviation 0.01 ("ring") or 0.05 ("grid"). The first
    of many points are those of few. Source: Lin et al. 2018, PacGAN.
    """
    middle, rng = centres(name), Random(seed, f"data/{name}")
    modes = rng.integers(0, len(middle), (n,)).astype(np.int64)
    points = middle[modes] + SIGMA[name] * rng.normal((n, 2), dtype=np.float64)
    return points.astype(np.float32), modes
