"""Images from folders and from .npz files: always uint8 of shape (n, height, width, channels)."""

from __future__ import annotations

import math
import os
import sys
import warnings
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, cast

import numpy as np

from ..backend import Array
from .errors import DEFLATE_RATIO, MAX_BYTES, DataError, check_name, check_regular

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset(
    (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
)
MAX_PIXELS = 2**26  # of one image file, 8,192 x 8,192
# What zipfile and NumPy raise on damaged files; OSError comes from seeking to where nothing can be,
# RuntimeError from an archive with a password, TypeError and OverflowError from a shape.
NPZ_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError),
    *(TypeError, OverflowError),
)


class Folder(NamedTuple):
    """The image files in a folder, and their classes if its sub-folders are classes."""

    paths: tuple[Path, ...]
    labels: Array | None  # (n,) int64
    class_names: tuple[str, ...]


def list_folder(folder: str | os.PathLike[str]) -> Folder:
    """All image files in `folder` and below, sorted by path; hidden files are left out.

    Links to files and folders are followed, but for those that lead back to a folder above. If
    every image lies in a sub-folder, the sub-folders of `folder` are the classes.

    Raises:
        DataError: there is no image, what is named like one is a broken link or no file, or the
            name of a class is not UTF-8.
        OSError: a folder cannot be read.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder}: not a folder")
    inside = sorted(path.relative_to(folder) for path in _image_files(folder, ()))
    if not inside:
        kinds = ", ".join(sorted(SUFFIXES))
        raise DataError(f"{folder}: no image in this folder or below. Files of {kinds} are read.")
    paths = tuple(folder / path for path in inside)
    if any(len(path.parts) == 1 for path in inside):
        return Folder(paths, None, ())
    for name in {path.parts[0] for path in inside}:
        check_name(name)
    class_names, labels = np.unique([path.parts[0] for path in inside], return_inverse=True)
    return Folder(paths, labels.astype(np.int64), tuple(class_names.tolist()))


def _image_files(folder: Path, above: tuple[tuple[int, int], ...]) -> Iterator[Path]:
    """The files in a folder and below that look like images and are not hidden.

    `above` are the folders on the way here: a link to one of them would lead on for ever.
    """
    found = folder.stat()
    here = (found.st_dev, found.st_ino)
    if here in above:
        return
    for path in folder.iterdir():
        if path.name.startswith(".") or path.name == "__MACOSX":
            continue
        if path.is_dir():
            yield from _image_files(path, (*above, here))
        elif path.suffix.lower() in SUFFIXES:
            if not path.exists():
                raise DataError(f"{path}: a link to a file that is not there. Remove or mend it.")
            check_regular(path)
            yield path


def read_images(
    paths: Sequence[str | os.PathLike[str]],
    *,
    size: int | None = None,
    channels: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> Array:
    """Decode image files into one array.

    Images are turned upright by their EXIF orientation, and transparent ones are put on white.

    Args:
        paths: the files.
        size: crop each image to its central square and resize that to size x size (Lanczos);
            without it, all must have the same size.
        channels: 1 for grey, 3 for RGB; without it grey if every file is grey, else RGB.
        max_bytes: refuse to read more than this.

    Returns:
        (n, height, width, channels), uint8.

    Raises:
        DataError: a file cannot be decoded, is too large, or has another size than the first.
    """
    if not paths:
        raise DataError("read_images: no files were given")
    if channels is None:
        channels = 1 if all(_is_grey(path) for path in paths) else 3
    if size is not None:  # before any image is enlarged
        check_total((len(paths), size, size, channels), max_bytes)
    first = _read(paths[0], size, channels)
    check_total((len(paths), *first.shape), max_bytes)
    images: Array = np.empty((len(paths), *first.shape), np.uint8)
    for i, path in enumerate(paths):
        image = _read(path, size, channels) if i else first
        if image.shape != first.shape:
            raise DataError(
                f"{os.fspath(path)} has {_sides(image)} pixels, {os.fspath(paths[0])} has"
                f" {_sides(first)}. Give size=, such as size=64: each image is then cropped to"
                " its central square and resized."
            )
        images[i] = image
    return images


def in_words(height: int, width: int, channels: int) -> str:
    """The format of an image as a person would say it.

    >>> in_words(32, 48, 3)
    '48 x 32 RGB'
    """
    return f"{width} x {height} {'grey' if channels == 1 else 'RGB'}"


def format_of(path: str | os.PathLike[str]) -> str:
    """The format of one image file, in words."""
    with _opened(path) as image:
        return in_words(image.height, image.width, 1 if _has_grey(image) else 3)


def conform(images: Array, size: int | None = None, channels: int | None = None) -> Array:
    """Bring uint8 images (n, h, w, c) to `size` x `size` and `channels`, as `read_images` does."""
    n, height, width, depth = images.shape
    wanted = (n, size or height, size or width, channels or depth)
    if wanted == images.shape:
        return images
    check_total(wanted, MAX_BYTES)
    from PIL import Image

    flat = images[..., 0] if depth == 1 else images
    out: Array = np.empty(wanted, np.uint8)
    for i in range(n):
        out[i] = _pixels(Image.fromarray(flat[i]), size, wanted[3])
    return out


def as_floats(images: Array) -> Array:
    """uint8 from 0 to 255 as float32 from 0 to 1, of the same shape.

    Raises TypeError for any other type, whose largest value it cannot know.

    >>> as_floats(np.array([0, 51, 255], np.uint8)).tolist()
    [0.0, 0.20000000298023224, 1.0]
    """
    dtype = np.asarray(images).dtype
    if dtype != np.uint8:
        raise TypeError(
            f"as_floats: images must be uint8 from 0 to 255, not {dtype}; divide others by their "
            "largest value yourself, as in (images / 65535).astype('float32')"
        )
    return cast(Array, np.divide(images, np.float32(255), dtype=np.float32))


# Decoding one file ------------------------------------------------------------------------------


@contextmanager
def _opened(path: str | os.PathLike[str]) -> Iterator[Image]:
    """An image file whose size has been checked; all that Pillow may raise becomes a DataError."""
    from PIL import Image

    check_regular(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise ValueError(f"{image.width} x {image.height} pixels are too many")
                yield image
    except Exception as error:  # on damaged files Pillow's decoders raise almost anything
        raise DataError(
            f"{os.fspath(path)}: cannot be read as an image: {error}. Remove it or save it again."
        ) from error


def _is_grey(path: str | os.PathLike[str]) -> bool:
    with _opened(path) as image:
        return _has_grey(image)


def _has_grey(image: Image) -> bool:
    return image.mode in ("1", "L", "LA", "La") or _has_16_bits(image)


def _read(path: str | os.PathLike[str], size: int | None, channels: int) -> Array:
    """The pixels (h, w, c) of one file."""
    from PIL import ImageOps

    with _opened(path) as image:
        deep = _has_16_bits(image)
        return _pixels(_flattened(ImageOps.exif_transpose(image), deep), size, channels)


def _has_16_bits(image: Image) -> bool:
    """Whether a grey image, as it was opened, has 16 bits a pixel; .pgm keeps them in 32."""
    return image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PPM")


def _flattened(image: Image, deep: bool) -> Image:
    """The image with 8 bits a channel instead of 16 if it is `deep`; what is transparent on white.

    Raises ValueError for other depths.
    """
    from PIL import Image

    if deep:  # Pillow's own conversion would clip at 255
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise ValueError("its pixels have 32 bits; 8 or 16 can be read")
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image.convert("RGBA"))
    return image


def _pixels(image: Image, size: int | None, channels: int) -> Array:
    """The pixels (h, w, c) after the change to grey or RGB, the crop and the resizing."""
    from PIL import Image, ImageOps

    image = image.convert("L" if channels == 1 else "RGB")
    if size is not None and image.size != (size, size):
        image = ImageOps.fit(image, (size, size), method=Image.Resampling.LANCZOS)
    return np.asarray(image).reshape(image.height, image.width, channels)


def check_total(shape: tuple[int, ...], max_bytes: int) -> None:
    """Raise if images (n, h, w, c) would take more than `max_bytes`."""
    n, height, width, _ = shape
    total = math.prod(shape)
    if total > max_bytes:
        raise DataError(
            f"{n:,} images of {width} x {height} take {total:,} bytes;"
            f" at most {max_bytes:,} are read. Give a smaller size= or count=."
        )


def _sides(image: Array) -> str:
    return f"{image.shape[1]} x {image.shape[0]}"


# .npz -------------------------------------------------------------------------------------------


def read_npz(
    path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES
) -> tuple[Array, Array | None]:
    """The arrays `images` and, if there is one, `labels` of an .npz file; others are ignored.

    `images` may be uint8, or floats in [0, 1], of shape (n, h, w) or (n, h, w, c) with 1 or 3
    channels; `labels` integers of shape (n,). Pickled objects are never read, and headers are
    checked against the size of the file before anything is allocated.

    Returns:
        images (n, h, w, c) uint8; labels (n,) int64 or None.

    Raises:
        DataError: not such a file, damaged, or too large.
        OSError: it cannot be opened.
    """
    check_regular(path)
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                return _read_archive(archive, os.path.getsize(path), max_bytes)
        except NPZ_ERRORS as error:
            raise DataError(
                f"{os.fspath(path)}: {error}. Make such a file with"
                " np.savez(path, images=uint8 of (n, h, w, c), labels=integers of (n,))."
            ) from None


def _read_archive(
    archive: zipfile.ZipFile, size: int, max_bytes: int
) -> tuple[Array, Array | None]:
    members = sorted(archive.namelist())
    if "images.npy" not in members:
        raise DataError(f"no array called images; there is {', '.join(members) or 'nothing'}")
    images = _as_images(_read_member(archive, "images.npy", size, max_bytes))
    if "labels.npy" not in members:
        return images, None
    labels = _read_member(archive, "labels.npy", size, max_bytes)
    return images, _as_labels(labels, len(images))


def _read_member(archive: zipfile.ZipFile, name: str, size: int, max_bytes: int) -> Array:
    """One array of the archive of `size` bytes, once its header has been found credible."""
    info = archive.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(f"{name} is compressed in a way that NumPy does not write")
    with archive.open(info) as stream:
        shape, dtype = _read_npy_header(cast(BinaryIO, stream), name)
    total = math.prod(shape) * dtype.itemsize
    promise = f"the header of {name} promises {dtype} of shape {shape}, {total:,} bytes"
    if total > max_bytes:
        raise DataError(f"{promise}; at most {max_bytes:,} are read")
    packed = min(info.compress_size, size)
    ratio = 1 if info.compress_type == zipfile.ZIP_STORED else DEFLATE_RATIO
    if total > min(info.file_size, ratio * packed):
        raise DataError(f"{promise}, more than the file holds")
    with archive.open(info) as stream:
        array: Array = np.lib.format.read_array(stream, allow_pickle=False)
        if stream.read(1):  # this also makes zipfile compare its checksum
            raise DataError(f"{promise}, and more data follows")
    return np.ascontiguousarray(array)


def _read_npy_header(stream: BinaryIO, name: str) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """The shape and type that the header of a .npy file promises."""
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    try:
        version = np.lib.format.read_magic(stream)
        shape, _, dtype = readers[version](stream)
    except zipfile.BadZipFile:  # a wrong checksum
        raise
    except Exception as error:  # the header is Python source: damaged, it can raise anything
        raise DataError(f"the header of {name} cannot be read") from error
    if dtype.hasobject:
        raise DataError(f"{name} holds pickled Python objects, which are never read")
    if dtype.kind not in "buif":
        raise DataError(f"{name} holds {dtype}, which are no plain numbers")
    if any(type(side) is not int or not 0 <= side <= sys.maxsize for side in shape):
        raise DataError(f"the header of {name} promises the impossible shape {shape}")
    return shape, dtype


def _as_images(images: Array) -> Array:
    """uint8 (n, h, w, c) from what an .npz may hold."""
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or images.shape[3] not in (1, 3) or 0 in images.shape:
        raise DataError(
            f"images has shape {images.shape}; (n, h, w) or (n, h, w, c) with 1 or 3 channels"
            " and at least one pixel is wanted"
        )
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise DataError(f"images has type {images.dtype}; uint8, or floats in [0, 1], are wanted")
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 1):  # also if one is NaN
        raise DataError(f"images reaches from {low} to {high}; floats must be in [0, 1]")
    return cast(Array, np.rint(images * 255).astype(np.uint8))


def _as_labels(labels: Array, n: int) -> Array:
    """int64 (n,) from what an .npz may hold."""
    if labels.dtype.kind not in "iu" or labels.shape != (n,):
        raise DataError(
            f"labels is {labels.dtype} of shape {labels.shape}; integers of shape ({n},) are wanted"
        )
    return labels.astype(np.int64)
