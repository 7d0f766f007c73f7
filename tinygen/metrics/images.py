"""Images as metrics take them: one form, and checks that two sets may be compared."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from ..backend import Array, as_array, to_numpy
from ..core import TensorLike, data_of
from .statistics import Score

SMALLEST = 8  # pixels of a side
BLOCK = 2**22  # numbers that are worked on at a time


def images_of(metric: str, **sets: TensorLike) -> list[Array]:
    """The sets as arrays (n, height, width, channels) on the CPU, if they may be compared.

    Args:
        metric: names the caller in messages.
        sets: images (n, h, w) or (n, h, w, c), by their names in messages.

    Raises ValueError for sets that are empty, no real numbers, NaN or infinite; for sides below 8
    pixels; and for two sets that differ in size or channels, of which one has integers and the
    other floats, or whose values span different ranges.
    """
    found = {name: _images(metric, name, images) for name, images in sets.items()}
    (first, one), *others = found.items()
    for name, other in others:
        if other.shape[1:] != one.shape[1:]:
            raise ValueError(
                f"{metric}: {first} has images of {_size(one)}, {name} of {_size(other)}; resize "
                "or crop one of them"
            )
        if (one.dtype.kind == "f") != (other.dtype.kind == "f"):
            raise ValueError(
                f"{metric}: {first} holds {one.dtype}, {name} {other.dtype}; integers are most "
                "often 0..255 and floats [0, 1]: bring both to one range and type"
            )
        _one_range(metric, (first, one), (name, other))
    return list(found.values())


def pairs_of(metric: str, a: TensorLike, b: TensorLike, data_range: float) -> tuple[Array, Array]:
    """Both sets of image pairs, checked as `images_of` does; a lone image may be (h, w).

    Raises ValueError also for different counts, and for values far outside of [0, data_range].
    """
    a, b = (_array(metric, name, x) for name, x in (("a", a), ("b", b)))
    if a.ndim == b.ndim == 2:
        a, b = a[np.newaxis], b[np.newaxis]
    a, b = images_of(metric, a=a, b=b)
    if len(a) != len(b):
        raise ValueError(f"{metric}: {len(a)} images cannot be paired with {len(b)}")
    check_range(metric, data_range, a=a, b=b)
    return a, b


def check_range(metric: str, data_range: float, **sets: Array) -> None:
    """Raise ValueError unless the values are from 0 to data_range, give or take half of it.

    A generator without a bounded activation overshoots a little; beyond that it is another range.
    """
    if not 0 < data_range < np.inf:
        raise ValueError(f"{metric}: data_range must be positive and finite, not {data_range}")
    for name, images in sets.items():
        low, high = _range(images)
        if low < -data_range / 2 or high > 1.5 * data_range:
            raise ValueError(
                f"{metric}: {name} has values from {low:.4g} to {high:.4g}, which is not "
                f"[0, {data_range:g}]; shift [-1, 1] by (x + 1) / 2, or give data_range="
            )


def blocks(images: Array, copies: int = 1) -> Iterator[slice]:
    """Slices of a set, so that `copies` arrays of their size are not too large."""
    step = max(1, BLOCK // (copies * images[0].size))
    return (slice(i, i + step) for i in range(0, len(images), step))


def mean_score(values: Array) -> Score:
    """The mean of a number for each image or pair, with its standard error s / sqrt(n)."""
    n, mean = len(values), float(values.mean())
    known = n > 1 and math.isfinite(mean)
    return Score(mean, float(values.std(ddof=1)) / math.sqrt(n) if known else math.nan, n)


def _array(metric: str, name: str, images: TensorLike) -> Array:
    array = to_numpy(as_array(data_of(images)))
    if array.dtype.kind not in "buif":
        raise ValueError(f"{metric}: {name} must hold real numbers, not {array.dtype}")
    return array


def _images(metric: str, name: str, images: TensorLike) -> Array:
    array = _array(metric, name, images)
    if array.ndim not in (3, 4):
        raise ValueError(
            f"{metric}: {name} must be (n, height, width) or (n, height, width, channels), got "
            f"shape {array.shape}"
        )
    array = array if array.ndim == 4 else array[..., np.newaxis]
    if not array.size:
        raise ValueError(f"{metric}: {name} is empty, its shape is {array.shape}")
    if min(array.shape[1:3]) < SMALLEST:
        raise ValueError(
            f"{metric}: {name} has images of {_size(array)}, but sides must have at least "
            f"{SMALLEST} pixels; a single image is a set of one, image[np.newaxis], and channels "
            "come last"
        )
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        wrong = np.flatnonzero(~np.isfinite(array).reshape(len(array), -1).all(axis=1))
        raise ValueError(
            f"{metric}: {name} holds NaN or infinity in {len(wrong)} of {len(array)} images, "
            f"first in number {wrong[0]}"
        )
    return array


def _one_range(metric: str, *sets: tuple[str, Array]) -> None:
    """Raise ValueError if one set is as in [0, 1] and the other as in [-1, 1] or 0..255.

    Noise, overshoot, contrast and brightness are no reason: the lowest value of a set that is
    meant to be signed is nearly as far from 0 as its highest, and 255 is far from 1.
    """
    ranges = [_range(images) for _, images in sets]
    reach = [max(-low, high) for low, high in ranges]
    signed = [low < -r / 2 for (low, _), r in zip(ranges, reach, strict=True)]
    negative = [low < 0 for low, _ in ranges]
    if (signed[0] and not negative[1]) or (signed[1] and not negative[0]):
        advice = "shift [-1, 1] to [0, 1] by (x + 1) / 2"
    elif min(reach) <= 2 and max(reach) > 16 and sets[0][1].dtype.kind == "f":
        advice = "divide 0..255 by 255"
    else:
        return
    (one, _), (other, _) = sets
    texts = [f"from {low:.4g} to {high:.4g}" for low, high in ranges]
    raise ValueError(
        f"{metric}: the values of {one} are {texts[0]}, those of {other} {texts[1]}: bring both "
        f"to one range ({advice})"
    )


def _range(images: Array) -> tuple[float, float]:
    return float(images.min()), float(images.max())


def _size(images: Array) -> str:
    height, width, channels = images.shape[1:]
    return f"{height} x {width} pixels and {channels} channel{'s' * (channels != 1)}"
