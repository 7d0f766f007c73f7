"""Training steps of models that make new images in JAX: a VAE and GANs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.games import DCGAN, GAN, AdversarialProblem
from benchmarks.peers.jax_updates import (
    beginning,
    changed,
    convolve,
    cross_entropy,
    dense,
    enlarge,
    stepping,
    training,
)
from benchmarks.problems import VariationalAutoencoder
from benchmarks.subject import TrainingStep


def vae(problem: VariationalAutoencoder) -> TrainingStep:
    """The variational autoencoder."""
    depth = len(problem.sizes) - 1

    def loss_of(weights: Any, batch: Any) -> Any:
        x, noise = batch
        encoder, (mean, log_var) = weights[:depth], weights[depth : depth + 2]
        h = jax.nn.selu(dense(encoder, x.reshape(len(x), -1)))
        mean, log_var = dense([mean], h), dense([log_var], h)
        codings = mean + jnp.exp(log_var / 2) * noise
        y = jax.nn.sigmoid(dense(weights[depth + 2 :], codings)).reshape(x.shape)
        latent = -0.5 * jnp.sum(1 + log_var - jnp.exp(log_var) - mean**2, -1)
        return cross_entropy(y, x) + latent.mean() / 784

    return training(loss_of, problem.weights(), problem)


def gan(problem: GAN) -> TrainingStep:
    """The dense GAN."""

    def generate(weights: Any, moments: Any, noise: Any, in_training: bool) -> Any:
        return jax.nn.sigmoid(dense(weights, noise)).reshape(-1, 28, 28), moments

    def judge(weights: Any, images: Any) -> Any:
        return dense(weights, images.reshape(len(images), -1))

    generator, discriminator = problem.weights()
    return adversarial(generate, judge, generator, discriminator, (), problem)


def dcgan(problem: DCGAN) -> TrainingStep:
    """The convolutional GAN."""
    few, many = problem.channels

    def generate(weights: Any, moments: Any, noise: Any, in_training: bool) -> Any:
        (first, enlarging, drawing), norms = weights
        x = dense([first], noise).reshape(-1, 7, 7, many)
        x, of_first = batch_norm(x, norms[0], moments[0], in_training)
        x = jax.nn.selu(enlarge(x, enlarging))
        x, of_second = batch_norm(x, norms[1], moments[1], in_training)
        return jnp.tanh(enlarge(x, drawing)), (of_first, of_second)

    def judge(weights: Any, images: Any) -> Any:
        x = jax.nn.leaky_relu(convolve(images, weights[0], 2), 0.2)
        x = jax.nn.leaky_relu(convolve(x, weights[1], 2), 0.2)
        return dense(weights[2:], x.reshape(len(x), -1))

    generator, discriminator = problem.weights()
    # scale and shift; mean and variance
    norms, moments = (
        tuple((jnp.full(n, a), jnp.full(n, b)) for n in (many, few))
        for a, b in ((1.0, 0.0), (0.0, 1.0))
    )
    return adversarial(generate, judge, (generator, norms), discriminator, moments, problem)


def batch_norm(x: Any, norm: Any, moments: Any, in_training: bool) -> Any:
    """x normalised, and the running mean and variance."""
    mean, variance = moments
    if in_training:
        mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
        moments = tuple(
            0.99 * old + 0.01 * new for old, new in zip(moments, (mean, variance), strict=True)
        )
    scale, shift = norm
    return (x - mean) * (scale * jax.lax.rsqrt(variance + 1e-3)) + shift, moments


def adversarial(
    generate: Callable[..., Any],
    judge: Callable[[Any, Any], Any],
    generator: Any,
    discriminator: Any,
    moments: Any,
    problem: AdversarialProblem,
) -> TrainingStep:
    """Both phases in one step; the state is both networks', and the batch norms' moments."""
    both = jnp.repeat(jnp.arange(2.0), problem.batch)[:, None]
    real = both[problem.batch :]

    def judged(weights: Any, images: Any) -> Any:
        return cross_entropy_of_logits(judge(weights, images), both)

    def generated(weights: Any, judging: Any, moments: Any, noise: Any) -> Any:
        images, moments = generate(weights, moments, noise, True)
        return cross_entropy_of_logits(judge(judging, images), real), moments

    def update(state: Any, batch: Any) -> Any:
        g, d, moments = state
        images, first, second = batch
        fakes, _ = generate(g[0], moments, first, False)
        loss, gradients = jax.value_and_grad(judged)(d[0], jnp.concatenate([fakes, images]))
        d = changed(d, gradients, problem)
        (other, moments), gradients = jax.value_and_grad(generated, has_aux=True)(
            g[0], d[0], moments, second
        )
        return (changed(g, gradients, problem), d, moments), loss + other

    networks = (beginning(weights, problem) for weights in (generator, discriminator))
    return stepping(update, (*networks, moments), problem)


def cross_entropy_of_logits(x: Any, labels: Any) -> Any:
    """Binary cross-entropy of sigmoid(x)."""
    return jnp.mean(jax.nn.softplus(x) - x * labels)
