"""The registry: what is known by name, and how files are found, fetched and checked."""

from __future__ import annotations

import gzip
import hashlib
import re
import struct
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tinygen import data
from tinygen.data import DataError, registry
from tinygen.data.registry import IDX_FILES, Source


def idx(*shape: int) -> bytes:
    """A gzipped IDX file of zeros."""
    size = 1
    for side in shape:
        size *= side
    head = struct.pack(f">4B{len(shape)}I", 0, 0, 8, len(shape), *shape)
    return gzip.compress(head + bytes(size), mtime=0)


FILES = dict(zip(IDX_FILES, (idx(60, 4, 4), idx(60), idx(10, 4, 4), idx(10)), strict=True))


class QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, format, *args):
        pass


@pytest.fixture
def server(tmp_path):
    """A folder, and the address at which its files are served."""
    folder = tmp_path / "served"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    handler = partial(QuietHandler, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield folder, f"http://127.0.0.1:{httpd.server_port}/"
        httpd.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """The folder that files of `tiny` are kept in; nothing of the user's is seen or touched."""
    folder = tmp_path / "cache"
    monkeypatch.setattr(registry, "cache_folder", lambda: folder)
    monkeypatch.delenv("TINYGEN_DATA_DIR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return folder / "tiny"


def tiny(url: str) -> Source:
    return Source(
        name="tiny",
        description="zeros",
        licence="none",
        homepage="",
        url=url,
        sha256={name: hashlib.sha256(content).hexdigest() for name, content in FILES.items()},
        shape=(4, 4, 1),
        class_names=("zero",),
        splits={"train": 50, "valid": 10, "test": 10},
    )


@pytest.fixture
def source(server, cache, monkeypatch):
    """A data set `tiny` that the server has."""
    source = tiny(server[1])
    monkeypatch.setitem(registry.SOURCES, "tiny", source)
    return source


@pytest.fixture
def offline(cache, monkeypatch):
    """A data set `tiny` whose server does not answer."""
    source = tiny("http://127.0.0.1:1/")
    monkeypatch.setitem(registry.SOURCES, "tiny", source)
    return source


def put(folder: Path, files: dict[str, bytes] = FILES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


# What is known


def test_names_and_descriptions():
    drawn = {"faces", "series", "plane", "ring", "grid", "stacked-digits"}
    assert {*data.names()} == {"fashion-mnist", "kmnist", "mnist"} | drawn
    for name in data.names():
        source = data.describe(name)
        assert source.name == name
        assert source.needs_network == (name not in drawn)
        assert len(source.shape) == 3
        assert list(source.splits) == ["train", "valid", "test"]
        assert all((source.description, source.licence, source.homepage))


@pytest.mark.parametrize("name", ["fashion-mnist", "kmnist", "mnist"])
def test_published_files_are_pinned(name):
    source = data.describe(name)
    assert tuple(source.sha256) == IDX_FILES
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in source.sha256.values())
    assert len(set(source.sha256.values())) == 4
    assert source.url.startswith("http")
    assert source.url.endswith("/")
    assert len(source.class_names) == 10
    assert sum(source.splits.values()) == 70_000


@pytest.mark.parametrize(
    ("wrong", "right"), [("fashon-mnist", "fashion-mnist"), ("MNIST", "mnist"), ("face", "faces")]
)
def test_an_unknown_name_gets_the_nearest(wrong, right):
    with pytest.raises(DataError, match=f"{wrong!r}. Did you mean {right!r}. Known are faces, "):
        data.describe(wrong)
    with pytest.raises(DataError, match=r"called 'qqqqq'\. Known are faces, "):
        data.fetch("qqqqq")


def test_the_cache_can_be_moved(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYGEN_CACHE_DIR", str(tmp_path))
    assert registry.cache_folder() == tmp_path / "tinygen" / "data"
    monkeypatch.delenv("TINYGEN_CACHE_DIR")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert registry.cache_folder() == Path.home() / ".cache" / "tinygen" / "data"


# Fetching


def test_fetches_once(source, server, cache):
    paths = data.fetch("tiny")
    assert paths == tuple(cache / name for name in IDX_FILES)
    assert [path.read_bytes() for path in paths] == list(FILES.values())
    for file in server[0].iterdir():
        file.unlink()
    assert data.fetch("tiny") == paths  # from the cache now
    assert data.verify("tiny") == paths


def test_fetch_replaces_a_damaged_file(source, cache):
    path = data.fetch("tiny")[0]
    path.write_bytes(b"damage")
    with pytest.raises(DataError, match="Delete it and run 'tinygen data fetch tiny'"):
        data.verify("tiny")
    data.fetch("tiny")
    assert data.verify("tiny")[0].read_bytes() == FILES[IDX_FILES[0]]


def test_a_wrong_file_from_the_network_is_not_kept(source, server, cache):
    put(server[0], {IDX_FILES[1]: b"something else"})
    with pytest.raises(DataError, match="not the published file, and was not kept") as caught:
        data.fetch("tiny")
    assert f"{source.url}{IDX_FILES[1]}" in str(caught.value)
    assert str(cache) in str(caught.value)
    assert [path.name for path in cache.iterdir()] == [IDX_FILES[0]]


def test_a_missing_file_on_the_server(source, server, cache):
    (server[0] / IDX_FILES[0]).unlink()
    with pytest.raises(DataError, match=r"cannot be fetched \(status 404\)"):
        data.fetch("tiny")
    assert list(cache.iterdir()) == []


def test_without_network_the_way_out_is_shown(offline, cache):
    with pytest.raises(DataError) as caught:
        data.load("tiny")
    message = str(caught.value)
    assert "http://127.0.0.1:1/train-images-idx3-ubyte.gz: cannot be fetched" in message
    assert f"Put the file into {cache} by hand" in message
    assert "'faces', the built-in data that needs no network" in message


def test_a_full_disk_is_not_taken_for_a_missing_network(source, monkeypatch):
    import pooch

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pooch, "retrieve", full)
    with pytest.raises(DataError, match="cannot be written: No space left on device"):
        data.fetch("tiny")


def test_without_pooch_the_extra_is_named(offline, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ModuleNotFoundError, match=r'pip install "tinygen\[app\]"'):
        data.fetch("tiny")


# Files that are here already


def test_files_put_into_the_cache_by_hand_need_no_pooch(offline, cache, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    put(cache)
    assert len(data.load("tiny")) == 70


def test_the_users_own_folder_comes_first(offline, cache, tmp_path, monkeypatch):
    put(cache)
    own = put(tmp_path / "own" / "tiny")
    monkeypatch.setenv("TINYGEN_DATA_DIR", str(own.parent))
    expected = tuple(own / name for name in IDX_FILES)
    assert data.fetch("tiny") == expected
    assert data.verify("tiny") == expected


def test_a_folder_that_lacks_a_file_is_completed(source, cache, tmp_path, monkeypatch):
    own = put(tmp_path / "own" / "tiny")
    (own / IDX_FILES[2]).unlink()
    monkeypatch.setenv("TINYGEN_DATA_DIR", str(own.parent))
    with pytest.raises(DataError, match=rf"{IDX_FILES[2]} of tiny is not here. Run 'tinygen data"):
        data.verify("tiny")
    folders = [path.parent for path in data.fetch("tiny")]
    assert folders == [own, own, cache, own]
    assert len(data.load("tiny")) == 70


def test_another_file_of_that_name_is_noticed(offline, tmp_path, monkeypatch):
    own = put(tmp_path / "own" / "tiny")
    put(own, {IDX_FILES[3]: idx(10) + b"\0"})  # reads the same, but is not what was published
    monkeypatch.setenv("TINYGEN_DATA_DIR", str(own.parent))
    for action in (data.fetch, data.verify, data.load):
        with pytest.raises(DataError, match=rf"{IDX_FILES[3]}: not the published file: its SHA"):
            action("tiny")


def test_a_truncated_file_is_explained_by_the_reader(offline, cache):
    put(cache)
    put(cache, {IDX_FILES[2]: gzip.compress(gzip.decompress(idx(10, 4, 4))[:-17])})
    with pytest.raises(DataError) as caught:
        data.load("tiny")
    assert str(caught.value) == (
        f"{cache / IDX_FILES[2]}: header promises 10 images of 4 x 4, the file ends after 8."
        " Delete it and run 'tinygen data fetch tiny'."
    )


def test_built_in_data_has_nothing_to_fetch():
    assert data.fetch("faces") == data.verify("faces") == ()
