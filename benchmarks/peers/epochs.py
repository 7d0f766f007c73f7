"""Whole epochs of `fit`, a library's own way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.subject import Subject


def read(path: str) -> tuple[Any, Any]:
    """The images to fit and those to validate with, floats between 0 and 1."""
    with np.load(path) as found:
        train, valid = (found[name][..., 0].astype(np.float32) / 255 for name in ("train", "valid"))
    return train, valid


class Epochs(Subject):
    """Epochs of a function that trains for one and returns its loss."""

    def __init__(self, epoch: Callable[[], float]) -> None:
        super().__init__()
        self.epoch, self.loss = epoch, float("nan")

    def run(self, count: int) -> None:
        """That many, one call each."""
        for _ in range(count):
            self.loss = self.epoch()

    def check(self, steps: int) -> list[float]:
        """The loss of the last one."""
        return [self.loss]
