"""Similarity of image pairs: PSNR, SSIM, and SSIM at several scales; diversity of one set."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..backend import Array
from ..core import TensorLike
from ..ops.random import Random
from ..ops.resample import downsample2d, upfirdn2d
from ..ranges import positive, whole
from .images import blocks, check_range, images_of, mean_score, pairs_of
from .statistics import Score

WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the levels, finest first
WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03


def psnr(a: TensorLike, b: TensorLike, data_range: float = 1.0) -> Score:
    """Peak signal-to-noise ratio in decibels, the mean over pairs.

    PSNR = 10 log10(data_range^2 / mean (a - b)^2) of each pair; infinite if a pair is identical.

    Args:
        a: images (n, h, w) or (n, h, w, c), values from 0 to data_range; one may be (h, w).
        b: their counterparts, of the same shape.
        data_range: the largest value that there can be, 255 for bytes.

    Returns:
        The mean with its standard error over pairs; higher is more alike.

    Raises ValueError as `images_of` does, for different counts, and for values of another range.
    """
    a, b = pairs_of("psnr", a, b, data_range)
    errors = np.concatenate(
        [((_floats(a[s]) - _floats(b[s])) ** 2).mean(axis=(1, 2, 3)) for s in blocks(a, 2)]
    )
    with np.errstate(divide="ignore"):  # identical images
        return mean_score(20 * math.log10(data_range) - 10 * np.log10(errors))


def ssim(a: TensorLike, b: TensorLike, data_range: float = 1.0) -> Score:
    """Structural similarity, the mean over pairs, channels and places.

    In a Gaussian window around each place, with means m, variances v and covariance v_ab,

        SSIM = (2 m_a m_b + C1) / (m_a^2 + m_b^2 + C1) (2 v_ab + C2) / (v_a + v_b + C2)

    with C1 = (0.01 data_range)^2 and C2 = (0.03 data_range)^2. The window has 11 x 11 pixels and a
    standard deviation of 1.5, both in proportion smaller for images of fewer pixels, and does not
    reach over the border. Arguments and errors are those of `psnr`.

    Returns:
        The mean with its standard error over pairs, from -1 to 1; 1 only for identical images.

    Source: Wang et al. 2004, "Image quality assessment: from error visibility to structural
    similarity".
    """
    a, b = pairs_of("ssim", a, b, data_range)
    parts = [_similarity(_floats(a[s]), _floats(b[s]), data_range)[0] for s in blocks(a, 8)]
    return mean_score(np.concatenate(parts).mean(axis=1))


def ms_ssim(
    a: TensorLike,
    b: TensorLike,
    data_range: float = 1.0,
    weights: Sequence[float] = WEIGHTS,
) -> Score:
    """Structural similarity at several scales, the mean over pairs and channels.

        MS-SSIM = SSIM_last^w_last prod_{l < last} CS_l^w_l

    where CS is the second factor of `ssim`, contrast and structure, each is the mean over places,
    negative ones are taken as 0, and a level is half as large as the one before, by the mean of
    2 x 2 pixels. The window shrinks with the level as in `ssim`.

    Images are first enlarged by reflection at their borders (without repeating the outermost
    pixels), evenly on both sides, until every level but the last has an even number of pixels and
    the last at least two: with five levels to a multiple of 16, at least 32, so 28 becomes 32.

    Args:
        a: images (n, h, w) or (n, h, w, c), values from 0 to data_range; one may be (h, w).
        b: their counterparts, of the same shape.
        data_range: the largest value that there can be, 255 for bytes.
        weights: the exponents, finest level first, one for each level: fewer are fewer levels.

    Returns:
        The mean with its standard error over pairs, from 0 to 1; 1 only for identical images.

    Raises ValueError as `psnr` does, for weights that are none or not positive, and for images that
    are too small for so many levels (below 12 pixels for five).

    Source: Wang et al. 2003, "Multiscale structural similarity for image quality assessment"; of
    colour images each channel has its MS-SSIM, as each has its SSIM.
    """
    a, b = pairs_of("ms_ssim", a, b, data_range)
    pads = _pads("ms_ssim", a, weights)
    parts = [_multiscale(a[s], b[s], data_range, weights, pads) for s in blocks(a, 8)]
    return mean_score(np.concatenate(parts))


def ms_ssim_diversity(
    images: TensorLike,
    pairs: int = 10_000,
    data_range: float = 1.0,
    weights: Sequence[float] = WEIGHTS,
    *,
    rng: Random,
) -> Score:
    """Mean MS-SSIM of random pairs of one set: the higher, the LESS diverse the images are.

    It is 1 if all images are the same. By itself it says nothing of quality: compare it with that
    of real images at the same count.

    Args:
        images: (n, h, w) or (n, h, w, c), values from 0 to data_range, at least two.
        pairs: drawn at random, each of two different images of the set.
        data_range: the largest value that there can be, 255 for bytes.
        weights: as for `ms_ssim`.
        rng: chooses the pairs.

    Returns:
        The mean over pairs. Its standard error takes the pairs as independent, so that it is too
        small if there are many more pairs than images.

    Raises ValueError as `ms_ssim` does.

    Source: Odena et al. 2017, "Conditional image synthesis with auxiliary classifier GANs".
    """
    (images,) = images_of("ms_ssim_diversity", images=images)
    check_range("ms_ssim_diversity", data_range, images=images)
    pads = _pads("ms_ssim_diversity", images, weights)
    whole("ms_ssim_diversity: pairs", pairs)
    n = len(images)
    if n < 2:
        raise ValueError("ms_ssim_diversity: one image has no other to be compared with")
    first = rng.on("cpu").integers(0, n, pairs)
    second = (first + rng.on("cpu").integers(1, n, pairs)) % n
    step = next(blocks(images, 8)).stop
    parts = [
        _multiscale(images[i], images[j], data_range, weights, pads)
        for i, j in ((first[k : k + step], second[k : k + step]) for k in range(0, pairs, step))
    ]
    return mean_score(np.concatenate(parts))


def _floats(images: Array) -> Array:
    return images.astype(np.float64)


def _similarity(a: Array, b: Array, data_range: float) -> tuple[Array, Array]:
    """SSIM and its second factor CS, means over places: (n, channels) each."""
    size = min(WINDOW, *a.shape[1:3])
    places = (np.arange(size) - (size - 1) / 2) / (SIGMA * size / WINDOW)
    window = np.exp(-(places**2) / 2)
    window /= window.sum()
    moments = np.concatenate([a, b, a * a + b * b, a * b], axis=3)
    mean_a, mean_b, squares, products = np.split(upfirdn2d(moments, window).numpy(), 4, axis=3)
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    both, power = mean_a * mean_b, mean_a**2 + mean_b**2
    structure = (2 * (products - both) + c2) / (squares - power + c2)
    whole_map = (2 * both + c1) / (power + c1) * structure
    return whole_map.mean(axis=(1, 2)), structure.mean(axis=(1, 2))


def _multiscale(
    a: Array, b: Array, data_range: float, weights: Sequence[float], pads: list[tuple[int, int]]
) -> Array:
    """MS-SSIM of each pair, (n,)."""
    a, b = (np.pad(_floats(x), [(0, 0), *pads, (0, 0)], "reflect") for x in (a, b))
    result: Array = np.ones((len(a), a.shape[3]))
    for level, weight in enumerate(weights, 1):
        similarity, structure = _similarity(a, b, data_range)
        factor = similarity if level == len(weights) else structure
        result *= np.maximum(factor, 0) ** weight
        if level < len(weights):
            a, b = downsample2d(a).numpy(), downsample2d(b).numpy()
    return np.asarray(result.mean(axis=1))


def _pads(metric: str, images: Array, weights: Sequence[float]) -> list[tuple[int, int]]:
    """By how much rows and columns are enlarged before and after, for one level a weight."""
    if not len(weights):
        raise ValueError(f"{metric}: weights must have a number for each level, at least one")
    for weight in weights:
        positive(f"{metric}: a weight", weight)
    unit = 2 ** (len(weights) - 1)
    pads = []
    for side in images.shape[1:3]:
        missing = max(2 * unit, -(-side // unit) * unit) - side
        if (missing + 1) // 2 >= side:
            raise ValueError(
                f"{metric}: images with a side of {side} pixels are too small for {len(weights)} "
                "levels: give fewer weights="
            )
        pads.append((missing // 2, (missing + 1) // 2))
    return pads
