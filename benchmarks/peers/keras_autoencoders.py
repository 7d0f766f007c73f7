"""Autoencoders in Keras, compiled by XLA or not."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from benchmarks.problems import (
    ConvAutoencoder,
    DenseAutoencoder,
    GRUAutoencoder,
    RecurrentAutoencoder,
)


def stacked_ae(problem: DenseAutoencoder, jit: bool) -> Any:
    """The stacked autoencoder."""
    dense = dense_layers(problem.weights(), "sigmoid")
    net = keras.Sequential(
        [layers.Input((28, 28)), layers.Flatten(), *dense, layers.Reshape((28, 28))]
    )
    net.set_weights([array for layer in problem.weights() for array in layer])
    return reconstruction(net, problem, jit)


def conv_ae(problem: ConvAutoencoder, jit: bool) -> Any:
    """The convolutional autoencoder.

    With a stride of 2, Keras's "same" pads nothing before and one pixel after; the problem has it
    the other way round. So the decoder is mirrored, from the codes of 3 x 3 pixels to the target.
    """
    there, back = problem.weights()[:3], problem.weights()[3:]
    net = keras.Sequential([layers.Input((28, 28)), layers.Reshape((28, 28, 1))])
    for w, _ in there:
        net.add(layers.Conv2D(w.shape[3], 3, padding="same", activation="selu"))
        net.add(layers.MaxPool2D(2))
    net.add(layers.Lambda(lambda codes: keras.ops.flip(codes, (1, 2))))
    for i, (w, _) in enumerate(back):
        padding, f = ("valid" if i == 0 else "same"), ("sigmoid" if i == 2 else "selu")
        net.add(layers.Conv2DTranspose(w.shape[2], 3, 2, padding, activation=f))
    net.add(layers.Reshape((28, 28)))
    mirrored = [(w[::-1, ::-1], b) for w, b in back]
    net.set_weights([array for layer in (*there, *mirrored) for array in layer])
    return reconstruction(net, problem, jit)


def recurrent_ae(problem: RecurrentAutoencoder, jit: bool) -> Any:
    """The recurrent autoencoder, of LSTMs or GRUs."""
    make = layers.GRU if isinstance(problem, GRUAutoencoder) else layers.LSTM
    first, second, third = (m for _, m in problem.sizes)
    net = keras.Sequential(
        [
            layers.Input((28, 28)),
            make(first, return_sequences=True),
            make(second),
            layers.RepeatVector(28),
            make(third, return_sequences=True),
            layers.TimeDistributed(layers.Dense(28, activation="sigmoid")),
        ]
    )
    arrays = [array for layer in problem.weights() for array in layer]
    net.set_weights([*arrays, *problem.output_weights()])
    return reconstruction(net, problem, jit)


def reconstruction(net: Any, problem: Any, jit: bool) -> Any:
    """The network with plain SGD on the cross-entropy."""
    net.compile(
        loss="binary_crossentropy",
        optimizer=keras.optimizers.SGD(problem.learning_rate),
        jit_compile=jit,
    )
    return net


def dense_layers(weights: Any, last: str | None) -> list[Any]:
    """Dense layers of these sizes with SELU, and with the activation `last` at the end."""
    sizes = [w.shape[1] for w, _ in weights]
    return [
        *(layers.Dense(size, activation="selu") for size in sizes[:-1]),
        layers.Dense(sizes[-1], activation=last),
    ]
