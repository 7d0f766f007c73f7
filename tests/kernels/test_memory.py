"""Blocks of memory that results are made in, and that serve again."""

from __future__ import annotations

import threading
from collections import defaultdict

import numpy as np
import pytest
from tinygen_kernels.cpu import memory
from tinygen_kernels.cpu.memory import empty, scratch
from tinygen_kernels.lines import LINE, last_cache

FLOAT = np.dtype(np.float32)
SIZE = 1 << 18


@pytest.fixture(autouse=True)
def _nothing_waits(monkeypatch):
    monkeypatch.setattr(memory, "_waiting", defaultdict(list))
    monkeypatch.setattr(memory, "_bytes_waiting", 0)


def test_arrays_begin_at_cache_lines_and_keep_to_themselves():
    arrays = [empty((SIZE,), FLOAT) for _ in range(3)]
    for i, a in enumerate(arrays):
        assert a.ctypes.data % LINE == 0
        a[...] = i
    assert [a.min() for a in arrays] == [a.max() for a in arrays] == [0, 1, 2]


def test_a_block_serves_again_only_when_no_view_is_left():
    first = empty((SIZE,), FLOAT)
    place, view = first.ctypes.data, first[5:10]
    del first
    second = empty((SIZE,), FLOAT)
    assert second.ctypes.data != place
    del view
    assert empty((SIZE,), FLOAT).ctypes.data == place


def test_a_block_serves_a_smaller_result_but_not_a_much_smaller_one():
    first = empty((SIZE,), FLOAT)
    place = first.ctypes.data
    del first
    third = empty((SIZE // 3,), FLOAT)
    assert third.ctypes.data != place
    assert empty((SIZE * 2 // 3,), FLOAT).ctypes.data == place


def test_scratch_memory_is_the_same_for_the_same_use_and_grows(monkeypatch):
    monkeypatch.setattr(memory, "_scratch", memory._Scratch())
    first = scratch("a", (10, 3), FLOAT)
    assert (first.shape, first.dtype, first.ctypes.data % LINE) == ((10, 3), FLOAT, 0)
    assert scratch("a", (30,), FLOAT).ctypes.data == first.ctypes.data
    larger, other = scratch("a", (SIZE,), FLOAT), scratch("b", (SIZE,), FLOAT)
    assert not np.shares_memory(larger, other)
    assert np.shares_memory(larger, scratch("a", (10, 3), FLOAT))
    first[...], larger[...], other[...] = 1, 2, 3
    assert (first == 1).all()
    assert (larger == 2).all()


def test_every_thread_has_scratch_memory_of_its_own():
    mine, others = scratch("a", (100,), FLOAT), []
    thread = threading.Thread(target=lambda: others.append(scratch("a", (100,), FLOAT)))
    thread.start()
    thread.join()
    assert not np.shares_memory(mine, others[0])


def test_what_is_too_large_to_stay_at_hand_is_given_back():
    size = memory.MOST_AT_HAND // 4 + 1
    first = scratch("large", (size,), FLOAT)
    assert not np.shares_memory(first, scratch("large", (size,), FLOAT))
    assert "large" not in memory._scratch.blocks


def test_the_last_cache_is_the_largest_that_the_system_tells(tmp_path):
    assert last_cache(tmp_path) == 32 << 20
    for i, size in enumerate(["32K\n", "", "8192K\n", "512K\n"]):
        (tmp_path / f"index{i}").mkdir()
        (tmp_path / f"index{i}" / "size").write_text(size, encoding="ascii")
    assert last_cache(tmp_path) == 8 << 20
    assert last_cache() >= 1 << 18
