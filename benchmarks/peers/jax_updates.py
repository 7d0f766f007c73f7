"""How JAX does a step: all of it is one jitted function, whose state is donated."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.problem import Problem, RMSpropProblem
from benchmarks.subject import TrainingStep


def stepping(update: Callable[[Any, Any], Any], state: Any, problem: Problem) -> TrainingStep:
    """The step that `update` is: it takes state and batch, and gives the new state and the loss."""
    jitted = jax.jit(update, donate_argnums=0)
    state = jax.tree.map(jnp.asarray, state)

    def step(batch: Any) -> Any:
        nonlocal state
        state, loss = jitted(state, batch)
        return loss

    batches = jax.tree.map(jnp.asarray, problem.batches())
    return TrainingStep(step, batches, jax.block_until_ready)


def training(loss_of: Callable[[Any, Any], Any], weights: Any, problem: Problem) -> TrainingStep:
    """Training of one network by the problem's rule, on the loss of its weights and a batch."""

    def update(state: Any, batch: Any) -> Any:
        loss, gradients = jax.value_and_grad(loss_of)(state[0], batch)
        return changed(state, gradients, problem), loss

    return stepping(update, beginning(weights, problem), problem)


def beginning(weights: Any, problem: Problem) -> Any:
    """Weights, and squares of 0 where RMSprop needs them."""
    by_rmsprop = isinstance(problem, RMSpropProblem)
    return weights, jax.tree.map(jnp.zeros_like, weights) if by_rmsprop else ()


def changed(state: Any, gradients: Any, problem: Any) -> Any:
    """Weights and squares after a step of RMSprop, or of plain SGD."""
    weights, squares = state
    if isinstance(problem, RMSpropProblem):
        rho, epsilon = problem.rho, problem.epsilon
        squares = jax.tree.map(lambda s, g: rho * s + (1 - rho) * g * g, squares, gradients)
        gradients = jax.tree.map(lambda s, g: g / (jnp.sqrt(s) + epsilon), squares, gradients)
    weights = jax.tree.map(lambda w, g: w - problem.learning_rate * g, weights, gradients)
    return weights, squares


def dense(weights: Any, x: Any) -> Any:
    """Through dense layers, with SELU between them."""
    for w, b in weights[:-1]:
        x = jax.nn.selu(x @ w + b)
    w, b = weights[-1]
    return x @ w + b


def cross_entropy(p: Any, x: Any) -> Any:
    """Binary cross-entropy of probabilities, clipped."""
    p = jnp.clip(p, 1e-7, 1 - 1e-7)
    return -jnp.mean(x * jnp.log(p) + (1 - x) * jnp.log(1 - p))


LAYOUT = "NHWC", "HWIO", "NHWC"


def convolve(x: Any, layer: Any, stride: int = 1) -> Any:
    """A convolution padded as TensorFlow's "same"; the layer is a kernel and a bias."""
    w, b = layer
    strides = stride, stride
    return jax.lax.conv_general_dilated(x, w, strides, "SAME", dimension_numbers=LAYOUT) + b


def enlarge(x: Any, layer: Any, padding: Any = "SAME") -> Any:
    """A transposed convolution of stride 2, its kernel (height, width, out, in)."""
    w, b = layer
    transpose: Any = jax.lax.conv_transpose
    return transpose(x, w, (2, 2), padding, dimension_numbers=LAYOUT, transpose_kernel=True) + b
