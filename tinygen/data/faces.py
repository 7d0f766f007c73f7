"""`faces`: cartoon faces drawn by our own code, with the factors from which each was drawn.

The library's built-in data set, and ground truth for questions about latent space: what a factor
does to a picture, and nothing else, is known by construction.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .factors import FACTORS, Factor, complete_factors, sample_factors
from .hair import STYLES
from .portrait import paint_portraits

__all__ = ["FACTORS", "Faces", "Factor", "cached_faces", "draw", "faces"]

SMALLEST, LARGEST = 4, 256
FINEST = 64  # smaller pictures are painted at least this large and then averaged
CHUNK = 2**18  # pixels painted together: many enough that two threads seldom wait for Python
LUMA = (0.299, 0.587, 0.114)  # the shares of red, green and blue in grey (ITU-R BT.601)
SOURCES = ("drawing.py", "factors.py", "hair.py", "portrait.py", "faces.py")


class Faces(NamedTuple):
    """Pictures and what they show.

    Args:
        images: uint8, (n, size, size, channels).
        factors: an array of n values for every name in FACTORS: of a category the index of its
            value (int64), of a continuous factor the number (float32).
    """

    images: NDArray[np.uint8]
    factors: dict[str, NDArray[Any]]


def faces(n: int, size: int = 64, *, channels: int = 3, seed: int = 0, first: int = 0) -> Faces:
    """The faces `first` to `first + n - 1` of an endless sequence.

    A face depends on the seed and its number alone. Its factors are independent of each other.

    Args:
        n: how many.
        size: height and width in pixels, 4 to 256.
        channels: 3 for RGB, 1 for grey.
        seed: which sequence.
        first: the number of the first face.

    Raises:
        ValueError: for a size, channels, n or first that cannot be.

    >>> images, factors = faces(2, size=28)
    >>> images.shape, images.dtype
    ((2, 28, 28, 3), dtype('uint8'))
    >>> bool(-1 <= factors["smile"][0] <= 1)
    True
    """
    if n < 0 or first < 0:
        raise ValueError(f"faces: n and first must not be negative, but n={n} and first={first}")
    _check_format(size, channels)
    factors = sample_factors(n, seed, first)
    return Faces(draw(factors, size, channels), factors)


def draw(factors: Mapping[str, Any], size: int = 64, channels: int = 3) -> NDArray[np.uint8]:
    """Pictures of faces with the given factors: uint8, (n, size, size, channels).

    Args:
        factors: for names in FACTORS, n values or one for all: numbers in the factor's range, of a
            category indices or names. Factors left out take their default.
        size: height and width in pixels, 4 to 256.
        channels: 3 for RGB, 1 for grey.

    Raises:
        ValueError: for an unknown factor, a value out of its range, arrays of different lengths,
            or a size or channels that cannot be.

    >>> draw({"hair_style": "curly", "smile": [-1, 0, 1]}, size=32, channels=1).shape
    (3, 32, 32, 1)
    """
    _check_format(size, channels)
    complete = complete_factors(factors)
    images = np.empty((len(complete["smile"]), size, size, channels), np.uint8)
    scale = -(-FINEST // size)

    def draw_some(members: NDArray[np.int64]) -> None:
        some = {name: values[members] for name, values in complete.items()}
        painted = _shrink(paint_portraits(some, size * scale), scale)
        images[members] = _develop(painted, channels)

    chunks = _chunks(complete["hair_style"], max(1, CHUNK // (size * scale) ** 2))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(draw_some, chunks):
            pass
    return images


def cached_faces(
    n: int, size: int, channels: int, seed: int, cache_dir: str | os.PathLike[str]
) -> Faces:
    """The faces 0 to n - 1, from a file in `cache_dir` if they have been drawn before.

    A file that is damaged, or was drawn by other code, is not used: the faces are drawn again.
    Where the file cannot be written a warning says so.
    """
    name = f"faces-{n}x{size}x{size}x{channels}-seed{seed}-{_source_hash()}.npz"
    path = Path(cache_dir) / name
    drawn = _load(path, (n, size, size, channels))
    if drawn is None:
        drawn = faces(n, size, channels=channels, seed=seed)
        try:
            _save(path, drawn)
        except OSError as error:
            warnings.warn(
                f"{path}: the faces could not be kept there ({error}), so the next run will draw "
                f"them again. Make room in the folder or choose another.",
                stacklevel=2,
            )
    return drawn


def _check_format(size: int, channels: int) -> None:
    if not SMALLEST <= size <= LARGEST:
        raise ValueError(
            f"faces: size {size} is not from {SMALLEST} to {LARGEST} pixels. "
            f"Draw the nearest of these and resize it."
        )
    if channels not in (1, 3):
        raise ValueError(f"faces: channels must be 3 (RGB) or 1 (grey), not {channels}")


def _chunks(hair_styles: NDArray[np.int64], limit: int) -> Iterator[NDArray[np.int64]]:
    """The numbers of all faces, at most `limit` at a time, of one hair style each."""
    for style in range(len(STYLES)):
        members = np.flatnonzero(hair_styles == style)
        for start in range(0, len(members), limit):
            yield members[start : start + limit]


def _shrink(pictures: NDArray[np.float32], scale: int) -> NDArray[np.float32]:
    """The mean of every scale x scale square of pixels: (3, n, h, w) to (3, n, h/s, w/s)."""
    colours, n, height, width = pictures.shape
    squares = pictures.reshape(colours, n, height // scale, scale, width // scale, scale)
    means: NDArray[np.float32] = squares.sum(axis=5).sum(axis=3) / np.float32(scale * scale)
    return means


def _develop(pictures: NDArray[np.float32], channels: int) -> NDArray[np.uint8]:
    """(3, n, h, w) from 0 to 1 as bytes, (n, h, w, channels)."""
    if channels == 1:
        red, green, blue = (share * plane for share, plane in zip(LUMA, pictures, strict=True))
        pictures = (red + green + blue)[None]
    rounded: NDArray[np.uint8] = (pictures * 255 + np.float32(0.5)).astype(np.uint8)
    return rounded.transpose(1, 2, 3, 0)


def _source_hash() -> str:
    """A fingerprint of the code that draws, so that a changed drawing is not taken from a cache."""
    folder = Path(__file__).parent
    digest = hashlib.sha256(b"".join((folder / name).read_bytes() for name in SOURCES))
    return digest.hexdigest()[:12]


def _load(path: Path, shape: tuple[int, ...]) -> Faces | None:
    """The faces in a file; None if there is no file, or not a sound one of this shape."""
    if not path.exists():
        return None
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            images = archive["images"]
            factors = {factor.name: archive[factor.name] for factor in FACTORS}
    except Exception:  # whatever is wrong with the file, the faces can be drawn again
        return None
    sound = images.shape == shape and images.dtype == np.uint8
    sound &= all(values.shape == shape[:1] for values in factors.values())
    return Faces(images, factors) if sound else None


def _save(path: Path, drawn: Faces) -> None:
    """Write the file under another name first, so that it is complete or absent."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        try:
            arrays: dict[str, Any] = {"images": drawn.images, **drawn.factors}
            np.savez(file, **arrays)
            file.flush()
            os.fsync(file.fileno())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise
