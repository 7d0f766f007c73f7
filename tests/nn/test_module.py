"""Module: the ordered walk, state, modes, copies; what is printed is in test_summary."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import tinygen
from tinygen import Buffer, Parameter, Random, ops
from tinygen.nn import (
    ActivityRegularizer,
    Dense,
    Dropout,
    Module,
    Sequential,
)


def parameter(*shape: int) -> Parameter:
    return Parameter(np.zeros(shape, np.float32))


class Everything(Module):
    """Parameters and modules in every kind of attribute, some of them twice."""

    def __init__(self):
        self.name = "not a parameter"
        self.second = parameter(2)
        self.first = parameter(1)
        self.layers = [Dense(2, 3, rng=Random(0)), "text", (Dense(3, 2, bias=False), parameter(4))]
        self.by_name = {"mean": parameter(5), "deep": {"er": [parameter(6)]}, 3: parameter(7)}
        self.count = Buffer(np.array(0))
        self.again = self.first
        self.layer_again = self.layers[0]
        self.none = None

    def forward(self, x):
        return self.layers[0](x) * self.first


class Normed(Module):
    """Parameters and a buffer, which counts in training."""

    def __init__(self):
        self.dense = Dense(3, 2, rng=Random(1))
        self.calls = Buffer(np.array([0], np.int64))
        self.mean = Buffer(np.array([0.5, 0.25], np.float32))

    def forward(self, x):
        self.calls.data[...] += 1
        return self.dense(x) - self.mean


def net() -> Sequential:
    rng = Random(3)
    return Sequential(
        Dense(4, 3, activation="selu", rng=rng), Sequential(Dense(3, 2, rng=rng)), Dropout(0.5)
    )


def test_the_walk_is_in_the_order_of_assignment_and_names_are_paths():
    model = Everything()
    names = [name for name, _ in model.named_parameters()]
    assert names == [
        "second",
        "first",
        "layers.0.weight",
        "layers.0.bias",
        "layers.2.0.weight",
        "layers.2.1",
        "by_name.mean",
        "by_name.deep.er.0",
        "by_name.3",
    ]
    assert [p.size for p in model.parameters()] == [2, 1, 6, 3, 6, 4, 5, 6, 7]
    assert [name for name, _ in model.named_modules()] == ["", "layers.0", "layers.2.0"]
    assert [name for name, _ in model.named_buffers()] == ["count"]
    assert model.buffers() == [model.count]
    assert model.modules()[0] is model


def test_what_is_shared_counts_once_under_its_first_name():
    tied = Sequential(Dense(2, 2), Dense(2, 2))
    tied[1].weight = tied[0].weight
    names = [name for name, _ in tied.named_parameters()]
    assert names == ["layers.0.weight", "layers.0.bias", "layers.1.bias"]

    deep = Module()  # the walk goes into the depth first, so the name in `a` is met before `b`
    deep.a, deep.b = Sequential(Sequential(tied[0])), tied[0]
    assert next(deep.named_parameters())[0] == "a.layers.0.layers.0.weight"


def test_cycles_end():
    whole = Sequential(Dense(2, 1), Dense(1, 2))
    for part in whole:
        part.whole = whole
    assert len(whole.modules()) == 3
    assert len(whole.parameters()) == 4
    assert whole.eval()[0].training is False
    assert repr(whole).count("Dense") == 2

    copied = copy.deepcopy(whole)
    assert copied[0].whole is copied


def test_state_dict_round_trip_with_buffers():
    model, other = Normed(), Normed()
    model(np.ones((1, 3), np.float32))
    for t in [*other.parameters(), *other.buffers()]:
        t.data[...] = 9
    state = model.state_dict()
    assert list(state) == ["dense.weight", "dense.bias", "calls", "mean"]
    other.load_state_dict(state)
    for name, array in other.state_dict().items():
        np.testing.assert_array_equal(array, state[name])
        assert array.dtype == state[name].dtype
    assert other.calls.data == 1

    state["dense.weight"][...] = 7  # it was a copy both ways
    assert not (model.dense.weight.data == 7).any()
    assert not (other.dense.weight.data == 7).any()


def test_load_state_dict_converts_the_type():
    model = Dense(2, 1)
    model.load_state_dict({"weight": [[1], [2]], "bias": np.array([0.1])})
    assert model.weight.dtype == np.float32
    np.testing.assert_array_equal(model.weight.data, [[1], [2]])
    np.testing.assert_array_equal(model.bias.data, np.float32([0.1]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dense.bias": None}, "missing dense.bias"),
        ({"dense.bia": np.zeros(2)}, "unknown 'dense.bia', did you mean 'dense.bias'"),
        ({"mean": np.zeros(3)}, r"mean has shape \(2,\), the given one \(3,\)"),
        ({"mean": np.zeros((2, 1))}, r"mean has shape \(2,\), the given one \(2, 1\)"),
        ({"mean": ["a", "b"]}, "mean is of type float32, which cannot hold the given <U1"),
        ({"mean": np.array([1j, 2])}, "mean is of type float32, which cannot hold .* complex128"),
        ({"calls": [0.5]}, "calls is of type int64, which cannot hold the given float64"),
        ({"calls": [np.nan]}, "calls is of type int64, which cannot hold the given float64"),
        ({"calls": np.array([2**63], np.uint64)}, "calls is of type int64, which cannot hold"),
        ({"mean": [np.nan, 1]}, "infinite: 1 of 2 in mean; check_finite=False loads them"),
        ({"dense.bias": [np.inf, -np.inf], "mean": [0, np.nan]}, "2 of 2 in dense.bias, 1 of 2 in"),
        ({"dense.weight": np.full((3, 2), 1e39)}, "infinite: 6 of 6 in dense.weight"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(changes, message):
    model = Normed()
    state = {name: array + 1 for name, array in model.state_dict().items()} | changes
    state = {name: array for name, array in state.items() if array is not None}
    before = model.state_dict()
    versions = [t.version for t in [*model.parameters(), *model.buffers()]]
    with pytest.raises(ValueError, match=message):
        model.load_state_dict(state)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert [t.version for t in [*model.parameters(), *model.buffers()]] == versions


def test_numbers_that_are_not_finite_are_loaded_if_asked_for():
    model = Dense(2, 1)
    state = {"weight": [[np.nan], [2]], "bias": [np.inf]}
    model.load_state_dict(state, check_finite=False)
    np.testing.assert_array_equal(model.weight.data, np.float32(state["weight"]))
    np.testing.assert_array_equal(model.bias.data, [np.inf])


def test_load_state_dict_takes_tensors():
    model, other = Normed(), Normed().to(dtype="float64")
    other.load_state_dict({**dict(model.named_parameters()), **dict(model.named_buffers())})
    for name, array in other.state_dict().items():
        np.testing.assert_array_equal(array, model.state_dict()[name])


def test_load_state_dict_writes_in_place():
    model = Dense(2, 2)
    buffer = np.zeros(4, np.float32)
    model.weight.data = buffer.reshape(2, 2)
    model.load_state_dict({"weight": [[1, 2], [3, 4]], "bias": [0, 0]})
    np.testing.assert_array_equal(buffer, [1, 2, 3, 4])


def test_a_graph_from_before_load_state_dict_is_stale():
    model = Dense(3, 2)
    x = tinygen.tensor(np.ones((1, 3), np.float32), requires_grad=True)
    y = model(x).sum()
    model.load_state_dict(model.state_dict())
    with pytest.raises(RuntimeError, match="dense saved a tensor that was changed"):
        y.backward()
    model(x).sum().backward()
    assert x.grad is not None


def test_train_and_eval_reach_everything_below():
    model = net()
    assert all(m.training for m in model.modules())
    assert model.eval() is model
    assert not any(m.training for m in model.modules())
    model[1].train()
    assert [m.training for m in model.modules()] == [False, False, True, True, False]


def test_a_frozen_module_gets_no_gradients_but_passes_them_on():
    first, frozen = Dense(3, 3, rng=Random(0)), Dense(3, 2, activation="selu", rng=Random(1))
    assert frozen.freeze() is frozen
    x = tinygen.tensor(np.ones((4, 3), np.float32), requires_grad=True)

    def gradients():
        for t in (x, *first.parameters(), *frozen.parameters()):
            t.zero_grad()
        frozen(first(x)).sum().backward()
        return x.grad.numpy(), first.weight.grad.numpy()

    with_frozen = gradients()
    assert [p.grad for p in frozen.parameters()] == [None, None]
    frozen.unfreeze()
    without = gradients()
    assert all(p.grad is not None for p in frozen.parameters())
    for a, b in zip(with_frozen, without, strict=True):
        assert np.abs(b).max() > 0
        np.testing.assert_array_equal(a, b)


def test_zero_grad_forgets_all():
    model = net()
    ops.sum(model(np.ones((2, 4), np.float32), rng=Random(0))).backward()
    assert all(p.grad is not None for p in model.parameters())
    model.zero_grad()
    assert all(p.grad is None for p in model.parameters())


def test_to_converts_the_floating_ones():
    model = Normed()
    x = np.random.default_rng(0).standard_normal((5, 3))
    single = model(x.astype(np.float32)).numpy()
    model.dense.weight.grad = tinygen.tensor(np.zeros((3, 2), np.float32))
    assert model.dtype == np.float32
    assert model.to(dtype="float64") is model
    assert model.dtype == np.float64
    assert model.dense.weight.grad is None
    assert [t.dtype for t in [*model.parameters(), *model.buffers()]] == [
        np.float64,
        np.float64,
        np.int64,
        np.float64,
    ]
    double = model(x).numpy()
    assert double.dtype == np.float64
    np.testing.assert_allclose(double, single, rtol=1e-5, atol=1e-6)


def test_to_leaves_alone_what_is_right_already():
    model = Dense(3, 2)
    x = tinygen.tensor(np.ones((1, 3), np.float32), requires_grad=True)
    y = model(x).sum()
    model.weight.grad = kept = tinygen.tensor(np.zeros((3, 2), np.float32))
    model.to(device="cpu", dtype="float32")
    assert model.weight.grad is kept
    y.backward()
    np.testing.assert_allclose(x.grad.numpy()[0], model.weight.numpy().sum(axis=1), rtol=1e-6)


def test_to_refuses_an_unknown_device():
    with pytest.raises(ValueError, match="'tpu'"):
        Dense(1, 1).to(device="tpu")


def regularized() -> tuple[Sequential, tinygen.Tensor]:
    """A net that went forward: its regulariser holds a penalty with a graph."""
    dense = Dense(3, 3, rng=Random(5))
    model = Sequential(dense, ActivityRegularizer(l1=1.0), dense, Normed())
    model[3].dense.freeze()
    model.eval()
    x = tinygen.tensor(np.ones((2, 3), np.float32), requires_grad=True)
    model(x).sum().backward()
    assert model.penalty().requires_grad
    return model, x


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_is_the_same_and_apart(duplicate):
    model, x = regularized()
    copied = duplicate(model)
    assert repr(copied) == repr(model)
    assert [name for name, _ in copied.named_parameters()] == [
        name for name, _ in model.named_parameters()
    ]
    assert copied[0] is copied[2]
    assert not any(m.training for m in copied.modules())
    assert not copied[3].dense.weight.requires_grad
    assert copied[0].weight.requires_grad
    assert isinstance(copied[3].mean, Buffer)
    assert float(copied.penalty()) == float(model.penalty())
    np.testing.assert_array_equal(copied(x).numpy(), model(x).numpy())

    for a, b in zip(
        [*copied.parameters(), *copied.buffers()],
        [*model.parameters(), *model.buffers()],
        strict=True,
    ):
        assert a is not b
        assert not np.shares_memory(a.data, b.data)
    before = model.state_dict()
    for p in copied.parameters():
        p.data[...] += 1
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    copied(x).sum().backward()
    assert copied[0].weight.grad is not None


def test_deepcopy_keeps_gradients_apart():
    model, _ = regularized()
    copied = copy.deepcopy(model)
    np.testing.assert_array_equal(copied[0].weight.grad.data, model[0].weight.grad.data)
    copied[0].weight.grad.data[...] = 0
    assert np.abs(model[0].weight.grad.data).max() > 0


def test_penalty_adds_up_the_regularizers():
    model = Sequential(
        ActivityRegularizer(l1=1.0, divide_by_batch=False),
        ActivityRegularizer(l1=0.5, divide_by_batch=False),
    )
    assert model.penalty() == 0.0
    model(np.float32([[1, -2], [3, 4]]))
    assert float(model.penalty()) == 15.0
    assert net().penalty() == 0.0


def test_rng_reaches_only_those_that_take_it():
    class Plain(Module):
        def forward(self, x):
            return ops.multiply(x, 2.0)

    class Inherits(Plain):
        pass

    class Noisy(Module):
        def forward(self, x, *, rng=None):
            return ops.add(x, rng.uniform((3,)))

    class Open(Module):
        def forward(self, x, **options):
            return Noisy()(x, **options)

    x = np.zeros(3, np.float32)
    expected = Random(4).uniform((3,))
    model = Sequential(Plain(), Inherits(), ops.relu, Sequential(Noisy()))
    np.testing.assert_array_equal(model(x, rng=Random(4)).numpy(), expected)
    np.testing.assert_array_equal(Open()(x, rng=Random(4)).numpy(), expected)


def test_sequential_is_a_sequence():
    model = net()
    assert len(model) == 3
    assert list(model) == [model[0], model[1], model[2]]
    assert model[-1] is model.layers[2]
