"""The table of models with one network that the generic tests read: a row each, or several."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from tests.models.twins import images
from tinygen import Random, models
from tinygen.data.factors import factor_table, sample_factors

GREY, RGB, ODD, LARGE, ONE_PIXEL, FEATURES = (28, 28), (32, 32, 3), (13, 9), (29, 31), (1, 1), (9,)
MAPS = (GREY, RGB, ODD, LARGE)
ANY_SHAPE = (*MAPS, ONE_PIXEL, FEATURES)
ALPHABET = "abcdefghijkl"
ALONE = [n for n in models.names() if not issubclass(models.find(n), models.Adversarial)]


@dataclass(frozen=True)
class Case:
    """A model, and what the generic tests of tests/models/test_every_model.py need to know of it.

    Attributes:
        name: for `models.create`.
        variant: what distinguishes this row from others of the model.
        config: the settings that make the variant.
        kind: what its samples are; "series" and "characters" are of unequal lengths.
        shape: of samples for tests that take any.
        tiny: settings on top, for checks of gradients: very small and without kinks.
        tiny_shape: of the samples that they are checked with.
        shapes: of samples that the model takes; each is tried,
        few: with these settings on top.
        draws: whether a training step draws noise.
        classes: of the labels that the model learns; 0 for none.
        by_heart: settings on top, for learning one batch by heart,
        few_steps: which consists of sequences of 10 steps instead of images of 28 x 28 pixels.
        fit: how to train for that; the loss must come below `least`.
    """

    name: str
    variant: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    kind: str = "images"
    shape: tuple[int, ...] = (6, 6)
    tiny: Mapping[str, Any] = field(default_factory=dict)
    tiny_shape: tuple[int, ...] = (2, 3)
    shapes: tuple[tuple[int, ...], ...] = ANY_SHAPE
    few: Mapping[str, Any] = field(default_factory=lambda: {"codings": 3})
    draws: bool = False
    classes: int = 0
    by_heart: Mapping[str, Any] = field(default_factory=dict)
    few_steps: bool = False
    fit: Mapping[str, Any] = field(default_factory=dict)
    least: float = 0.05

    def create(self, shape: tuple[int, ...] | None = None, **settings: Any) -> models.Model:
        """The model of this row, for samples of that shape, with settings on top."""
        shape = shape or self.shape
        data: dict[str, Any] = {"classes": self.classes} if self.classes else {}
        if self.kind == "characters":
            data["alphabet"] = ALPHABET[: shape[-1]]
        return models.create(self.name, image_shape=shape, **{**self.config, **data, **settings})

    def samples(self, n: int, shape: tuple[int, ...] | None = None, *, seed: int = 0) -> np.ndarray:
        """Samples for the model, drawn by chance."""
        return samples(self.kind, n, shape or self.shape, seed=seed)

    @property
    def has_codings(self) -> bool:
        """Whether the model is an autoencoder."""
        return issubclass(models.find(self.name), models.Autoencoder)

    def targets(self, n: int) -> list[np.ndarray]:
        """What the model learns of n samples, if it is something else than the samples."""
        model = models.find(self.name)
        if model.factored:
            return [factor_table(sample_factors(n, 0, 0), self.config.get("factors", ()))]
        return [np.arange(n) % self.classes] if model.labelled else []

    def arrays(
        self, n: int, shape: tuple[int, ...] | None = None, *, seed: int = 0
    ) -> list[np.ndarray]:
        """Samples, and what the model learns of them: what it is trained and measured on."""
        return [self.samples(n, shape, seed=seed), *self.targets(n)]

    def batch(self) -> np.ndarray:
        """Eight samples that can be reproduced without any loss: pixels are black or white."""
        if self.few_steps:  # of long sequences training is unsteady
            x = self.samples(8, (10, 4))
            return np.round(x) if self.kind == "images" else x
        return np.round(images(8))

    def __str__(self) -> str:
        return f"{self.name}-{self.variant}" if self.variant else self.name


def samples(kind: str, n: int, shape: tuple[int, ...], *, seed: int = 0) -> np.ndarray:
    """Random samples of a kind: (n, *shape) float32 in [0, 1], NaN after the end of sequences."""
    x = Random(seed).uniform((n, *shape))
    if kind == "characters":
        x = np.eye(shape[-1], dtype=np.float32)[x.argmax(axis=2)]
    if kind != "images":
        x[~lengths_mask(n, shape[0])] = np.nan
    return x


def lengths_mask(n: int, steps: int) -> np.ndarray:
    """Where n sequences have steps, (n, steps); all lengths in turn, the longest first."""
    return np.arange(steps) < steps - np.arange(n)[:, None] % steps


SMALL = {"widths": (4,), "codings": 2}
SMOOTH = {**SMALL, "activation": "tanh"}  # SELU has a kink at 0, where dropout and padding lead
SGD = {"epochs": 400, "learning_rate": 0.5}
ADAM = {"epochs": 400, "optimizer": "adam", "learning_rate": 3e-3}
LONG = {"epochs": 1600, "optimizer": "adam", "learning_rate": 5e-3}  # through strong noise
LONGER = {**ADAM, "epochs": 600}
TINY = {"widths": (2,), "codings": 2}
CONV = {"widths": (2, 2), "activation": "tanh", "seed": 3}  # no pooling is undecided
SERIES = {"kind": "series", "output": "identity", "loss": "mse"}
CHARACTERS = {"kind": "characters", "output": "softmax", "loss": "softmax_cross_entropy"}

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
    Case("hashing-ae", tiny={**SMALL, "noise": 1.0}, draws=True, fit=LONG),
    Case("vae", tiny=SMALL, draws=True, by_heart={"beta": 0.01}, fit=ADAM),
    Case(
        "vae",
        "convolutional",
        {"filters": (4, 8)},
        tiny={**SMOOTH, "filters": (2,), "beta": 0.5},
        tiny_shape=(3, 4),
        shapes=(*MAPS, ONE_PIXEL),
        draws=True,
        by_heart={"beta": 0.01},
        fit=ADAM,
    ),
    Case(
        "conv-ae",
        shape=(9, 8),
        tiny=CONV,
        tiny_shape=(5, 4),
        shapes=(*MAPS, (8, 8)),
        few={},
        fit=ADAM,
    ),
    Case(
        "conv-ae",
        "means",
        {"codings": 30, "loss": "mse"},
        shape=(9, 8),
        tiny={"widths": (2,), "codings": 2, "activation": "tanh"},
        tiny_shape=(3, 4, 2),
        shapes=(*MAPS, (8, 8)),
        fit=ADAM,
    ),
    Case("recurrent-ae", tiny=TINY, shapes=(*MAPS, ONE_PIXEL), few_steps=True, fit=LONGER),
    Case(
        "gru-ae",
        tiny=TINY,
        tiny_shape=(2, 3, 2),
        shapes=(*MAPS, ONE_PIXEL),
        few_steps=True,
        fit=ADAM,
    ),
    Case(
        "classifier",
        shape=(9, 8),
        tiny={**CONV, "features": 2},
        tiny_shape=(5, 4),
        shapes=MAPS,
        few={"features": 8, "dropout": 0.0, "activation": "tanh"},
        draws=True,
        classes=3,
        by_heart={"dropout": 0.0},
        fit={"epochs": 60},
    ),
    Case(
        "regressor",
        shape=(9, 8),
        tiny={**CONV, "features": 2, "dropout": 0.0},
        tiny_shape=(5, 4),
        shapes=MAPS,
        few={"features": 8, "dropout": 0.0, "activation": "tanh"},
        draws=True,
        by_heart={"dropout": 0.0},
        fit={"epochs": 120},
    ),
    Case(
        "regressor",
        "smile and glasses",
        {"factors": ("smile", "glasses"), "dropout": 0.0},
        shape=(9, 8, 3),
        tiny={**CONV, "features": 2},
        tiny_shape=(5, 4),
        shapes=(GREY,),
        few={"features": 8, "activation": "tanh"},
        fit={"epochs": 60},
    ),
    *(
        Case(
            name,
            config["kind"],
            {**config, "codings": 20, "widths": (30,)},
            kind=config["kind"],
            shape=(6, 3),
            tiny=TINY,
            tiny_shape=(3, 2),
            shapes=((13, 9), (6, 2)),
            few_steps=True,
            fit=LONGER,
            least=0.02,
        )
        for name in ("recurrent-ae", "gru-ae")
        for config in (SERIES, CHARACTERS)
    ),
]


def each(*cases: Case) -> pytest.MarkDecorator:
    """A test of every case, or of those given, as its argument `case`."""
    return pytest.mark.parametrize("case", cases or CASES, ids=str)
