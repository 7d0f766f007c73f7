"""The loader: every sample once, an order that can be resumed, a thread that never stays."""

from __future__ import annotations

import threading
from itertools import chain, islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinygen.data import DataError, Loader, loader
from tinygen.ops.random import Random


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "tinygen-loader"]


def rows(batches) -> list[list[int]]:
    """The batches of a loader over np.arange(n)."""
    return [batch[0].tolist() for batch in batches]


@st.composite
def loaders(draw, **fixed):
    n = draw(st.integers(1, 60))
    options = {
        "batch_size": draw(st.integers(1, n)),
        "rng": draw(st.none() | st.integers(0, 2**64 - 1).map(Random)),
        "drop_remainder": draw(st.booleans()),
        "prefetch": draw(st.integers(0, 3)),
    }
    return Loader(np.arange(n), **{**options, **fixed})


# The order


@settings(deadline=None)  # the first call may compile a kernel
@given(loaders(drop_remainder=False), st.integers(0, 100))
def test_every_sample_comes_once(loader, epoch):
    batches = rows(loader.epoch(epoch))
    assert len(batches) == len(loader)
    assert all(len(batch) == loader.batch_size for batch in batches[:-1])
    assert sorted(chain(*batches)) == list(range(loader.samples))


@settings(deadline=None)  # the first call may compile a kernel
@given(loaders(drop_remainder=True), st.integers(0, 100))
def test_drop_remainder_leaves_only_whole_batches(loader, epoch):
    batches = rows(loader.epoch(epoch))
    assert len(batches) == len(loader) == loader.samples // loader.batch_size
    assert {len(batch) for batch in batches} == {loader.batch_size}
    assert len(set(chain(*batches))) == len(loader) * loader.batch_size


@settings(deadline=None)  # the first call may compile a kernel
@given(loaders(), st.integers(0, 100), st.data())
def test_an_epoch_can_be_resumed_anywhere(loader, epoch, data):
    start = data.draw(st.integers(0, len(loader)))
    assert rows(loader.epoch(epoch, start=start)) == rows(loader.epoch(epoch))[start:]


@settings(deadline=None)  # the first call may compile a kernel
@given(st.integers(0, 2**64 - 1), st.integers(0, 100))
def test_the_order_depends_on_seed_and_epoch_alone(seed, epoch):
    def order(seed, epoch, prefetch=0):
        rng = Random(seed)
        rng.uniform(3)  # what else was drawn from the stream makes no difference
        return rows(Loader(np.arange(50), batch_size=7, rng=rng, prefetch=prefetch).epoch(epoch))

    assert order(seed, epoch) == order(seed, epoch, prefetch=2)
    assert order(seed, epoch) != order(seed, epoch + 1)
    assert order(seed, epoch) != order(seed ^ 1, epoch)


def test_without_rng_the_order_is_kept():
    assert rows(Loader(np.arange(5), batch_size=2)) == [[0, 1], [2, 3], [4]]
    kept = Loader(np.arange(5), batch_size=2, rng=Random(0), shuffle=False)
    assert rows(kept) == [[0, 1], [2, 3], [4]]


def test_iterating_goes_from_epoch_to_epoch():
    loader = Loader(np.arange(20), batch_size=6, rng=Random(3))
    assert [rows(loader) for _ in range(3)] == [rows(loader.epoch(e)) for e in range(3)]


# The batches


@pytest.mark.parametrize("prefetch", [0, 2])
def test_rows_of_all_arrays_stay_together(prefetch):
    x = np.random.default_rng(0).normal(size=(23, 4, 5)).astype(np.float32)
    y = np.arange(23)
    for a, b in Loader(x, y, batch_size=5, rng=Random(1), prefetch=prefetch):
        assert (a.dtype, b.dtype) == (np.float32, np.int64)
        np.testing.assert_array_equal(a, x[b])


@pytest.mark.parametrize("shuffle", [False, True])
def test_a_batch_is_the_consumers_own(shuffle):
    x = np.ones((8, 3))
    for (batch,) in Loader(x, batch_size=4, rng=Random(0), shuffle=shuffle):
        batch[...] = 0
    assert (x == 1).all()


def test_strided_arrays_and_lists():
    x = np.arange(24).reshape(4, 6)[:, ::2]
    (a, b), *_ = Loader(x, [1, 2, 3, 4], batch_size=3)
    np.testing.assert_array_equal(a, x[:3])
    assert b.tolist() == [1, 2, 3]


@pytest.mark.parametrize("prefetch", [0, 1, 2, None])
def test_transform_makes_the_batches(prefetch):
    def transform(batch):
        x, y = batch
        return x / 2, y, x.sum()

    arrays = np.arange(10.0), np.arange(10)
    found = list(Loader(*arrays, batch_size=4, transform=transform, prefetch=prefetch))
    assert [len(batch) for batch in found] == [3, 3, 3]
    assert found[1][0].tolist() == [2.0, 2.5, 3.0, 3.5]


def test_only_a_transform_is_worth_a_thread():
    assert Loader(np.arange(4), batch_size=2).prefetch == 0
    assert Loader(np.arange(4), batch_size=2, transform=lambda batch: batch).prefetch == 2


# The thread


@pytest.mark.parametrize("big", [False, True], ids=["groups", "single batches"])
@pytest.mark.parametrize("prefetch", [1, 3])
def test_the_thread_ends_when_the_consumer_stops(monkeypatch, prefetch, big):
    monkeypatch.setattr(loader, "GROUP_BYTES", 0 if big else 2**20)
    batches = Loader(np.arange(1000), batch_size=1, prefetch=prefetch).epoch(0)
    assert len(list(islice(batches, 5))) == 5
    assert len(threads()) == 1
    batches.close()
    assert threads() == []
    for _ in Loader(np.arange(1000), batch_size=1, prefetch=prefetch):
        break
    assert threads() == []


def test_the_thread_ends_with_the_epoch():
    assert len(list(Loader(np.arange(100), batch_size=3, prefetch=2))) == 34
    assert threads() == []


def test_no_thread_before_the_first_batch():
    batches = Loader(np.arange(100), batch_size=3, prefetch=2).epoch(0)
    assert threads() == []
    del batches


def test_the_thread_does_not_run_far_ahead(monkeypatch):
    monkeypatch.setattr(loader, "GROUP_BYTES", 0)
    made = []
    waiting = threading.Event()

    def transform(batch):
        made.append(batch)
        if len(made) == 4:
            waiting.set()
        return batch

    batches = Loader(np.arange(100), batch_size=1, prefetch=2, transform=transform).epoch(0)
    next(batches)
    assert waiting.wait(10)  # one with the consumer, two in the queue, one in hand
    assert len(made) == 4
    batches.close()


@pytest.mark.parametrize("prefetch", [0, 1, 2])
@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt])
def test_errors_reach_the_consumer_after_the_good_batches(prefetch, error):
    def transform(batch):
        if batch[0][0] == 6:
            raise error("in the transform")
        return batch

    batches = Loader(np.arange(9), batch_size=2, prefetch=prefetch, transform=transform).epoch(0)
    assert rows(islice(batches, 3)) == [[0, 1], [2, 3], [4, 5]]
    with pytest.raises(error, match="in the transform"):
        next(batches)
    assert threads() == []


def test_errors_of_the_consumer_end_the_thread():
    def consume():
        for _ in Loader(np.arange(1000), batch_size=1, prefetch=2):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        consume()
    assert threads() == []


# Mistakes


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ((), {}, "no array"),
        ((np.ones((3, 2)), np.ones(4)), {}, r"first axes differ in .* \(3, 2\) and \(4,\)"),
        ((np.ones((0, 2)),), {}, r"no samples in arrays of shapes \(0, 2\)"),
        ((5.0,), {}, "no samples"),
        ((np.ones(3),), {"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ((np.ones(3),), {"batch_size": 4, "drop_remainder": True}, "3 samples do not fill one"),
        ((np.ones(3),), {"shuffle": True}, "needs rng="),
        ((np.ones(3),), {"prefetch": -1}, "prefetch must be at least 0"),
    ],
)
def test_mistakes_are_explained(arrays, options, message):
    with pytest.raises(DataError, match=message):
        Loader(*arrays, **{"batch_size": 2, **options})


@pytest.mark.parametrize("start", [-1, 3])
def test_a_start_outside_the_epoch(start):
    with pytest.raises(DataError, match="an epoch has 2 batches"):
        Loader(np.arange(4), batch_size=2).epoch(0, start=start)
