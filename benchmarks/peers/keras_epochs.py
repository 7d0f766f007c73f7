"""Epochs of the text's recipes by Keras's `fit`, with the models as the text writes them."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import layers

from benchmarks.peers.epochs import Epochs, read


def conv_ae() -> tuple[Any, float]:
    """The convolutional autoencoder, and its learning rate."""
    encoder = [
        layers.Reshape((28, 28, 1)),
        layers.Conv2D(16, 3, padding="same", activation="selu"),
        layers.MaxPool2D(2),
        layers.Conv2D(32, 3, padding="same", activation="selu"),
        layers.MaxPool2D(2),
        layers.Conv2D(64, 3, padding="same", activation="selu"),
        layers.MaxPool2D(2),
    ]
    decoder = [
        layers.Conv2DTranspose(32, 3, strides=2, padding="valid", activation="selu"),
        layers.Conv2DTranspose(16, 3, strides=2, padding="same", activation="selu"),
        layers.Conv2DTranspose(1, 3, strides=2, padding="same", activation="sigmoid"),
        layers.Reshape((28, 28)),
    ]
    return keras.Sequential([layers.Input((28, 28)), *encoder, *decoder]), 1.0


def recurrent_ae() -> tuple[Any, float]:
    """The recurrent autoencoder, and its learning rate."""
    encoder = [layers.LSTM(100, return_sequences=True), layers.LSTM(30)]
    decoder = [
        layers.RepeatVector(28),
        layers.LSTM(100, return_sequences=True),
        layers.TimeDistributed(layers.Dense(28, activation="sigmoid")),
    ]
    return keras.Sequential([layers.Input((28, 28)), *encoder, *decoder]), 0.1


def load(name: str, threads: int, images: str, jit: bool) -> Epochs:
    """The model of that name, compiled by XLA or not."""
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    train, valid = read(images)
    net, rate = {"conv-ae": conv_ae, "recurrent-ae": recurrent_ae}[name]()
    optimizer = keras.optimizers.SGD(rate)
    net.compile(loss="binary_crossentropy", optimizer=optimizer, jit_compile=jit)

    def epoch() -> float:
        history = net.fit(train, train, epochs=1, validation_data=(valid, valid), verbose=0)
        return float(history.history["loss"][0])

    return Epochs(epoch)
