"""The IDX format of MNIST: a header with type and sizes, then the numbers, big end first."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np

from ..backend import Array
from .errors import DEFLATE_RATIO, MAX_BYTES, DataError, check_regular

DTYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_AXES = 4
CHUNK = 2**20


def read_idx(
    path: str | os.PathLike[str],
    *,
    advice: str = "Delete it and get it again.",
    max_bytes: int = MAX_BYTES,
) -> Array:
    """The array in an IDX file, plain or gzipped, in the machine's byte order.

    Nothing is allocated before the header has been checked against the size of the file, and the
    file must end where its header says.

    Args:
        path: the file; whether it is gzipped is seen from its first bytes, not from its name.
        advice: what the reader of an error message should do about a bad file.
        max_bytes: refuse arrays larger than this.

    Returns:
        An array with 1 to 4 axes: uint8, int8, int16, int32, float32 or float64.

    Raises:
        DataError: the file is not IDX, is damaged, truncated, or longer than it should be.
        OSError: it cannot be opened.
    """
    check_regular(path)
    try:
        size = os.path.getsize(path)
        with _opened(Path(path)) as (stream, gzipped):
            dtype, shape = _read_header(stream)
            header = 4 + 4 * len(shape)
            room = DEFLATE_RATIO * size if gzipped else size - header
            _check_size(dtype, shape, room, gzipped, max_bytes)
            array = _read_array(stream, dtype, shape)
            if stream.read(1):  # this also makes gzip compare its checksum
                raise DataError(f"header promises {_items(shape)}, and more data follows them")
    except (DataError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{os.fspath(path)}: {error}. {advice}") from None
    return array.astype(dtype.newbyteorder("="), copy=False)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BinaryIO, bool]]:
    """The bytes of the file, unpacked, and whether they were packed."""
    with path.open("rb") as file:
        gzipped = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        if gzipped:
            with gzip.GzipFile(fileobj=file) as stream:
                yield cast(BinaryIO, stream), True
        else:
            yield file, False


def _read_header(stream: BinaryIO) -> tuple[np.dtype[np.generic], tuple[int, ...]]:
    """The type and the sizes of the array that follows."""
    start = stream.read(4)
    if len(start) < 4 or start[:2] != b"\0\0":
        raise DataError(f"not an IDX file: it begins with {start!r}, not with two zero bytes")
    code, axes = start[2:]
    if code not in DTYPES:
        raise DataError(f"the header's type 0x{code:02X} is none of the IDX format")
    if not 1 <= axes <= MAX_AXES:
        raise DataError(f"the header promises {axes} axes; 1 to {MAX_AXES} can be read")
    sizes = stream.read(4 * axes)
    if len(sizes) < 4 * axes:
        raise DataError("the file ends within its header")
    return np.dtype(DTYPES[code]), struct.unpack(f">{axes}I", sizes)


def _check_size(
    dtype: np.dtype[np.generic], shape: tuple[int, ...], room: int, gzipped: bool, max_bytes: int
) -> None:
    """Raise if the array is too large for us, or cannot be in a file with that much room."""
    row = math.prod(shape[1:]) * dtype.itemsize
    total = shape[0] * row
    if total > max_bytes:
        raise DataError(
            f"header promises {_items(shape)}, {total:,} bytes; at most {max_bytes:,} are read"
        )
    if total > room and gzipped:
        raise DataError(f"header promises {_items(shape)}, more than a file this small can hold")
    if total > room:
        raise DataError(f"header promises {_items(shape)}, the file ends after {room // row:,}")


def _read_array(stream: BinaryIO, dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> Array:
    """Exactly the numbers that the header promises, piece by piece."""
    array: Array = np.empty(shape, dtype)
    flat = array.reshape(-1).view(np.uint8)
    done = 0
    while done < flat.size:
        try:
            piece = stream.read1(min(CHUNK, flat.size - done))  # type: ignore[attr-defined]  # both kinds of stream have it
        except EOFError:  # gzip's word for a truncated file
            piece = b""
        if not piece:
            whole = done * shape[0] // flat.size
            raise DataError(f"header promises {_items(shape)}, the file ends after {whole:,}")
        flat[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)
    return array


def _items(shape: tuple[int, ...]) -> str:
    """What a header promises, in words."""
    if len(shape) == 1:
        return f"{shape[0]:,} numbers"
    kind = "images" if len(shape) == 3 else "items"
    return f"{shape[0]:,} {kind} of {' x '.join(map(str, shape[1:]))}"
