"""The optimisers' updates as CUDA kernels: what is theirs alone, tables of addresses and launches.

That they do what the reference does is in kernels/test_optim_kernels.py.
"""

import pickle

import numpy as np
import pytest
import shim
from tinygen_kernels.cuda import optim
from tinygen_kernels.cuda.launch import register_shim
from tinygen_kernels.cuda.launch import shim as registered

from tinygen import Random, Tensor
from tinygen import optim as optimizers
from tinygen.nn import Dense

from .equipment import CUDA, REFERENCE, distance, in_every_order, needs_compiler

pytestmark = needs_compiler
# a chunk is 2048 elements; 300 parameters are more than a block has threads
SIZES = [0, 5, 2047, 2048, 2049, 5000, *([3] * 300)]
FACTORS = (0.9, 0.99, 0.1, 0.05, 0.8, 1e-3, 0.99, 0.5)


def normal(sizes, dtype, seed):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=n).astype(dtype) for n in sizes]


def state(dtype="float32", sizes=SIZES):
    """Parameters, gradients, means and squares."""
    lists = [normal(sizes, dtype, seed) for seed in range(4)]
    return *lists[:3], [abs(s) for s in lists[3]]


@pytest.fixture
def launches():
    """The number of kernels launched so far."""
    before = registered()
    counter = shim.Shim()
    register_shim(counter)
    yield lambda: counter.launches
    register_shim(before)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_adam(dtype):
    def step():
        lists = state(dtype)
        CUDA.adam(*lists, *FACTORS)
        return [*lists[0], *lists[2], *lists[3]]

    found = in_every_order(step)
    exact = [[a.astype(float) for a in arrays] for arrays in state(dtype)]
    REFERENCE.adam(*exact, *FACTORS)
    expected = np.concatenate([*exact[0], *exact[2], *exact[3]])
    assert distance(np.concatenate(found), expected) < 4 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_sum_of_squares(dtype):
    gradients = normal(SIZES, dtype, 1)
    found = in_every_order(lambda: CUDA.sum_of_squares(gradients))
    assert (found.shape, found.dtype) == ((), np.dtype(float))
    exact = sum((g.astype(float) ** 2).sum() for g in gradients)
    assert abs(found - exact) < 1e-13 * exact
    assert CUDA.sum_of_squares(gradients[:1]) == CUDA.sum_of_squares([]) == 0


def test_one_launch_for_all_parameters(launches):
    lists = state()
    CUDA.adam(*lists, *FACTORS)
    assert launches() == 1
    CUDA.sgd(*lists[:2], [], 0.0, 0.0, 0.0, -0.1, 1.0)
    CUDA.ema(lists[0], lists[1], 0.9)
    assert launches() == 3
    CUDA.sum_of_squares(lists[1])
    assert launches() == 5  # sums by chunk, and their sum
    CUDA.ema([], [], 0.9)
    assert launches() == 5


def test_a_table_is_made_once_for_the_same_arrays():
    optim._laid_out.cache_clear()
    lists = state()
    for _ in range(3):
        CUDA.adam(*lists, *FACTORS)
    assert optim._laid_out.cache_info()[:2] == (2, 1)  # hits and misses
    elsewhere = [lists[0], [g.copy() for g in lists[1]], *lists[2:]]
    CUDA.adam(*elsewhere, *FACTORS)
    assert optim._laid_out.cache_info()[:2] == (2, 2)


def test_parameters_of_several_types_and_gradients_of_others(launches):
    single, double = state("float32", [5, 3000]), state("float64", [7, 2050])
    expected = (
        [[a.copy() for a in arrays] for arrays in single],
        [[a.copy() for a in arrays] for arrays in double],
    )
    for lists in expected:
        CUDA.adam(*lists, *FACTORS)
    before = launches()
    mixed = [[a[0], b[0], a[1], b[1]] for a, b in zip(single, double, strict=True)]
    mixed[1] = [mixed[1][0].astype("float64"), *mixed[1][1:]]
    CUDA.adam(*mixed, *FACTORS)
    assert launches() == before + 2  # one for each type
    for i in (0, 2, 3):
        for k, (lists, j) in enumerate([(0, 0), (1, 0), (0, 1), (1, 1)]):
            np.testing.assert_array_equal(mixed[i][k], expected[lists][i][j])
    total = CUDA.sum_of_squares(mixed[1])
    assert abs(total - sum((g.astype(float) ** 2).sum() for g in mixed[1])) < 1e-12 * total


@pytest.mark.parametrize("shift", [0, 1, 2])
def test_arrays_that_do_not_begin_at_a_multiple_of_16_bytes(shift):
    """Their packs are read number by number, and nothing beside them is touched."""
    whole = [np.zeros(3008, "float32") for _ in range(4)]
    lists = [[a[k * shift + 4 : k * shift + 3000]] for k, a in enumerate(whole)]
    sample = state("float32", [2996])
    for views, values in zip(lists, sample, strict=True):
        views[0][:] = values[0]
    before = [a.copy() for a in whole]
    CUDA.adam(*lists, *FACTORS)
    CUDA.adam(*sample, *FACTORS)
    for k, (a, b) in enumerate(zip(whole, before, strict=True)):
        np.testing.assert_array_equal(a[k * shift + 4 : k * shift + 3000], sample[k][0])
        np.testing.assert_array_equal(a[: k * shift + 4], b[: k * shift + 4])
        np.testing.assert_array_equal(a[k * shift + 3000 :], b[k * shift + 3000 :])


def test_lists_that_do_not_fit():
    parameters, gradients, _, _ = state("float32", [4, 6])
    with pytest.raises(ValueError, match="lists of"):
        CUDA.ema(parameters, gradients[:1], 0.9)
    with pytest.raises(ValueError, match="an update of 6 elements"):
        CUDA.ema(parameters, gradients[::-1], 0.9)
    with pytest.raises(ValueError, match=r"strides \(8,\)"):
        CUDA.ema([np.zeros(12, "float32")[::2]], gradients[1:], 0.9)
    with pytest.raises(TypeError, match="not int32"):
        CUDA.sum_of_squares([np.zeros(4, "int32")])


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", optimizers.BY_NAME)
def test_a_norm_that_is_no_number_makes_all_parameters_nan(card, name, wrong):
    """Nobody waits for a card, so the next loss has to tell."""
    layer = Dense(2, 3, rng=Random(0)).to(device="cuda")
    layer.weight.grad = Tensor(card.asarray(np.float32([[0, wrong, 0], [0, 0, 0]])))
    layer.bias.grad = Tensor(card.asarray(np.ones(3, np.float32)))
    optimizers.create(name, layer, clip_norm=1.0).step()
    assert all(np.isnan(p.numpy()).all() for p in layer.parameters())


def test_a_norm_on_a_card_clips_as_on_the_cpu(card):
    found = []
    for device in ("cpu", "cuda"):
        layer = Dense(2, 3, rng=Random(0)).to(device=device)
        optimizer = optimizers.SGD(layer, clip_norm=1.0)
        for size in (0.0, 0.1, 10.0):
            for p in layer.parameters():
                p.grad = Tensor(np.full(p.shape, size, np.float32)).to(device)
            optimizer.step()
        found.append([p.numpy() for p in layer.parameters()])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)


def test_what_was_pickled_on_a_card_goes_on_without_one(card):
    def train(layer, optimizer):
        for p in layer.parameters():
            p.grad = Tensor(np.ones(p.shape, np.float32)).to(layer.device)
        optimizer.step()

    layer = Dense(2, 3, rng=Random(0)).to(device="cuda")
    optimizer = optimizers.Adam(layer)
    train(layer, optimizer)
    written = pickle.dumps((layer, optimizer))
    assert b"cupy" not in written.lower()
    loaded, follower = pickle.loads(written)
    assert loaded.device == "cpu"
    for _ in range(3):
        train(layer, optimizer)
        train(loaded, follower)
    for p, q in zip(layer.parameters(), loaded.parameters(), strict=True):
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-6)
