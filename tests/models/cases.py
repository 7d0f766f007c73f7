"""The table of models that the generic tests read: one row each, and one for every variant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tinygen import models

GREY, RGB, ODD, ONE_PIXEL, FEATURES = (28, 28), (32, 32, 3), (5, 7), (1, 1), (9,)
ANY_SHAPE = (GREY, RGB, ODD, ONE_PIXEL, FEATURES)


@dataclass(frozen=True)
class Case:
    """A model, and what the generic tests of tests/models/test_every_model.py need to know of it.

    Attributes:
        name: for `models.create`.
        variant: what distinguishes this row from others of the model.
        config: the settings that make the variant.
        tiny: settings on top, for checks of gradients: very small and without kinks.
        tiny_shape: of the samples that they are checked with.
        shapes: of samples that the model takes; each is tried.
        draws: whether a training step draws noise.
        by_heart: settings on top, for learning one batch by heart.
        fit: how to train for that; the loss must come below `least`.
    """

    name: str
    variant: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    tiny: Mapping[str, Any] = field(default_factory=dict)
    tiny_shape: tuple[int, ...] = (2, 3)
    shapes: tuple[tuple[int, ...], ...] = ANY_SHAPE
    draws: bool = False
    by_heart: Mapping[str, Any] = field(default_factory=dict)
    fit: Mapping[str, Any] = field(default_factory=dict)
    least: float = 0.05

    def create(self, **settings: Any) -> models.Model:
        """The model of this row, with settings on top."""
        return models.create(self.name, **{**self.config, **settings})

    def __str__(self) -> str:
        return f"{self.name}-{self.variant}" if self.variant else self.name


SMALL = {"widths": (4,), "codings": 2}
SMOOTH = {**SMALL, "activation": "tanh"}  # SELU has a kink at 0, where dropout and padding lead
SGD = {"epochs": 400, "learning_rate": 0.5}
ADAM = {"epochs": 400, "optimizer": "adam", "learning_rate": 3e-3}

CASES = [
    Case("linear-ae", tiny={"codings": 2}, by_heart={"codings": 8}, fit=ADAM),
    Case("stacked-ae", tiny=SMALL, fit=SGD),
    Case("stacked-ae", "mse", {"loss": "mse"}, tiny=SMOOTH, fit=ADAM),
    Case("tied-ae", tiny=SMALL, fit=SGD),
    Case("tied-ae", "mse", {"loss": "mse"}, tiny=SMOOTH, fit=ADAM),
    Case("denoising-ae", tiny=SMALL, draws=True, fit=SGD),
    Case("denoising-ae", "dropout", {"noise": "dropout"}, tiny=SMOOTH, draws=True, fit=SGD),
    Case("sparse-l1-ae", tiny={**SMALL, "l1": 0.1}, by_heart={"l1": 1e-5}, fit=ADAM),
    Case("sparse-kl-ae", tiny={**SMALL, "weight": 1.0}, by_heart={"weight": 1e-3}, fit=ADAM),
    Case("hashing-ae", tiny={**SMALL, "noise": 1.0}, draws=True, fit=ADAM),
    Case("vae", tiny=SMALL, draws=True, by_heart={"beta": 0.01}, fit=ADAM),
    Case(
        "vae",
        "convolutional",
        {"filters": (4, 8)},
        tiny={**SMOOTH, "filters": (2,), "beta": 0.5},
        tiny_shape=(3, 4),
        shapes=(GREY, RGB, ODD, ONE_PIXEL),
        draws=True,
        by_heart={"beta": 0.01},
        fit=ADAM,
    ),
]


def each(*cases: Case) -> pytest.MarkDecorator:
    """A test of every case, or of those given, as its argument `case`."""
    return pytest.mark.parametrize("case", cases or CASES, ids=str)
