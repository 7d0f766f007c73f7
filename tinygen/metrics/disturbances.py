"""Disturbances of growing strength, to see which metric notices which.

Each takes images (n, h, w, c) in [0, 1] and a strength from 0, where nothing changes, to 1, and
gives images in [0, 1]. Contrast and brightness are affine, so that no value is clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

import numpy as np

from ..backend import Array
from ..names import nearest
from ..ops.random import Random
from ..ops.resample import upfirdn2d
from .images import check_range, images_of


def disturb(images: Array, kind: str, strength: float, *, rng: Random) -> Array:
    """Images with one of the `DISTURBANCES`, float64 of the same shape.

    Args:
        images: (n, h, w) or (n, h, w, c), values in [0, 1].
        kind: "blur", "noise", "shift", "contrast" or "brightness".
        strength: from 0, where nothing changes, to 1.
        rng: draws the noise.

    Raises ValueError for another kind, strength or range of values.
    """
    if kind not in DISTURBANCES:
        raise ValueError(f"disturb: unknown disturbance {kind!r}{nearest(kind, DISTURBANCES)}")
    if not 0 <= strength <= 1:
        raise ValueError(f"disturb: strength must be from 0 to 1, not {strength}")
    (x,) = images_of("disturb", images=images)
    check_range("disturb", 1.0, images=x)
    result = DISTURBANCES[kind](x.astype(np.float64), strength, rng)
    return result.reshape(images.shape)


def blur(images: Array, strength: float, rng: Random) -> Array:
    """A Gaussian filter with a standard deviation of up to a tenth of the shorter side."""
    sigma = strength * min(images.shape[1:3]) / 10
    radius = int(np.ceil(3 * sigma))
    if not radius:
        return images
    window = np.exp(-(np.arange(-radius, radius + 1) ** 2) / (2 * sigma**2))
    around = np.pad(images, [(0, 0), *[(radius, radius)] * 2, (0, 0)], "symmetric")
    return upfirdn2d(around, window / window.sum()).numpy()


def noise(images: Array, strength: float, rng: Random) -> Array:
    """Gaussian noise with a standard deviation of up to 0.5, clipped to [0, 1]."""
    normal = rng.on("cpu").normal(images.shape, dtype=np.float64)
    return np.clip(images + 0.5 * strength * normal, 0, 1)


def shift(images: Array, strength: float, rng: Random) -> Array:
    """All moved down and right by up to a quarter of their sides; the border is repeated."""
    down, right = (round(strength * side / 4) for side in images.shape[1:3])
    around = np.pad(images, [(0, 0), (down, 0), (right, 0), (0, 0)], "edge")
    return around[:, : images.shape[1], : images.shape[2]]


def contrast(images: Array, strength: float, rng: Random) -> Array:
    """0.5 + c (x - 0.5), with c from 1 down to 0.25."""
    return 0.5 + (1 - 0.75 * strength) * (images - 0.5)


def brightness(images: Array, strength: float, rng: Random) -> Array:
    """x + b (1 - x), with b up to 0.5: every value comes nearer to white by the same share."""
    return images + 0.5 * strength * (1 - images)


Disturbance = Callable[[Array, float, Random], Array]

DISTURBANCES = MappingProxyType[str, Disturbance](
    {each.__name__: each for each in (blur, noise, shift, contrast, brightness)}
)
