"""Training steps in tinygen."""

from __future__ import annotations

from typing import Any

import tinygen
from benchmarks.recipes import (
    RECIPES,
    ConvAutoencoder,
    DenseAutoencoder,
    Recipe,
    RecurrentAutoencoder,
)
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
    return reconstruction(net, recipe, recipe.learning_rate)


def conv_ae(recipe: ConvAutoencoder) -> TrainingStep:
    """The convolutional autoencoder."""
    layers: list[Any] = []
    for i, (w, b) in enumerate(recipe.weights()):
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
    return reconstruction(net, recipe, recipe.learning_rate)


def recurrent_ae(recipe: RecurrentAutoencoder) -> TrainingStep:
    """The recurrent autoencoder."""
    lstms = [nn.LSTM(n, m, return_sequences=i != 1) for i, (n, m) in enumerate(recipe.sizes)]
    for lstm, (kernel, recurrent, bias) in zip(lstms, recipe.weights(), strict=True):
        lstm.load_state_dict({"weight": kernel, "recurrent_weight": recurrent, "bias": bias})
    output = nn.Dense(recipe.sizes[-1][1], 28, activation="sigmoid")
    output.load_state_dict(dict(zip(("weight", "bias"), recipe.output_weights(), strict=True)))
    net = nn.Sequential(
        lstms[0], lstms[1], nn.RepeatVector(28), lstms[2], nn.TimeDistributed(output)
    )
    return reconstruction(net, recipe, recipe.learning_rate)


def reconstruction(net: nn.Module, recipe: Recipe, learning_rate: float) -> TrainingStep:
    """Plain SGD on the cross-entropy of images and what an autoencoder makes of them."""
    optimizer = optim.SGD(net, learning_rate)

    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = ops.binary_cross_entropy(net(x), x)
        loss.backward()
        optimizer.step()
        return loss

    return TrainingStep(step, [tinygen.tensor(x) for x in recipe.batches()])


MODELS: dict[str, Any] = {
    "stacked-ae": stacked_ae,
    "conv-ae": conv_ae,
    "recurrent-ae": recurrent_ae,
}


def load(name: str, threads: int) -> TrainingStep:
    """The step of that model."""
    tinygen.set_threads(threads)
    if name not in MODELS:
        raise AbsentError(f"{name} is not written for tinygen yet")
    step: TrainingStep = MODELS[name](RECIPES[name])
    return step
