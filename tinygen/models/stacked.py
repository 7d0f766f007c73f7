"""The stacked autoencoder, trained at once or greedily layer by layer, and with tied weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from .. import ops
from ..core import Parameter, Tensor, TensorLike
from ..names import nearest
from ..nn import Dense, Flatten, Module, Reshape, Sequential, initializers
from ..ops.random import Random
from .base import Autoencoder, Phase, Recipe, Stage

LOSSES = {"binary_cross_entropy": ops.binary_cross_entropy, "mse": ops.mse}


class StackedAutoencoder(Autoencoder):
    """Dense layers down to the codings and, mirrored, up again (Géron, chapter 17).

    Args:
        image_shape: shape of a sample, pixels in [0, 1].
        widths: units of the layers between the sample and the codings.
        codings: units of the middle layer.
        activation: of all layers but the last, which has a sigmoid.
        loss: "binary_cross_entropy" or "mse".
        seed: of the initial weights.
    """

    name = "stacked-ae"
    recipes = {
        "text": Recipe(epochs=10, options={"learning_rate": 1.5}),
        "ed2": Recipe(epochs=20, options={"learning_rate": 1.5}),
        "greedy": Recipe(epochs=10, options={"learning_rate": 1.5}, greedy=True),
    }

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
        widths: Sequence[int] = (100,),
        codings: int = 30,
        activation: str = "selu",
        loss: str = "binary_cross_entropy",
        seed: int = 0,
    ) -> None:
        if loss not in LOSSES:
            raise ValueError(f"{self.name}: unknown loss {loss!r}{nearest(loss, LOSSES)}")
        rng = Random(seed, "weights")
        sizes = [math.prod(image_shape), *widths, codings]
        down = [Dense(a, b, activation, rng=rng) for a, b in pairwise(sizes)]
        up = self.mirrored(down, activation, rng)
        super().__init__(
            Sequential(Flatten(), *down), Sequential(*up, Reshape(*image_shape)), LOSSES[loss]
        )
        self.down, self.up = down, up

    @staticmethod
    def mirrored(down: Sequence[Dense], activation: str, rng: Random) -> Sequence[Module]:
        """The decoder's layers: the sizes of the encoder's in reverse, a sigmoid at the end."""
        activations = [activation] * (len(down) - 1) + ["sigmoid"]
        sizes = [dense.weight.shape for dense in reversed(down)]
        return [
            Dense(outputs, inputs, f, rng=rng)
            for (inputs, outputs), f in zip(sizes, activations, strict=True)
        ]

    def stages(self, recipe: Recipe) -> list[Stage]:
        """One stage; or, greedily, one for each pair of layers and then the fine-tuning."""
        if not recipe.greedy:
            return super().stages(recipe)
        if recipe.optimizer != "sgd":
            raise ValueError(f"{self.name}: layer by layer needs sgd, not {recipe.optimizer}")
        inner = {**recipe.options, "learning_rate": 0.05}  # on codes, with squared errors
        last = {**recipe.options, "learning_rate": 0.1}
        stages = []
        for depth in range(len(self.down)):
            pair = LayerPair(self, depth)
            phases = (Phase("pair", pair.pair, pair.loss),)
            options = inner if depth else recipe.options
            stages.append(Stage(f"layer {depth + 1}", recipe.epochs, phases, "sgd", options))
        phases = (Phase("train", self, self.loss),)
        stages.append(Stage("fine-tune", recipe.epochs, phases, "sgd", last))
        return stages


class LayerPair(Module):
    """Layer `depth` of the encoder and its mirror image, on the codes of the layers before it."""

    def __init__(self, model: StackedAutoencoder, depth: int) -> None:
        self.codes = Sequential(Flatten(), *model.down[:depth])
        self.pair = Sequential(model.down[depth], model.up[-1 - depth])
        self.criterion = model.criterion if depth == 0 else ops.mse

    def loss(self, x: TensorLike, target: TensorLike | None = None, *, rng: Random) -> Tensor:
        """How well the pair reproduces the codes that come in."""
        codes = self.codes(x).detach()
        return self.criterion(self.pair(codes), codes)


class TiedAutoencoder(StackedAutoencoder):
    """A stacked autoencoder whose decoder uses the encoder's weights, transposed.

    A decoder layer computes activation(z W^T + b') with a bias of its own, so there are half as
    many weights (Géron, chapter 17). Arguments as for StackedAutoencoder.
    """

    name = "tied-ae"
    recipes = {"text": Recipe(epochs=10, options={"learning_rate": 1.5})}

    @staticmethod
    def mirrored(down: Sequence[Dense], activation: str, rng: Random) -> Sequence[Module]:
        """The encoder's layers in reverse, transposed; a sigmoid at the end."""
        activations = [activation] * (len(down) - 1) + ["sigmoid"]
        return [
            DenseTransposed(dense, f, rng=rng)
            for dense, f in zip(reversed(down), activations, strict=True)
        ]


class DenseTransposed(Module):
    """activation(z W^T + b') with the weight W of another layer: (..., out) -> (..., in)."""

    def __init__(self, dense: Dense, activation: ops.Activation, *, rng: Random) -> None:
        self.weight, self.activation = dense.weight, activation
        self.bias = Parameter(initializers.zeros((dense.weight.shape[0],), rng))

    def forward(self, z: TensorLike) -> Tensor:
        """The layer's output."""
        return ops.dense(z, ops.transpose(self.weight), self.bias, self.activation)
