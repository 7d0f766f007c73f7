"""The convolutional autoencoder: convolutions and pooling down, transposed convolutions up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from .. import ops
from ..nn import (
    Conv2D,
    Conv2DTranspose,
    Dense,
    Flatten,
    GlobalAvgPool2D,
    MaxPool2D,
    Module,
    Reshape,
    Sequential,
)
from ..ops.random import Random
from .base import Autoencoder
from .stacked import KERAS_2, THIRD_EDITION, reconstruction_loss
from .stages import Recipe


class ConvAutoencoder(Autoencoder):
    """Halves an image as it gains channels, and doubles it again (Géron, chapter 17).

    Of 28 x 28 pixels the maps have 14, 7 and 3, and 7, 14 and 28 on the way back. Pooling drops the
    last row or column of an odd number, and the transposed convolution that leads back there makes
    one more, so every image comes back in its own size. Impossible are sides below 8: three times
    halved, nothing is left of them.

    Args:
        image_shape: shape of an image, pixels in [0, 1]: (height, width) or (height, width,
            channels).
        widths: channels after each convolution; sides are at least 2 to the power of their number.
        codings: None for the text's codings, which are the last maps in a row, 3 x 3 x 64; or how
            many: each then is the mean of a map that one more convolution makes, and a dense layer
            leads back, as in the third edition.
        activation: of all convolutions but the last.
        output: activation of the last one; "identity" is none.
        loss: "binary_cross_entropy", for which the output must be "sigmoid", or "mse".
        seed: of the initial weights.
    """

    name = "conv-ae"
    recipes = {
        "text": Recipe(epochs=5, options={"learning_rate": 1.0}),
        "ed3": Recipe(optimizer="nadam", options=KERAS_2, config={**THIRD_EDITION, "codings": 30}),
    }

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
        widths: Sequence[int] = (16, 32, 64),
        codings: int | None = None,
        activation: ops.Activation = "selu",
        output: ops.Activation = "sigmoid",
        loss: str = "binary_cross_entropy",
        seed: int = 0,
    ) -> None:
        criterion = reconstruction_loss(self.name, loss, output)
        sizes, channels = self.sizes(image_shape, widths)
        rng = Random(seed, "weights")
        down: list[Module] = [Reshape(*sizes[0], channels)]
        for inputs, outputs in pairwise((channels, *widths)):
            down += [Conv2D(inputs, outputs, 3, activation=activation, rng=rng), MaxPool2D(2)]
        up: list[Module] = []
        depths = [*reversed(widths), channels]
        if codings is None:
            down.append(Flatten())
        else:
            down += [
                Conv2D(widths[-1], codings, 3, activation=activation, rng=rng),
                GlobalAvgPool2D(),
            ]
            depths[0] = widths[0]
            up.append(Dense(codings, math.prod(sizes[-1]) * depths[0], rng=rng))
        up.append(Reshape(*sizes[-1], depths[0]))
        activations = [activation] * (len(widths) - 1) + [output]
        for (inputs, outputs), (height, width), f in zip(
            pairwise(depths), sizes[-2::-1], activations, strict=True
        ):
            # "same" doubles, "valid" makes one more: for each axis the one that leads back
            padding = (0, 1 - height % 2), (0, 1 - width % 2)
            up.append(Conv2DTranspose(inputs, outputs, 3, 2, padding, f, rng=rng))
        up.append(Reshape(*image_shape))
        super().__init__(Sequential(*down), Sequential(*up), criterion)

    def sizes(
        self, image_shape: Sequence[int], widths: Sequence[int]
    ) -> tuple[list[tuple[int, int]], int]:
        """(height, width) of the image and of the maps after each halving; its channels."""
        if len(image_shape) not in (2, 3) or not widths:
            raise ValueError(
                f"{self.name}: needs images (height, width) or (height, width, channels) and at "
                f"least one width, got image_shape {tuple(image_shape)} and widths {tuple(widths)}"
            )
        height, width, channels = (*image_shape, 1)[:3]
        sizes = [(height >> i, width >> i) for i in range(len(widths) + 1)]
        if min(sizes[-1]) < 1:
            raise ValueError(
                f"{self.name}: images of {height} x {width} pixels cannot be halved {len(widths)} "
                f"times; take larger ones, with sides of at least {2 ** len(widths)}, or fewer "
                "widths"
            )
        return sizes, channels
