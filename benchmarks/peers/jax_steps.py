"""Training steps in JAX."""

from __future__ import annotations

from typing import Any

from benchmarks.peers import jax_autoencoders, jax_generative
from benchmarks.peers.choice import fastest
from benchmarks.problems import PROBLEMS
from benchmarks.subject import AbsentError, TrainingStep

# Each gives a step, or several to choose from.
MODELS: dict[str, Any] = {
    "stacked-ae": jax_autoencoders.stacked_ae,
    "conv-ae": jax_autoencoders.conv_ae,
    "recurrent-ae": jax_autoencoders.recurrent_ae,
    "gru-ae": jax_autoencoders.recurrent_ae,
    "vae": jax_generative.vae,
    "gan": jax_generative.gan,
    "dcgan": jax_generative.dcgan,
    "dcgan-128": jax_generative.dcgan,
}


def load(name: str, threads: int) -> TrainingStep:
    """The step of that model; XLA takes its number of threads from the environment alone."""
    if name not in MODELS:
        raise AbsentError(f"{name} is not written for JAX yet")
    found = MODELS[name](PROBLEMS[name])
    step: TrainingStep = fastest(found) if isinstance(found, dict) else found
    return step
