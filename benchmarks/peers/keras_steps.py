"""Training steps in Keras on TensorFlow: `train_on_batch`, and one step of an epoch of `fit`."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from benchmarks.peers.choice import fastest
from benchmarks.recipes import RECIPES, DenseAutoencoder
from benchmarks.subject import AbsentError, TrainingStep

EPOCH = 512  # steps of an epoch of `fit`, over which it spreads the cost of starting


def stacked_ae(recipe: DenseAutoencoder, jit: bool | str) -> Any:
    """The stacked autoencoder."""
    net = keras.Sequential([layers.Input((28, 28)), layers.Flatten()])
    for w, _ in recipe.weights()[:-1]:
        net.add(layers.Dense(w.shape[1], activation="selu"))
    net.add(layers.Dense(784, activation="sigmoid"))
    net.add(layers.Reshape((28, 28)))
    net.set_weights([array for layer in recipe.weights() for array in layer])
    net.compile(
        loss="binary_crossentropy",
        optimizer=keras.optimizers.SGD(recipe.learning_rate),
        jit_compile=jit,
    )
    return net


class TrainOnBatch(TrainingStep):
    """`train_on_batch`, which returns a number and so has finished."""

    def __init__(self, net: Any, batches: list[Any]) -> None:
        super().__init__(lambda x: net.train_on_batch(x, x), batches)
        self.net = net

    def check(self, steps: int) -> list[float]:
        """The losses of the next steps; Keras reports an average until it is told to forget."""
        losses = []
        for x in itertools.islice(self.pool, steps):
            self.net.reset_metrics()
            losses.append(float(self.step(x)))
        return losses


class Fit(TrainOnBatch):
    """Epochs of `fit` over the pool; its batches are drawn by Keras, as a user would let it."""

    chunk = EPOCH

    def __init__(self, net: Any, batches: list[Any]) -> None:
        super().__init__(net, batches)
        self.images = np.concatenate(batches * (EPOCH // len(batches)))

    def run(self, count: int) -> None:
        """As many epochs as hold that many steps."""
        size = len(self.batches[0])
        for _ in range(count // EPOCH):
            self.net.fit(self.images, self.images, size, epochs=1, verbose=0)


MODELS: dict[str, Any] = {"stacked-ae": stacked_ae}


def load(name: str, threads: int, variant: str) -> TrainingStep:
    """The step of that model, compiled by XLA or not, whichever is faster."""
    if name not in MODELS:
        raise AbsentError(f"{name} is not written for Keras yet")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    recipe = RECIPES[name]
    make = {"fit": Fit, "train_on_batch": TrainOnBatch}[variant]
    batches = recipe.batches()
    candidates: dict[str, Callable[[], TrainOnBatch]] = {
        setting: functools.partial(lambda jit: make(MODELS[name](recipe, jit), batches), jit)
        for setting, jit in (("default", "auto"), ("jit_compile=False", False))
    }
    if variant == "train_on_batch":
        tensors = [tf.constant(x) for x in batches]
        candidates["tensors"] = lambda: make(MODELS[name](recipe, "auto"), tensors)
    return fastest(candidates)
