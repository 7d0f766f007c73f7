"""Checkpoint files: what goes in comes out, and what is damaged is said to be."""

from __future__ import annotations

import errno
import json
import os
import re
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import tinygen
from tinygen import models
from tinygen.training import CheckpointError
from tinygen.training import checkpoint as files
from tinygen.training.checkpoint import load_arrays, save_arrays

ROOT = Path(tinygen.__file__).parents[1]
ARRAYS = {
    "a": np.arange(6, dtype=np.float32).reshape(2, 3),
    "b.c": np.array([1.5, -2.5]),
    "n": np.array(7, np.int64),
    "none": np.zeros((0, 3), np.float32),
}
META = {"step": 3, "rows": [{"epoch": 1, "loss": 0.1 + 0.2}], "text": "ü", "none": None}


@pytest.fixture
def saved(tmp_path) -> Path:
    path = tmp_path / "state.safetensors"
    save_arrays(path, ARRAYS, META)
    return path


def header_size(path: Path) -> int:
    return 8 + struct.unpack("<Q", path.read_bytes()[:8])[0]


def test_what_goes_in_comes_out(saved):
    arrays, meta = load_arrays(saved)
    assert meta == META
    assert set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(arrays[name], array)


def test_strided_arrays_are_written_as_they_look(tmp_path):
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    strided = {"T": x.T, "step": x[::2, ::-1], "one": np.broadcast_to(np.float32(2), (2, 2))}
    save_arrays(tmp_path / "x", strided, {})
    for name, array in load_arrays(tmp_path / "x")[0].items():
        np.testing.assert_array_equal(array, strided[name], err_msg=name)


def test_numbers_of_numpy_in_meta(tmp_path):
    meta = {"width": np.int64(3), "rate": np.float64(0.1), "shape": np.array([2, 3])}
    save_arrays(tmp_path / "x", {}, meta)
    assert load_arrays(tmp_path / "x")[1] == {"width": 3, "rate": 0.1, "shape": [2, 3]}
    with pytest.raises(TypeError, match="a checkpoint cannot hold <object"):
        save_arrays(tmp_path / "y", {}, {"what": object()})
    assert [p.name for p in tmp_path.iterdir()] == ["x"]


def test_numbers_that_are_not_finite_are_named_and_refused(tmp_path):
    path, model = tmp_path / "broken.safetensors", models.create("stacked-ae", image_shape=(4, 4))
    name, p = next(model.named_parameters())
    p.data[0, :2] = np.nan, np.inf
    model.save(path)
    with pytest.raises(CheckpointError, match=rf"{path}: .*infinite: 2 of [\d,]+ in {name}; use"):
        tinygen.load(path)
    loaded = tinygen.load(path, check_finite=False)
    np.testing.assert_array_equal(loaded.state_dict()[name], p.data)
    # The state of an optimiser is as much a part of a checkpoint as the weights are.
    save_arrays(
        tmp_path / "state", {f"optimizer.{i}": np.float32([np.nan]) for i in range(5)}, META
    )
    with pytest.raises(CheckpointError, match=r"1 of 1 in optimizer.2 and 2 more arrays"):
        load_arrays(tmp_path / "state")
    assert len(load_arrays(tmp_path / "state", check_finite=False)[0]) == 5


def test_no_flipped_bit_goes_unnoticed(saved):
    """In the header a flip makes another name, shape, place or number; some change nothing."""
    whole = saved.read_bytes()
    start = header_size(saved)
    places = [*range(start), *range(start, len(whole), 7)]
    for place in places:
        for bit in (0, 3, 6):
            damaged = bytearray(whole)
            damaged[place] ^= 1 << bit
            saved.write_bytes(damaged)
            try:
                arrays, meta = load_arrays(saved)
            except CheckpointError:
                continue
            assert place < start, f"bit {bit} of byte {place} of the contents went unnoticed"
            assert meta == META, f"bit {bit} of byte {place} of the header changed {meta}"
            for name, array in ARRAYS.items():
                np.testing.assert_array_equal(arrays[name], array)


def test_no_truncation_goes_unnoticed(saved):
    whole = saved.read_bytes()
    for length in [*range(0, len(whole), 11), len(whole) - 1]:
        saved.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"damaged or cut short|not a file"):
            load_arrays(saved)
    saved.write_bytes(whole + b"\0")
    with pytest.raises(CheckpointError):
        load_arrays(saved)


def test_files_of_others(tmp_path):
    path = tmp_path / "x.safetensors"
    save_file({"w": np.zeros(3, np.float32)}, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="not a file that tinygen wrote"):
        load_arrays(path)
    for text in ("[]", "3", '"format"', "{}", "no JSON"):
        save_file({"w": np.zeros(3, np.float32)}, path, metadata={"tinygen": text})
        with pytest.raises(CheckpointError, match="not a file that tinygen wrote"):
            load_arrays(path)
    for content in (b"", b"PK\x03\x04" + bytes(100), b"\xff" * 100):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="damaged or cut short"):
            load_arrays(path)


def test_a_newer_format(saved, monkeypatch):
    monkeypatch.setattr(files, "FORMAT", 2)
    save_arrays(saved, ARRAYS, META)
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="format 2, this tinygen reads format 1; use the"):
        load_arrays(saved)


def test_nothing_there(tmp_path):
    for path in (tmp_path / "nowhere", tmp_path / "no" / "where"):
        with pytest.raises(CheckpointError, match="there is no such file"):
            tinygen.load(path)
    with pytest.raises(CheckpointError, match="no checkpoint in it"):
        tinygen.load(tmp_path)


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ({"model": "stakced-ae", "config": {}}, "unknown model 'stakced-ae', did you mean"),
        ({"model": "stacked-ae", "config": {"codigns": 3}}, "did you mean 'codings'"),
        ({"model": "stacked-ae", "config": {"codings": 3}}, "missing encoder"),
        ({"model": "stacked-ae", "config": None}, "no model that this tinygen knows"),
        ({"model": "stacked-ae"}, "no model that this tinygen knows"),
        ({"model": ["os.system"], "config": {}}, "no model that this tinygen knows"),
        ([], "no model that this tinygen knows"),
    ],
)
def test_files_that_describe_no_model(tmp_path, meta, message):
    save_arrays(tmp_path / "x", {"w": np.zeros(3)}, meta)
    with pytest.raises(CheckpointError, match=message):
        tinygen.load(tmp_path / "x")


def test_weights_of_another_shape(tmp_path):
    small, large = (models.create("tied-ae", image_shape=(n, n), codings=2) for n in (3, 4))
    save_arrays(tmp_path / "x", small.state_dict(), {"model": "tied-ae", "config": large.config})
    with pytest.raises(CheckpointError, match=re.escape("shape (16, 100), the given one (9, 100)")):
        tinygen.load(tmp_path / "x")


# Writing


@pytest.mark.parametrize("function", ["fsync", "replace", "fdopen"])
def test_a_full_disk_leaves_what_was_there(saved, monkeypatch, function):
    before = saved.read_bytes()

    def full(*arguments, **keywords):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, function, full)
    with pytest.raises(OSError, match=r"could not write .* bytes: No space left") as caught:
        save_arrays(saved, {"big": np.zeros(1000)}, {})
    monkeypatch.undo()
    assert caught.value.errno == errno.ENOSPC
    assert "what was there before is untouched" in str(caught.value)
    assert str(saved) in str(caught.value)
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


def shell(code: str, *arguments: str) -> subprocess.Popen[str]:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "kernels")])
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# The system itself refuses after 100 kB, in the middle of the file.
LIMITED = """
import resource, sys
import numpy as np
from tinygen.training.checkpoint import save_arrays
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    save_arrays(sys.argv[1], {"big": np.zeros(100_000)}, {})
except OSError as error:
    print(error)
"""


def test_a_limit_of_the_system_in_the_middle_of_a_file(saved):
    before = saved.read_bytes()
    out, err = shell(LIMITED, str(saved)).communicate(timeout=60)
    assert "could not write 800," in out, err
    assert saved.read_bytes() == before
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


# Writes the same file again and again, each time full of another number.
WRITER = """
import itertools, sys
import numpy as np
from tinygen.training.checkpoint import save_arrays
for i in itertools.count(1):
    save_arrays(sys.argv[1], {"x": np.full(300_000, i)}, {"i": i})
    if i == 1:
        print("ready", flush=True)
"""


@pytest.mark.parametrize("delay", [0.0, 0.013, 0.037, 0.071])
def test_a_process_that_is_killed_leaves_a_good_file(tmp_path, delay):
    path = tmp_path / "state.safetensors"
    with shell(WRITER, str(path)) as process:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        time.sleep(delay)
        process.kill()
    arrays, meta = load_arrays(path)
    assert (arrays["x"] == meta["i"]).all()


def test_the_header_is_readable_by_anyone(saved):
    size = header_size(saved)
    header = json.loads(saved.read_bytes()[8:size])
    ours = json.loads(header["__metadata__"]["tinygen"])
    assert (ours["format"], ours["meta"], len(ours["sha256"])) == (1, META, 64)
