"""Learning-rate schedules at their corners, and the moving average of parameters."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
from tinygen_kernels import using

import tinygen
from tests.cuda.equipment import every_backend
from tinygen import Random, optim
from tinygen.nn import BatchNorm, Dense, Flatten, Sequential


def test_schedules_at_their_corners():
    def values(schedule, *steps):
        return [schedule(s) for s in steps]

    approx = pytest.approx
    decay = optim.exponential_decay(0.5, 0.1, every=10)
    assert values(decay, 0, 5, 10, 20) == approx([0.5, 0.5 * 10**-0.5, 0.05, 0.005])

    pieces = optim.piecewise_constant([2, 5], [1.0, 0.5, 0.1])
    assert values(pieces, 0, 1, 2, 4, 5, 99) == [1.0, 1.0, 0.5, 0.5, 0.1, 0.1]
    assert values(optim.piecewise_constant([], [0.3]), 0, 7) == [0.3, 0.3]

    line = optim.linear_decay(1.0, 4, final=0.2)
    assert values(line, 0, 1, 2, 4, 5, 1000) == approx([1.0, 0.8, 0.6, 0.2, 0.2, 0.2])

    wave = optim.cosine_decay(1.0, 4, final=0.2)
    quarter = 0.2 + 0.8 * (1 + math.sqrt(0.5)) / 2
    assert values(wave, 0, 1, 2, 4, 5) == approx([1.0, quarter, 0.6, 0.2, 0.2])

    rising = optim.warmup(0.4, 4)
    assert values(rising, 0, 1, 3, 4, 100) == approx([0.1, 0.2, 0.4, 0.4, 0.4])
    both = optim.warmup(optim.linear_decay(1.0, 2), 2)
    assert values(both, 0, 1, 2, 3, 4, 5) == approx([0.5, 1.0, 1.0, 0.5, 0.0, 0.0])
    assert values(optim.warmup(0.4, 0), 0, 1) == [0.4, 0.4]


SCHEDULES = [
    optim.exponential_decay(0.5, 0.1, every=3),
    optim.piecewise_constant([2, 5], [1.0, 0.5, 0.1]),
    optim.linear_decay(1.0, 4, final=0.2),
    optim.cosine_decay(1.0, 4, final=0.2),
    optim.warmup(0.4, 4),
    optim.warmup(optim.warmup(optim.cosine_decay(1.0, 4), 2), 2),
]


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
@pytest.mark.parametrize("schedule", SCHEDULES, ids=repr)
def test_a_schedule_is_a_value(schedule, duplicate):
    other = duplicate(schedule)
    assert other == schedule
    assert hash(other) == hash(schedule)
    assert repr(other) == repr(schedule)
    assert [other(s) for s in range(8)] == [schedule(s) for s in range(8)]
    assert SCHEDULES.count(schedule) == 1
    model = Dense(2, 1, rng=Random(0))
    optimizer, follower = duplicate((optim.Adam(model, schedule), optim.Adam(model, schedule)))
    for each in (optimizer, follower):
        for _ in range(3):
            each.step()
        assert each.learning_rate == schedule(3)
    with pytest.raises(AttributeError, match="cannot assign"):
        schedule.steps = 3


def test_a_schedule_does_not_follow_a_list_that_changes():
    boundaries, values = [2], [1.0, 0.5]
    schedule = optim.piecewise_constant(boundaries, values)
    boundaries[0], values[0] = 0, 7.0
    assert schedule(1) == 1.0


@pytest.mark.parametrize("rate", [math.nan, -0.1, math.inf])
def test_a_schedule_that_leaves_the_range_is_refused_at_the_step(rate):
    model = Dense(2, 1, rng=Random(0))
    optimizer = optim.SGD(model, lambda step: 0.1 if step < 1 else rate)
    for _ in range(2):
        model(np.ones((1, 2), np.float32)).sum().backward()
        before = model.state_dict()
        if optimizer.steps == 0:
            optimizer.step()
    with pytest.raises(ValueError, match=f"SGD: the schedule gives .* of {rate} after 1 steps"):
        optimizer.step()
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@every_backend
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_average_has_its_closed_form(backend, dtype):
    """After n updates: decay^n p_0 + (1 - decay) sum_i decay^(n - i) p_i."""
    decay, n = 0.9, 20
    model = Sequential(Dense(3, 4, rng=Random(0)), Dense(4, 2, rng=Random(1))).to(dtype=dtype)
    ema = optim.EMA(model, decay)
    history = [model.state_dict()]
    rng = np.random.default_rng(0)
    with using(backend):
        for _ in range(n):
            for p in model.parameters():
                p.data[...] = rng.standard_normal(p.shape)
            ema.update()
            history.append(model.state_dict())
    weights = [decay**n, *((1 - decay) * decay ** (n - i) for i in range(1, n + 1))]
    with ema.applied():
        for name, p in model.named_parameters():
            expected = sum(w * h[name].astype(float) for w, h in zip(weights, history, strict=True))
            assert p.dtype == dtype
            tolerance = n * 4 * np.finfo(dtype).eps  # an update rounds a few times
            np.testing.assert_allclose(p.numpy(), expected, 0, tolerance)


def test_the_average_is_applied_for_a_block_only_even_if_it_fails():
    model = Dense(2, 2, rng=Random(0))
    ema = optim.EMA(model, 0.5)
    model.weight.data[...] += 1
    before, average = model.state_dict(), ema.state_dict()
    view = model.weight.data

    def fail():
        with ema.applied():
            np.testing.assert_array_equal(model.weight.numpy(), average["weight"])
            raise KeyError("inside")

    with pytest.raises(KeyError, match="inside"):
        fail()
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    for name, array in ema.state_dict().items():
        np.testing.assert_array_equal(array, average[name])
    assert model.weight.data is view


def test_a_graph_of_the_parameters_is_stale_where_the_average_is_applied():
    model = Dense(2, 2, rng=Random(0))
    x = tinygen.tensor(np.ones((1, 2), np.float32), requires_grad=True)
    y = model(x).sum()
    with (
        optim.EMA(model, 0.5).applied(),
        pytest.raises(RuntimeError, match="dense saved a tensor that was changed"),
    ):
        y.backward()


def test_the_average_goes_on_from_its_state():
    model = Dense(2, 2, rng=Random(0))
    ema = optim.EMA(model, 0.5)
    model.weight.data[...] += 1
    ema.update()
    other = optim.EMA(model, 0.5)
    other.load_state_dict(ema.state_dict())
    for e in (ema, other):
        e.update()
    for name, average in ema.state_dict().items():
        np.testing.assert_array_equal(other.state_dict()[name], average)
    for wrong in ({}, {**ema.state_dict(), "weight": np.zeros(3)}, {**ema.state_dict(), "x": 0}):
        with pytest.raises(ValueError, match=r"Dense\.load_state_dict"):
            other.load_state_dict(wrong)


def test_a_parameter_that_grew_starts_its_average_anew():
    model = Dense(2, 2, rng=Random(0))
    ema = optim.EMA(model, 0.5)
    model.weight.data = np.full((3, 2), 5.0, np.float32)
    model.bias.data[...] += 1
    with ema.applied():
        assert (model.weight.numpy() == 5).all()
        assert (model.bias.numpy() == 0).all()
    ema.update()
    assert (ema.average.weight.numpy() == 5).all()
    assert (ema.average.bias.numpy() == 0.5).all()
    model.bias.data = np.full(7, 2.0, np.float32)
    ema.update()
    assert ema.average.bias.numpy().tolist() == [2.0] * 7


def test_buffers_are_copied_and_not_averaged():
    model = Sequential(BatchNorm(3), Dense(3, 2, rng=Random(0)))
    ema = optim.EMA(model, 0.5)
    x = np.random.default_rng(0).standard_normal((8, 3)).astype("float32")
    for _ in range(3):
        model(x)
        model[1].weight.data[...] += 1
        ema.update()
        for average, buffer in zip(ema.average.buffers(), model.buffers(), strict=True):
            np.testing.assert_array_equal(average.numpy(), buffer.numpy())
    assert (ema.average[1].weight.numpy() != model[1].weight.numpy()).all()
    assert not any(p.requires_grad for p in ema.average.parameters())


def test_an_average_may_live_in_the_model_and_grows_with_it():
    model = Sequential(Dense(2, 2, rng=Random(0)))
    kept = Sequential(Dense(2, 2, rng=Random(1)))
    ema = optim.EMA(model, lambda images: 0.5 if images < 10 else 0.0, kept)
    assert ema.average is kept
    first = model[0].weight.numpy().copy()
    before = kept[0].weight.numpy().copy()
    ema.update(0)
    np.testing.assert_allclose(kept[0].weight.numpy(), (before + first) / 2, rtol=1e-6)
    ema.update(10)  # decay 0: the model of now
    np.testing.assert_array_equal(kept[0].weight.numpy(), first)
    model.layers.append(Dense(2, 3, rng=Random(2)))
    model[0].weight.data[...] += 1
    ema.follow()
    np.testing.assert_array_equal(kept[0].weight.numpy(), first)  # as it was
    np.testing.assert_array_equal(kept[1].weight.numpy(), model[1].weight.numpy())
    with pytest.raises(ValueError, match=r"decay must be at least 0 and below 1, not 1\.5"):
        optim.EMA(model, lambda images: 1.5).update()


def test_an_average_of_nothing_is_nothing():
    ema = optim.EMA(Flatten())
    ema.update()
    assert ema.state_dict() == {}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: optim.EMA(Flatten(), 1.0), "decay must be at least 0 and below 1, not 1.0"),
        (lambda: optim.EMA(Flatten(), math.nan), "EMA: decay must be at least 0 and below 1"),
        (lambda: optim.piecewise_constant([1], [0.1]), "need one value more"),
        (lambda: optim.piecewise_constant([2, 1], [0, 1, 2]), "rising boundaries"),
        (lambda: optim.piecewise_constant([2, 2], [0, 1, 2]), "rising boundaries"),
        (lambda: optim.piecewise_constant([math.nan], [0, 1]), "boundaries must be a finite"),
        (lambda: optim.piecewise_constant([1], [0.1, -1]), "values must not be negative, got -1"),
        (lambda: optim.linear_decay(0.1, 0), "linear_decay: .* must be positive, not 0"),
        (lambda: optim.linear_decay(math.nan, 1), "linear_decay: initial must not be negative"),
        (lambda: optim.linear_decay(0.1, 1, -0.1), "linear_decay: final must not be negative"),
        (lambda: optim.cosine_decay(0.1, -1), "cosine_decay: .* must be positive, not -1"),
        (lambda: optim.cosine_decay(math.inf, 1), "cosine_decay: initial must be finite, got inf"),
        (lambda: optim.exponential_decay(0.1, 0.5, 0), "exponential_decay: .* not 0"),
        (lambda: optim.exponential_decay(0.1, -0.5, 1), "factor must be positive, not -0.5"),
        (lambda: optim.exponential_decay(0.1, 0.5, math.nan), "every must be positive, not nan"),
        (lambda: optim.warmup(-0.1, 5), "warmup: schedule must not be negative"),
        (lambda: optim.warmup(0.1, -5), "warmup: the number of steps must not be negative"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda x: optim.EMA(Flatten(), x),
        lambda x: optim.piecewise_constant([1], [0.1, x]),
        lambda x: optim.linear_decay(x, 3),
        lambda x: optim.cosine_decay(0.1, x),
        lambda x: optim.exponential_decay(0.1, x, 3),
        lambda x: optim.warmup(0.1, x),
        lambda x: optim.warmup(x, 3),
    ],
)
@pytest.mark.parametrize("value", ["0.5", None, True, [0.5], 0.5j])
def test_options_that_are_no_numbers_are_refused(make, value):
    with pytest.raises(TypeError, match="must be a number, not"):
        make(value)
