"""Codings of many samples, and what the decoder makes of them, in inference mode."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..backend import Array, to_numpy
from ..config import no_grad
from ..core import TensorLike, data_of
from ..models import Autoencoder

BATCH = 1000  # samples at a time


def encode(model: Autoencoder, x: Array) -> Array:
    """The codings of samples: (n, ...) -> (n, codings)."""
    return in_batches(model, model.encode, x)


def decode(model: Autoencoder, codings: Array) -> Array:
    """What the decoder makes of codings, of whatever float type: (n, codings) -> (n, ...)."""
    return in_batches(model, model.decode, codings.astype(model.dtype, copy=False))


def reconstruct(model: Autoencoder, x: Array) -> Array:
    """What the model makes of samples: (n, ...) -> (n, ...)."""
    return in_batches(model, model.reconstruct, x)


def hash_codes(model: Autoencoder, x: Array) -> Array:
    """The binary codes of samples, of a model that makes some: (n, ...) -> bool (n, codings)."""
    if not hasattr(model, "hash"):
        raise ValueError(f"{model.name} makes no binary codes; hashing-ae does")
    return in_batches(model, model.hash, x)


def in_batches(model: Autoencoder, function: Callable[[Array], TensorLike], x: Array) -> Array:
    """function(x) for a method of the model, a batch at a time, without a graph."""
    if not len(x):
        raise ValueError(f"{model.name}: there are no samples to look at")
    was_training = model.training
    model.eval()
    try:
        with no_grad():
            parts = [data_of(function(x[i : i + BATCH])) for i in range(0, len(x), BATCH)]
    finally:
        model.train(was_training)
    return np.concatenate([to_numpy(part) for part in parts])
