"""The pool of past fakes, against one that takes them one by one."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import Random, Tensor
from tinygen.models import ReplayPool


def one_by_one(size, batches, rng):
    """The same with a list: fill first; then half of the new ones change places with old ones."""
    stored, results = [], []
    for x in batches:
        drawn, coin = rng.integers(0, size, (len(x),)), rng.uniform((len(x),)) < 0.5
        out = []
        for sample, place, exchange in zip(x, drawn, coin, strict=True):
            if len(stored) < size:
                stored.append(sample)
                out.append(sample)
            elif exchange:
                out.append(stored[place])
                stored[place] = sample
            else:
                out.append(sample)
        results.append(np.array(out))
    return results, np.array(stored)


def batches(lengths, shape=()):
    total = sum(lengths)
    x = np.arange(total, dtype="float32").reshape(total, *[1] * len(shape)) + np.zeros(
        shape, "float32"
    )
    return np.split(x, np.cumsum(lengths)[:-1])


@pytest.mark.parametrize(
    ("size", "lengths", "shape"),
    [
        (50, [32] * 8, (2, 3, 1)),
        (3, [7, 7, 1, 20, 2], (2,)),  # many draw the same place; the pool fills within a batch
        (1, [5, 5, 5], ()),
        (20, [6, 6], (4,)),  # is never full
    ],
)
def test_it_does_what_taking_them_one_by_one_does(size, lengths, shape):
    pool, x, rng = ReplayPool(size, shape), batches(lengths, shape), Random(3)
    found = [pool(batch, rng=rng).numpy() for batch in x]
    expected, stored = one_by_one(size, x, Random(3))
    for ours, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, other)
    np.testing.assert_array_equal(pool.samples.numpy()[: len(stored)], stored)
    assert pool.count.item() == len(stored)


def test_half_of_the_samples_are_old_once_it_is_full():
    pool, rng = ReplayPool(50), Random(0)
    old = []
    for batch in batches([50] * 41):
        y = pool(batch, rng=rng).numpy()
        old.append((y != batch).mean())
    assert old[0] == 0  # filling
    # one that has just come in and goes out at once is among the old, so a batch tells
    assert abs(np.mean(old[1:]) - 0.5) < 5 * 0.5 / np.sqrt(2000)


def test_state_goes_on_exactly_in_place_and_inference_leaves_it_alone():
    first, second = batches([9, 9])
    pool = ReplayPool(4)
    samples = pool.samples.array
    pool(first, rng=Random(1).at(0))
    assert pool.samples.array is samples
    again = ReplayPool(4)
    again.load_state_dict(pool.state_dict())
    same = [p(second, rng=Random(1).at(1)).numpy() for p in (pool, again)]
    np.testing.assert_array_equal(*same)
    state = pool.eval().state_dict()
    np.testing.assert_array_equal(pool(first).numpy(), first)
    for name, array in pool.state_dict().items():
        np.testing.assert_array_equal(array, state[name])


def test_what_comes_out_are_constants_of_the_type_that_came_in():
    pool = ReplayPool(2, 3)
    x = Tensor(np.ones((4, 3)), requires_grad=True)
    y = pool(x)
    assert (y.dtype, y.requires_grad) == (np.float64, False)
    x.data[...] = 5  # what is stored is a copy
    assert pool.samples.numpy().max() == 1
    assert pool(np.zeros((0, 3))).shape == (0, 3)
    with pytest.raises(ValueError, match=r"ReplayPool: takes samples \(n, 3\), got \(2, 2\)"):
        pool(np.ones((2, 2)))
    with pytest.raises(ValueError, match="ReplayPool: size must be a whole number of at least 1"):
        ReplayPool(0)
    assert repr(pool) == "ReplayPool(2, 3)"
