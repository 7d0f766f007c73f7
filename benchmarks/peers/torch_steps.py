"""Training steps in PyTorch: eager, and with torch.compile."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  (as everybody calls it)
from torch import nn

from benchmarks.peers.choice import fastest
from benchmarks.recipes import RECIPES, DenseAutoencoder
from benchmarks.subject import TrainingStep

# How torch.optim can update: one parameter after the other, in groups, or by one fused kernel.
UPDATES: dict[str, dict[str, bool]] = {
    "for-loop": {"foreach": False},
    "foreach": {"foreach": True},
    "fused": {"fused": True},
}


def stacked_ae(recipe: DenseAutoencoder, variant: str, update: dict[str, bool]) -> TrainingStep:
    """The stacked autoencoder."""
    layers: list[Any] = []
    for w, b in recipe.weights():
        linear = nn.Linear(*w.shape)
        linear.weight.data[...] = torch.from_numpy(w.T.copy())
        linear.bias.data[...] = torch.from_numpy(b)
        layers += [linear, nn.SELU()]
    layers[-1] = nn.Sigmoid()
    net = nn.Sequential(nn.Flatten(), *layers, nn.Unflatten(1, (28, 28)))
    optimizer = torch.optim.SGD(net.parameters(), recipe.learning_rate, **update)
    loss_of = forward(lambda x: F.binary_cross_entropy(net(x), x), variant)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = loss_of(x)
        loss.backward()
        optimizer.step()
        return loss.detach()

    return TrainingStep(step, [torch.from_numpy(x) for x in recipe.batches()])


def forward(loss_of: Callable[[Any], Any], variant: str) -> Callable[[Any], Any]:
    """A function from a batch to its loss; compiled, its backward is compiled with it."""
    compiled: Callable[[Any], Any] = torch.compile(loss_of) if variant == "compile" else loss_of
    return compiled


MODELS: dict[str, Any] = {"stacked-ae": stacked_ae}


def load(name: str, threads: int, variant: str) -> TrainingStep:
    """The step of that model, with whichever way to update is fastest."""
    if name not in MODELS:
        raise LookupError(f"{name} is not written for PyTorch yet")
    torch.set_num_threads(threads)
    make = functools.partial(MODELS[name], RECIPES[name], variant)
    return fastest({k: functools.partial(make, update) for k, update in UPDATES.items()})
