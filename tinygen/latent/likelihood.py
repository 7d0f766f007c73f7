"""How likely a model finds samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..backend import Array
from ..ops.random import Random


class Estimate(NamedTuple):
    """A mean over samples, and how far it may be off by the choice of them."""

    mean: float
    standard_error: float


def has_likelihood(model: Any) -> bool:
    """Whether the model can say how likely an image is: a VAE whose decoder gives probabilities."""
    binary = getattr(model, "criterion", None) is ops.binary_cross_entropy
    return binary and hasattr(model, "log_likelihood")


def negative_log_likelihood(
    model: Any,
    x: Array,
    samples: int = 100,
    *,
    seed: int = 0,
    progress: Callable[[float], object] | None = None,
) -> Estimate:
    """-log p(x) in nats, mean over the samples of x: (n, ...) -> mean and standard error.

    p(x) is estimated with importance samples from the encoder's posterior, so the result is an
    upper bound that falls to the truth as their number grows (Burda, Grosse & Salakhutdinov 2016).

    Args:
        model: with `log_likelihood(x, samples=, rng=) -> (n,)`, such as a VAE.
        x: at least 2 samples.
        samples: importance samples for each.
        seed: of the importance samples.
        progress: called now and then with the share that is done, from 0 to 1.
    """
    if not has_likelihood(model):
        raise ValueError(
            f"{type(model).__name__} knows no likelihood; a VAE with binary cross-entropy does"
        )
    if len(x) < 2:
        raise ValueError(f"negative_log_likelihood: at least 2 samples are needed, not {len(x)}")
    was_training = model.training
    model.eval()
    try:
        rng = Random(seed, device=model.device)
        found = model.log_likelihood(x, samples=samples, rng=rng, progress=progress)
    finally:
        model.train(was_training)
    values = -np.asarray(found, np.float64)
    return Estimate(float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))))
