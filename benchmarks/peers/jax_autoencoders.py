"""Training steps of autoencoders in JAX."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.peers.jax_updates import convolve, cross_entropy, dense, enlarge, training
from benchmarks.problems import (
    ConvAutoencoder,
    DenseAutoencoder,
    GRUAutoencoder,
    RecurrentAutoencoder,
)
from benchmarks.subject import TrainingStep


def stacked_ae(problem: DenseAutoencoder) -> TrainingStep:
    """The stacked autoencoder."""

    def loss_of(weights: Any, x: Any) -> Any:
        y = jax.nn.sigmoid(dense(weights, x.reshape(len(x), -1)))
        return cross_entropy(y.reshape(x.shape), x)

    return training(loss_of, problem.weights(), problem)


def conv_ae(problem: ConvAutoencoder) -> dict[str, Callable[[], TrainingStep]]:
    """The convolutional autoencoder; pooling by XLA's own window, or by a maximum over axes."""

    def loss_of(pool: Callable[[Any], Any], weights: Any, x: Any) -> Any:
        y = x[..., None]
        for layer in weights[:3]:
            y = pool(jax.nn.selu(convolve(y, layer)))
        y = jax.nn.selu(enlarge(y, weights[3], "VALID"))
        y = jax.nn.selu(enlarge(y, weights[4], ((1, 2), (1, 2))))
        y = jax.nn.sigmoid(enlarge(y, weights[5], ((1, 2), (1, 2))))
        return cross_entropy(y[..., 0], x)

    return {
        name: functools.partial(
            training, functools.partial(loss_of, pool), problem.weights(), problem
        )
        for name, pool in (("reduce_window", pool_by_window), ("maximum of axes", pool_by_axes))
    }


def pool_by_window(x: Any) -> Any:
    """The largest of every 2 x 2."""
    window = 1, 2, 2, 1
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, window, "VALID")


def pool_by_axes(x: Any) -> Any:
    """The same, as a maximum over two axes."""
    n, h, w, c = x.shape
    h, w = h // 2, w // 2
    return x[:, : 2 * h, : 2 * w].reshape(n, h, 2, w, 2, c).max((2, 4))


def recurrent_ae(problem: RecurrentAutoencoder) -> TrainingStep:
    """The recurrent autoencoder, of LSTMs or GRUs; unrolling the loop by 4 or 28 made it slower."""
    cell, states = (gru, 1) if isinstance(problem, GRUAutoencoder) else (lstm, 2)

    def sequence(weights: Any, x: Any) -> Any:
        """States after every step: (steps, batch, inputs) -> (steps, batch, units)."""
        kernel, recurrent, bias = weights
        own = bias[0] if cell is gru else bias
        zero = jnp.zeros((x.shape[1], len(recurrent)), x.dtype)

        def step(state: Any, x: Any) -> Any:
            state = cell(state, x, recurrent, bias)
            return state, state[0]

        # the product with the input is one for all steps
        return jax.lax.scan(step, (zero,) * states, x @ kernel + own)[1]

    def loss_of(weights: Any, x: Any) -> Any:
        layers, output = weights
        rows = sequence(layers[0], x.swapaxes(0, 1))
        codes = sequence(layers[1], rows)[-1]
        repeated = jnp.broadcast_to(codes, (28, *codes.shape))
        y = jax.nn.sigmoid(dense([output], sequence(layers[2], repeated)))
        return cross_entropy(y.swapaxes(0, 1), x)

    return training(loss_of, (problem.weights(), problem.output_weights()), problem)


def lstm(state: Any, x: Any, recurrent: Any, bias: Any) -> Any:
    """One step; x is the input's product, with the bias."""
    h, c = state
    i, f, g, o = jnp.split(x + h @ recurrent, 4, axis=1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    return jax.nn.sigmoid(o) * jnp.tanh(c), c


def gru(state: Any, x: Any, recurrent: Any, bias: Any) -> Any:
    """One step; x is the input's product, with its own bias."""
    (h,) = state
    xz, xr, xg = jnp.split(x, 3, axis=1)
    hz, hr, hg = jnp.split(h @ recurrent + bias[1], 3, axis=1)
    z, r = jax.nn.sigmoid(xz + hz), jax.nn.sigmoid(xr + hr)
    return (z * h + (1 - z) * jnp.tanh(xg + r * hg),)
