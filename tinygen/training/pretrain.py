"""Unsupervised pre-training: an encoder that has seen many images, and few labels.

The encoder of a trained autoencoder is reused with its weights. First it is frozen and only the
new head learns, then all of it does. To tell what that is worth, the same network is trained from
scratch: the same head, labels, batches in the same order, and as many epochs (Géron, chapter 17).
"""

from __future__ import annotations

import copy
import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from .. import models, ops
from ..backend import Array
from ..config import no_grad
from ..core import Tensor, TensorLike
from ..metrics import Interval, interval
from ..models import Autoencoder, Phase, Stage, TrainingOptions
from ..names import nearest
from ..nn import Dense, Flatten, Module, Sequential
from ..ops.random import Random
from ..optim import BY_NAME
from ..ranges import positive, whole
from .callbacks import Callback
from .experiment import Experiment
from .loop import Trainer
from .measure import evaluate

ARMS = ("pretrained", "scratch")
POINTS = 12  # epochs after which an arm is measured


class FineTuned(Module):
    """A head on the codings of an autoencoder: x -> head(encode(x)).

    Args:
        model: the autoencoder whose encoder is used; its decoder is left alone.
        head: module from codings to outputs.
    """

    figure: str  # what `measures` reports beside the loss

    def __init__(self, model: Autoencoder, head: Module) -> None:
        self.model, self.head = model, head

    def forward(self, x: TensorLike, *, rng: Random | None = None) -> Tensor:
        """The outputs: (n, ...) -> (n, outputs)."""
        return self.outputs(self.model.encode(x, rng=rng), rng=rng)

    def outputs(self, codings: Tensor, *, rng: Random | None = None) -> Tensor:
        """What the head makes of codings."""
        return self.head(codings, rng=rng)  # type: ignore[no-any-return]  # it is a Tensor

    def criterion(self, outputs: Tensor, y: TensorLike) -> Tensor:
        """The loss of outputs."""
        raise TypeError(f"{type(self).__name__} defines no criterion")

    def loss(self, x: TensorLike, y: TensorLike, *, rng: Random) -> Tensor:
        """The loss of one batch."""
        return self.criterion(self(x, rng=rng), y)

    def stages(self, plan: Plan, frozen: bool) -> list[Stage]:
        """The head alone and then all of it; or, not frozen, all of it for as many epochs."""
        first = self.head if frozen else self
        return [
            Stage("head", [Phase("train", first, self.loss)], epochs=plan.frozen_epochs),
            Stage("all", [Phase("train", self, self.loss)], epochs=plan.epochs),
        ]


class Classifier(FineTuned):
    """Outputs are logits of classes, targets are labels (n,)."""

    figure = "accuracy"

    def criterion(self, outputs: Tensor, y: TensorLike) -> Tensor:
        """The cross-entropy."""
        return ops.softmax_cross_entropy(outputs, y)

    def measures(self, x: TensorLike, y: TensorLike, *, rng: Random) -> dict[str, float]:
        """The loss, and the share of samples whose label is found."""
        outputs = self(x, rng=rng)
        found = outputs.numpy().argmax(axis=1) == np.asarray(y)
        return {"loss": self.criterion(outputs, y).item(), "accuracy": float(found.mean())}


class Regressor(FineTuned):
    """The output is a number in the units of the targets (n,).

    Args:
        model, head: as for FineTuned; the head has one output.
        targets: those known, whose mean and spread the head need not learn.
    """

    figure = "error"

    def __init__(self, model: Autoencoder, head: Module, targets: Array) -> None:
        super().__init__(model, head)
        self.middle, self.spread = float(targets.mean()), float(targets.std())

    def outputs(self, codings: Tensor, *, rng: Random | None = None) -> Tensor:
        """What the head makes of codings, in the units of the targets."""
        return self.head(codings, rng=rng)[:, 0] * self.spread + self.middle  # type: ignore[no-any-return]

    def criterion(self, outputs: Tensor, y: TensorLike) -> Tensor:
        """The squared error, in units of the targets' variance."""
        return ops.mse(outputs, y) / self.spread**2

    def measures(self, x: TensorLike, y: TensorLike, *, rng: Random) -> dict[str, float]:
        """The loss, and the mean absolute error."""
        outputs = self(x, rng=rng)
        error = np.abs(outputs.numpy() - np.asarray(y)).mean()
        return {"loss": self.criterion(outputs, y).item(), "error": float(error)}


@dataclass(frozen=True)
class Plan:
    """How both arms of a comparison are trained.

    Attributes:
        labels: how many samples with targets there are.
        frozen_epochs: passes over them with the encoder frozen.
        epochs: passes over them after that.
        batch_size: samples in a step.
        optimizer: a name from `tinygen.optim.BY_NAME`.
        learning_rate: of both stages and both arms.
        hidden: units of the head's hidden layer (SELU); 0 for none.
    """

    labels: int = 500
    frozen_epochs: int = 10
    epochs: int = 40
    batch_size: int = 32
    optimizer: str = "nadam"
    learning_rate: float = 1e-3
    hidden: int = 100

    def __post_init__(self) -> None:
        for name in ("labels", "frozen_epochs", "epochs", "batch_size"):
            whole(name, getattr(self, name))
        whole("hidden", self.hidden, 0)
        if self.optimizer not in BY_NAME:
            known = nearest(self.optimizer, BY_NAME)
            raise ValueError(f"unknown optimizer {self.optimizer!r}{known}")
        positive("learning_rate", self.learning_rate)


class Data(NamedTuple):
    """Samples with targets: labels (n,) integers to classify, (n,) floats to predict."""

    x: Array
    y: Array


class Outcome(NamedTuple):
    """What one seed gave: the figure of both arms after some of the epochs, the last at the end."""

    seed: int
    epochs: list[int]
    pretrained: list[float]
    scratch: list[float]


class Summary(NamedTuple):
    """Both arms over all seeds, and the difference seed by seed, pretrained less scratch."""

    pretrained: Interval
    scratch: Interval
    difference: Interval


def compare_pretraining(
    model: Autoencoder, train: Data, valid: Data, plan: Plan, seeds: Sequence[int]
) -> Iterator[Outcome]:
    """Train both arms for each seed, and give what came of them as soon as it is known.

    The seed says which of the training samples have targets, the initial weights of the head (and,
    from scratch, of the encoder), and the order of the batches. All seeds share the one `model`,
    so their spread is not that of the pre-training itself.

    Args:
        model: a trained autoencoder that `models.create` made; it is left as it is.
        train: from which `plan.labels` samples are taken.
        valid: on which the figure is measured; pre-training must not have seen it.
        plan: how to train.
        seeds: one for each pair of arms.

    Raises ValueError if there are fewer samples than `plan.labels`, or targets that do not fit.
    """
    _check(train, valid, plan)
    for seed in seeds:
        chosen = Random(seed, "labels").permutation(len(train.x))[: plan.labels]
        known = Data(train.x[chosen], train.y[chosen])
        arms = networks(model, known.y, plan, seed, classes=_classes(train.y))
        figures = [
            _train(network, name, known, valid, plan, seed) for name, network in arms.items()
        ]
        yield Outcome(seed, measured_after(plan), *figures)


def networks(
    model: Autoencoder, known: Array, plan: Plan, seed: int, classes: int
) -> dict[str, FineTuned]:
    """Both arms before training: the heads are the same to the bit, the encoders are not."""
    fresh = models.create(model.name, **{**model.config, "seed": seed})
    assert isinstance(fresh, Autoencoder)
    arms: dict[str, FineTuned] = {}
    for name, encoder in zip(ARMS, (copy.deepcopy(model).unfreeze(), fresh), strict=True):
        head = _head(encoder, plan, seed, classes or 1)
        arms[name] = Classifier(encoder, head) if classes else Regressor(encoder, head, known)
    return arms


def measured_after(plan: Plan) -> list[int]:
    """The epochs after which an arm is measured: evenly, the last frozen one and the end too."""
    total = plan.frozen_epochs + plan.epochs
    evenly = np.linspace(1, total, min(POINTS, total)).round().astype(int)
    return sorted({*evenly.tolist(), plan.frozen_epochs, total})


def summarize(outcomes: Sequence[Outcome]) -> Summary:
    """The figures at the end, as means with 95 % intervals; needs two seeds or more."""
    ends = [(outcome.pretrained[-1], outcome.scratch[-1]) for outcome in outcomes]
    pretrained, scratch = zip(*ends, strict=True)
    return Summary(interval(pretrained), interval(scratch), interval([a - b for a, b in ends]))


def find_data(experiment: Experiment, task: str) -> tuple[Data, Data]:
    """The samples to fit and to validate with, and what is to be found out about them.

    Args:
        experiment: whose data has labels or factors.
        task: "labels", or the name of a factor.

    Returns:
        The data to fit and to validate with. Whole numbers are classes, numbered from 0 on.

    Raises ValueError, with what there is instead, if there is no such thing or no validation data.
    """
    dataset = experiment.dataset
    source = experiment.settings["data"]["source"]
    if dataset is None or not experiment.valid:
        raise ValueError(f"{source}: pretraining needs images with labels, and some to validate")
    targets = dict(dataset.factors)
    if dataset.labels is not None:
        targets["labels"] = dataset.labels
    if task not in targets:
        known = nearest(task, targets) if targets else ": nothing is known of its images"
        raise ValueError(f"{source} has no {task!r}{known}")
    y = targets[task]
    if y.dtype.kind in "iu":
        y = np.unique(y, return_inverse=True)[1]
    return (
        Data(experiment.train[0], y[dataset.splits["train"]]),
        Data(experiment.valid[0], y[dataset.splits["valid"]]),
    )


def digest(model: Module) -> str:
    """A short text that two models share only if their weights are the same to the bit."""
    whole = hashlib.sha256()
    for name, array in model.state_dict().items():
        whole.update(f"{name} {array.dtype.str} {array.shape}".encode() + array.tobytes())
    return whole.hexdigest()[:16]


def _head(model: Autoencoder, plan: Plan, seed: int, outputs: int) -> Sequential:
    """The layers from codings to outputs."""
    rng = Random(seed, "head")
    with no_grad():
        shape = model.eval().encode(np.zeros((1, *model.config["image_shape"]), model.dtype)).shape
    sizes = [math.prod(shape), *([plan.hidden] if plan.hidden else []), outputs]
    last = len(sizes) - 2
    layers = [
        Dense(a, b, "selu" if i < last else None, rng=rng)
        for i, (a, b) in enumerate(pairwise(sizes))
    ]
    return Sequential(Flatten(), *layers)


class _Measure(Callback):
    """Keeps the figure of a network on validation data, after some of the epochs."""

    def __init__(self, valid: Data, after: Sequence[int]) -> None:
        self.valid, self.after = valid, after
        self.figures: list[float] = []

    def on_epoch(self, trainer: Trainer, row: dict[str, Any]) -> None:
        """Measure, if it is time."""
        if row["epoch"] in self.after:
            network = trainer.model
            assert isinstance(network, FineTuned)
            self.figures.append(evaluate(network, *self.valid)[network.figure])


def _train(
    network: FineTuned, arm: str, known: Data, valid: Data, plan: Plan, seed: int
) -> list[float]:
    """Train one arm; returns its figure after some of the epochs."""
    measure = _Measure(valid, measured_after(plan))
    Trainer(
        network,
        network.stages(plan, frozen=arm == "pretrained"),
        known,
        TrainingOptions(
            batch_size=plan.batch_size,
            seed=seed,
            optimizer=plan.optimizer,
            options={"learning_rate": plan.learning_rate},
        ),
        callbacks=[measure],
    ).train()
    return measure.figures


def _classes(labels: Array) -> int:
    """How many classes there are; 0 if the targets are numbers to predict."""
    return 0 if labels.dtype.kind == "f" else int(labels.max()) + 1


def _check(train: Data, valid: Data, plan: Plan) -> None:
    """Raise ValueError for what cannot be compared."""
    for name, data in (("train", train), ("valid", valid)):
        if data.y.shape != (len(data.x),) or not len(data.x):
            raise ValueError(
                f"compare_pretraining: {name} has {len(data.x)} samples and targets of shape "
                f"{data.y.shape}; there must be one for each"
            )
        if np.ptp(data.y) == 0:
            raise ValueError(f"compare_pretraining: all targets of {name} are {data.y[0]}")
    if len(train.x) < plan.labels:
        raise ValueError(
            f"compare_pretraining: {plan.labels} labels are asked for, the training data has "
            f"{len(train.x)} samples"
        )
