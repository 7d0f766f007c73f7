"""Bias correction of parameters whose first gradient comes late: unfrozen, added, grown."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from tinygen_kernels import using

from tests.cuda.equipment import fast_backends
from tinygen import Parameter, Tensor, optim

RATE, STEPS = 0.1, 30
KINDS = {
    "adam": (optim.Adam, {}, "Adam"),
    "adam, betas 0 and 0.99": (optim.Adam, {"beta1": 0.0, "beta2": 0.99}, "Adam"),
    "adamw": (optim.AdamW, {"weight_decay": 0.1}, "AdamW"),
    "nadam": (optim.Nadam, {}, "NAdam"),
}
every_kind = pytest.mark.parametrize(("make", "options", "theirs"), KINDS.values(), ids=KINDS)
# When each of four parameters has a gradient: always, late, with a gap, in turn with the last
TURNS = [lambda t: True, lambda t: t >= 11, lambda t: not 4 <= t < 9, lambda t: t % 2 == 1]


@pytest.fixture(autouse=True, params=fast_backends)
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    with using(request.param):
        yield


def gradient(i: int, t: int) -> np.ndarray:
    return np.random.default_rng([i, t]).standard_normal(3)


def parameters() -> list[Parameter]:
    return [Parameter(np.full(3, 1.0 + i)) for i in range(len(TURNS))]


def step(optimizer: optim.Optimizer, t: int) -> None:
    """A step in which each parameter has a gradient if it is its turn."""
    for i, (p, turn) in enumerate(zip(optimizer.parameters, TURNS, strict=False)):
        p.grad = Tensor(gradient(i, t)) if turn(t) else None
    optimizer.step()


def first_step(optimizer: optim.Optimizer, p: Parameter) -> float:
    """How far a gradient of 1 moves a parameter."""
    before = p.item()
    for other in optimizer.parameters:
        other.grad = None
    p.grad = Tensor(np.ones_like(p.data))
    optimizer.step()
    return p.item() - before


def by_hand(kind: type, options: dict, pytorch: bool) -> list[np.ndarray]:
    """The rule for one number at a time; in Keras's convention t is that of the optimiser."""
    o = {"beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0} | options
    d = 0.004 if pytorch else 1.0
    values = [np.full(3, 1.0 + i) for i in range(len(TURNS))]
    for i, p in enumerate(values):
        m, s, own = np.zeros(3), np.zeros(3), 0
        for step in range(STEPS):
            if not TURNS[i](step):
                continue
            own += 1
            t, g = (own if pytorch else step + 1), gradient(i, step)
            m = o["beta1"] * m + (1 - o["beta1"]) * g
            s = o["beta2"] * s + (1 - o["beta2"]) * g * g
            p *= 1 - RATE * o["weight_decay"]
            mean = m / (1 - o["beta1"] ** t)
            if kind is optim.Nadam:
                u = [o["beta1"] * (1 - 0.5 * 0.96 ** (d * k)) for k in range(1, t + 2)]
                mean = u[t] * m / (1 - np.prod(u)) + (1 - u[t - 1]) * g / (1 - np.prod(u[:t]))
            root = np.sqrt(s / (1 - o["beta2"] ** t))
            keras = 1e-7 if pytorch or kind is optim.Nadam else 1e-7 / np.sqrt(1 - o["beta2"] ** t)
            p -= RATE * mean / (root + keras)
    return values


@every_kind
@pytest.mark.parametrize("convention", ["keras", "pytorch"])
def test_every_step_is_that_of_a_loop_by_hand(convention, make, options, theirs):
    optimizer = make(parameters(), RATE, **options, convention=convention)
    for t in range(STEPS):
        step(optimizer, t)
    for p, expected in zip(
        optimizer.parameters, by_hand(make, options, convention == "pytorch"), strict=True
    ):
        np.testing.assert_allclose(p.data, expected, rtol=1e-12)


@every_kind
def test_every_step_is_pytorchs(make, options, theirs):
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    named = dict(options)
    betas = named.pop("beta1", 0.9), named.pop("beta2", 0.999)
    others = [torch.nn.Parameter(torch.from_numpy(p.data.copy())) for p in parameters()]
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)  # NAdam keeps its products in the default type
    try:
        other = getattr(torch.optim, theirs)(others, lr=RATE, betas=betas, eps=1e-7, **named)
        optimizer = make(parameters(), RATE, **options, convention="pytorch")
        for t in range(STEPS):
            for i, p in enumerate(others):
                p.grad = torch.from_numpy(gradient(i, t)) if TURNS[i](t) else None
            other.step()
            step(optimizer, t)
            for ours, p in zip(optimizer.parameters, others, strict=True):
                np.testing.assert_allclose(ours.data, p.detach().numpy(), rtol=1e-12)
    finally:
        torch.set_default_dtype(default)


def test_the_first_step_of_an_unfrozen_parameter():
    """With PyTorch's count the rate; with Keras's, 10 rates, as its users know it."""
    for convention, expected in (("pytorch", -RATE), ("keras", -10 * RATE)):
        old, late = Parameter(np.zeros(1)), Parameter(np.zeros(1), requires_grad=False)
        optimizer = optim.Adam([old, late], RATE, 0.0, 0.99, convention=convention)
        for _ in range(1000):
            old.grad = Tensor(np.ones(1))
            optimizer.step()
        late.requires_grad = True
        assert first_step(optimizer, late) == pytest.approx(expected, rel=1e-3)


@every_kind
@pytest.mark.parametrize("convention", ["keras", "pytorch"])
def test_what_is_added_or_grows_begins_as_in_a_fresh_optimizer(convention, make, options, theirs):
    fresh = Parameter(np.ones(1))
    expected = first_step(make([fresh], RATE, **options, convention=convention), fresh)
    optimizer = make(parameters(), RATE, **options, convention=convention)
    for t in range(1000):
        step(optimizer, t)
    added = Parameter(np.ones(1))
    optimizer.add_parameters([added])
    assert first_step(optimizer, added) == expected
    grown = optimizer.parameters[0]
    grown.data = np.ones(1)
    assert first_step(optimizer, grown) == expected


@every_kind
@pytest.mark.parametrize("convention", ["keras", "pytorch"])
def test_counts_go_on_from_a_state(convention, make, options, theirs):
    def started():
        optimizer = make(parameters()[:3], RATE, **options, convention=convention)
        for t in range(7):
            step(optimizer, t)
        optimizer.add_parameters(parameters()[3:])
        return optimizer

    optimizer, follower = started(), make(parameters(), RATE, **options, convention=convention)
    for t in range(7, 15):
        step(optimizer, t)
    state = optimizer.state_dict()
    # the last came at step 7, and has had 4 of its turns
    own = {"keras": [15, 15, 15, 8], "pytorch": [15, 4, 10, 4]}[convention]
    names = optimizer.gathered.names
    assert [state[f"count.{name}"].tolist() for name in names] == [[n] for n in own]
    follower.load_state_dict(dict(zip(follower.state_dict(), state.values(), strict=True)))
    for ours, p in zip(follower.parameters, optimizer.parameters, strict=True):
        ours.data[...] = p.data
    for t in range(15, 22):
        step(optimizer, t)
        step(follower, t)
        for ours, p in zip(follower.parameters, optimizer.parameters, strict=True):
            np.testing.assert_array_equal(ours.data, p.data)


def test_a_state_from_before_there_were_counts_has_the_steps_for_all():
    optimizer, other = (optim.Adam(parameters(), RATE, convention="pytorch") for _ in range(2))
    for t in range(20):
        step(optimizer, t)
    old = {k: v for k, v in optimizer.state_dict().items() if not k.startswith("count.")}
    other.load_state_dict(old)
    counts = [v.item() for k, v in other.state_dict().items() if k.startswith("count.")]
    assert counts == [20] * len(TURNS)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count.1": None}, "Adam.load_state_dict: missing count.1"),
        ({"count.1": np.array([21])}, "counts of steps must be from 0 to the 20 of all"),
        ({"count.1": np.array([-1])}, "counts of steps must be from 0"),
        ({"count.1": np.array([2.5])}, "count.1: could not convert float64 to int64"),
        ({"steps": -1}, "counts of steps must be from 0"),
        ({"steps": 2.5}, "steps: could not convert float64 to int64"),
        ({"mean.1": np.array([1j, 0, 0])}, "mean.1: could not convert complex128 to float64"),
        ({"square.1": np.array([np.nan, 0, 0])}, "square.1 holds NaN or infinity"),
        ({"mean.2": np.array([0, 0, np.inf])}, "mean.2 holds NaN or infinity"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(changes, message):
    optimizer = optim.Adam(parameters(), RATE)
    for t in range(20):
        step(optimizer, t)
    before = optimizer.state_dict()
    state = {k: v for k, v in {**before, **changes}.items() if v is not None}
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(state)
    for name, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(value, before[name])
