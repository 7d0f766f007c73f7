"""Sequences of unequal lengths in one array: NaN stands where a shorter one has no more steps.

So a batch of sequences is an array like any other for the loader, the training loop and the
checkpoints, and what forgets that some steps are none gets NaN, never a figure that is a bit wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..backend import Array, array_module, device_of
from .errors import DataError


def pad_sequences(sequences: Sequence[Any], steps: int | None = None) -> Array:
    """Sequences (length,) or (length, features) as one array (n, steps, features), float32.

    Args:
        sequences: their numbers, one of them at least in each.
        steps: the length of the array; by default that of the longest sequence.

    Raises DataError for a sequence that is empty, too long, of other features than the first, or
    has NaN in it.

    >>> pad_sequences([[1, 2, 3], [4]])[..., 0]
    array([[ 1.,  2.,  3.],
           [ 4., nan, nan]], dtype=float32)
    """
    if not len(sequences):
        raise DataError("pad_sequences: no sequences were given")
    rows = [np.asarray(sequence, np.float32) for sequence in sequences]
    rows = [row[:, np.newaxis] if row.ndim == 1 else row for row in rows]
    for i, row in enumerate(rows):
        name = f"pad_sequences: sequence {i}"
        if row.ndim != 2 or row.shape[1:] != rows[0].shape[1:]:
            raise DataError(
                f"{name} has shape {np.shape(sequences[i])}, the first one "
                f"{np.shape(sequences[0])}; needed are (length,) or (length, features), and only "
                "the lengths may differ"
            )
        if not len(row):
            raise DataError(f"{name} is of length 0; leave it out")
        if np.isnan(row).any():
            raise DataError(f"{name} has NaN, which stands for steps after the last one")
        if steps is not None and len(row) > steps:
            raise DataError(f"{name} has {len(row)} steps, more than {steps}")
    longest = max(map(len, rows))
    shape = len(rows), longest if steps is None else steps, rows[0].shape[1]
    padded: Array = np.full(shape, np.nan, np.float32)
    for i, row in enumerate(rows):
        padded[i, : len(row)] = row
    return padded


def real_steps(x: Array) -> Array | None:
    """Where sequences (n, steps, ...) have steps: booleans (n, steps); None if they all are full.

    Raises DataError for a sequence of length 0, and for NaN before the end of one. A batch on a
    card is not waited for: it gets booleans in any case, and no checks.
    """
    missing = array_module(x).isnan(x)
    if device_of(x) != "cpu":
        return array_module(x).logical_not(missing.reshape(*x.shape[:2], -1).all(axis=2))
    if not missing.any():
        return None
    missing = missing.reshape(*x.shape[:2], -1)
    real = np.logical_not(missing.all(axis=2))
    empty = np.logical_not(real.any(axis=1))
    if empty.any():
        raise DataError(f"sequence {empty.argmax()} is of length 0: there are only NaN in it")
    gaps = (missing.any(axis=2) & real).any(axis=1) | (real[:, 1:] > real[:, :-1]).any(axis=1)
    if gaps.any():
        raise DataError(
            f"sequence {gaps.argmax()} has NaN among its values; it may only stand for the steps "
            "after the last one"
        )
    return real
