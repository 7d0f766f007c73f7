"""The Laplacian pyramid: an image as what each halving of its size loses, and what is left."""

from __future__ import annotations

import numpy as np

from ..backend import Array
from ..ops.resample import upfirdn2d

FILTER = np.array([1, 4, 6, 4, 1]) / 16  # rows and columns; its outer product has /256
SMALLEST = 16  # pixels of a side


def laplacian_pyramid(images: Array, smallest: int = SMALLEST) -> list[Array]:
    """The levels L_i = G_i - up(G_{i+1}), finest first, and last G itself at the smallest size.

    G_0 are the images and G_{i+1} = down(G_i) has half the size; there are as many levels as leave
    both sides at `smallest` pixels or more, at least one.

    Args:
        images: (n, h, w, c), of floats.
        smallest: no level has a side of fewer pixels, unless the images have.

    Source: Burt & Adelson 1983, "The Laplacian pyramid as a compact image code".
    """
    levels = []
    while (min(images.shape[1:3]) + 1) // 2 >= smallest:
        smaller = down(images)
        levels.append(images - up(smaller, images.shape[1:3]))
        images = smaller
    return [*levels, images]


def reconstruct(levels: list[Array]) -> Array:
    """The images that a Laplacian pyramid was made of: G_i = L_i + up(G_{i+1})."""
    *finer, images = levels
    for level in reversed(finer):
        images = level + up(images, level.shape[1:3])
    return images


def down(images: Array) -> Array:
    """Every second pixel of the filtered images, mirrored at their borders."""
    return upfirdn2d(_mirrored(images), FILTER, down=2).numpy()


def up(images: Array, size: tuple[int, ...]) -> Array:
    """Images of (height, width), twice as large: zeros between the pixels, filtered by 4 times."""
    n, _, _, channels = images.shape
    spread = np.zeros((n, *size, channels), images.dtype)
    spread[:, ::2, ::2] = images
    return upfirdn2d(_mirrored(spread), FILTER, gain=4.0).numpy()


def _mirrored(images: Array) -> Array:
    return np.pad(images, [(0, 0), (2, 2), (2, 2), (0, 0)], "reflect")
