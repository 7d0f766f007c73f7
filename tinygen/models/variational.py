"""The variational autoencoder: codings are distributions, and the decoder makes new images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from .. import ops
from ..backend import Array, beside, resolve_padding, to_numpy
from ..config import no_grad
from ..core import Tensor, TensorLike, data_of
from ..nn import Conv2D, Conv2DTranspose, Dense, Flatten, Module, Reshape, Sequential
from ..ops.random import Random
from ..ranges import not_negative, whole
from .base import Autoencoder
from .stacked import KERAS_2, THIRD_EDITION, dense_layers, reconstruction_loss
from .stages import Recipe

BLOCK = 1000  # images at a time when likelihoods are computed


class VariationalAutoencoder(Autoencoder):
    """q(z|x) = N(mu, e^gamma) of an encoder, p(x|z) of a decoder, and the prior p(z) = N(0, 1).

    z = mu + e^(gamma / 2) eps,  eps ~ N(0, 1),  makes the sample differentiable; then
    loss = reconstruction loss, mean over pixels  +  beta KL(q || p) / pixels, mean over the batch,
    KL = -1/2 sum(1 + gamma - e^gamma - mu^2)
    (Kingma & Welling 2014; beta: Higgins et al. 2017; Géron, chapter 17).

    Args:
        image_shape: shape of a sample, pixels in [0, 1].
        widths: units of the dense layers between the sample and the codings.
        codings: dimensions of z.
        filters: channels of convolutions with stride 2 before the dense layers; none by default.
        beta: weight of the latent loss; 1 gives the bound on the likelihood.
        activation: of all layers but the last, and but mu and gamma, which have none.
        output: activation of the last layer; "identity" is none.
        loss: "binary_cross_entropy", for which the output must be "sigmoid", or "mse".
        seed: of the initial weights.
    """

    name = "vae"
    figures = ("samples", "interpolation", "reconstructions", "tsne", "curves")
    recipes = {
        "text": Recipe("fashion-mnist", 50, 128, "rmsprop", KERAS_2),
        "ed2": Recipe("fashion-mnist", 25, 128, "rmsprop", KERAS_2),
        "ed3": Recipe("fashion-mnist", 25, 128, "nadam", KERAS_2, config=THIRD_EDITION),
        "convolutional": Recipe(
            "fashion-mnist", 25, 128, "rmsprop", KERAS_2, config={"filters": (32, 64)}
        ),
        "faces": Recipe(
            data="faces",
            epochs=20,
            batch_size=128,
            optimizer="adam",
            size=32,
            channels=3,
            config={"filters": (32, 64), "widths": (256,), "codings": 12, "beta": 4.0},
        ),
    }

    def __init__(
        self,
        image_shape: Sequence[int] = (28, 28),
        widths: Sequence[int] = (150, 100),
        codings: int = 10,
        filters: Sequence[int] = (),
        beta: float = 1.0,
        activation: ops.Activation = "selu",
        output: ops.Activation = "sigmoid",
        loss: str = "binary_cross_entropy",
        seed: int = 0,
    ) -> None:
        not_negative(f"{self.name}: beta", beta)
        criterion = reconstruction_loss(self.name, loss, output)
        rng = Random(seed, "weights")
        down, up, values = _convolutions(image_shape, filters, activation, output, rng)
        sizes = [values, *widths]
        last = activation if filters else output
        self.codings, self.beta, self.values = codings, beta, math.prod(image_shape)
        super().__init__(
            Sequential(*down, Flatten(), *dense_layers(sizes, activation, activation, rng=rng)),
            Sequential(
                *dense_layers([codings, *sizes[::-1]], activation, last, rng=rng),
                *up,
                Reshape(*image_shape),
            ),
            criterion,
        )
        self.mean = Dense(sizes[-1], codings, rng=rng)
        self.log_var = Dense(sizes[-1], codings, rng=rng)

    def posterior(self, x: TensorLike, *, rng: Random | None = None) -> tuple[Tensor, Tensor]:
        """mu and gamma of q(z|x) = N(mu, e^gamma): (n, ...) -> (n, codings), (n, codings)."""
        hidden = super().encode(x, rng=rng)
        return self.mean(hidden), self.log_var(hidden)

    def encode(self, x: TensorLike, *, rng: Random | None = None) -> Tensor:
        """The mean of q(z|x): (n, ...) -> (n, codings). Nothing is drawn."""
        return self.posterior(x, rng=rng)[0]

    def sample(self, n: int, *, rng: Random) -> Tensor:
        """n new images, decoded from codings of the prior: (n, *image_shape)."""
        return self.decode(rng.normal((n, self.codings), dtype=self.dtype))

    def loss(self, x: TensorLike, target: TensorLike | None = None, *, rng: Random) -> Tensor:
        """The reconstruction loss of a z drawn from q(z|x), and the latent loss."""
        y, latent = self._drawn(x, rng)
        return self.criterion(y, x if target is None else target) + latent

    def measures(
        self, x: TensorLike, target: TensorLike | None = None, *, rng: Random
    ) -> dict[str, float]:
        """The loss and its two parts, and the rounded accuracy, all of a z drawn from q(z|x)."""
        y, latent = self._drawn(x, rng)
        figures = self.compare(y, x if target is None else target)
        parts = {"reconstruction_loss": figures["loss"], "latent_loss": latent.item()}
        return {**figures, "loss": sum(parts.values()), **parts}

    def _drawn(self, x: TensorLike, rng: Random) -> tuple[Tensor, Tensor]:
        """What the decoder makes of a z drawn from q(z|x), and the latent loss."""
        mean, log_var = self.posterior(x)
        z = mean + ops.exp(log_var / 2) * rng.normal(mean.shape, dtype=mean.dtype)
        latent = ops.mean(ops.gaussian_kl(mean, log_var)) * (self.beta / self.values)
        return self.decode(z), latent

    def log_likelihood(
        self,
        x: TensorLike,
        *,
        samples: int = 100,
        rng: Random,
        progress: Callable[[float], object] | None = None,
    ) -> Array:
        """log p(x) of every image in nats, estimated from below: (n, ...) -> float64 (n,).

        log 1/k sum_j w_j,  w_j = p(x|z_j) p(z_j) / q(z_j|x),  with k = `samples` draws of z_j from
        q(z|x) and independent pixels that are 1 with the probabilities that the decoder gives. One
        draw gives the bound that training raises, more a tighter one. Pixels between 0 and 1 count
        as probabilities too, in which case the result is no density; models compare all the same.

        Args:
            x: images.
            samples: draws of z an image.
            rng: where they are drawn. Draw j of an image does not depend on how many there are.
            progress: called after each draw of a block of images with the share that is done.

        Raises ValueError for a model that was not made for the loss "binary_cross_entropy".

        Source: Burda, Grosse & Salakhutdinov 2016, "Importance weighted autoencoders".
        """
        if self.criterion is not ops.binary_cross_entropy:
            raise ValueError(
                f"{self.name}: the likelihood is that of pixels with probabilities; the model must "
                "be made and trained with loss 'binary_cross_entropy'"
            )
        whole(f"{self.name}: samples", samples)
        images, draws = data_of(x), rng.stream("importance")
        result = np.empty(len(images))
        for first in range(0, len(images), BLOCK):
            block = slice(first, first + BLOCK)
            with no_grad():
                mean, log_var = self.posterior(images[block])
                weights = []
                for j in range(samples):
                    eps = draws.at(j).normal(mean.shape, first=first)
                    weights.append(self._log_weight(images[block], mean, log_var, eps))
                    if progress is not None:
                        progress((first + len(mean.data) * (j + 1) / samples) / len(images))
            most = np.max(weights, axis=0)
            result[block] = most + np.log(np.mean(np.exp(weights - most), axis=0))
        return result

    def _log_weight(self, x: Array, mean: Tensor, log_var: Tensor, eps: Array) -> Array:
        """log p(x|z) + log p(z) - log q(z|x) at z = mu + e^(gamma / 2) eps; the 2 pi cancel."""
        eps = beside(eps.astype(mean.dtype, copy=False), mean.data)
        z = mean + ops.exp(log_var / 2) * eps
        losses = ops.binary_cross_entropy(self.decode(z), x, reduction="none").data
        ratios = (eps**2 + log_var.data - z.data**2) / 2
        sums = ratios.sum(1, np.float64) - losses.reshape(len(x), -1).sum(1, np.float64)
        return to_numpy(sums)


def _convolutions(
    image_shape: Sequence[int],
    filters: Sequence[int],
    activation: ops.Activation,
    output: ops.Activation,
    rng: Random,
) -> tuple[list[Module], list[Module], int]:
    """Convolutions 3x3 with stride 2, their mirror image, and how many values are between them."""
    if not filters:
        return [], [], math.prod(image_shape)
    if len(image_shape) not in (2, 3):
        raise ValueError(f"vae: filters need images, not samples of shape {tuple(image_shape)}")
    height, width, channels = (*image_shape, 1)[:3]
    maps = [(height, width, channels)]
    for channels in filters:
        height, width = (height + 1) // 2, (width + 1) // 2
        maps.append((height, width, channels))
    down: list[Module] = [Reshape(*maps[0])]
    up: list[Module] = []
    for large, small in pairwise(maps):
        pads = resolve_padding("same", large[:2], (3, 3), (2, 2), (1, 1))
        f = activation if up else output
        down.append(Conv2D(large[2], small[2], 3, 2, pads, activation, rng=rng))
        up.insert(0, Conv2DTranspose(small[2], large[2], 3, 2, pads, f, rng=rng))
    return down, [Reshape(*maps[-1]), *up], math.prod(maps[-1])
