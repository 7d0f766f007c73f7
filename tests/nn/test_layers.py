"""The layers against plain NumPy, and ActivityRegularizer against the formulas of its sources."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygen
from tinygen import Random, Tensor
from tinygen.nn import (
    SELU,
    Activation,
    ActivityRegularizer,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    LeakyReLU,
    Module,
    ReLU,
    Reshape,
    Sequential,
    Sigmoid,
    Tanh,
    initializers,
)
from tinygen.ops.check import gradcheck

X = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)


def close(found, expected, **tolerance):
    np.testing.assert_allclose(
        found.numpy(), expected, **({"rtol": 1e-5, "atol": 1e-6} | tolerance)
    )


def selu(x):
    scale, alpha = 1.05070098, 1.67326324
    return scale * np.where(x > 0, x, alpha * (np.exp(np.minimum(x, 0)) - 1))


@pytest.mark.parametrize("shape", [(6, 5), (2, 3, 5), (5,), (0, 5), (2, 0, 5)])
@pytest.mark.parametrize("bias", [True, False])
def test_dense(shape, bias):
    layer = Dense(5, 3, activation="selu", bias=bias, rng=Random(0))
    if bias:
        np.testing.assert_array_equal(layer.bias.data, np.zeros(3))
        layer.bias.data[...] = [0.5, -0.5, 1.0]
    x = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    z = x @ layer.weight.data + (layer.bias.data if bias else 0)
    y = layer(x)
    assert y.shape == (*shape[:-1], 3)
    close(y, selu(z))
    assert len(layer.parameters()) == 1 + bias


def test_dense_draws_its_weight_from_rng_with_its_initializer():
    layer = Dense(5, 3, initializer="he_normal", rng=Random(7))
    np.testing.assert_array_equal(layer.weight.data, initializers.he_normal((5, 3), Random(7)))
    assert not layer.bias.data.any()
    default = Dense(5, 3, rng=Random(7))
    np.testing.assert_array_equal(
        default.weight.data, initializers.glorot_uniform((5, 3), Random(7))
    )
    ones = Dense(5, 3, initializer=lambda shape, rng: np.ones(shape, np.float32))
    assert (ones.weight.data == 1).all()


def test_without_rng_layers_draw_from_the_seeded_default_stream():
    tinygen.seed(11)
    first = [Dense(4, 4).weight.data, Dense(4, 4).weight.data]
    noise = Dropout(0.5)(X).numpy()
    tinygen.seed(11)
    np.testing.assert_array_equal(Dense(4, 4).weight.data, first[0])
    np.testing.assert_array_equal(Dense(4, 4).weight.data, first[1])
    np.testing.assert_array_equal(Dropout(0.5)(X).numpy(), noise)
    assert (first[0] != first[1]).any()


def test_flatten_and_reshape():
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    np.testing.assert_array_equal(Flatten()(x).numpy(), x.reshape(2, 12))
    np.testing.assert_array_equal(Flatten()(x[0, 0]).numpy(), x[0, 0].reshape(4, 1))
    assert Flatten()(x[:0]).shape == (0, 12)
    np.testing.assert_array_equal(Reshape(4, 3)(x).numpy(), x.reshape(2, 4, 3))
    np.testing.assert_array_equal(Reshape((4, 3))(x).numpy(), x.reshape(2, 4, 3))
    assert (Reshape([2, -1]).shape, Reshape(()).shape) == ((2, -1), ())
    np.testing.assert_array_equal(Reshape(6, -1)(x).numpy(), x.reshape(2, 6, 2))
    with pytest.raises(ValueError, match="reshape"):
        Reshape(5)(x)


@pytest.mark.parametrize(
    ("layer", "function"),
    [
        (ReLU(), lambda x: np.maximum(x, 0)),
        (LeakyReLU(), lambda x: np.where(x > 0, x, 0.2 * x)),
        (LeakyReLU(0.01), lambda x: np.where(x > 0, x, 0.01 * x)),
        (SELU(), selu),
        (Sigmoid(), lambda x: 1 / (1 + np.exp(-x))),
        (Tanh(), np.tanh),
        (Activation("softplus"), lambda x: np.log1p(np.exp(x))),
        (Activation(("elu", 0.5)), lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
        (Activation(None), lambda x: x),
    ],
    ids=lambda value: repr(value) if isinstance(value, Module) else "x",
)
def test_activations(layer, function):
    close(layer(X), function(X))
    assert layer.parameters() == []


def test_dropout_thins_out_in_training_only():
    layer, ones = Dropout(0.25), np.ones((200, 100), np.float32)
    y = layer(ones, rng=Random(1)).numpy()
    assert set(np.unique(y)) == {0, np.float32(1 / 0.75)}
    deviation = math.sqrt(0.25 * 0.75 / y.size)
    assert abs((y == 0).mean() - 0.25) < 5 * deviation
    np.testing.assert_array_equal(layer(ones, rng=Random(1)).numpy(), y)
    assert (layer(ones, rng=Random(2)).numpy() != y).any()
    assert layer.eval()(ones, rng=Random(1)) is ones
    assert Dropout(0)(ones) is ones


def test_the_gradient_of_dropout_is_its_mask():
    x = Tensor(X, requires_grad=True)
    y = Dropout(0.5)(x, rng=Random(3))
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy() * X, y.numpy(), rtol=1e-6)


def test_gaussian_noise_is_added_in_training_only():
    layer, zeros = GaussianNoise(0.3), np.zeros((200, 100), np.float32)
    y = layer(zeros, rng=Random(1)).numpy()
    n = y.size
    assert abs(y.mean()) < 5 * 0.3 / math.sqrt(n)
    assert abs(y.std() - 0.3) < 5 * 0.3 / math.sqrt(2 * n)
    np.testing.assert_array_equal(layer(zeros, rng=Random(1)).numpy(), y)
    np.testing.assert_array_equal(layer(zeros + 1, rng=Random(1)).numpy(), y + 1)
    assert (layer(zeros, rng=Random(2)).numpy() != y).any()
    assert layer.eval()(zeros) is zeros
    assert GaussianNoise(0)(zeros) is zeros


def test_noise_in_a_net_comes_from_its_rng():
    model = Sequential(GaussianNoise(0.1), Sequential(Dropout(0.5)), Dense(5, 2, rng=Random(0)))
    first = model(X, rng=Random(9).at(4)).numpy()
    np.testing.assert_array_equal(model(X, rng=Random(9).at(4)).numpy(), first)
    assert (model(X, rng=Random(9).at(5)).numpy() != first).any()
    model.eval()
    np.testing.assert_array_equal(model(X, rng=Random(9)).numpy(), model(X).numpy())


CODES = np.random.default_rng(2).uniform(0.02, 0.98, (7, 4))


def kl(p, q):
    """The divergence of Bernoulli variables, with Keras's clipping of both to [1e-7, 1]."""
    p, q = np.clip(p, 1e-7, 1), np.clip(q, 1e-7, 1)
    return p * np.log(p / q)


def penalty_by_formula(x, l1, weight, target):
    """L1 on the activities, and the KL divergence of each unit's mean over the batch."""
    mean = x.reshape(-1, x.shape[-1]).mean(axis=0)
    divergence = kl(target, mean) + kl(1 - target, 1 - mean)
    return l1 * np.abs(x).sum() + weight * divergence.sum()


@pytest.mark.parametrize("divide", [True, False])
@pytest.mark.parametrize(
    ("l1", "weight", "target"), [(1e-3, 0, 0.1), (0, 0.05, 0.1), (0, 0.1, 0.3), (0.2, 0.5, 0.05)]
)
@pytest.mark.parametrize("shape", [(7, 4), (7, 2, 2), (1, 28)])
def test_activity_regularizer(divide, l1, weight, target, shape):
    x = CODES.reshape(shape)
    layer = ActivityRegularizer(l1=l1, kl=weight, target=target, divide_by_batch=divide)
    assert layer(x) is x
    expected = penalty_by_formula(x, l1, weight, target) / (shape[0] if divide else 1)
    np.testing.assert_allclose(layer.last_penalty.item(), expected, rtol=1e-12)
    assert float(layer.penalty()) == layer.last_penalty.item()


def test_the_division_by_the_batch_is_the_default():
    layer = ActivityRegularizer(l1=1.0)
    layer(np.ones((4, 3)))
    assert float(layer.last_penalty) == 3.0


def test_the_divergence_vanishes_only_at_its_target():
    layer = ActivityRegularizer(kl=1.0, target=0.25)
    at_target = np.tile(np.array([[0.0], [0.5]]), (2, 3))  # each unit's mean is 0.25
    layer(at_target)
    assert abs(float(layer.last_penalty)) < 1e-15
    layer(at_target + 0.01)
    assert float(layer.last_penalty) > 1e-4


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_units_that_are_always_off_or_on_have_a_finite_penalty(value):
    layer = ActivityRegularizer(kl=1.0, divide_by_batch=False)
    x = Tensor(np.full((3, 2), value), requires_grad=True)
    layer(x)
    np.testing.assert_allclose(
        float(layer.last_penalty), penalty_by_formula(x.numpy(), 0, 1.0, 0.1), rtol=1e-12
    )
    layer.last_penalty.backward()
    assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize("divide", [True, False])
def test_the_gradient_of_the_penalty(divide):
    layer = ActivityRegularizer(l1=0.3, kl=0.7, divide_by_batch=divide)
    x = Tensor(CODES - 0.01, requires_grad=True)
    assert gradcheck(layer.of, x)


def test_the_penalty_trains_the_layer_below():
    dense = Dense(5, 3, activation="sigmoid", rng=Random(0))
    model = Sequential(dense, ActivityRegularizer(l1=1.0))
    x = np.abs(X)
    model(x)
    model.penalty().backward()
    y = 1 / (1 + np.exp(-(x @ dense.weight.data)))
    np.testing.assert_allclose(
        dense.weight.grad.numpy(), x.T @ (y * (1 - y)) / len(x), rtol=1e-4, atol=1e-6
    )


def test_a_regularizer_without_weights_costs_nothing():
    layer = ActivityRegularizer()
    layer(X)
    assert layer.last_penalty == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Dense(0, 3), "Dense: inputs must be a whole number of at least 1, not 0"),
        (lambda: Dense(3, -1), "Dense: outputs must be a whole number of at least 1, not -1"),
        (lambda: Dense(2, 2, activation="silu"), "unknown activation 'silu'"),
        (lambda: Dense(2, 2, activation="sigmod"), "did you mean 'sigmoid'"),
        (lambda: Dense(2, 2, initializer="he_norml"), "did you mean 'he_normal'"),
        (lambda: Activation("rely"), "did you mean 'relu'"),
        (lambda: Dropout(1.0), "rate must be at least 0 and below 1, not 1.0"),
        (lambda: Dropout(-0.1), "rate must be at least 0"),
        (lambda: Dropout(math.nan), "rate must be at least 0"),
        (lambda: GaussianNoise(-1), "std must not be negative, got -1"),
        (lambda: ActivityRegularizer(l1=-1), "l1 must not be negative"),
        (lambda: ActivityRegularizer(kl=-1), "kl must not be negative"),
        (lambda: ActivityRegularizer(target=1), "target must be between 0 and 1, not 1"),
        (lambda: ActivityRegularizer(target=0), "target must be between 0 and 1, not 0"),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_shapes_that_do_not_fit_name_the_op_and_both_shapes():
    with pytest.raises(ValueError, match=r"dense .*\(2, 4\).*\(5, 3\)"):
        Dense(5, 3)(np.ones((2, 4), np.float32))


def test_a_module_without_forward_says_so():
    with pytest.raises(AttributeError, match="forward"):
        Module()(X)
