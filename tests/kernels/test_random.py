"""The random numbers: Philox's published answers, any slice of a stream, and fair statistics.

Every bound on a statistic is five times its standard error; the seeds are fixed, so a test either
always passes or never.
"""

import copy
import math
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from tinygen_kernels import using

import tinygen
from tests.cuda.equipment import REFERENCE, every_kernels
from tinygen import Random, ops
from tinygen.ops import random

N = 100_000
ONES = 0xFFFFFFFF


def words(kernels, n, key, counter, first):
    out = np.empty(n, np.uint32)
    kernels.random_bits(out, key, counter, first)
    return out


@every_kernels
@pytest.mark.parametrize(
    ("counter", "key", "answer"),
    [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((ONES,) * 4, (ONES,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),  # the digits of pi
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ],
    ids=["zeros", "ones", "pi"],
)
def test_known_answers(counter, key, answer, kernels):
    """Those of Random123, the authors' own implementation (kat_vectors, philox4x32 10)."""
    assert tuple(words(kernels, 4, key, counter[1:], 4 * counter[0])) == answer


@every_kernels
@pytest.mark.parametrize("first", [0, 1, 6, 2**33 + 3, 2**34 - 8])
@pytest.mark.parametrize("n", [0, 1, 7, 16, 1001])
def test_any_slice_is_the_same_everywhere(n, first, kernels):
    """Also across the end of the counter, after which the words start again."""
    key, counter = (7, 11), (1, 2, 3)
    block = first - first % 4
    whole = words(REFERENCE, n + 8, key, counter, block)
    expected = whole[first - block :][:n]
    np.testing.assert_array_equal(words(kernels, n, key, counter, first), expected)


@every_kernels
def test_the_last_word_of_a_stream_is_followed_by_the_first(kernels):
    end = words(kernels, 8, (7, 11), (1, 2, 3), 2**34 - 4)
    np.testing.assert_array_equal(end[4:], words(kernels, 4, (7, 11), (1, 2, 3), 0))


DRAWS = {
    "uniform": lambda rng, shape, first: rng.uniform(shape, -1, 1, first=first),
    "normal": lambda rng, shape, first: rng.normal(shape, first=first),
    "integers": lambda rng, shape, first: rng.integers(0, 10, shape, first=first),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("row", [(), (3,), (2, 2)], ids=str)
def test_rows_of_a_longer_draw(draw, row):
    whole = draw(Random(5), (9, *row), 0)
    for first, n in ((0, 9), (1, 4), (4, 5), (8, 1), (3, 0)):
        part = draw(Random(5), (n, *row), first)
        np.testing.assert_array_equal(part, whole[first : first + n])
    with using("reference"):
        np.testing.assert_array_equal(draw(Random(5), (9, *row), 0), whole)


def test_numbers_are_made_of_their_words():
    bits = Random(5).bits(8).astype(float)
    np.testing.assert_array_equal(Random(5).uniform(8), np.floor(bits / 2**8) / 2**24)
    np.testing.assert_array_equal(Random(5).integers(0, 10, 8), np.floor(10 * bits / 2**32))
    radius, angle = np.sqrt(-2 * np.log((bits[::2] + 1) / 2**32)), 2 * np.pi * bits[1::2] / 2**32
    pairs = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    np.testing.assert_allclose(Random(5).normal(8), pairs.ravel(), rtol=1e-5, atol=1e-5)


def test_streams_differ_by_seed_purpose_step_and_draw():
    rng = Random(1)
    streams = [Random(1), Random(2), Random(1, "data"), rng.stream("noise")]
    streams += [rng.at(1), rng.at(2**40)]
    draws = [s.bits(N) for s in streams]
    draws.append(streams[0].bits(N))  # the next draw
    limit = 5 * math.sqrt(N * (2**-16) * (1 - 2**-16))  # 16 bits agree by chance
    for i, a in enumerate(draws):
        for b in draws[:i]:
            assert abs((a >> 16 == b >> 16).sum() - N * 2**-16) < limit
    assert rng.draw == 0


def test_a_stream_goes_on_from_its_state():
    rng = Random(3, "data", step=9)
    rng.normal(5)
    state, expected = rng.state_dict(), rng.uniform(5)
    other = Random(0)
    other.load_state_dict(state)
    np.testing.assert_array_equal(other.uniform(5), expected)
    assert repr(other) == "Random(seed=3, purpose='data', step=9)"


def test_a_wrong_state_changes_nothing():
    rng = Random(3, "data", step=9)
    rng.normal(5)
    state = rng.state_dict()
    with pytest.raises(TypeError):
        rng.load_state_dict({**state, "seed": 4, "draw": 1.5})
    assert rng.state_dict() == state
    rng.load_state_dict({**state, "seed": np.uint64(2**64 - 1), "draw": np.int32(7)})
    assert (rng.seed, rng.draw) == (2**64 - 1, 7)


@pytest.mark.parametrize(
    "duplicate", [copy.copy, copy.deepcopy, lambda r: pickle.loads(pickle.dumps(r))]
)
def test_a_copy_counts_its_own_draws(duplicate):
    rng = Random(1)
    rng.bits(4)
    other = duplicate(rng)
    expected = other.bits(4)
    assert (rng.draw, other.draw) == (1, 2)
    np.testing.assert_array_equal(rng.bits(4), expected)


def test_a_stream_on_another_device_counts_the_same_draws():
    rng = Random(1)
    elsewhere = rng.on("cuda")  # to name it takes no such device
    assert (rng.device, elsewhere.device) == ("cpu", "cuda")
    assert rng.on("cpu") is rng
    first, second = elsewhere.on("cpu").bits(4), rng.bits(4)
    again = Random(1)
    np.testing.assert_array_equal([again.bits(4), again.bits(4)], [first, second])
    assert rng.draw == elsewhere.draw == 2


class Together:
    """Kernels in which every thread waits for all others: the worst of all interleavings."""

    def __init__(self, threads):
        self.barrier, self.asked = threading.Barrier(threads, timeout=60), []

    def __call__(self, out):
        return self

    def random_bits(self, out, key, counter, first):
        self.asked.append((key, counter))
        self.barrier.wait()
        out[...] = 0


@pytest.mark.parametrize("stream", ["default", "seeded", "shared", "elsewhere"])
def test_no_draw_is_given_to_two_threads(stream, monkeypatch):
    threads, draws = 8, 5
    if stream == "seeded":
        tinygen.seed(3)
    shared = {"shared": Random(5), "elsewhere": Random(5, device="cuda")}.get(stream)
    together = Together(threads)
    monkeypatch.setattr(random, "kernels", together)

    def work():
        for _ in range(draws):
            ops.dropout(np.ones(3, "float32"), rng=shared)

    with ThreadPoolExecutor(threads) as pool:
        for future in [pool.submit(work) for _ in range(threads)]:
            future.result()
    assert len(set(together.asked)) == len(together.asked) == threads * draws


def test_a_stream_ends_before_it_repeats_itself():
    rng = Random(1)
    rng.load_state_dict({**rng.state_dict(), "draw": 2**32 - 1})
    rng.bits(4)
    with pytest.raises(OverflowError, match="no draws left: use another step or purpose"):
        rng.bits(4)


def assert_even(counts, expected):
    """Pearson's chi-squared test: mean k - 1, variance 2 (k - 1) over k classes."""
    degrees = len(counts) - 1
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi_squared - degrees) < 5 * math.sqrt(2 * degrees)


@pytest.mark.parametrize("seed", range(3))
def test_uniform(seed):
    x = Random(seed).uniform(N)
    assert x.dtype == np.float32
    assert x.min() >= 0
    assert x.max() < 1
    assert abs(x.mean(dtype=float) - 1 / 2) < 5 * math.sqrt(1 / 12 / N)
    assert abs(x.var(dtype=float) - 1 / 12) < 5 * math.sqrt((1 / 80 - 1 / 144) / N)
    assert_even(np.histogram(x, 64, (0, 1))[0], N / 64)
    np.testing.assert_array_equal(Random(seed).uniform(N, dtype=np.float64), x)


def test_uniform_never_leaves_its_bounds(monkeypatch):
    for word in (0, ONES):

        def same(self, n, first=0, word=word):
            return np.full(n, word, np.uint32)

        monkeypatch.setattr(Random, "bits", same)
        for low, high in ((0, 1), (0, 3), (-1, 1)):
            assert low <= Random(0).uniform((), low, high) < high
        assert np.isfinite(Random(0).normal(2)).all()


@pytest.mark.parametrize("seed", range(3))
def test_normal(seed):
    z = Random(seed).normal(N, dtype=np.float64)
    moments = {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96)}  # mean and variance of z^k
    for k, (mean, variance) in moments.items():
        assert abs((z**k).mean() - mean) < 5 * math.sqrt(variance / N)
    assert abs((z[0::2] * z[1::2]).mean()) < 5 / math.sqrt(N / 2)  # the pairs of Box and Muller
    within = math.erf(1 / math.sqrt(2))
    assert abs((abs(z) < 1).mean() - within) < 5 * math.sqrt(within * (1 - within) / N)
    assert Random(seed).normal(3).dtype == np.float32
    scaled = Random(seed).normal(N, 5.0, 0.5, dtype=np.float64)
    np.testing.assert_allclose(scaled, 5 + 0.5 * z, rtol=1e-12)


def test_integers():
    x = Random(1).integers(-3, 4, N)
    assert x.dtype == np.int64
    assert_even(np.bincount(x + 3, minlength=7), N / 7)
    wide = Random(1).integers(0, 2**32, N)
    assert abs(wide.mean() / 2**32 - 0.5) < 5 * math.sqrt(1 / 12 / N)


def test_permutation():
    order = Random(1).permutation(1000)
    np.testing.assert_array_equal(np.sort(order), np.arange(1000))
    rng = Random(2)
    orders = np.array([rng.permutation(4) for _ in range(2400)])
    assert_even(np.unique(orders @ [64, 16, 4, 1], return_counts=True)[1], 100)  # all 24 of them
    assert Random(1).permutation(0).size == 0


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_dropout_rate(rate):
    y = ops.dropout(np.ones(N, "float32"), rate, rng=Random(1)).data
    dropped = (y == 0).mean()
    assert abs(dropped - rate) <= 5 * math.sqrt(rate * (1 - rate) / N)
    np.testing.assert_allclose(y[y != 0], 1 / (1 - rate), rtol=1e-6)


def test_gaussian_noise():
    noise = ops.gaussian_noise(np.zeros(N), 0.5, rng=Random(1)).data
    assert abs(noise.std() - 0.5) < 5 * 0.5 / math.sqrt(2 * N)
