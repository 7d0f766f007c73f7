"""The linear autoencoder's data: points near a plane in three dimensions."""

from __future__ import annotations

import math

import numpy as np

from ..backend import Array
from ..ops.random import Random


def noisy_plane(n: int = 60, seed: int = 0, w1: float = 0.1, w2: float = 0.3) -> Array:
    """An arc in a plane of three dimensions, with noise, centred: (n, 3), float32.

    Source: Géron, chapter 17, second edition.

    Args:
        n: number of points.
        seed: of the angles and of the noise (standard deviation 0.05, across the plane 0.1).
        w1: slope of the plane along the first axis.
        w2: slope along the second.
    """
    rng = Random(seed, "data/plane")
    angles = rng.uniform((n,), -0.5, 1.5 * math.pi - 0.5, dtype=np.float64)
    noise = 0.1 * rng.normal((n, 3), dtype=np.float64)
    x = np.cos(angles) + np.sin(angles) / 2 + noise[:, 0] / 2
    y = 0.7 * np.sin(angles) + noise[:, 1] / 2
    points = np.stack([x, y, w1 * x + w2 * y + noise[:, 2]], axis=1)
    centred: Array = (points - points.mean(axis=0)).astype(np.float32)
    return centred
