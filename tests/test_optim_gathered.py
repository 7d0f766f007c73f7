"""The rules of the gathered buffer: what may happen to a parameter between two steps."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator

import numpy as np
import pytest
from tinygen_kernels import using

from tests.cuda.equipment import fast_backends
from tinygen import Parameter, Random, Tensor, optim
from tinygen.backend import LINE
from tinygen.nn import Dense, Flatten, Module, Sequential

X = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)

MAKERS = {
    "sgd": lambda m: optim.SGD(m, 0.1),
    "momentum": lambda m: optim.SGD(m, 0.1, 0.9),
    "nesterov": lambda m: optim.SGD(m, 0.1, 0.9, nesterov=True),
    "rmsprop": lambda m: optim.RMSprop(m, 0.01),
    "adam": lambda m: optim.Adam(m, optim.linear_decay(0.1, 20)),
    "adamw": lambda m: optim.AdamW(m, 0.01),
    "nadam": lambda m: optim.Nadam(m, 0.01),
}

DUPLICATES = [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))]


@pytest.fixture(autouse=True, params=fast_backends)
def backend(request: pytest.FixtureRequest) -> Iterator[None]:
    """All of it, with kernels for the CPU and with CUDA's."""
    with using(request.param):
        yield


def net() -> Sequential:
    rng = Random(0)
    return Sequential(Dense(4, 3, activation="tanh", rng=rng), Dense(3, 2, rng=rng))


def train(model: Module, optimizer: optim.Optimizer, steps: int = 1) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        y = model(X.astype(model.dtype))
        (y * y).sum().backward()
        optimizer.step()


def assert_same(a: Module, b: Module) -> None:
    for (name, p), q in zip(a.named_parameters(), b.parameters(), strict=True):
        np.testing.assert_array_equal(p.numpy(), q.numpy(), err_msg=name)


def assert_gathered(optimizer: optim.Optimizer) -> None:
    """All parameters of a dtype are views of one buffer, in order, each from a cache line on."""
    by_dtype: dict[np.dtype, list[np.ndarray]] = {}
    for p in optimizer.parameters:
        by_dtype.setdefault(p.dtype, []).append(p.data)
    for arrays in by_dtype.values():
        assert all(a.base is arrays[0].base for a in arrays)
        place = arrays[0].ctypes.data
        for a in arrays:
            assert a.ctypes.data == place
            assert a.flags.c_contiguous
            place += -(-a.nbytes // LINE) * LINE
        assert arrays[0].ctypes.data % LINE == 0


def velocity(optimizer: optim.Optimizer, name: str) -> np.ndarray:
    return optimizer.state_dict()[f"velocity.{name}"]


def test_parameters_are_views_of_one_buffer_per_dtype():
    model, other = net(), net()
    model.half = Parameter(np.arange(3.0))
    optimizer = optim.SGD(model, 0.1)
    assert model.half.dtype == np.float64
    assert_gathered(optimizer)
    assert_same(Sequential(*model.layers), other)
    np.testing.assert_array_equal(model.half.data, [0, 1, 2])


def test_gathering_leaves_a_recorded_graph_valid():
    model, other = net(), net()
    y, z = model(X).sum(), other(X).sum()
    optim.SGD(model, 0.1)
    y.backward()
    z.backward()
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_array_equal(p.grad.numpy(), q.grad.numpy())


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_a_copy_of_the_module_is_independent(make, duplicate):
    model, undisturbed = net(), net()
    optimizer, other = make(model), make(undisturbed)
    train(model, optimizer, 3)
    train(undisturbed, other, 3)
    views = [p.data for p in model.parameters()]
    copied = duplicate(model)
    assert not any(
        np.shares_memory(p.data, view) for p, view in zip(copied.parameters(), views, strict=True)
    )
    assert all(p.data is view for p, view in zip(model.parameters(), views, strict=True))

    before = copied.state_dict()
    train(model, optimizer, 3)
    train(undisturbed, other, 3)
    assert_same(model, undisturbed)
    for name, array in copied.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    train(copied, make(copied))
    assert (copied[0].weight.data != before["layers.0.weight"]).any()
    assert_same(model, undisturbed)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_a_model_copied_together_with_its_optimizer_goes_on_alone(make, duplicate):
    model = net()
    model.tied = model[0].weight
    optimizer = make(model)
    train(model, optimizer, 3)
    copied, follower = duplicate((model, optimizer))
    assert follower.parameters[0] is copied[0].weight is copied.tied
    before = copied.state_dict()
    train(model, optimizer, 3)
    for name, array in copied.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    train(copied, follower, 3)
    assert_same(model, copied)
    assert_gathered(optimizer)
    assert_gathered(follower)
    for name, value in optimizer.state_dict().items():
        np.testing.assert_array_equal(value, follower.state_dict()[name], err_msg=name)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("duplicate", DUPLICATES)
def test_an_optimizer_copied_alone_brings_its_parameters(make, duplicate):
    def follow(optimizer):
        for _ in range(3):
            for p in optimizer.parameters:
                p.grad = Tensor(p.data * p.data)
            optimizer.step()

    model = net()
    model[0].weight.data = np.arange(24, dtype=np.float32).reshape(4, 6)[:, ::2]
    optimizer = make(model)
    follow(optimizer)
    model[1].bias.data = np.ones(2, np.float32)  # has left the buffer since the last step
    copied = duplicate(optimizer)
    follow(optimizer)
    follow(copied)
    assert_gathered(copied)
    for p, q in zip(model.parameters(), copied.parameters, strict=True):
        np.testing.assert_array_equal(p.data, q.data)


def test_a_change_of_type_takes_the_momentum_along():
    model, other = net(), net().to(dtype="float64")
    optimizer, double = optim.SGD(model, 0.01, 0.9), optim.SGD(other, 0.01, 0.9)
    train(model, optimizer, 3)
    train(other, double, 3)
    model.to(dtype="float64")
    train(model, optimizer, 3)
    train(other, double, 3)
    assert_gathered(optimizer)
    assert optimizer.gathered.slots["velocity"][0].dtype == np.float64
    for (name, p), q in zip(model.named_parameters(), other.parameters(), strict=True):
        assert p.dtype == np.float64
        np.testing.assert_allclose(p.numpy(), q.numpy(), rtol=1e-4, atol=1e-5)
        ours = velocity(optimizer, name)
        np.testing.assert_allclose(ours, velocity(double, name), rtol=1e-3, atol=1e-4)


def test_a_shared_parameter_is_stepped_once():
    class Tied(Module):
        def __init__(self):
            self.encoder = Parameter(np.float32([2.0]))
            self.decoder = self.encoder

    model = Tied()
    for optimizer in (optim.SGD(model, 0.5), optim.SGD([model.encoder, model.decoder], 0.5)):
        assert len(optimizer.parameters) == 1
        model.encoder.data[...] = 2.0
        model.encoder.grad = Tensor(np.float32([1.0]))
        optimizer.step()
        assert model.decoder.item() == 1.5


@pytest.mark.parametrize("rest", ["frozen", "without a gradient"])
@pytest.mark.parametrize("make", [MAKERS["momentum"], MAKERS["adamw"]], ids=["sgd", "adamw"])
def test_what_is_skipped_keeps_its_momentum(rest, make):
    model = net()
    optimizer = make(model)
    train(model, optimizer, 3)
    before, state = model.state_dict(), optimizer.state_dict()
    versions = [p.version for p in model[1].parameters()]
    for _ in range(2):
        optimizer.zero_grad()
        model(X).sum().backward()
        if rest == "frozen":
            model[1].freeze()  # with gradients still in place
        else:
            model[1].zero_grad()
        optimizer.step()
        model[1].unfreeze()
    after, later = model.state_dict(), optimizer.state_dict()
    for name in before:
        moved = (after[name] != before[name]).any()
        assert moved == name.startswith("layers.0"), name
        for slot in optimizer.SLOTS:
            same = (later[f"{slot}.{name}"] == state[f"{slot}.{name}"]).all()
            assert same == name.startswith("layers.1"), (slot, name)
    assert [p.version for p in model[1].parameters()] == versions
    assert later["steps"] == 5

    train(model, optimizer)
    assert (model[1].weight.data != after["layers.1.weight"]).any()


def test_a_network_that_grows_keeps_its_state():
    model, alone = net(), net()
    optimizer, other = optim.SGD(model, 0.1, 0.9), optim.SGD(alone, 0.1, 0.9)
    train(model, optimizer, 3)
    train(alone, other, 3)
    grown = Sequential(*model.layers, Dense(2, 2, rng=Random(5)))
    optimizer.add_parameters(grown)
    assert len(optimizer.parameters) == 6
    assert_gathered(optimizer)
    for name in ("layers.0.weight", "layers.1.bias"):
        np.testing.assert_array_equal(velocity(optimizer, name), velocity(other, name))
    assert not velocity(optimizer, "layers.2.weight").any()
    assert_same(model, alone)
    train(grown, optimizer, 2)
    assert velocity(optimizer, "layers.2.weight").any()


@pytest.mark.parametrize("added", [net(), [Parameter(np.ones(2)), Parameter(np.ones(3))]])
def test_added_parameters_get_names_of_their_own(added):
    first = net() if isinstance(added, Module) else [Parameter(np.ones(5))]
    optimizer = optim.SGD(first, 0.1, 0.9)
    optimizer.add_parameters(added)
    for i, p in enumerate(optimizer.parameters):
        p.grad = Tensor(np.full_like(p.data, i + 1))
    optimizer.step()
    state = optimizer.state_dict()
    assert len(state) == 1 + len(optimizer.parameters)
    found = sorted(-a[0] for name, a in state.items() if name != "steps")
    np.testing.assert_allclose(found, 0.1 * np.arange(1, len(found) + 1), rtol=1e-6)


def test_a_parameter_that_grows_starts_its_momentum_anew_and_others_keep_theirs():
    model = net()
    optimizer = optim.SGD(model, 0.1, 0.9)
    train(model, optimizer, 3)
    kept = velocity(optimizer, "layers.1.weight")
    model[0].weight.data = np.ones((5, 3), np.float32)
    model[0].weight.grad = None
    state = optimizer.state_dict()
    assert_gathered(optimizer)
    np.testing.assert_array_equal(model[0].weight.data, np.ones((5, 3)))
    assert state["velocity.layers.0.weight"].shape == (15,)
    assert not state["velocity.layers.0.weight"].any()
    np.testing.assert_array_equal(velocity(optimizer, "layers.1.weight"), kept)


def test_a_gradient_from_before_the_growth_is_refused():
    model = net()
    optimizer = optim.SGD(model, 0.1)
    train(model, optimizer)
    before = model.state_dict()
    model[1].weight.data = np.ones((30, 20), np.float32)
    with pytest.raises(ValueError, match=r"layers.1.weight has shape \(30, 20\), its gradient \(3"):
        optimizer.step()
    np.testing.assert_array_equal(model[0].weight.data, before["layers.0.weight"])
    assert optimizer.steps == 1


def test_a_parameter_that_was_given_another_array_is_gathered_again():
    model = net()
    optimizer = optim.SGD(model, 0.1, 0.9)
    train(model, optimizer, 2)
    kept = velocity(optimizer, "layers.0.bias")
    mine = np.full(3, 7.0, np.float32)
    model[0].bias.data = mine
    model[0].bias.grad = Tensor(np.ones(3, np.float32))
    model.layers[0].weight.grad = None
    optimizer.step()
    np.testing.assert_allclose(model[0].bias.data, 7 + 0.9 * kept - 0.1, rtol=1e-6)
    np.testing.assert_array_equal(mine, np.full(3, 7.0))
    assert_gathered(optimizer)


def test_two_optimizers_can_share_parameters():
    model, single = net(), net()
    both = [optim.SGD(model, 0.1), optim.SGD(model, 0.1)]
    one = optim.SGD(single, 0.1)
    for i in range(4):
        train(model, both[i % 2])
        train(single, one)
    assert_same(model, single)


def test_loading_the_module_writes_into_the_views():
    model, other = net(), net()
    optimizer = optim.SGD(model, 0.1, 0.9)
    train(model, optimizer, 2)
    views, momentum = [p.data for p in model.parameters()], velocity(optimizer, "layers.0.weight")
    model.load_state_dict(other.state_dict())
    assert all(p.data is view for p, view in zip(model.parameters(), views, strict=True))
    assert_same(model, other)
    assert_gathered(optimizer)
    np.testing.assert_array_equal(velocity(optimizer, "layers.0.weight"), momentum)
    train(model, optimizer)
    assert all(p.data is view for p, view in zip(model.parameters(), views, strict=True))


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_training_goes_on_bit_equal_from_a_state(make):
    model = net()
    optimizer = make(model)
    train(model, optimizer, 5)
    weights, state = model.state_dict(), optimizer.state_dict()
    train(model, optimizer, 5)

    resumed = net()
    follower = make(resumed)
    train(resumed, follower, 8)  # a life of its own, which the state overwrites
    resumed.load_state_dict(weights)
    follower.load_state_dict(state)
    assert follower.steps == 5
    train(resumed, follower, 5)
    assert_same(model, resumed)
    for name, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(array, follower.state_dict()[name], err_msg=name)


def test_the_state_is_a_copy():
    model = net()
    optimizer = optim.SGD(model, 0.1, 0.9)
    train(model, optimizer)
    state = optimizer.state_dict()
    kept = {name: np.array(a) for name, a in state.items()}
    train(model, optimizer)
    for name, array in state.items():
        np.testing.assert_array_equal(array, kept[name])
    assert list(optim.SGD(model, 0.1).state_dict()) == ["steps"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"velocity.layers.0.bias": None}, "SGD.load_state_dict: missing velocity.layers.0.bias"),
        ({"steps": None}, "missing steps"),
        ({"velocity.layers.0.bia": np.zeros(3)}, "did you mean 'velocity.layers.0.bias'"),
        ({"velocity.layers.0.bias": np.zeros(4)}, r"has shape \(3,\), the given one \(4,\)"),
        ({"velocity.layers.1.bias": ["a", "b"]}, "could not convert"),
        ({"steps": [1, 2]}, r"steps has shape \(\), the given one \(2,\)"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(changes, message):
    model = net()
    optimizer = optim.SGD(model, 0.1, 0.9)
    train(model, optimizer)
    before = optimizer.state_dict()
    state = {name: a + 1 for name, a in before.items()} | changes
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict({name: a for name, a in state.items() if a is not None})
    for name, array in optimizer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_the_state_of_another_kind_is_refused():
    model = net()
    state = optim.Adam(model).state_dict()
    with pytest.raises(ValueError, match=r"RMSprop.load_state_dict: unknown 'mean"):
        optim.RMSprop(model).load_state_dict(state)


def test_what_is_not_a_parameter_is_refused():
    p = Parameter(np.ones((3, 2)))
    assert optim.SGD(p).parameters == [p]  # one by itself, not its rows
    for wrong in ([p * 2], [np.ones(3)], [("name", p)]):
        with pytest.raises(TypeError, match="must be a Module or a list of leaf tensors"):
            optim.SGD(wrong)


def test_without_parameters_a_step_does_nothing_but_count():
    optimizer = optim.Adam(Flatten())
    optimizer.step()
    assert optimizer.state_dict() == {"steps": 1}
