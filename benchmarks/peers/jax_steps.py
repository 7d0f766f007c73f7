"""Training steps in JAX: the whole step is one jitted function, whose arguments are donated."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.recipes import RECIPES, DenseAutoencoder
from benchmarks.subject import AbsentError, TrainingStep


def stacked_ae(recipe: DenseAutoencoder) -> TrainingStep:
    """The stacked autoencoder."""

    def loss_of(weights: Any, x: Any) -> Any:
        y = x.reshape(len(x), -1)
        for w, b in weights[:-1]:
            y = jax.nn.selu(y @ w + b)
        w, b = weights[-1]
        p = jax.nn.sigmoid(y @ w + b).reshape(x.shape)
        p = jnp.clip(p, 1e-7, 1 - 1e-7)
        return -jnp.mean(x * jnp.log(p) + (1 - x) * jnp.log(1 - p))

    def update(weights: Any, x: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(weights, x)
        change = lambda w, g: w - recipe.learning_rate * g  # noqa: E731
        return jax.tree.map(change, weights, gradients), loss

    jitted = jax.jit(update, donate_argnums=0)
    weights = jax.tree.map(jnp.asarray, recipe.weights())

    def step(x: Any) -> Any:
        nonlocal weights
        weights, loss = jitted(weights, x)
        return loss

    return TrainingStep(step, [jnp.asarray(x) for x in recipe.batches()], jax.block_until_ready)


MODELS: dict[str, Any] = {"stacked-ae": stacked_ae}


def load(name: str, threads: int) -> TrainingStep:
    """The step of that model; XLA takes its number of threads from the environment alone."""
    if name not in MODELS:
        raise AbsentError(f"{name} is not written for JAX yet")
    step: TrainingStep = MODELS[name](RECIPES[name])
    return step
