"""Models that make new images in Keras, a VAE and GANs: a `train_step` of their own in each."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from benchmarks.games import DCGAN, GAN, AdversarialProblem
from benchmarks.peers.keras_autoencoders import dense_layers
from benchmarks.problem import RMSpropProblem
from benchmarks.problems import VariationalAutoencoder


class RMSprop(keras.optimizers.RMSprop):  # type: ignore[misc]  # Keras need not be installed
    """Keras's own with its epsilon outside of the root."""

    def __init__(self, problem: RMSpropProblem, variables: Any) -> None:
        super().__init__(problem.learning_rate, rho=problem.rho, epsilon=problem.epsilon)
        self.build(variables)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """One variable."""
        s = self._velocities[self._get_variable_index(variable)]
        self.assign(s, self.rho * s + (1 - self.rho) * gradient * gradient)
        change = learning_rate * gradient / (keras.ops.sqrt(s) + self.epsilon)
        self.assign_sub(variable, change)


class VAE(keras.Model):  # type: ignore[misc]  # Keras need not be installed to check this
    """The variational autoencoder."""

    def __init__(self, problem: VariationalAutoencoder, jit: bool) -> None:
        super().__init__()
        weights, depth = problem.weights(), len(problem.sizes) - 1
        images, codings = layers.Input((28, 28)), layers.Input((problem.codings,))
        h = layers.Flatten()(images)
        for layer in dense_layers(weights[:depth], "selu"):
            h = layer(h)
        both = [layers.Dense(problem.codings)(h), layers.Dense(problem.codings)(h)]
        self.encoder = keras.Model(images, both)
        y = codings
        for layer in dense_layers(weights[depth + 2 :], "sigmoid"):
            y = layer(y)
        self.decoder = keras.Model(codings, layers.Reshape((28, 28))(y))
        self.encoder.set_weights([array for layer in weights[: depth + 2] for array in layer])
        self.decoder.set_weights([array for layer in weights[depth + 2 :] for array in layer])
        self.compile(RMSprop(problem, self.trainable_variables), jit_compile=jit)

    def train_step(self, data: Any) -> Any:
        """One step."""
        images, noise = keras.utils.unpack_x_y_sample_weight(data)[0]
        with tf.GradientTape() as tape:
            mean, log_var = self.encoder(images, training=True)
            y = self.decoder(mean + tf.exp(log_var / 2) * noise, training=True)
            latent = -0.5 * tf.reduce_sum(1 + log_var - tf.exp(log_var) - mean * mean, -1)
            loss = tf.reduce_mean(keras.losses.binary_crossentropy(images, y))
            loss += tf.reduce_mean(latent) / 784
        variables = self.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return {"loss": loss}


class Adversarial(keras.Model):  # type: ignore[misc]  # Keras need not be installed to check this
    """Generator and discriminator."""

    def __init__(
        self, generator: Any, discriminator: Any, problem: AdversarialProblem, jit: bool
    ) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator
        self.generating = RMSprop(problem, generator.trainable_variables)
        self.judging = RMSprop(problem, discriminator.trainable_variables)
        both = np.repeat(np.array([0, 1], np.float32), problem.batch)[:, None]
        self.both, self.real = tf.constant(both), tf.constant(both[problem.batch :])
        self.loss_of = keras.losses.BinaryCrossentropy(from_logits=True)
        self.compile(jit_compile=jit)

    def train_step(self, data: Any) -> Any:
        """Both phases."""
        images, first, second = keras.utils.unpack_x_y_sample_weight(data)[0]
        fakes = self.generator(first, training=False)
        with tf.GradientTape() as tape:
            logits = self.discriminator(tf.concat([fakes, images], 0), training=True)
            judged = self.loss_of(self.both, logits)
        variables = self.discriminator.trainable_variables
        self.judging.apply(tape.gradient(judged, variables), variables)
        variables = self.generator.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch([v.value for v in variables])
            logits = self.discriminator(self.generator(second, training=True), training=True)
            generated = self.loss_of(self.real, logits)
        self.generating.apply(tape.gradient(generated, variables), variables)
        return {"loss": judged + generated}


def gan(problem: GAN, jit: bool) -> Any:
    """The dense GAN."""
    g, d = problem.weights()
    generator = [layers.Input((problem.latents,)), *dense_layers(g, "sigmoid")]
    discriminator = [layers.Input((28, 28)), layers.Flatten(), *dense_layers(d, None)]
    networks = (
        keras.Sequential([*generator, layers.Reshape((28, 28))]),
        keras.Sequential(discriminator),
    )
    return with_weights(networks, problem, jit)


def dcgan(problem: DCGAN, jit: bool) -> Any:
    """The convolutional GAN."""
    few, many = problem.channels
    generator = keras.Sequential(
        [
            layers.Input((problem.latents,)),
            layers.Dense(49 * many),
            layers.Reshape((7, 7, many)),
            layers.BatchNormalization(),
            layers.Conv2DTranspose(few, 5, 2, "same", activation="selu"),
            layers.BatchNormalization(),
            layers.Conv2DTranspose(1, 5, 2, "same", activation="tanh"),
        ]
    )
    discriminator = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(few, 5, 2, "same"),
            layers.LeakyReLU(0.2),
            layers.Conv2D(many, 5, 2, "same"),
            layers.LeakyReLU(0.2),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    return with_weights((generator, discriminator), problem, jit)


def with_weights(networks: Any, problem: Any, jit: bool) -> Any:
    """Both networks with the problem's weights in all layers but batch norms."""
    for net, weights in zip(networks, problem.weights(), strict=True):
        norm = layers.BatchNormalization
        own = [layer for layer in net.layers if layer.weights and not isinstance(layer, norm)]
        for layer, arrays in zip(own, weights, strict=True):
            layer.set_weights(arrays)
    generator, discriminator = networks
    return Adversarial(generator, discriminator, problem, jit)
