"""The recurrent layers against PyTorch's, and what Keras does where PyTorch does not."""

from __future__ import annotations

import os

import numpy as np
import pytest
from tinygen_kernels import using

import tinygen
from tests.op_cases.case import torch
from tinygen import Random, Tensor, ops
from tinygen.nn import (
    GRU,
    LSTM,
    Dense,
    Dropout,
    RepeatVector,
    Sequential,
    SimpleRNN,
    TimeDistributed,
)

LAYERS = [SimpleRNN, LSTM, GRU]
every_layer = pytest.mark.parametrize("kind", LAYERS)
with_torch = pytest.mark.skipif(torch is None, reason="compares with PyTorch")


def sequences(n=5, steps=7, inputs=4, dtype="float64"):
    return np.random.default_rng(0).standard_normal((n, steps, inputs)).astype(dtype)


def prefixes(lengths, steps):
    """True in the first so many steps."""
    return np.arange(steps) < np.asarray(lengths)[:, None]


def gates_of_torch(array, kind):
    """Columns of weights or biases as PyTorch's rows: its GRU has the reset gate first."""
    parts = np.split(array, kind._gates, axis=-1)
    if kind is GRU:
        parts = [parts[1], parts[0], parts[2]]
    return np.concatenate(parts, axis=-1).T


def twin(layer):
    """PyTorch's layer with the same weights."""
    kind = type(layer)
    make = {SimpleRNN: torch.nn.RNN, LSTM: torch.nn.LSTM, GRU: torch.nn.GRU}[kind]
    theirs = make(layer.weight.shape[0], layer.units, batch_first=True, dtype=torch.float64)
    bias = layer.bias.data.reshape(-1, layer.bias.shape[-1])
    both = [bias[0], bias[1] if len(bias) == 2 else np.zeros_like(bias[0])]
    own = [layer.weight.data, layer.recurrent_weight.data, *both]
    with torch.no_grad():
        for theirs_p, array in zip(theirs.parameters(), own, strict=True):
            theirs_p.copy_(torch.tensor(gates_of_torch(array, kind)))
    return theirs


def made(kind, **options):
    layer = kind(4, 6, rng=Random(1), **options).to(dtype="float64")
    layer.bias.data[...] += np.random.default_rng(2).standard_normal(layer.bias.shape)
    return layer


@with_torch
@every_layer
@pytest.mark.parametrize("masked", [False, True])
def test_sequences_of_all_lengths_agree_with_pytorch(kind, masked):
    layer, x = made(kind, return_sequences=True, return_state=True), sequences()
    theirs, lengths = twin(layer), np.array([7, 5, 4, 4, 1] if masked else [7] * 5)
    valid = prefixes(lengths, 7)
    ours_x, theirs_x = Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    y, *state = layer(ours_x, mask=valid if masked else None)
    packed = torch.nn.utils.rnn.pack_padded_sequence(theirs_x, lengths, batch_first=True)
    expected, final = theirs(packed)
    expected, _ = torch.nn.utils.rnn.pad_packed_sequence(expected, batch_first=True)
    final = final if isinstance(final, tuple) else (final,)
    weight = np.random.default_rng(3).standard_normal(y.shape) * valid[..., None]
    loss, theirs_loss = (y * weight).sum(), (expected * torch.tensor(weight)).sum()
    np.testing.assert_allclose(loss.item(), theirs_loss.item(), rtol=1e-12)
    for s, f in zip(state, final, strict=True):
        np.testing.assert_allclose(s.data, f[0].detach().numpy(), atol=1e-12)
        loss, theirs_loss = loss + (s * s).sum(), theirs_loss + (f * f).sum()
    loss.backward()
    theirs_loss.backward()
    np.testing.assert_allclose(ours_x.grad.data, theirs_x.grad.numpy(), atol=1e-12)
    bias = layer.bias.grad.data.reshape(-1, layer.bias.shape[-1])
    own = [layer.weight.grad.data, layer.recurrent_weight.grad.data, *bias]
    for array, p in zip(own, theirs.parameters(), strict=False):
        np.testing.assert_allclose(gates_of_torch(array, kind), p.grad.numpy(), atol=1e-12)


@every_layer
def test_a_padded_sequence_ends_as_the_short_one_and_padding_has_no_gradient(kind):
    layer, x = made(kind), sequences()
    padded = Tensor(x, requires_grad=True)
    y = layer(padded, mask=prefixes([3] * 5, 7))
    np.testing.assert_array_equal(y.data, layer(x[:, :3]).data)
    y.sum().backward()
    assert padded.grad.data[:, :3].all()
    assert not padded.grad.data[:, 3:].any()


@every_layer
def test_a_sequence_in_two_parts_is_the_whole(kind):
    layer, x = made(kind, return_sequences=True, return_state=True), sequences()
    whole, *final = layer(x)
    first, *state = layer(x[:, :3])
    rest, *last = layer(x[:, 3:], state=tuple(state) if kind is LSTM else state[0])
    np.testing.assert_allclose(ops.concatenate([first, rest], 1).data, whole.data, atol=1e-14)
    for a, b in zip(last, final, strict=True):
        np.testing.assert_allclose(a.data, b.data, atol=1e-14)


@every_layer
def test_the_last_output_is_the_last_of_the_sequence(kind):
    sequence = made(kind, return_sequences=True)(sequences())
    np.testing.assert_array_equal(made(kind)(sequences()).data, sequence.data[:, -1])
    y, *state = made(kind, return_state=True)(sequences())
    np.testing.assert_array_equal(y.data, state[0].data)


@every_layer
def test_initial_weights_are_those_of_keras(kind):
    layer = kind(5, 4, rng=Random(3))
    columns = kind._gates * 4
    assert abs(layer.weight.data).max() <= np.sqrt(6 / (5 + columns))
    u = layer.recurrent_weight.data
    np.testing.assert_allclose(u @ u.T, np.eye(4), atol=1e-6)
    assert layer.bias.shape == ((2, columns) if kind is GRU else (columns,))
    assert layer.bias.data.sum() == (4 if kind is LSTM else 0)
    if kind is LSTM:
        assert (layer.bias.data[4:8] == 1).all()


@every_layer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_batches_and_threads(kind, dtype):
    """70 rows make several shares; the results, to the bit, do not depend on who does them."""
    x = sequences(70, 9, 20, dtype)
    layer = kind(20, 50, return_sequences=True, rng=Random(0)).to(dtype=dtype)
    parameters = layer.parameters()

    def run():
        moving = Tensor(x, requires_grad=True)
        y = layer(moving)
        return [a.data for a in (y, *tinygen.grad((y * y).sum(), [moving, *parameters]))]

    found = run()
    with using("reference"):
        expected = run()
    for a, b in zip(found, expected, strict=True):
        error = np.linalg.norm(a - b) / np.linalg.norm(b)
        assert error < (2e-6 if dtype == "float32" else 1e-13)
    try:
        tinygen.set_threads(1)
        alone = run()
    finally:
        tinygen.set_threads(os.cpu_count() or 1)
    for a, b in zip(found, alone, strict=True):
        np.testing.assert_array_equal(a, b)


@every_layer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_saturated_gates_stay_finite(kind, dtype):
    layer = kind(4, 6, rng=Random(0)).to(dtype=dtype)
    x = Tensor(1e4 * sequences(dtype=dtype), requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert np.isfinite(y.data).all()
    assert np.isfinite(x.grad.data).all()


def test_second_order_of_a_whole_network():
    net = Sequential(
        LSTM(2, 3, return_sequences=True, rng=Random(0)), GRU(3, 2, rng=Random(1)),
        RepeatVector(3), SimpleRNN(2, 3, return_sequences=True, rng=Random(2)),
        TimeDistributed(Dense(3, 2, "tanh", rng=Random(3))),
    ).to(dtype="float64")  # fmt: skip
    x = Tensor(sequences(2, 3, 2), requires_grad=True)
    assert tinygen.gradcheck(net, x)
    assert tinygen.gradgradcheck(net, x)


def test_repeat_vector_and_time_distributed():
    x = sequences(3, 4, 5)
    repeated = RepeatVector(4)(x[:, 0])
    np.testing.assert_array_equal(repeated.data, np.repeat(x[:, :1], 4, axis=1))
    layer = Dense(5, 2, rng=Random(0)).to(dtype="float64")
    y = TimeDistributed(layer)(x)
    np.testing.assert_allclose(y.data, x @ layer.weight.data + layer.bias.data, atol=1e-14)
    assert TimeDistributed(layer).parameters() == layer.parameters()
    noisy = TimeDistributed(Dropout(0.5))
    np.testing.assert_array_equal(noisy(x, rng=Random(1)).data, noisy(x, rng=Random(1)).data)
    with pytest.raises(ValueError, match="RepeatVector"):
        RepeatVector(2)(x)
    with pytest.raises(ValueError, match="steps"):
        RepeatVector(0)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.zeros((2, 4))}, "x must be"),
        ({"x": np.zeros((2, 0, 4))}, "1 step or more"),
        ({"x": np.zeros((2, 3, 5))}, "weights must be"),
        ({"b": np.zeros(6)}, "bias must be"),
        ({"state": np.zeros((2, 5))}, "state must be"),
        ({"mask": np.ones((2, 4), bool)}, "mask must be"),
        ({"mask": np.ones((2, 3))}, "mask must be"),
    ],
)
def test_what_does_not_fit_is_named(arguments, message):
    right = {"x": np.zeros((2, 3, 4)), "w": np.zeros((4, 18)), "u": np.zeros((6, 18))}
    with pytest.raises(ValueError, match=f"gru: .*{message}"):
        ops.gru(**(right | arguments))


def test_bad_sizes_and_half_a_state_are_named():
    with pytest.raises(ValueError, match="LSTM: inputs must be a whole number of at least 1"):
        LSTM(0, 3)
    with pytest.raises(ValueError, match="pair"):
        LSTM(4, 6)(sequences(dtype="float32"), state=(np.zeros((5, 6)),))


def test_repr_and_summary(capsys):
    assert repr(LSTM(4, 6, return_sequences=True)) == "LSTM(4, 6, return_sequences=True)"
    Sequential(GRU(4, 6), RepeatVector(3), TimeDistributed(Dense(6, 4))).summary((7, 4))
    assert "(n, 3, 6)" in capsys.readouterr().out
