"""Arithmetic with codings: what a class has and another has not, added to a third."""

from __future__ import annotations

from typing import cast

import numpy as np

from ..backend import Array


def class_mean(codings: Array, labels: Array, label: int) -> Array:
    """The mean coding of a class: (n, d), (n,) -> (d,)."""
    if len(labels) != len(codings):
        raise ValueError(f"class_mean: {len(codings)} codings and {len(labels)} labels")
    chosen = codings[labels == label]
    if not len(chosen):
        raise ValueError(f"class_mean: none of the {len(labels):,} samples has the label {label}")
    return cast(Array, chosen.mean(axis=0, dtype=np.float64))


def analogy(codings: Array, labels: Array, add: int, remove: int, to: Array) -> Array:
    """to + mean(add) - mean(remove): codings moved by the difference of two classes.

    "King - man + woman" (Mikolov et al. 2013), with images as in Radford, Metz & Chintala 2016.

    Args:
        codings: (n, d), with the class of each in `labels`, (n,).
        labels: integers.
        add: the label of the class whose mean is added.
        remove: the label of the class whose mean is taken away.
        to: the codings to move, (..., d).
    """
    direction = class_mean(codings, labels, add) - class_mean(codings, labels, remove)
    return cast(Array, to + direction)
