"""Stacked digits: three small handwritten digits in the channels of an image, 1,000 modes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..backend import Array
from ..ops.random import Random
from ..system import require

LEVELS = 16  # of grey, above 0


def base_digits() -> tuple[Array, Array]:
    """The 1,797 digits of scikit-learn: (n, 8, 8) uint8, and which each is, (n,) int64.

    Their 17 levels of grey are spread over 0 to 255. Needs scikit-learn; nothing is fetched.
    """
    require("sklearn")
    from sklearn.datasets import load_digits

    found = load_digits()
    images = np.round(found.images * (255 / LEVELS)).astype(np.uint8)
    return images, found.target.astype(np.int64)


def stack_digits(splits: Mapping[str, slice], seed: int = 0) -> tuple[Array, Array]:
    """Triples of digits as RGB images, (n, 8, 8, 3) uint8, and 100 a + 10 b + c, (n,) int64.

    Args:
        splits: which of the n are for what; those of different splits are made of different digits,
            of which the splits have shares of 80, 10 and 10 %.
        seed: of the choice.
    """
    digits, values = base_digits()
    order = Random(0, "data/digits").permutation(len(digits))
    tenth = len(digits) // 10
    shares = np.split(order, [len(order) - 2 * tenth, len(order) - tenth])
    images, labels = [], []
    for (name, rows), share in zip(splits.items(), shares, strict=True):
        n = rows.stop - rows.start
        rng = Random(seed, f"data/stacked-digits/{name}")
        chosen = share[rng.integers(0, len(share), (n, 3))]
        images.append(digits[chosen].transpose(0, 2, 3, 1))
        labels.append(values[chosen] @ np.array([100, 10, 1]))
    return np.concatenate(images), np.concatenate(labels)
