"""Folders of images and .npz files."""

from __future__ import annotations

import io
import os
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinygen.data import DataError, as_floats, images, list_folder, read_images, read_npz

NOISE = np.random.default_rng(0).integers(0, 256, (5, 6, 8, 3), dtype=np.uint8)


def save(path: Path, pixels: np.ndarray, mode: str | None = None, **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path, **options)
    return path


# Folders


def test_lists_images_of_all_depths_in_order(tmp_path):
    for name in ("b.png", "a.PNG", "sub/deep/c.jpg"):
        save(tmp_path / name, NOISE[0])
    for name in ("notes.txt", ".hidden.png", "__MACOSX/a.png", ".thumbs/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"?")
    folder = list_folder(tmp_path)
    assert [p.relative_to(tmp_path).as_posix() for p in folder.paths] == [
        "a.PNG",
        "b.png",
        "sub/deep/c.jpg",
    ]
    assert folder.labels is None
    assert folder.class_names == ()


def test_sub_folders_are_classes(tmp_path):
    for name in ("dog/x.png", "cat/y.png", "dog/old/z.png"):
        save(tmp_path / name, NOISE[0])
    folder = list_folder(str(tmp_path))
    assert folder.class_names == ("cat", "dog")
    assert folder.labels.tolist() == [0, 1, 1]
    assert folder.labels.dtype == np.int64


def test_a_folder_without_images_is_an_error(tmp_path):
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(DataError, match=r"no image in this folder or below. Files of .bmp"):
        list_folder(tmp_path)
    with pytest.raises(NotADirectoryError, match="nowhere"):
        list_folder(tmp_path / "nowhere")


def test_links_to_files_and_folders_are_followed(tmp_path):
    save(tmp_path / "pool" / "x.png", NOISE[0])
    folder = tmp_path / "images"
    (folder / "cat").mkdir(parents=True)
    (folder / "cat" / "y.png").symlink_to(tmp_path / "pool" / "x.png")
    (folder / "dog").symlink_to(tmp_path / "pool")
    for place in (folder / "dog" / "up", folder / "cat" / "here", folder / "self"):
        place.symlink_to(folder)  # loops
    found = list_folder(folder)
    names = [path.relative_to(folder).as_posix() for path in found.paths]
    assert names == ["cat/y.png", "dog/x.png"]
    assert found.class_names == ("cat", "dog")
    through = tmp_path / "link"
    through.symlink_to(folder)
    assert len(list_folder(through).paths) == 2


def test_what_only_looks_like_an_image_file_is_named(tmp_path):
    save(tmp_path / "good.png", NOISE[0])
    (tmp_path / "notes").symlink_to("nowhere")  # may be anything
    bad = tmp_path / "bad.png"
    bad.symlink_to("nowhere.png")
    with pytest.raises(DataError, match=r"bad\.png: a link to a file that is not there"):
        list_folder(tmp_path)
    bad.unlink()
    os.mkfifo(bad)
    with pytest.raises(DataError, match=r"bad\.png: a named pipe, not a file"):
        list_folder(tmp_path)


def test_a_class_whose_name_is_not_utf8_is_refused(tmp_path):
    save(tmp_path / os.fsdecode(b"caf\xe9") / "x.png", NOISE[0])
    with pytest.raises(DataError, match=r"'caf\\udce9': this name is not UTF-8.* Rename it"):
        list_folder(tmp_path)


# Decoding


def test_reads_pixels_as_they_are(tmp_path):
    paths = [save(tmp_path / f"{i}.png", pixels) for i, pixels in enumerate(NOISE)]
    np.testing.assert_array_equal(read_images(paths), NOISE)
    grey = [save(tmp_path / f"grey{i}.png", pixels[..., 0]) for i, pixels in enumerate(NOISE)]
    np.testing.assert_array_equal(read_images(grey), NOISE[..., :1])
    assert read_images(paths[:2] + grey).shape == (7, 6, 8, 3)
    assert read_images(paths[:2] + grey, channels=1).shape == (7, 6, 8, 1)


def test_crops_the_middle_and_resizes(tmp_path):
    picture = np.zeros((32, 96, 3), np.uint8)
    picture[:, 32:64] = (10, 200, 30)
    path = save(tmp_path / "wide.png", picture)
    found = read_images([path], size=16)
    assert found.shape == (1, 16, 16, 3)
    assert np.abs(found[:, :, 3:-3].astype(int) - (10, 200, 30)).max() <= 1
    np.testing.assert_array_equal(found, images.conform(picture[None], size=16))


def test_turns_the_picture_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned a quarter
    path = save(tmp_path / "turned.png", NOISE[0], exif=exif)
    np.testing.assert_array_equal(read_images([path])[0], np.rot90(NOISE[0], -1))


def test_puts_transparent_pictures_on_white(tmp_path):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[:2] = (255, 0, 0, 255)
    path = save(tmp_path / "alpha.png", pixels)
    palette = save(tmp_path / "palette.gif", pixels[..., 0], "P", transparency=0)
    assert read_images([path])[0, :, 0].tolist() == [[255, 0, 0]] * 2 + [[255, 255, 255]] * 2
    assert read_images([path], channels=1)[0, :, 0, 0].tolist() == [76, 76, 255, 255]
    assert (read_images([palette]) == 255).all()


def test_sixteen_bits_keep_their_high_half(tmp_path):
    path = save(tmp_path / "deep.png", np.array([[0, 0x0180], [0x7FFF, 0xFFFF]], np.uint16))
    assert read_images([path])[0, ..., 0].tolist() == [[0, 1], [127, 255]]


@pytest.mark.parametrize("maximum", [65535, 1023])
def test_sixteen_bits_of_a_pgm(tmp_path, maximum):
    """Its own maximum is white; each pixel is two bytes, the high one first."""
    path = tmp_path / "deep.pgm"
    pixels = np.array([[0, maximum // 2], [maximum // 4, maximum]], ">u2")
    path.write_bytes(b"P5 2 2 %d\n" % maximum + pixels.tobytes())
    found = read_images([path])
    assert found.shape == (1, 2, 2, 1)
    np.testing.assert_array_equal(found[0, ..., 0], [[0, 127], [63, 255]])


def test_32_bits_are_refused(tmp_path):
    path = save(tmp_path / "float.tiff", np.ones((4, 4), np.float32))
    with pytest.raises(DataError, match=r"float.tiff: .* its pixels have 32 bits"):
        read_images([path])


def test_different_sizes_need_a_size(tmp_path):
    small = save(tmp_path / "small.png", NOISE[0])
    large = save(tmp_path / "large.png", np.zeros((10, 20, 3), np.uint8))
    with pytest.raises(DataError, match=r"large.png has 20 x 10 pixels.* 8 x 6\. Give size="):
        read_images([small, large])
    assert read_images([small, large], size=4).shape == (2, 4, 4, 3)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".gif", ".webp", ".tiff"])
def test_a_damaged_file_is_named(tmp_path, suffix):
    good = save(tmp_path / f"good{suffix}", NOISE[0].repeat(8, 0).repeat(8, 1))
    bad = tmp_path / f"bad{suffix}"
    for content in (b"", b"not an image", good.read_bytes()[: good.stat().st_size // 2]):
        bad.write_bytes(content)
        with pytest.raises(DataError, match=rf"bad\{suffix}: cannot be read as an image"):
            read_images([good, bad])


def test_a_huge_picture_is_refused_unread(tmp_path, monkeypatch):
    path = save(tmp_path / "huge.png", NOISE[0])
    monkeypatch.setattr(images, "MAX_PIXELS", 40)
    with pytest.raises(DataError, match=r"huge.png: .* 8 x 6 pixels are too many"):
        read_images([path])


@pytest.mark.parametrize("limit", [10, 40], ids=["Pillow's error", "Pillow's warning"])
def test_pillows_own_limit_is_an_error(tmp_path, monkeypatch, limit):
    path = save(tmp_path / "bomb.png", NOISE[0])
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(DataError, match=r"bomb.png: .* decompression bomb"):
            read_images([path])


def test_all_together_are_capped(tmp_path):
    paths = [save(tmp_path / f"{i}.png", pixels) for i, pixels in enumerate(NOISE)]
    with pytest.raises(DataError, match="5 images of 8 x 6 take 720 bytes; at most 719"):
        read_images(paths, max_bytes=719)
    with pytest.raises(DataError, match="no files"):
        read_images([])


def test_conform_changes_size_and_channels():
    assert images.conform(NOISE) is NOISE
    assert images.conform(NOISE, channels=1).shape == (5, 6, 8, 1)
    grey = NOISE[..., :1]
    np.testing.assert_array_equal(images.conform(grey, channels=3), grey.repeat(3, 3))
    assert images.conform(grey, size=12, channels=3).shape == (5, 12, 12, 3)


def test_floats_are_exact_quotients():
    values = np.arange(256, dtype=np.uint8)
    found = as_floats(values)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, (np.arange(256) / 255).astype(np.float32))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint16, np.int8, bool])
def test_only_bytes_are_made_floats(dtype):
    with pytest.raises(TypeError, match=f"must be uint8 .*, not {np.dtype(dtype)}; divide others"):
        as_floats(np.ones((2, 3), dtype))


# .npz


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npz_round_trip(tmp_path, write, order):
    path = tmp_path / "some.npz"
    stored = np.asarray(NOISE, order=order)
    write(path, images=stored, labels=np.arange(5, dtype=np.uint8), mask=np.ones(3, bool))
    found, labels = read_npz(path)
    np.testing.assert_array_equal(found, NOISE)
    assert found.flags.c_contiguous
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_npz_of_floats_and_without_channels(tmp_path, dtype):
    path = tmp_path / "some.npz"
    np.savez(path, images=(NOISE[..., 0] / 255).astype(dtype))
    found, labels = read_npz(path)
    np.testing.assert_array_equal(found, NOISE[..., :1])
    assert labels is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": NOISE}, "no array called images; there is x.npy"),
        ({"images": NOISE[0, 0]}, r"shape \(8, 3\)"),
        ({"images": NOISE[..., :2]}, r"shape \(5, 6, 8, 2\)"),
        ({"images": NOISE[:0]}, "at least one pixel"),
        ({"images": NOISE.astype(np.int32)}, "type int32"),
        ({"images": NOISE.astype(np.float32)}, r"reaches from 0.0 to 255.0; .* \[0, 1\]"),
        ({"images": np.full((2, 3, 3), np.nan)}, "from nan to nan"),
        ({"images": NOISE, "labels": np.arange(4)}, r"integers of shape \(5,\) are wanted"),
        ({"images": NOISE, "labels": np.zeros(5)}, "labels is float64"),
        ({"images": NOISE.astype(object)}, "pickled Python objects, which are never read"),
        ({"images": NOISE, "labels": np.array([{}] * 5)}, "pickled Python objects"),
    ],
)
def test_npz_with_the_wrong_arrays(tmp_path, arrays, message):
    path = tmp_path / "wrong.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=message) as caught:
        read_npz(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "np.savez(path, images=" in str(caught.value)


def npy(shape: tuple[int, ...], content: bytes, descr: str = "|u1") -> bytes:
    stream = io.BytesIO()
    fields = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, fields)
    return stream.getvalue() + content


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (npy((2**20, 2**11, 2**11), b""), "4,398,046,511,104 bytes; at most 4,294,967,296"),
        (npy((10**6, 32, 32), bytes(99)), "1,024,000,000 bytes, more than the file holds"),
        (npy((5, 4, 4), bytes(79)), "80 bytes, more than the file holds|EOF"),
        (npy((5, 4, 4), bytes(81)), "and more data follows"),
        (npy((-5, -4, 4), bytes(80)), "impossible shape"),
        (npy((True, 8, 8), bytes(64)), r"impossible shape \(True, 8, 8\)"),
        (npy((0, 2**70, 8), b""), "impossible shape"),
        (npy((0, 2**62, 8), b""), "at least one pixel|array is too big|must be"),
        (npy((2, 2, 2), bytes(8), "|S0"), "no plain numbers"),
        (npy((1, 2, 2), bytes(48), "(2,3)<u2"), "no plain numbers"),
        (npy((5, 4, 4), bytes(80)).replace(b"descr", b"desc("), "header of images.npy"),
        (npy((5, 4, 4), bytes(80)).replace(b"(5", b"[5"), "header of images.npy"),
        (npy((5, 4, 4), bytes(80))[:20], "header of images.npy"),
        (b"\x93NUMPY\x09\x00rest", "header of images.npy"),
        (b"", "header of images.npy"),
    ],
)
def test_npz_with_a_lying_header(tmp_path, member, message):
    path = tmp_path / "liar.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", member)
    with pytest.raises(DataError, match=message):
        read_npz(path)


def test_npz_whose_directory_lies_too(tmp_path):
    path = tmp_path / "liar.npz"
    member = npy((2**30,), bytes(99))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", member)
    true_size, claimed = (n.to_bytes(4, "little") for n in (len(member), 2**31))
    path.write_bytes(path.read_bytes().replace(true_size, claimed))
    # newer versions of zipfile find out by themselves
    with pytest.raises(DataError, match=r"more than the file holds|Overlapped entries"):
        read_npz(path)


def test_npz_with_damage(tmp_path):
    path = tmp_path / "some.npz"
    np.savez(path, images=NOISE)
    good = path.read_bytes()
    flipped = bytearray(good)
    flipped[good.index(NOISE.tobytes()[:64]) + 5] ^= 0xFF
    for content, message in (
        (b"", "not a zip file"),
        (good[: len(good) // 2], "not a zip file"),
        (bytes(flipped), "Bad CRC-32"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_npz(path)
    with pytest.raises(FileNotFoundError):
        read_npz(tmp_path / "nowhere.npz")


def test_npz_compressed_in_a_foreign_way(tmp_path):
    path = tmp_path / "bz2.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("images.npy", npy((1, 2, 2), b"1234"))
    with pytest.raises(DataError, match="compressed in a way"):
        read_npz(path)
