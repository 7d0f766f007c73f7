"""What every model of the chapter has beside its networks: losses, measures, recipes, stages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np

from ..backend import to_numpy
from ..core import Tensor, TensorLike, data_of
from ..names import nearest
from ..nn import Module
from ..nn.module import summary_rows
from ..ops.random import Random
from .stages import Phase, Recipe, Stage, TrainingOptions


class Model(Module):
    """Base of the chapter's models.

    A model says how good it is on a batch (`loss`, and `measures` for reports) and how it is
    trained (`recipes`, `stages`). `config` holds what `models.create` was given, so that a
    checkpoint can build the model again, and `preset` the recipe that it was made for.
    """

    name: ClassVar[str] = ""
    recipes: ClassVar[Mapping[str, Recipe]] = {"text": Recipe()}  # the first is the default
    figures: ClassVar[tuple[str, ...]] = ()  # pictures that a run draws; see tinygen.view.figures
    validation_batch: ClassVar[int] = 1000  # matters where the loss is no mean over samples
    kind: str = "images"  # what samples are, or "series" or "characters"; pictures show them so
    networks: ClassVar[tuple[str, ...]] = ()  # names of the optimisers, where there are several
    padded: ClassVar[bool] = False  # takes sequences with NaN after their last step
    labelled: ClassVar[bool] = False  # always learns from labels; see `learns_labels`
    kinds: ClassVar[tuple[str, ...]] = ("images",)  # what samples it can be made for
    factored: ClassVar[bool] = False  # learns the factors of samples; `factors` is in its config
    quick: ClassVar[Mapping[str, Any]] = {}  # settings that make a trial run short
    config: dict[str, Any]
    preset: str | None = None

    @classmethod
    def recipe(cls, preset: str | None = None) -> Recipe:
        """The recipe of that name, or the first."""
        if preset is None:
            return next(iter(cls.recipes.values()))
        if preset not in cls.recipes:
            raise ValueError(f"{cls.name} has no preset {preset!r}{nearest(preset, cls.recipes)}")
        return cls.recipes[preset]

    @classmethod
    def learns_labels(cls, config: Mapping[str, Any]) -> bool:
        """Whether a model with that config learns from samples with labels.

        Some always do: how many `classes` there are comes from the data. Others do if `classes` is
        given.
        """
        return cls.labelled or config.get("classes") is not None

    def check(self, x: TensorLike, target: TensorLike | None = None) -> None:
        """Raise TypeError or ValueError if x are no samples that the model was made for."""
        shape, dtype = data_of(x).shape, data_of(x).dtype
        if dtype.kind in "iu":
            raise TypeError(
                f"{type(self).__name__}: x holds integers ({dtype}); images are floats in [0, 1], "
                "see tinygen.data.as_floats"
            )
        wanted = tuple(getattr(self, "config", {}).get("image_shape", shape[1:]))
        if shape[1:] != wanted:
            n = ", ".join(["n", *map(str, wanted)])
            raise ValueError(
                f"{self.name} was made for samples of shape {wanted}, arrays ({n}); x is an array "
                f"{shape}. Bring x to that shape (tinygen.data.load takes size= and channels=), or "
                f"make a model with image_shape={shape[1:]}"
            )

    def layer_rows(self) -> list[tuple[str, str, str]]:
        """Name and kind of each layer, output shape, parameters, as `summary` prints them."""
        return summary_rows(self, tuple(self.config["image_shape"]))

    def loss(self, x: TensorLike, target: TensorLike | None = None, *, rng: Random) -> Tensor:
        """What training lowers, for one batch."""
        raise TypeError(f"{type(self).__name__} defines no loss")

    def measures(
        self, x: TensorLike, target: TensorLike | None = None, *, rng: Random
    ) -> dict[str, float]:
        """The figures that validation reports, for one batch; "loss" is one of them."""
        return {"loss": self.loss(x, target, rng=rng).item()}

    def stages(self, options: TrainingOptions) -> list[Stage]:
        """The stages of a training run, in order."""
        if options.greedy:
            raise ValueError(f"{self.name} cannot be trained layer by layer")
        return [Stage("train", [Phase("train", self, self.loss)], epochs=options.epochs)]


class Autoencoder(Model):
    """Base of the autoencoders: an encoder and a decoder with codings between them.

    Args:
        encoder: module from inputs to codings.
        decoder: module from codings to something of the inputs' shape.
        loss: function of (prediction, target).
    """

    figures: ClassVar[tuple[str, ...]] = ("reconstructions", "tsne", "curves")

    def __init__(self, encoder: Module, decoder: Module, loss: Callable[..., Tensor]) -> None:
        self.encoder, self.decoder, self.criterion = encoder, decoder, loss

    def encode(self, x: TensorLike, *, rng: Random | None = None) -> Tensor:
        """The codings of x, floats: (n, ...) -> (n, codings)."""
        self.check(x)
        return _tensor(self.encoder(x, rng=rng))

    def decode(self, codings: TensorLike, *, rng: Random | None = None) -> Tensor:
        """What the decoder makes of codings: (n, codings) -> (n, ...)."""
        return _tensor(self.decoder(codings, rng=rng))

    def reconstruct(self, x: TensorLike, *, rng: Random | None = None) -> Tensor:
        """decode(encode(x))."""
        return self.decode(self.encode(x, rng=rng), rng=rng)

    forward = reconstruct

    def loss(self, x: TensorLike, target: TensorLike | None = None, *, rng: Random) -> Tensor:
        """The reconstruction loss, against x itself if there is no other target."""
        return self.criterion(self(x, rng=rng), x if target is None else target)

    def measures(
        self, x: TensorLike, target: TensorLike | None = None, *, rng: Random
    ) -> dict[str, float]:
        """The loss, and for data in [0, 1] the rounded accuracy: how many pixels round alike."""
        return self.compare(self(x, rng=rng), x if target is None else target)

    def compare(self, y: Tensor, target: TensorLike) -> dict[str, float]:
        """The figures of reconstructions y, as in `measures`."""
        figures = {"loss": self.criterion(y, target).item()}
        goal = to_numpy(data_of(target))
        if goal.size and goal.min() >= 0 and goal.max() <= 1:
            figures["rounded_accuracy"] = float((np.round(goal) == np.round(y.numpy())).mean())
        return figures


def _tensor(y: Any) -> Tensor:
    """The output of a module, known to be a Tensor."""
    return y if isinstance(y, Tensor) else Tensor(y)
