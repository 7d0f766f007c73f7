"""No layer takes arguments that make no sense; what is said names the layer and the argument."""

from __future__ import annotations

import math

import numpy as np
import pytest

import tinygen
from tinygen import Parameter, Random, nn
from tinygen.nn import initializers

NAN, INF = math.nan, math.inf
NO_SIZES = (0, -1, 2.5, "3", None, True, NAN, [], np.ones(2, int))
NO_NUMBERS = (NAN, INF, -INF, -0.5, "a", None, [1.0])
NO_ACTIVATIONS = (
    *("silu", "", 3, np.tanh, ("leaky_relu",), ("leaky_relu", NAN), ("leaky_relu", INF)),
    *(("leaky_relu", "a"), ("leaky_relu", -1), ("relu", 0.5), (0.2, "leaky_relu"), ("elu", None)),
)
NO_INITIALIZERS = (
    *("he", 3, lambda shape, rng: np.zeros((2, 99)), lambda shape, rng: np.full(shape, NAN)),
    lambda shape, rng: "zeros",
)
NO_STREAMS = (5, np.random.default_rng(0), "seed")
NO_PAIRS = (*NO_SIZES[:-2], (3,), (3, 3, 3), (3, 0), (3, 1.5))
NO_PADDINGS = (
    "full",
    -1,
    1.5,
    None,
    (1, 1),
    ((1, 1), (1, -1)),
    ((1, 1), (1, 1.5)),
    ((0.5, 0),) * 2,
)
NO_FILTERS = (None, (), (1, -1), (1, NAN), (1, INF), 3, (("a",),), [[[1]]])
WEIGHTS = {"initializer": NO_INITIALIZERS, "rng": NO_STREAMS}
CONV = {
    "inputs": NO_SIZES, "outputs": NO_SIZES, "kernel": NO_PAIRS, "stride": NO_PAIRS,
    "dilation": NO_PAIRS, "groups": (*NO_SIZES, 2), "padding": NO_PADDINGS,
    "activation": NO_ACTIVATIONS, **WEIGHTS,
}  # fmt: skip
POOL = {"size": NO_PAIRS, "stride": [p for p in NO_PAIRS if p is not None], "padding": NO_PADDINGS}
RNN = {
    "inputs": NO_SIZES, "units": NO_SIZES, "recurrent_initializer": NO_INITIALIZERS, **WEIGHTS
}  # fmt: skip
NORM = {"features": (*NO_SIZES, (2, 3)), "epsilon": NO_NUMBERS}

# layer, arguments that make sense, and for each argument what makes none
TABLE = [
    (nn.Dense, {"inputs": 3, "outputs": 4},
     {"inputs": NO_SIZES, "outputs": NO_SIZES, "activation": NO_ACTIVATIONS, **WEIGHTS}),
    (nn.Embedding, {"count": 3, "features": 4},
     {"count": NO_SIZES, "features": NO_SIZES,
      **WEIGHTS}),
    (nn.Conv2D, {"inputs": 3, "outputs": 5, "kernel": 3}, CONV),
    (nn.Conv2DTranspose, {"inputs": 3, "outputs": 5, "kernel": 3, "stride": (2, 1)},
     {**CONV, "output_padding": (-1, 0.5, "1", (0, 1), (0, 0, 0), 2)}),
    (nn.EqualizedDense, {"inputs": 3, "outputs": 4},
     {"inputs": NO_SIZES, "outputs": NO_SIZES, "activation": NO_ACTIVATIONS, "rng": NO_STREAMS}),
    (nn.EqualizedConv2D, {"inputs": 3, "outputs": 4},
     {"inputs": NO_SIZES, "outputs": NO_SIZES, "kernel": (*NO_SIZES, 2),
      "activation": NO_ACTIVATIONS, "resample": ("left", 2), "rng": NO_STREAMS}),
    (nn.ModulatedConv2D, {"inputs": 3, "outputs": 4, "styles": 2},
     {"inputs": NO_SIZES, "outputs": NO_SIZES, "styles": NO_SIZES, "kernel": (*NO_SIZES, 2),
      "gain": (0, -1, NAN), "rng": NO_STREAMS}),
    (nn.NoiseInjection, {"channels": 3}, {"channels": NO_SIZES}),
    (nn.MappingNetwork, {"latents": 3},
     {"latents": NO_SIZES, "layers": NO_SIZES[1:], "multiplier": (0, -1, NAN), "rng": NO_STREAMS}),
    (nn.MaxPool2D, {}, POOL),
    (nn.AvgPool2D, {}, POOL),
    (nn.UpSampling2D, {}, {"factor": NO_PAIRS, "method": (*NO_FILTERS, "cubic")}),
    (nn.Blur2D, {}, {"f": NO_FILTERS}),
    (nn.SimpleRNN, {"inputs": 3, "units": 2}, RNN),
    (nn.LSTM, {"inputs": 3, "units": 2}, RNN),
    (nn.GRU, {"inputs": 3, "units": 2}, RNN),
    (nn.RepeatVector, {"steps": 3}, {"steps": NO_SIZES}),
    (nn.TimeDistributed, {"layer": nn.ReLU()}, {"layer": (3, None, np.tanh)}),
    (nn.BatchNorm, {"features": 3}, {**NORM, "momentum": (*NO_NUMBERS, 1.1)}),
    (nn.InstanceNorm, {"features": 3}, NORM),
    (nn.LayerNorm, {"features": 3},
     {**NORM, "features": (*NO_SIZES, (), (2, 0), (2, 0.5), ((2, 3),))}),
    (nn.PixelNorm, {}, {"epsilon": NO_NUMBERS}),
    (nn.AdaIN, {"latents": 3, "channels": 2},
     {"latents": NO_SIZES, "channels": NO_SIZES, "epsilon": NO_NUMBERS, "rng": NO_STREAMS}),
    (nn.Maxout, {"inputs": 3, "outputs": 2},
     {"inputs": NO_SIZES, "outputs": NO_SIZES, "pieces": NO_SIZES, "rng": NO_STREAMS}),
    (nn.MinibatchStdDev, {}, {"group_size": NO_SIZES}),
    (nn.MinibatchDiscrimination, {"features": 3},
     {"features": NO_SIZES, "kernels": NO_SIZES, "dims": NO_SIZES, "rng": NO_STREAMS}),
    (nn.SpectralNorm, {"layer": nn.Dense(3, 2)},
     {"layer": (3, None, np.tanh, nn.ReLU(), nn.LSTM(3, 2), nn.SpectralNorm(nn.Dense(3, 2))),
      "iterations": NO_SIZES}),
    (nn.Dropout, {}, {"rate": (*NO_NUMBERS, 1, 1.5)}),
    (nn.GaussianNoise, {"std": 0.1}, {"std": NO_NUMBERS}),
    (nn.Activation, {"activation": None}, {"activation": NO_ACTIVATIONS}),
    (nn.LeakyReLU, {}, {"slope": NO_NUMBERS}),
    (nn.ActivityRegularizer, {},
     {"l1": NO_NUMBERS, "kl": NO_NUMBERS, "target": (*NO_NUMBERS, 0, 1, 2)}),
]  # fmt: skip
WITHOUT_CHECKS = {  # nothing to check: no arguments, yes or no, or layers and lengths (see below)
    *(nn.Module, nn.Sequential, nn.Flatten, nn.Reshape, nn.GlobalAvgPool2D),
    *(nn.ReLU, nn.SELU, nn.Sigmoid, nn.Tanh),
}


def test_every_layer_is_in_the_table():
    layers = {value for value in vars(nn).values() if isinstance(value, type)}
    assert layers - WITHOUT_CHECKS == {layer for layer, _, _ in TABLE}


@pytest.mark.parametrize(
    ("layer", "usual", "argument", "values"),
    [(layer, usual, name, v) for layer, usual, bad in TABLE for name, v in bad.items()],
    ids=[f"{layer.__name__}-{name}" for layer, _, bad in TABLE for name in bad],
)
def test_arguments_that_make_no_sense_are_refused(layer, usual, argument, values):
    assert repr(layer(**usual))
    for value in values:
        with pytest.raises((ValueError, TypeError)) as caught:
            pytest.fail(f"took {layer(**{**usual, argument: value})}")
        message = str(caught.value)
        assert message.startswith(f"{layer.__name__}: ")
        assert argument in message


@pytest.mark.parametrize(
    "shape",
    [(2.5,), (-2,), (-1, -1), ((3, 4), 5), ((3, -1, -1),), ((2.5,),), ("a",), (None,), (True,)],
)
def test_lengths_that_make_no_sense_are_refused(shape):
    with pytest.raises((ValueError, TypeError), match=r"Reshape: .*length"):
        nn.Reshape(*shape)


def test_numbers_of_numpy_are_as_good_as_pythons():
    i, f = np.int64, np.float32
    x = np.random.default_rng(0).standard_normal((2, 5, 5, 3)).astype(np.float32)
    pairs = [
        (nn.Conv2D(i(3), i(4), i(3), i(2), dilation=i(1), groups=i(1), rng=Random(0)),
         nn.Conv2D(3, 4, 3, 2, rng=Random(0))),
        (nn.Conv2D(3, 4, (i(3), i(1)), [i(2), 1], rng=Random(0)),
         nn.Conv2D(3, 4, (3, 1), (2, 1), rng=Random(0))),
        (nn.Conv2DTranspose(3, 4, 3, 2, output_padding=i(1), padding=i(1), rng=Random(0)),
         nn.Conv2DTranspose(3, 4, 3, 2, output_padding=1, padding=1, rng=Random(0))),
        (nn.MaxPool2D(i(2), i(1)), nn.MaxPool2D(2, 1)),
        (nn.UpSampling2D(i(2)), nn.UpSampling2D(2)),
        (nn.BatchNorm(i(3), momentum=f(0.5)), nn.BatchNorm(3, momentum=0.5)),
        (nn.LeakyReLU(f(0.25)), nn.Activation(["leaky_relu", 0.25])),
        (nn.Reshape(i(25), -1), nn.Reshape(25, 3)),
    ]  # fmt: skip
    for ours, plain in pairs:
        np.testing.assert_array_equal(ours(x).numpy(), plain(x).numpy())


def test_initial_weights_are_float32_whatever_drew_them():
    layer = nn.Dense(3, 2, initializer=lambda shape, rng: np.arange(6).reshape(shape))
    assert layer.weight.dtype == np.float32
    assert isinstance(layer.weight, Parameter)
    np.testing.assert_array_equal(layer.weight.data, [[0, 1], [2, 3], [4, 5]])
    for std, mean in ((-1, 0), (NAN, 0), (INF, 0), (1, NAN), (1, INF)):
        with pytest.raises(ValueError, match=r"normal: (std|mean) must"):
            initializers.normal(std, mean)


def test_a_model_with_a_pair_as_activation_can_be_loaded_again(tmp_path):
    model = tinygen.models.create(
        "stacked-ae", image_shape=(4, 4), activation=("leaky_relu", 0.1), widths=(8,)
    )
    model.save(tmp_path / "model")
    x = np.random.default_rng(0).random((3, 4, 4), np.float32)
    again = tinygen.load(tmp_path / "model")
    np.testing.assert_array_equal(again(x).numpy(), model.eval()(x).numpy())
