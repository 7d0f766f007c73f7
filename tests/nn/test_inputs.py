"""A call hands on all that forward takes: inputs by position and by name, and random numbers."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import tinygen
from tinygen import Random, nn, ops
from tinygen.nn import GRU, LSTM, AdaIN, Dense, Dropout, Embedding, Flatten, Module, Sequential

X = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
W = np.random.default_rng(1).standard_normal((6, 5)).astype(np.float32)


class Affine(Module):
    def forward(self, x, scale, shift=0.0, *, times=1.0):
        return (x * tinygen.tensor(scale) + shift) * times


class Noise(Module):
    """Draws from what it is given, and asks nobody whether that is there."""

    def forward(self, x, weight=1.0, *, rng):
        return x + weight * rng.normal(x.shape)


class NoisePlace(Module):
    def forward(self, x, rng, weight=1.0):
        return x + weight * rng.normal(x.shape)


class Constant(Module):
    def forward(self):
        return tinygen.tensor([1.0, 2.0])


class Several(Module):
    def forward(self, *inputs, **named):
        return inputs, named


class Apart:
    """A forward from a class that is no Module."""

    def forward(self, x, w):
        return x + w


class Mixed(Apart, Module):
    pass


class Kept(Module):
    """A forward in a wrapper that hides what it takes, and one that tells."""

    def hidden(function):
        return lambda self, *inputs, **named: function(self, *inputs, **named)

    def told(function):
        return functools.wraps(function)(lambda *inputs, **named: function(*inputs, **named))

    @hidden
    def forward(self, x, w):
        return x + w


class Told(Module):
    @Kept.told
    def forward(self, x, *, rng):
        return x + rng.normal(x.shape)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda: Affine()(X, W), X * W),
        (lambda: Affine()(X, W, 2.0), X * W + 2),
        (lambda: Affine()(X, scale=W), X * W),
        (lambda: Affine()(x=X, scale=W, shift=1.0), X * W + 1),
        (lambda: Affine()(scale=W, x=X, times=3.0), X * W * 3),
        (lambda: Affine()(X, W, 2.0, times=3.0, rng=Random(0)), (X * W + 2) * 3),
        (lambda: Constant()(), [1, 2]),
        (lambda: Constant()(rng=Random(0)), [1, 2]),
        (lambda: Mixed()(X, W), X + W),
        (lambda: Kept()(X, W), X + W),
        (lambda: Noise()(X, rng=Random(3)), X + Random(3).normal((6, 5))),
        (lambda: Noise()(X, 2.0, rng=Random(3)), X + 2 * Random(3).normal((6, 5))),
        (lambda: Noise()(x=X, weight=2.0, rng=Random(3)), X + 2 * Random(3).normal((6, 5))),
        (lambda: NoisePlace()(X, Random(3)), X + Random(3).normal((6, 5))),
        (lambda: NoisePlace()(X, Random(3), 2.0), X + 2 * Random(3).normal((6, 5))),
        (lambda: NoisePlace()(X, rng=Random(3)), X + Random(3).normal((6, 5))),
        (lambda: NoisePlace()(X, weight=2.0, rng=Random(3)), X + 2 * Random(3).normal((6, 5))),
        (lambda: Told()(X, rng=Random(3)), X + Random(3).normal((6, 5))),
    ],
)
def test_a_call_hands_on_all_that_forward_takes(call, expected):
    y = call()
    np.testing.assert_allclose(y.numpy() if hasattr(y, "numpy") else y, expected, rtol=1e-6)


def test_any_names_get_random_numbers_only_where_some_were_given():
    assert Several()(1, 2, a=3) == ((1, 2), {"a": 3})
    assert Several()() == ((), {})
    rng = Random(1)
    assert Several()(1, rng=rng) == ((1,), {"rng": rng})
    assert Several()(1, a=3, rng=rng) == ((1,), {"a": 3, "rng": rng})


@pytest.mark.parametrize("layer", [Noise(), NoisePlace(), Told(), Sequential(Noise()), Dropout()])
def test_without_rng_a_forward_draws_from_the_stream_of_the_process(layer):
    tinygen.seed(5)
    first, second = layer(X), layer(X)
    tinygen.seed(5)
    np.testing.assert_array_equal(np.asarray(layer(X, rng=None)), np.asarray(first))
    np.testing.assert_array_equal(
        np.asarray(layer(X, rng=Random(5))), np.asarray(first)
    )  # seed() starts the stream of Random(5)
    assert (np.asarray(second) != np.asarray(first)).any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: Affine()(X),
            r"^Affine takes \(x, scale, shift=0.0, \*, times=1.0\): missing",
        ),
        (lambda: Affine()(), "Affine takes .*: missing.*'x'"),
        (lambda: Affine()(X, W, 1, 2), "Affine takes .*: too many positional arguments"),
        (lambda: Affine()(X, W, stime=2), "Affine takes .*: got an unexpected keyword .*'stime'"),
        (lambda: Affine()(X, W, x=X), "Affine takes .*: multiple values for argument 'x'"),
        (lambda: Dense(5, 2)(X, W), r"Dense takes \(x\): too many positional arguments"),
        (lambda: Dense(5, 2)(X, label=W), r"Dense takes \(x\): got an unexpected .*'label'"),
        (lambda: Noise()(rng=Random(0)), r"Noise takes \(x, weight=1.0, \*, rng\): missing.*'x'"),
        (lambda: NoisePlace()(X, Random(0), rng=Random(1)), "multiple values for argument 'rng'"),
        (lambda: AdaIN(3, 5)((X, W)), r"AdaIN takes \(x, latents\): missing .*'latents'"),
        (lambda: Sequential(Affine(), Dense(5, 2))(X), r"Affine takes .*: missing .*'scale'"),
        (lambda: Sequential()(X, W), "Sequential without layers takes one input"),
        (lambda: Sequential(Dense(5, 2), "relu"), "layer 1 is no layer or function, but 'relu'"),
    ],
)
def test_inputs_that_do_not_fit_are_told_in_the_words_of_forward(call, message):
    with pytest.raises(TypeError, match=message):
        call()


def test_errors_within_forward_are_left_alone():
    class Broken(Module):
        def forward(self, x):
            return len(1)

    with pytest.raises(TypeError, match=r"^object of type 'int' has no len"):
        Broken()(X)
    with pytest.raises(TypeError, match=r"^object of type 'int' has no len"):
        Sequential(Affine(), Broken())(X, W)


def test_the_first_layer_of_a_sequential_gets_all_inputs():
    model = Sequential(Affine(), ops.tanh, Sequential(Half(), lambda x: x * 1.0, Noise()))
    expected = np.tanh(X * W + 1) / 2 + Random(2).normal((6, 5))
    for y in (model(X, W, 1.0, rng=Random(2)), model(X, shift=1.0, scale=W, rng=Random(2))):
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6)
    outer = Sequential(Sequential(Affine()))
    np.testing.assert_allclose(outer(X, W).numpy(), X * W, rtol=1e-6)
    np.testing.assert_array_equal(Sequential(np.add)(X, W), X + W)
    assert Sequential()(X) is X


class Half(Module):
    def forward(self, x):
        return x * 0.5


def test_a_later_layer_that_takes_several_inputs_is_explained():
    with pytest.raises(TypeError, match=r"Affine takes .*: missing .*'scale'") as caught:
        Sequential(Affine(), Affine())(X, W)
    assert caught.value.__notes__ == ["of a Sequential, only the first layer gets all inputs"]


def test_layers_that_draw_nothing_are_not_given_random_numbers():
    """A call of its own gets what it always got."""
    seen = []

    class Calls(Module):
        def __call__(self, x, *, rng=None):
            seen.append(rng)
            return x

    rng = Random(0)
    Sequential(Flatten(), Calls(), Sequential(Calls()))(X, rng=rng)
    assert seen == [rng, rng]


@pytest.mark.parametrize("layer", [GRU(5, 3), LSTM(5, 3)])
def test_masks_and_states_go_by_name_or_by_position(layer):
    x = np.random.default_rng(2).standard_normal((2, 4, 5)).astype(np.float32)
    mask = np.array([[1, 1, 0, 0], [1, 1, 1, 1]], bool)
    by_name = layer(x, mask=mask, rng=Random(0)).numpy()
    np.testing.assert_allclose(by_name[0], layer(x[:1, :2]).numpy()[0], rtol=1e-5, atol=1e-6)
    with pytest.raises(TypeError, match=f"{type(layer).__name__} takes .*mask=None"):
        layer(x, masks=mask)


# Summaries.


class Conditional(Module):
    """A generator of latents and labels, with a constant, noise, and a second output."""

    def __init__(self):
        self.embedding = Embedding(10, 4)
        self.dense = Dense(12, 6)
        self.lstm = LSTM(3, 2, return_state=True)
        self.last = nn.Activation("tanh")

    def forward(self, z, label, *, rng):
        x = self.dense(ops.concatenate([z, self.embedding(label)], axis=1))
        rng.normal((3,))
        self.lstm(ops.reshape(x, (-1, 2, 3)))
        return {"image": self.last(x).sum()}


def test_summary_takes_the_shapes_of_several_inputs(capsys):
    AdaIN(512, 16).summary((4, 4, 16), (512,))
    first = capsys.readouterr().out
    AdaIN(512, 16).summary((4, 4, 16), latents=(512,))
    assert capsys.readouterr().out == first
    assert first.splitlines()[1].split() == ["style", "(Dense)", "(n,", "32)", "16,416"]
    Affine().summary(input_shape=[5], scale=X[:1])
    assert "(n, 5)" in capsys.readouterr().out


def test_summary_takes_arrays_and_shows_all_outputs_without_a_trace(capsys):
    model = Conditional()
    tinygen.seed(3)
    model.summary((8,), np.array([7]))
    rows = [" ".join(line.split()[1:]) for line in capsys.readouterr().out.splitlines()[1:-1]]
    assert rows == [
        "(Embedding) (n, 4) 40",
        "(Dense) (n, 6) 78",
        "(LSTM) (n, 2), (n, 2), (n, 2) 48",
        "(Activation) (n, 6) 0",
    ]
    np.testing.assert_array_equal(tinygen.Random(3).normal(3), drawn())
    assert model.training


def drawn():
    return ops.gaussian_noise(np.zeros(3, np.float32), 1.0).numpy()


def test_summary_says_what_it_takes(capsys):
    with pytest.raises(TypeError, match=r"summary: an input is the shape of one sample.*not 784"):
        Dense(784, 2).summary(784)
    with pytest.raises(TypeError, match=r"AdaIN takes \(x, latents\): missing .*'latents'"):
        AdaIN(3, 5).summary((4, 4, 5))
    assert capsys.readouterr().out == ""


def test_several_inputs_get_their_gradients():
    layer = AdaIN(3, 5, rng=Random(0)).to(dtype="float64")
    images = np.random.default_rng(3).standard_normal((2, 3, 3, 5))
    latents = np.random.default_rng(4).standard_normal((2, 3))
    x, w = (tinygen.tensor(a, requires_grad=True) for a in (images, latents))
    assert tinygen.gradcheck(layer, [x, w])
