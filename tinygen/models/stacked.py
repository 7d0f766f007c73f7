"""The stacked autoencoder, trained at once or greedily layer by layer, and with tied weights."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

from .. import ops
from ..core import Parameter, Tensor, TensorLike
from ..names import nearest
from ..nn import Dense, Flatten, Module, Reshape, Sequential, initializers
from ..ops.random import Random
from .base import Autoencoder
from .stages import Phase, Recipe, Stage, TrainingOptions

LOSSES = {"binary_cross_entropy": ops.binary_cross_entropy, "mse": ops.mse}
THIRD_EDITION = {"activation": "relu", "output": "identity", "loss": "mse"}
# Keras 2, which gave the chapter's figures, put RMSprop's epsilon outside the root and raised
# Nadam's look-ahead slowly, as PyTorch does. Later versions of Keras do otherwise.
KERAS_2 = {"convention": "pytorch"}


def dense_layers(
    sizes: Sequence[int], activation: ops.Activation, last: ops.Activation, *, rng: Random
) -> list[Dense]:
    """Dense layers from each size to the next; `last` is the activation of the last of them."""
    activations = [activation] * (len(sizes) - 2) + [last]
    return [Dense(a, b, f, rng=rng) for (a, b), f in zip(pairwise(sizes), activations, strict=True)]


def reconstruction_loss(model: str, loss: str, output: ops.Activation) -> Callable[..., Tensor]:
    """The loss of that name, for a decoder whose last activation is `output`."""
    if loss not in LOSSES:
        raise ValueError(f"{model}: unknown loss {loss!r}{nearest(loss, LOSSES)}")
    if loss == "binary_cross_entropy" and output != "sigmoid":
        raise ValueError(
            f"{model}: binary_cross_entropy needs probabilities: output must be 'sigmoid', "
            f"not {output!r}; or take loss 'mse'"
        )
    return LOSSES[loss]


class StackedAutoencoder(Autoencoder):
    """Dense layers down to the codings and, mirrored, up again (Géron, chapter 17).

    Args:
        image_shape: shape of a sample, pixels in [0, 1].
        widths: units of the layers between the sample and the codings.
        codings: units of the middle layer.
        activation: of all layers but the last.
        output: activation of the last layer; "identity" is none.
        loss: "binary_cross_entropy", for which the output must be "sigmoid", or "mse".
        seed: of the initial weights.
    """

    name = "stacked-ae"
    recipes = {
        "text": Recipe(epochs=10, options={"learning_rate": 1.5}),
        "ed2": Recipe(epochs=20, options={"learning_rate": 1.5}),
        "greedy": Recipe(epochs=10, options={"learning_rate": 1.5}, greedy=True),
        "ed3": Recipe(epochs=20, optimizer="nadam", options=KERAS_2, config=THIRD_EDITION),
    }

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
        widths: Sequence[int] = (100,),
        codings: int = 30,
        activation: ops.Activation = "selu",
        output: ops.Activation = "sigmoid",
        loss: str = "binary_cross_entropy",
        seed: int = 0,
    ) -> None:
        criterion = reconstruction_loss(self.name, loss, output)
        rng = Random(seed, "weights")
        sizes = [math.prod(image_shape), *widths, codings]
        down = dense_layers(sizes, activation, activation, rng=rng)
        up = self.mirrored(down, activation, output, rng)
        super().__init__(
            Sequential(Flatten(), *down), Sequential(*up, Reshape(*image_shape)), criterion
        )
        self.down, self.up = down, up

    @staticmethod
    def mirrored(
        down: Sequence[Dense], activation: ops.Activation, output: ops.Activation, rng: Random
    ) -> Sequence[Module]:
        """The decoder's layers: the sizes of the encoder's in reverse."""
        sizes = [down[0].weight.shape[0], *(dense.weight.shape[1] for dense in down)]
        return dense_layers(sizes[::-1], activation, output, rng=rng)

    def stages(self, options: TrainingOptions) -> list[Stage]:
        """One stage; or, greedily, one for each pair of layers and then the fine-tuning."""
        if not options.greedy:
            return super().stages(options)
        if options.optimizer != "sgd":
            raise ValueError(f"{self.name}: layer by layer needs sgd, not {options.optimizer}")
        stages = []
        for depth in range(len(self.down)):
            pair = LayerPair(self, depth)
            rate = {"learning_rate": 0.05} if depth else {}  # on codes, with squared errors
            stages.append(
                Stage(
                    f"layer {depth + 1}",
                    [Phase("pair", pair.pair, pair.loss)],
                    epochs=options.epochs,
                    options=rate,
                    measures=pair.measures,
                )
            )
        whole, rate = [Phase("train", self, self.loss)], {"learning_rate": 0.1}
        return [*stages, Stage("fine-tune", whole, epochs=options.epochs, options=rate)]


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

    def measures(
        self, x: TensorLike, target: TensorLike | None = None, *, rng: Random
    ) -> dict[str, float]:
        """The loss, which is what the stage trains: the model as a whole does not work yet."""
        return {"loss": self.loss(x, target, rng=rng).item()}


class TiedAutoencoder(StackedAutoencoder):
    """A stacked autoencoder whose decoder uses the encoder's weights, transposed.

    A decoder layer computes activation(z W^T + b') with a bias of its own, so there are half as
    many weights (Géron, chapter 17). Arguments as for StackedAutoencoder.
    """

    name = "tied-ae"
    recipes = {
        "text": Recipe(epochs=10, options={"learning_rate": 1.5}),
        "ed3": Recipe(epochs=10, optimizer="nadam", options=KERAS_2, config=THIRD_EDITION),
    }

    @staticmethod
    def mirrored(
        down: Sequence[Dense], activation: ops.Activation, output: ops.Activation, rng: Random
    ) -> Sequence[Module]:
        """The encoder's layers in reverse, transposed."""
        activations = [activation] * (len(down) - 1) + [output]
        return [
            DenseTransposed(dense, f, rng=rng)
            for dense, f in zip(reversed(down), activations, strict=True)
        ]


class DenseTransposed(Module):
    """activation(z W^T + b') with the weight W of another layer: (..., out) -> (..., in)."""

    def __init__(self, dense: Dense, activation: ops.Activation, *, rng: Random) -> None:
        self.weight, self.activation = dense.weight, activation
        self.bias = Parameter(initializers.draw("zeros", (dense.weight.shape[0],), rng))

    def forward(self, z: TensorLike) -> Tensor:
        """The layer's output."""
        return ops.dense(z, ops.transpose(self.weight), self.bias, self.activation)
