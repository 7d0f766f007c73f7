"""Training steps in tinygen."""

from __future__ import annotations

from typing import Any

import tinygen
from benchmarks.recipes import RECIPES, DenseAutoencoder
from benchmarks.subject import AbsentError, TrainingStep
from tinygen import nn, ops, optim


def stacked_ae(recipe: DenseAutoencoder) -> TrainingStep:
    """The stacked autoencoder."""
    last = len(recipe.sizes) - 2
    layers = [
        nn.Dense(w.shape[0], w.shape[1], activation="selu" if i < last else "sigmoid")
        for i, (w, _) in enumerate(recipe.weights())
    ]
    for layer, (w, b) in zip(layers, recipe.weights(), strict=True):
        layer.load_state_dict({"weight": w, "bias": b})
    net = nn.Sequential(nn.Flatten(), *layers, nn.Reshape(28, 28))
    optimizer = optim.SGD(net, recipe.learning_rate)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = ops.binary_cross_entropy(net(x), x)
        loss.backward()
        optimizer.step()
        return loss

    return TrainingStep(step, [tinygen.tensor(x) for x in recipe.batches()])


MODELS: dict[str, Any] = {"stacked-ae": stacked_ae}


def load(name: str, threads: int) -> TrainingStep:
    """The step of that model."""
    tinygen.set_threads(threads)
    if name not in MODELS:
        raise AbsentError(f"{name} is not written for tinygen yet")
    step: TrainingStep = MODELS[name](RECIPES[name])
    return step
