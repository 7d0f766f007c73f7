"""`load` and what it returns."""

from __future__ import annotations

import gzip
import hashlib
import os
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tinygen import data
from tinygen.data import DataError, dataset, registry
from tinygen.data.registry import IDX_FILES, Source
from tinygen.data.text import read_lines

OWN = Path(os.environ.get("TINYGEN_DATA_DIR", "nowhere"))


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    """A published set of 70 images that lies in the user's own folder; image i is full of i."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    images = np.arange(70, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    labels = np.arange(70, dtype=np.uint8) % 10
    parts = (images[:60], labels[:60], images[60:], labels[60:])
    sha256 = {}
    for name, part in zip(IDX_FILES, parts, strict=True):
        head = struct.pack(f">4B{part.ndim}I", 0, 0, 8, part.ndim, *part.shape)
        content = gzip.compress(head + part.tobytes())
        (folder / name).write_bytes(content)
        sha256[name] = hashlib.sha256(content).hexdigest()
    splits = {"train": 50, "valid": 10, "test": 10}
    source = Source("tiny", "", "", "", "x", sha256, (4, 4, 1), tuple("0123456789"), splits)
    monkeypatch.setitem(registry.SOURCES, "tiny", source)
    monkeypatch.setenv("TINYGEN_DATA_DIR", str(tmp_path))


def numbers(samples: data.Samples) -> list[int]:
    return samples.images[:, 0, 0, 0].tolist()


# Published sets


def test_published_sets_keep_their_order(tiny):
    found = data.load("tiny")
    assert (found.name, found.class_names) == ("tiny", tuple("0123456789"))
    assert found.images.shape == (70, 4, 4, 1)
    assert found.images.dtype == np.uint8
    assert found.labels.dtype == np.int64
    assert found.factors == {}
    assert numbers(found) == list(range(70))
    assert numbers(found.train) == list(range(50))
    assert numbers(found.valid) == list(range(50, 60))
    assert numbers(found.test) == list(range(60, 70))
    assert found.valid.labels.tolist() == list(range(10))
    assert found.valid.name == "tiny/valid"
    assert found.test.class_names == found.class_names


def test_splits_are_views(tiny):
    found = data.load("tiny")
    for part in (found.train, found.valid, found.test):
        assert np.shares_memory(part.images, found.images)
        assert np.shares_memory(part.labels, found.labels)


@pytest.mark.parametrize("count", [1, 7, 13, 69, 70])
def test_count_keeps_the_shares(tiny, count):
    found = data.load("tiny", count=count)
    parts = [len(found.train), len(found.valid), len(found.test)]
    assert sum(parts) == len(found) == count
    assert np.abs(np.array(parts) - np.array([5, 1, 1]) * count / 7).max() < 1
    assert numbers(found.train) == list(range(parts[0]))
    assert numbers(found.test) == list(range(60, 60 + parts[2]))
    assert (found.labels == found.images[:, 0, 0, 0] % 10).all()


def test_size_and_channels(tiny):
    assert data.load("tiny", size=8, channels=3).images.shape == (70, 8, 8, 3)


def test_floats(tiny):
    grey = data.load("tiny").train.floats()
    assert grey.shape == (50, 4, 4)
    assert grey.dtype == np.float32
    assert grey[49, 0, 0] == np.float32(49 / 255)
    assert data.load("tiny", channels=3).floats().shape == (70, 4, 4, 3)


def test_it_introduces_itself(tiny):
    found = data.load("tiny")
    assert repr(found) == "Dataset('tiny', 70 images of 4 x 4 x 1)"
    assert repr(found.test) == "Samples('tiny/test', 10 images of 4 x 4 x 1)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size must be at least 1"),
        ({"count": -1}, "count must be at least 1"),
        ({"channels": 2}, r"channels must be 1 \(grey\) or 3"),
        ({"size": 10_000}, "70 images of 10000 x 10000 take 7,000,000,000 bytes"),
        ({"count": 71}, "tiny has 70 images; count=71 asks for more"),
    ],
)
def test_options_that_make_no_sense(tiny, options, message):
    with pytest.raises(DataError, match=message):
        data.load("tiny", **options)


# Folders and files


@pytest.fixture
def folder(tmp_path):
    """50 pictures in two classes; picture i is full of i, its label is i // 25."""
    for i in range(50):
        path = tmp_path / "pets" / ("cat", "dog")[i // 25] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 6), i, np.uint8)).save(path)
    return tmp_path / "pets"


def test_a_folder_is_mixed_before_it_is_split(folder):
    found = data.load(folder)
    assert found.name == "pets"
    assert found.class_names == ("cat", "dog")
    assert found.images.shape == (50, 4, 6, 1)
    assert [len(found.train), len(found.valid), len(found.test)] == [40, 5, 5]
    assert sorted(numbers(found)) == list(range(50))
    assert (found.labels == found.images[:, 0, 0, 0] // 25).all()
    assert set(found.train.labels) == {0, 1}
    assert numbers(found) == numbers(data.load(str(folder)))
    assert numbers(found) != numbers(data.load(folder, seed=1))


def test_part_of_a_folder(folder):
    whole = data.load(folder, size=4)
    some = data.load(folder, size=4, channels=3, count=20)
    assert some.images.shape == (20, 4, 4, 3)
    assert numbers(some) == numbers(whole)[:20]
    with pytest.raises(DataError, match="pets has 50 images; count=51"):
        data.load(folder, count=51)


def test_an_npz_file(tmp_path):
    path = tmp_path / "some.npz"
    images = np.arange(30, dtype=np.uint8)[:, None, None, None] * np.ones((1, 4, 4, 3), np.uint8)
    np.savez(path, images=images, labels=np.arange(30) // 10)
    found = data.load(path, size=8)
    assert (found.name, found.images.shape, found.class_names) == ("some", (30, 8, 8, 3), ())
    assert (found.labels == found.images[:, 0, 0, 0] // 10).all()
    assert [len(found.train), len(found.valid), len(found.test)] == [24, 3, 3]
    assert numbers(found) != list(range(30))
    np.savez(path, images=images)
    assert data.load(path).train.labels is None


def test_what_is_neither(tmp_path):
    (tmp_path / "notes.pdf").write_text("nothing")
    with pytest.raises(
        DataError, match=r"notes.pdf: neither a folder of images nor an .npz or .tx"
    ):
        data.load(tmp_path / "notes.pdf")
    with pytest.raises(DataError, match=r"'fashon-mnist', and there is no such file or folder"):
        data.load("fashon-mnist")
    with pytest.raises(DataError, match="nowhere"):
        data.load(tmp_path / "nowhere.npz")


# Faces


@pytest.fixture
def drawn(monkeypatch, tmp_path):
    """The calls of `cached_faces`, which draws nothing here."""
    calls = []

    def cached_faces(n, *, size, channels, seed, cache_dir):
        calls.append((n, size, channels, seed, cache_dir))
        images = np.zeros((n, size, size, channels), np.uint8)
        return SimpleNamespace(images=images, factors={"smile": np.linspace(-1, 1, n)})

    monkeypatch.setattr("tinygen.data.faces.cached_faces", cached_faces, raising=False)
    monkeypatch.setattr(dataset, "cache_folder", lambda: tmp_path)
    return calls


@pytest.fixture
def in_time():
    """Interrupts a test that waits for ever."""

    def stop(number, frame):
        raise TimeoutError("it waits for ever")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


READERS = {
    "load-npz": (data.load, "x.npz"),
    "load-txt": (data.load, "x.txt"),
    "read_npz": (data.read_npz, "x"),
    "read_idx": (data.read_idx, "x"),
    "read_lines": (read_lines, "x"),
    "read_images": (lambda path: data.read_images([path]), "x.png"),
}


@pytest.mark.parametrize(("read", "name"), READERS.values(), ids=READERS)
def test_what_is_no_file_is_refused_at_once(tmp_path, monkeypatch, in_time, read, name):
    monkeypatch.chdir(tmp_path)
    os.mkfifo(name)
    with pytest.raises(data.DataError, match=rf"{name}: a named pipe, not a file\. Save"):
        read(tmp_path / name)
    os.unlink(name)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(name)
        with pytest.raises(data.DataError, match=f"{name}: a socket"):
            read(tmp_path / name)
    os.unlink(name)
    os.symlink("/dev/zero", name)
    with pytest.raises(data.DataError, match=f"{name}: a device"):
        read(tmp_path / name)


@pytest.mark.parametrize("suffix", ["", ".npz", ".txt"])
def test_names_that_no_run_could_note_are_refused(tmp_path, suffix):
    path = tmp_path / (os.fsdecode(b"caf\xe9") + suffix)
    if suffix:
        path.write_bytes(b"")
    else:
        path.mkdir()
    for source in (path, str(path)):
        with pytest.raises(data.DataError, match=r"caf\\udce9.*: this name is not UTF-8"):
            data.load(source)


def test_faces_are_drawn_as_asked(drawn, tmp_path):
    found = data.load("faces", size=8, channels=1, count=30, seed=5)
    assert drawn == [(30, 8, 1, 5, tmp_path / "faces")]
    assert found.images.shape == (30, 8, 8, 1)
    assert found.labels is None
    assert [len(found.train), len(found.valid), len(found.test)] == [24, 3, 3]
    assert found.test.factors["smile"].tolist() == np.linspace(-1, 1, 30)[27:].tolist()


def test_faces_by_default(drawn):
    found = data.load("faces")
    assert drawn[0][:4] == (10_000, 64, 3, 0)
    assert {name: len(range(10_000)[rows]) for name, rows in found.splits.items()} == dict(
        data.describe("faces").splits
    )


# The real thing


@pytest.mark.skipif(
    not (OWN / "fashion-mnist" / IDX_FILES[0]).is_file(),
    reason="TINYGEN_DATA_DIR has no fashion-mnist",
)
def test_fashion_mnist():
    found = data.load("fashion-mnist")
    data.verify("fashion-mnist")
    assert [len(found.train), len(found.valid), len(found.test)] == [55_000, 5_000, 10_000]
    assert found.images.shape == (70_000, *data.describe("fashion-mnist").shape)
    assert np.bincount(found.labels[:60_000]).tolist() == [6_000] * 10
    assert np.bincount(found.test.labels).tolist() == [1_000] * 10
    assert found.class_names[found.labels[0]] == "Ankle boot"


def test_importing_is_light():
    code = "import sys, tinygen.data; print([m for m in ('PIL', 'pooch') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
