"""Training steps in PyTorch: eager, and with torch.compile in its default mode."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.peers.choice import fastest
from benchmarks.recipes import (
    RECIPES,
    ConvAutoencoder,
    DenseAutoencoder,
    Recipe,
    RecurrentAutoencoder,
)
from benchmarks.subject import AbsentError, TrainingStep

Candidates: TypeAlias = dict[str, Callable[[], TrainingStep]]

# How torch.optim can update: one parameter after the other, in groups, or by one fused kernel.
UPDATES: dict[str, dict[str, bool]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}


def stacked_ae(recipe: DenseAutoencoder, compiled: bool) -> Candidates:
    """The stacked autoencoder, in every way to update it."""

    def network() -> Any:
        layers: list[Any] = []
        for w, b in recipe.weights():
            linear = nn.Linear(*w.shape)
            linear.weight.data[...] = torch.from_numpy(w.T.copy())
            linear.bias.data[...] = torch.from_numpy(b)
            layers += [linear, nn.SELU()]
        layers[-1] = nn.Sigmoid()
        return nn.Sequential(nn.Flatten(), *layers, nn.Unflatten(1, (28, 28)))

    return reconstruction(network, recipe, recipe.learning_rate, compiled)


def conv_ae(recipe: ConvAutoencoder, compiled: bool) -> Candidates:
    """The convolutional autoencoder, in both memory formats and every way to update it."""

    def network(layout: Any) -> Any:
        layers: list[Any] = [nn.Unflatten(1, (1, 28))]
        for i, (w, b) in enumerate(recipe.weights()):
            if i < 3:
                conv: Any = nn.Conv2d(w.shape[2], w.shape[3], 3, padding=1)
            else:
                around = min(i - 3, 1)
                conv = nn.ConvTranspose2d(w.shape[3], w.shape[2], 3, 2, around, around)
            conv.weight.data[...] = torch.from_numpy(w).permute(3, 2, 0, 1)
            conv.bias.data[...] = torch.from_numpy(b)
            layers += [conv, nn.SELU()] + ([nn.MaxPool2d(2)] if i < 3 else [])
        layers[-1] = nn.Sigmoid()
        return nn.Sequential(*layers, nn.Flatten(1, 2)).to(memory_format=layout)

    layouts = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}
    return {
        f"{name}, {update}": make
        for name, layout in layouts.items()
        for update, make in reconstruction(
            functools.partial(network, layout), recipe, recipe.learning_rate, compiled
        ).items()
    }


def recurrent_ae(recipe: RecurrentAutoencoder, compiled: bool) -> Candidates:
    """The recurrent autoencoder; of each LSTM's two biases one is 0 and frozen."""

    class Network(nn.Module):  # type: ignore[misc]  # PyTorch need not be installed to check this
        def __init__(self) -> None:
            super().__init__()
            self.lstms = nn.ModuleList(nn.LSTM(n, m, batch_first=True) for n, m in recipe.sizes)
            for lstm, (kernel, recurrent, bias) in zip(self.lstms, recipe.weights(), strict=True):
                lstm.weight_ih_l0.data[...] = torch.from_numpy(kernel.T.copy())
                lstm.weight_hh_l0.data[...] = torch.from_numpy(recurrent.T.copy())
                lstm.bias_ih_l0.data[...] = torch.from_numpy(bias)
                lstm.bias_hh_l0.data[...] = 0
                lstm.bias_hh_l0.requires_grad_(False)
            w, b = recipe.output_weights()
            self.output = nn.Linear(*w.shape)
            self.output.weight.data[...] = torch.from_numpy(w.T.copy())
            self.output.bias.data[...] = torch.from_numpy(b)

        def forward(self, x: Any) -> Any:
            rows, _ = self.lstms[0](x)
            _, (code, _) = self.lstms[1](rows)
            repeated = code[0][:, None].expand(-1, 28, -1)
            return torch.sigmoid(self.output(self.lstms[2](repeated)[0]))

    return reconstruction(Network, recipe, recipe.learning_rate, compiled)


def reconstruction(
    network: Callable[[], Any], recipe: Recipe, learning_rate: float, compiled: bool
) -> Candidates:
    """Plain SGD on the cross-entropy of images and what an autoencoder makes of them."""
    batches = [torch.from_numpy(x) for x in recipe.batches()]

    def usual(update: dict[str, bool]) -> TrainingStep:
        net = network()
        optimizer = torch.optim.SGD(net.parameters(), learning_rate, **update)

        def loss_of(x: Any) -> Any:
            return F.binary_cross_entropy(net(x), x)

        # the backward of a compiled function is compiled too
        forward = torch.compile(loss_of) if compiled else loss_of

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = forward(x)
            loss.backward()
            optimizer.step()
            return loss.detach()

        return TrainingStep(step, batches)

    def whole() -> TrainingStep:
        """Forward, backward and update compiled as one function of the weights."""
        net = network()
        weights = {name: w.detach() for name, w in net.named_parameters()}

        def loss_of(weights: Any, x: Any) -> Any:
            return F.binary_cross_entropy(torch.func.functional_call(net, weights, (x,)), x)

        def update(weights: Any, x: Any) -> Any:
            gradients, loss = torch.func.grad_and_value(loss_of)(weights, x)
            for name, w in weights.items():
                w.sub_(gradients[name], alpha=learning_rate)
            return loss

        return TrainingStep(functools.partial(torch.compile(update), weights), batches)

    candidates: Candidates = {k: functools.partial(usual, v) for k, v in UPDATES.items()}
    if compiled:
        candidates["whole step"] = whole
    return candidates


MODELS: dict[str, Callable[[Any, bool], Candidates]] = {
    "stacked-ae": stacked_ae,
    "conv-ae": conv_ae,
    "recurrent-ae": recurrent_ae,
}


def load(name: str, threads: int, compiled: bool) -> TrainingStep:
    """The step of that model, in whichever way is fastest."""
    if name not in MODELS:
        raise AbsentError(f"{name} is not written for PyTorch yet")
    torch.set_num_threads(threads)
    return fastest(MODELS[name](RECIPES[name], compiled))
