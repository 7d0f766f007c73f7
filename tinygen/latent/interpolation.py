"""From one coding to another in equal steps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..backend import Array
from ..metrics.path_length import slerp


def linear(a: Array, b: Array, steps: int) -> Array:
    """(1 - t) a + t b for t from 0 to 1: (d,), (d,) -> (steps, d), with a first and b last.

    >>> linear(np.array([0.0, 0.0]), np.array([2.0, 4.0]), 3).tolist()
    [[0.0, 0.0], [1.0, 2.0], [2.0, 4.0]]
    """
    a, b, t = _checked("linear", a, b, steps)
    return np.asarray((1 - t) * a + t * b)


def spherical(a: Array, b: Array, steps: int) -> Array:
    """From a to b on the shortest arc: (d,), (d,) -> (steps, d), with a first and b last.

    The direction turns by equal angles in the plane of a and b, the norm changes in equal steps:

        z(t) = ((1 - t) |a| + t |b|) (cos(t w) u + sin(t w) v)

    where w is the angle between a and b, u the direction of a, and v the direction in their plane
    at a right angle to it, on the side of b. Between codings of one norm all have that norm, as
    samples of a Gaussian in many dimensions nearly do (White 2016). That is Shoemake's slerp (1985)
    where the norms are equal.

    Parallel codings, in the same or in opposite directions, or where one is zero, have no such
    plane; between them the way is `linear`.

    >>> spherical(np.array([1.0, 0.0]), np.array([0.0, 1.0]), 3).round(3).tolist()
    [[1.0, 0.0], [0.707, 0.707], [0.0, 1.0]]
    """
    a, b, t = _checked("spherical", a, b, steps)
    way = slerp(a, b, t)
    way[0], way[-1] = a, b
    return np.asarray(way)


def bilinear(
    corners: Array, rows: int, columns: int, way: Callable[[Array, Array, int], Array] = linear
) -> Array:
    """A grid between four codings: (2, 2, d) -> (rows, columns, d), with them in its corners.

    Args:
        corners: top left and top right, bottom left and bottom right.
        rows: at least 2.
        columns: at least 2.
        way: from one coding to another: `linear` or `spherical`.
    """
    if corners.ndim != 3 or corners.shape[:2] != (2, 2):
        raise ValueError(f"bilinear: four codings are (2, 2, d), not {corners.shape}")
    left = way(corners[0, 0], corners[1, 0], rows)
    right = way(corners[0, 1], corners[1, 1], rows)
    return np.stack([way(a, b, columns) for a, b in zip(left, right, strict=True)])


def _checked(name: str, a: Array, b: Array, steps: int) -> tuple[Array, Array, Array]:
    """Both ends in float64, and t as a column."""
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"{name}: two codings (d,) are needed, not {a.shape} and {b.shape}")
    if steps < 2:
        raise ValueError(f"{name}: at least 2 steps are needed, not {steps}")
    ends = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return *ends, np.linspace(0, 1, steps)[:, np.newaxis]
