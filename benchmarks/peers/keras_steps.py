"""Training steps in Keras on TensorFlow: `train_on_batch`, and one step of an epoch of `fit`."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.peers import keras_autoencoders, keras_generative
from benchmarks.peers.choice import fastest
from benchmarks.problems import PROBLEMS
from benchmarks.subject import AbsentError, TrainingStep

EPOCH = 1e11  # FLOPs of an epoch of `fit`, over which it spreads the cost of starting
EPOCH_STEPS = 8, 512  # but at least and at most so many


class TrainOnBatch(TrainingStep):
    """`train_on_batch`, which returns a number and so has finished.

    Args:
        net: a compiled model.
        batches: of each the arguments of `train_on_batch`.
        flops: of a step.
    """

    def __init__(self, net: Any, batches: list[Any], flops: float) -> None:
        super().__init__(lambda batch: net.train_on_batch(*batch), batches)
        self.net = net

    def check(self, steps: int) -> list[float]:
        """The losses of the next steps; Keras reports an average until it is told to forget."""
        losses = []
        for batch in itertools.islice(self.pool, steps):
            self.net.reset_metrics()
            losses.append(float(self.step(batch)))
        return losses


class Fit(TrainOnBatch):
    """Epochs of `fit` over the pool; its batches are drawn by Keras, as a user would let it."""

    def __init__(self, net: Any, batches: list[Any], flops: float) -> None:
        super().__init__(net, batches, flops)
        least, most = EPOCH_STEPS
        self.chunk = max(least, min(most, int(EPOCH / flops)))
        epoch = list(itertools.islice(itertools.cycle(batches), self.chunk))
        self.samples = tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *epoch)
        self.size = len(tf.nest.flatten(batches)[0])

    def run(self, count: int) -> None:
        """As many epochs as hold that many steps."""
        for _ in range(count // self.chunk):
            self.net.fit(*self.samples, batch_size=self.size, epochs=1, verbose=0)


MODELS: dict[str, Any] = {
    "stacked-ae": keras_autoencoders.stacked_ae,
    "conv-ae": keras_autoencoders.conv_ae,
    "recurrent-ae": keras_autoencoders.recurrent_ae,
    "gru-ae": keras_autoencoders.recurrent_ae,
    "vae": keras_generative.VAE,
    "gan": keras_generative.gan,
    "dcgan": keras_generative.dcgan,
    "dcgan-128": keras_generative.dcgan,
}


def arguments(name: str, batch: Any) -> Any:
    """Of `train_on_batch` and of `fit`: what goes in, and the target if there is one."""
    if isinstance(batch, tuple):
        return (batch,)
    return batch, batch[:, ::-1, ::-1] if name == "conv-ae" else batch


def load(name: str, threads: int, variant: str) -> TrainingStep:
    """The step of that model, compiled by XLA or not, whichever is faster."""
    if name not in MODELS:
        raise AbsentError(f"{name} is not written for Keras yet")
    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    problem = PROBLEMS[name]
    subject = {"fit": Fit, "train_on_batch": TrainOnBatch}[variant]
    batches = [arguments(name, batch) for batch in problem.batches()]

    def make(jit: bool, batches: list[Any]) -> TrainOnBatch:
        return subject(MODELS[name](problem, jit), batches, problem.flops)

    candidates: dict[str, Callable[[], TrainOnBatch]] = {
        f"jit_compile={jit}": functools.partial(make, jit, batches) for jit in (True, False)
    }
    if variant == "train_on_batch":
        tensors = tf.nest.map_structure(tf.constant, batches)
        for jit in (True, False):
            candidates[f"jit_compile={jit}, tensors"] = functools.partial(make, jit, tensors)
    return fastest(candidates)
