"""Training steps of autoencoders in tinygen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.peers.tinygen_phases import Phase, training_step
from benchmarks.problem import Layer, Problem
from benchmarks.problems import ConvAutoencoder, DenseAutoencoder, RecurrentAutoencoder
from benchmarks.subject import TrainingStep
from tinygen import nn, ops, optim


def stacked_ae(
    problem: DenseAutoencoder, device: str = "cpu", captured: bool = False
) -> TrainingStep:
    """The stacked autoencoder."""
    layers = dense_layers(problem.weights(), "sigmoid")
    net = nn.Sequential(nn.Flatten(), *layers, nn.Reshape(28, 28))
    return reconstruction(net.to(device), problem, problem.learning_rate, captured)


def conv_ae(problem: ConvAutoencoder, device: str = "cpu", captured: bool = False) -> TrainingStep:
    """The convolutional autoencoder."""
    layers: list[Any] = []
    for i, (w, b) in enumerate(problem.weights()):
        if i < 3:
            layer: Any = nn.Conv2D(w.shape[2], w.shape[3], 3, activation="selu")
        else:
            f, padding = ("selu" if i < 5 else "sigmoid"), min(i - 3, 1)
            layer = nn.Conv2DTranspose(
                w.shape[3], w.shape[2], 3, 2, padding, f, output_padding=padding
            )
        layer.load_state_dict({"weight": w, "bias": b})
        layers += [layer, nn.MaxPool2D(2)] if i < 3 else [layer]
    net = nn.Sequential(nn.Reshape(28, 28, 1), *layers, nn.Reshape(28, 28))
    return reconstruction(net.to(device), problem, problem.learning_rate, captured)


def recurrent_ae(
    problem: RecurrentAutoencoder,
    device: str = "cpu",
    captured: bool = False,
    layer: Callable[..., nn.Module] = nn.LSTM,
) -> TrainingStep:
    """The recurrent autoencoder."""
    cells = [layer(n, m, return_sequences=i != 1) for i, (n, m) in enumerate(problem.sizes)]
    for cell, (kernel, recurrent, bias) in zip(cells, problem.weights(), strict=True):
        cell.load_state_dict({"weight": kernel, "recurrent_weight": recurrent, "bias": bias})
    (output,) = dense_layers([problem.output_weights()], "sigmoid")
    net = nn.Sequential(
        cells[0], cells[1], nn.RepeatVector(28), cells[2], nn.TimeDistributed(output)
    )
    return reconstruction(net.to(device), problem, problem.learning_rate, captured)


def gru_ae(
    problem: RecurrentAutoencoder, device: str = "cpu", captured: bool = False
) -> TrainingStep:
    """The same with gated recurrent units."""
    return recurrent_ae(problem, device, captured, nn.GRU)


def dense_layers(weights: Sequence[Layer], last: str | None) -> list[nn.Dense]:
    """Dense layers with SELU, and with the activation `last` at the end."""
    layers = []
    for i, (w, b) in enumerate(weights):
        n, m = w.shape
        layer = nn.Dense(n, m, "selu" if i < len(weights) - 1 else last)
        layer.load_state_dict({"weight": w, "bias": b})
        layers.append(layer)
    return layers


def reconstruction(
    net: nn.Module, problem: Problem, learning_rate: float, captured: bool
) -> TrainingStep:
    """Plain SGD on the cross-entropy of images and what an autoencoder makes of them."""
    phase = Phase(
        lambda x: ops.binary_cross_entropy(net(x), x), optim.SGD(net, learning_rate), [net]
    )
    return training_step([phase], problem, captured)
