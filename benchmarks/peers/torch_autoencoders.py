"""Training steps of autoencoders in PyTorch."""

from __future__ import annotations

import functools
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.peers.torch_updates import (
    Candidates,
    candidates,
    in_both_layouts,
    linear,
    with_weights,
)
from benchmarks.problems import (
    ConvAutoencoder,
    DenseAutoencoder,
    GRUAutoencoder,
    RecurrentAutoencoder,
)


def stacked_ae(problem: DenseAutoencoder, compiled: bool) -> Candidates:
    """The stacked autoencoder, in every way to update it."""

    def network() -> Any:
        layers = dense_layers(problem.weights(), nn.Sigmoid())
        return nn.Sequential(nn.Flatten(), *layers, nn.Unflatten(1, (28, 28)))

    return candidates(network, problem, compiled, reconstruction)


def conv_ae(problem: ConvAutoencoder, compiled: bool) -> Candidates:
    """The convolutional autoencoder, in both memory formats and every way to update it."""

    def network(layout: Any) -> Any:
        layers: list[Any] = [nn.Unflatten(1, (1, 28))]
        for i, (w, b) in enumerate(problem.weights()):
            if i < 3:
                conv: Any = nn.Conv2d(w.shape[2], w.shape[3], 3, padding=1)
            else:
                around = min(i - 3, 1)
                conv = nn.ConvTranspose2d(w.shape[3], w.shape[2], 3, 2, around, around)
            with_weights(conv, w.transpose(3, 2, 0, 1), b)
            layers += [conv, nn.SELU()] + ([nn.MaxPool2d(2)] if i < 3 else [])
        layers[-1] = nn.Sigmoid()
        return nn.Sequential(*layers, nn.Flatten(1, 2)).to(memory_format=layout)

    return in_both_layouts(
        lambda layout: candidates(
            functools.partial(network, layout), problem, compiled, reconstruction
        )
    )


class Recurrent(nn.Module):  # type: ignore[misc]  # PyTorch need not be installed to check this
    """The recurrent autoencoder, of LSTMs or GRUs."""

    def __init__(self, problem: RecurrentAutoencoder) -> None:
        super().__init__()
        make, load = (
            (nn.GRU, load_gru) if isinstance(problem, GRUAutoencoder) else (nn.LSTM, load_lstm)
        )
        self.layers = nn.ModuleList(make(n, m, batch_first=True) for n, m in problem.sizes)
        for layer, weights in zip(self.layers, problem.weights(), strict=True):
            load(layer, *map(torch.from_numpy, weights))
        self.output = linear(*problem.output_weights())

    def forward(self, x: Any) -> Any:
        """What it makes of the images."""
        rows, _ = self.layers[0](x)
        codes = self.layers[1](rows)[0][:, -1]
        repeated = codes[:, None].expand(-1, 28, -1)
        return torch.sigmoid(self.output(self.layers[2](repeated)[0]))


def load_lstm(layer: Any, kernel: Any, recurrent: Any, bias: Any) -> None:
    """Copy weights; of the two biases one is 0 and frozen."""
    layer.weight_ih_l0.data[...] = kernel.T
    layer.weight_hh_l0.data[...] = recurrent.T
    layer.bias_ih_l0.data[...] = bias
    layer.bias_hh_l0.data[...] = 0
    layer.bias_hh_l0.requires_grad_(False)


def load_gru(layer: Any, kernel: Any, recurrent: Any, bias: Any) -> None:
    """Copy weights; gates are in the order r, z, h."""
    own = layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_ih_l0, layer.bias_hh_l0
    for w, given in zip(own, (kernel.T, recurrent.T, *bias), strict=True):
        z, r, h = given.chunk(3)
        w.data[...] = torch.cat([r, z, h])


def recurrent_ae(problem: RecurrentAutoencoder, compiled: bool) -> Candidates:
    """The recurrent autoencoder, of LSTMs or GRUs, in every way to update it."""
    return candidates(functools.partial(Recurrent, problem), problem, compiled, reconstruction)


def reconstruction(net: Any, x: Any) -> Any:
    """The cross-entropy of images and what an autoencoder makes of them."""
    return F.binary_cross_entropy(net(x), x)


def dense_layers(weights: Any, last: Any) -> list[Any]:
    """Dense layers with SELU, and with `last` at the end."""
    layers = [layer for w, b in weights for layer in (linear(w, b), nn.SELU())]
    return [*layers[:-1], last]
