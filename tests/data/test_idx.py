"""The IDX reader: every type and number of axes, and every way in which a file can be wrong."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygen.data import DataError, read_idx
from tinygen.data.idx import DTYPES

IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)


def idx_bytes(array: np.ndarray) -> bytes:
    codes = {np.dtype(name).newbyteorder("="): code for code, name in DTYPES.items()}
    big = array.astype(array.dtype.newbyteorder(">"))
    return header(codes[array.dtype], *array.shape) + big.tobytes()


def header(code: int, *shape: int) -> bytes:
    return struct.pack(f">4B{len(shape)}I", 0, 0, code, len(shape), *shape)


def write(folder: Path, content: bytes, name: str = "some-idx") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("dtype", DTYPES.values())
@pytest.mark.parametrize("shape", [(7,), (3, 2), (2, 3, 4), (2, 1, 3, 2), (0, 3), (2, 0, 2)])
def test_reads_what_was_written(tmp_path, pack, dtype, shape):
    array = np.arange(np.prod(shape)).reshape(shape).astype(np.dtype(dtype).newbyteorder("="))
    found = read_idx(write(tmp_path, pack(idx_bytes(array))))
    assert found.dtype == array.dtype
    assert found.dtype.isnative
    np.testing.assert_array_equal(found, array)


def test_several_gzip_members_are_one_file(tmp_path):
    content = idx_bytes(IMAGES)
    path = write(tmp_path, gzip.compress(content[:20]) + gzip.compress(content[20:]))
    np.testing.assert_array_equal(read_idx(path), IMAGES)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not an IDX file"),
        (b"\0\0\x08", "not an IDX file"),
        (b"PNG!....", "not an IDX file"),
        (header(0x0A, 5), "type 0x0A"),
        (header(0x08), "promises 0 axes"),
        (header(0x08, 1, 1, 1, 1, 1) + b"1", "promises 5 axes"),
        (header(0x08, 5, 4, 3)[:-2], "ends within its header"),
        (idx_bytes(IMAGES)[:-1], "promises 5 images of 4 x 3, the file ends after 4"),
        (header(0x08, 9), "promises 9 numbers, the file ends after 0"),
        (idx_bytes(IMAGES) + b"\0", "more data follows"),
        (header(0x0E, *[2**32 - 1] * 4), "at most 4,294,967,296 are read"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_wrong_file_is_explained(tmp_path, pack, content, message):
    path = write(tmp_path, pack(content))
    with pytest.raises(DataError) as caught:
        read_idx(path, advice="Throw it away.")
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith(". Throw it away.")


def test_a_truncated_gzip_says_how_far_it_goes(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (100, 28, 28), dtype=np.uint8)
    packed = gzip.compress(idx_bytes(noise))
    path = write(tmp_path, packed[: len(packed) // 2], "t10k-images-idx3-ubyte.gz")
    with pytest.raises(DataError, match=r"promises 100 images of 28 x 28, the file ends after 4\d"):
        read_idx(path)


@pytest.mark.parametrize("place", [-8, -1], ids=["checksum", "length"])
def test_a_wrong_gzip_trailer_is_found(tmp_path, place):
    packed = bytearray(gzip.compress(idx_bytes(IMAGES)))
    packed[place] ^= 0xFF
    with pytest.raises(DataError, match=r"check failed|Incorrect length"):
        read_idx(write(tmp_path, bytes(packed)))


def test_a_missing_gzip_trailer_is_found(tmp_path):
    with pytest.raises(DataError, match="end-of-stream"):
        read_idx(write(tmp_path, gzip.compress(idx_bytes(IMAGES))[:-8]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (header(0x08, 100) + bytes(200_000_000), "more data follows"),
        (header(0x08, 2**32 - 1), "more than a file this small can hold"),
    ],
    ids=["bomb", "promise"],
)
def test_a_bomb_does_not_fill_the_memory(tmp_path, content, message):
    path = write(tmp_path, gzip.compress(content, compresslevel=1))
    del content
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message):
            read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()


def test_the_cap_can_be_chosen(tmp_path):
    path = write(tmp_path, idx_bytes(IMAGES))
    assert read_idx(path, max_bytes=60).nbytes == 60
    with pytest.raises(DataError, match="60 bytes; at most 59 are read"):
        read_idx(path, max_bytes=59)


def test_a_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_idx(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "content", [idx_bytes(IMAGES), gzip.compress(idx_bytes(IMAGES))], ids=["plain", "gzip"]
)
@settings(deadline=None)
@given(st.data())
def test_damage_never_raises_anything_else(tmp_path_factory, content, data):
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    del damaged[data.draw(st.integers(0, len(content))) :]
    path = write(tmp_path_factory.getbasetemp(), bytes(damaged))
    with suppress(DataError):
        read_idx(path)
