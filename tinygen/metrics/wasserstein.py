"""The sliced Wasserstein distance between the patches of two sets of images."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ..backend import Array
from ..core import TensorLike
from ..names import nearest
from ..ops.random import Random
from ..ranges import whole
from .images import blocks, images_of
from .pyramid import laplacian_pyramid
from .statistics import Score

PATCH = 7
PROJECTIONS = 2**25  # numbers that are sorted at a time, of either set
CONSTANT = 1e-6  # a smaller standard deviation, as a share of the largest value, is rounding

Normalisation = Literal["own", "reals"]


class SlicedWasserstein(Score):
    """The sliced Wasserstein distance: by `float()` the average over levels, times 1,000.

    Attributes:
        levels: the distance at each level of the pyramid, finest first.
        standard_error: of the average, from the random directions alone.
    """

    levels: tuple[float, ...]


def sliced_wasserstein(
    real: TensorLike,
    fake: TensorLike,
    *,
    rng: Random,
    normalize: Normalisation = "own",
    patches: int = 128,
    directions: int = 4 * 128,
) -> SlicedWasserstein:
    """Sliced Wasserstein distance between patches of the Laplacian levels of two sets, x 1,000.

    At each level of the pyramid (halved while 16 pixels are left) `patches` patches of 7 x 7 pixels
    are cut out of every image and normalised by the mean and standard deviation of each channel.
    For a random direction u of unit length the distance is

        W(u) = mean_i |sorted(real u)_i - sorted(fake u)_i|

    and the result is the mean over directions, then over levels, times 1,000. Image number i of
    either set is cut at the same places, so that identical sets give exactly 0. Otherwise it is 0
    or more, and for two samples of one law not 0: compare it with that of real images against
    others at the same count.

    Args:
        real: images (n, h, w) or (n, h, w, c), any number of channels.
        fake: as many, of the same size and range.
        rng: draws places and directions.
        normalize: "own", each set by its own mean and standard deviation, as in the paper: contrast
            and brightness of a set as a whole are NOT seen then; "reals", both by those of `real`,
            sees them. A channel that is constant all over is only centred.
        patches: of each image.
        directions: the paper's 4 repeats of 128.

    Besides the images, memory is needed for a copy of both sets in float32 and for about 300 MB.

    Raises ValueError as `images_of` does, and for different counts.

    Source: Karras et al. 2018, "Progressive growing of GANs for improved quality, stability, and
    variation", with 16,384 images of either set.
    """
    if normalize not in ("own", "reals"):
        raise ValueError(
            f"sliced_wasserstein: unknown normalize {normalize!r}"
            f"{nearest(normalize, ('own', 'reals'))}"
        )
    whole("sliced_wasserstein: patches", patches)
    whole("sliced_wasserstein: directions", directions)
    real, fake = images_of("sliced_wasserstein", real=real, fake=fake)
    if len(real) != len(fake):
        raise ValueError(
            f"sliced_wasserstein: {len(real)} real and {len(fake)} fake images; sorted projections "
            "are compared one by one, so give as many of each"
        )
    rng = rng.on("cpu")
    rounding = [CONSTANT * max(np.abs(images).max(), 1e-300) for images in (real, fake)]
    distances = []
    for a, b in zip(_levels(real), _levels(fake), strict=True):
        n, height, width, channels = a.shape
        places = np.stack(
            [rng.integers(0, side - PATCH + 1, (n, patches)) for side in (height, width)]
        )
        slopes = rng.normal((directions, channels * PATCH**2), dtype=np.float64)
        slopes /= np.linalg.norm(slopes, axis=1, keepdims=True)
        reals = _moments(a, places, rounding[0])
        fakes = _moments(b, places, rounding[1])
        _normalise(a, *reals)
        _normalise(b, *(fakes if normalize == "own" else reals))
        distances.append(1000 * _distances(a, b, places, slopes.astype(np.float32)))
    return _score(np.array(distances), len(real))


def _score(distances: Array, count: int) -> SlicedWasserstein:
    """The distances of (levels, directions) put together."""
    levels, directions = distances.shape
    spread = distances.std(axis=1, ddof=1) if directions > 1 else np.full(levels, np.nan)
    error = np.sqrt((spread**2).sum() / directions) / levels
    score = SlicedWasserstein(distances.mean(), float(error), count)
    score.levels = tuple(distances.mean(axis=1).tolist())
    return score


def _levels(images: Array) -> list[Array]:
    """The Laplacian pyramid in float32, computed block by block in float64."""
    levels: list[Array] = []
    for s in blocks(images, 4):
        for i, part in enumerate(laplacian_pyramid(images[s].astype(np.float64))):
            if s.start == 0:
                levels.append(np.empty((len(images), *part.shape[1:]), np.float32))
            levels[i][s] = part
    return levels


def _cut(images: Array, places: Array, s: slice) -> Array:
    """The patches of images `s`: (images, patches, channels, 7, 7)."""
    rows, columns = places[:, s]
    windows = np.lib.stride_tricks.sliding_window_view(images[s], (PATCH, PATCH), (1, 2))
    return np.asarray(windows[np.arange(len(rows))[:, np.newaxis], rows, columns])


def _blocks(images: Array, places: Array) -> list[slice]:
    """Slices of a set whose patches are together not too large."""
    patches = places.shape[2] * images.shape[3] * PATCH**2
    return list(blocks(images, -(-patches // images[0].size)))


def _moments(images: Array, places: Array, rounding: float) -> tuple[Array, Array]:
    """Mean and standard deviation of each channel over all patches; 1 for one up to rounding."""
    mean = images.mean(axis=(0, 1, 2), dtype=np.float64)  # near enough that nothing is cancelled
    sums, squares, count = np.zeros(len(mean)), np.zeros(len(mean)), 0
    for s in _blocks(images, places):
        patches = _cut(images, places, s) - mean[:, np.newaxis, np.newaxis]
        sums += patches.sum(axis=(0, 1, 3, 4))
        squares += np.einsum("npcij,npcij->c", patches, patches)
        count += patches.size // len(mean)
    rest = sums / count
    std = np.sqrt(np.maximum(squares / count - rest**2, 0))
    return mean + rest, np.where(std > rounding, std, 1.0)


def _normalise(images: Array, mean: Array, std: Array) -> None:
    """(x - mean) / std of each channel, in place."""
    images -= mean.astype(np.float32)
    images /= std.astype(np.float32)


def _distances(a: Array, b: Array, places: Array, slopes: Array) -> Array:
    """W(u) of all directions, (directions,)."""
    count = places.shape[1] * places.shape[2]
    step = max(1, PROJECTIONS // count)
    result = []
    for first in range(0, len(slopes), step):
        some = slopes[first : first + step]
        difference = _sorted_projections(a, places, some)
        difference -= _sorted_projections(b, places, some)
        result.append(np.abs(difference, out=difference).mean(axis=1, dtype=np.float64))
    return np.concatenate(result)


def _sorted_projections(images: Array, places: Array, slopes: Array) -> Array:
    """The patches along each direction, in order: (directions, patches)."""
    patches = places.shape[2]
    result = np.empty((len(slopes), len(images) * patches), np.float32)
    for s in _blocks(images, places):
        cut = _cut(images, places, s)
        flat = cut.reshape(len(cut) * patches, -1)
        result[:, s.start * patches : s.stop * patches] = slopes @ flat.T
    result.sort(axis=1)
    return result
