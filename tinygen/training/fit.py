"""`fit`: train a model on arrays, in a script or a notebook."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array
from ..core import Tensor
from ..models import Model, Phase, Recipe, Stage
from ..names import nearest
from ..nn import Module
from ..optim import BY_NAME, Optimizer
from .callbacks import Callback
from .loop import Trainer
from .progress import Progress
from .run import Run

LOSSES: dict[str, Callable[..., Tensor]] = {
    "mse": ops.mse,
    "binary_cross_entropy": ops.binary_cross_entropy,
    "binary_cross_entropy_with_logits": ops.binary_cross_entropy_with_logits,
    "softmax_cross_entropy": ops.softmax_cross_entropy,
    "huber": ops.huber,
    "hinge": ops.hinge,
}


class History:
    """What happened: a dict of figures for every epoch in `rows`, or one figure by name.

    >>> history = History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    >>> history["loss"]
    [0.5, 0.25]
    """

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def __getitem__(self, name: str) -> list[Any]:
        known = {key for row in self.rows for key in row}
        if name not in known:
            raise KeyError(f"no figure {name!r}{nearest(name, known)}")
        return [row.get(name) for row in self.rows]

    def __len__(self) -> int:
        return len(self.rows)

    def __repr__(self) -> str:
        last = self.rows[-1] if self.rows else {}
        return f"History({len(self.rows)} epochs, last: {last})"


class _WithLoss(Module):
    """Any module, with a loss that was given by hand."""

    def __init__(self, module: Module, criterion: Callable[..., Tensor]) -> None:
        self.module, self.criterion = module, criterion

    def loss(self, x: Array, y: Array | None = None, *, rng: Any) -> Tensor:
        """The loss of one batch, and the penalties of activity regularisers."""
        loss = self.criterion(self.module(x, rng=rng), x if y is None else y)
        return loss + self.module.penalty()

    def measures(self, x: Array, y: Array | None = None, *, rng: Any) -> dict[str, float]:
        """The loss as a number."""
        return {"loss": self.loss(x, y, rng=rng).item()}


def fit(
    model: Module,
    x: Any,
    y: Any = None,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    optimizer: Optimizer | str | None = None,
    learning_rate: float | None = None,
    loss: str | Callable[..., Tensor] | None = None,
    validation_data: Any = None,
    callbacks: Sequence[Callback] = (),
    accumulate: int = 1,
    seed: int = 0,
    out: str | os.PathLike[str] | None = None,
    verbose: bool = True,
) -> History:
    """Train a model on arrays and return the figures of every epoch.

    Args:
        model: from `tinygen.models`, which knows its loss and its recipe, or any Module.
        x: samples, (n, ...); images as float32 in [0, 1].
        y: targets, (n, ...); an autoencoder's are x unless others are given.
        epochs: passes over the data; by default the recipe's, or 1.
        batch_size: samples in a step; by default the recipe's, or 32.
        optimizer: one of `tinygen.optim`, or its name; by default the recipe's, or "sgd".
        learning_rate: for an optimiser given by name.
        loss: for a plain Module: a name such as "mse", or a function of (prediction, target).
        validation_data: samples, or a pair of samples and targets.
        callbacks: such as EarlyStopping.
        accumulate: batches whose gradients are averaged before the parameters change.
        seed: of the order of the samples and of noise.
        out: a folder for metrics and checkpoints; needs `pip install "tinygen[app]"`.
        verbose: print a line an epoch.

    >>> import numpy as np, tinygen
    >>> model = tinygen.models.create("stacked-ae", image_shape=(8, 8), codings=4)
    >>> x = np.random.default_rng(0).random((64, 8, 8), dtype=np.float32)
    >>> history = fit(model, x, epochs=2, verbose=False)
    >>> history["loss"][1] < history["loss"][0]
    True
    """
    trained, recipe = _trained(model, loss)
    recipe_epochs = recipe.epochs if epochs is None else epochs
    options = dict(recipe.options)
    name = recipe.optimizer
    if isinstance(optimizer, str):
        name, options = optimizer, {}
        if name not in BY_NAME:
            raise ValueError(f"unknown optimizer {name!r}{nearest(name, BY_NAME)}")
    if learning_rate is not None:
        options["learning_rate"] = learning_rate
    settled = Recipe(
        epochs=recipe_epochs, optimizer=name, options=options, greedy=recipe.greedy
    )
    if isinstance(trained, Model):
        stages = trained.stages(settled)
    else:
        phases = (Phase("train", model, trained.loss),)
        stages = [Stage("train", recipe_epochs, phases, name, options)]
    run = None
    if out is not None:
        run = Run.create(out, {"model": type(model).__name__, "epochs": recipe_epochs})
    trainer = Trainer(
        trained,
        stages,
        _arrays(x, y),
        valid=_validation(validation_data),
        batch_size=batch_size or recipe.batch_size,
        seed=seed,
        callbacks=callbacks,
        run=run,
        progress=Progress(verbose, run.log if run else None),
        accumulate=accumulate,
        optimizer=optimizer if isinstance(optimizer, Optimizer) else None,
    )
    return History(trainer.train())


def _trained(model: Module, loss: Any) -> tuple[Any, Recipe]:
    """What to train, and its recipe."""
    if isinstance(model, Model):
        if loss is not None:
            raise ValueError(f"fit: {model.name} has a loss of its own; leave loss= out")
        return model, next(iter(model.recipes.values()))
    if loss is None:
        raise ValueError(f"fit: {type(model).__name__} has no loss of its own; give loss=")
    if isinstance(loss, str):
        if loss not in LOSSES:
            raise ValueError(f"unknown loss {loss!r}{nearest(loss, LOSSES)}")
        loss = LOSSES[loss]
    return _WithLoss(model, loss), Recipe(epochs=1, options={"learning_rate": 0.01})


def _arrays(x: Any, y: Any) -> list[Array]:
    """Samples, and targets if there are any, as arrays with the same first axis."""
    arrays = [np.asarray(x)] if y is None or y is x else [np.asarray(x), np.asarray(y)]
    if arrays[0].dtype.kind in "iu":
        raise ValueError(
            f"fit: x holds integers ({arrays[0].dtype}); images should be floats in [0, 1], "
            "see tinygen.data.as_floats"
        )
    return arrays


def _validation(data: Any) -> list[Array]:
    if data is None:
        return []
    return _arrays(*data) if isinstance(data, tuple) else _arrays(data, None)
