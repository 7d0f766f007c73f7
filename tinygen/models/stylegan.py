"""StyleGAN, and StyleGAN2 as a preset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array, array_module, beside
from ..config import no_grad
from ..core import Buffer, Tensor, TensorLike, data_of
from ..ops.random import Random
from ..ranges import not_negative, share, whole
from .adversarial import Figures
from .gan import LEAKY
from .growing_discriminator import GrowingDiscriminator
from .penalties import path_lengths
from .progan import ADAM, ProGAN
from .remedies import RULE, Remedies
from .stages import Phase, Recipe, Stage, TrainingOptions
from .style_generator import StyleGenerator, StyleOptions

TRACKED = 0.995  # decay of the tracked mean of w
LENGTH_DECAY = 0.99  # of the tracked mean of path lengths
TRUNCATED = 8 / 18  # the share of layers that truncation reaches: the paper's 8 of 18


class StyleGAN(ProGAN):
    """Style-based generator (Karras, Laine & Aila 2019).

    A mapping network turns z into a style w, which says in each layer what the maps are scaled and
    shifted to; beside it each layer has noise of its own, for what a style leaves open. In training
    a part of the batches has two styles in one image ("style mixing"). The game is that of
    progressive growing from 8 x 8 pixels on, with the non-saturating loss and R1.

    The mean of w is tracked while the model is trained, so that styles can be drawn towards it
    ("truncation"): fewer odd images, less variety.

    The preset "stylegan2" (Karras et al. 2020) lets w modulate the weights instead of normalising
    maps, does not grow (each level adds to the image, the discriminator is residual), and keeps the
    length of the path that images take with w near its mean.

    Args:
        image_shape, latents, width, maps, activation, classes, phase_images, batch_sizes,
            reset_optimizers, noise, seed: as for ProGAN.
        start: side of the images that training begins with; None for their full size, without
            growing.
        styles: length of w; None for that of z.
        mapping_layers: dense layers of the mapping network; None for w = z, normalised.
        multiplier: of the mapping network's learning rate.
        style: how w acts: "adain", or "modulation".
        network: "growing", or "skip" with a residual discriminator.
        constant: whether synthesis begins with learned maps, and not with a dense layer of w.
        layer_noise: whether each layer has noise.
        blur: whether maps are smoothed where they are enlarged or halved.
        mixing: share of batches in which a second style takes over at a layer drawn at random.
        path_length: weight of E (|J^T y| - a)^2, J being the derivative of the image by w, y noise,
            a the tracked mean; 0 for none.
        path_every: k to work that out in every k-th step only, k times as strong.
        remedies: see Remedies.
    """

    generator: Any  # a StyleGenerator
    name = "stylegan"
    figures = (
        *("samples", "progress", "interpolation", "mixing", "truncation", "noise"),
        *("nearest", "curves"),
    )
    quick = MappingProxyType({"phase_images": 500})
    remedies = Remedies(r1=RULE, minibatch="stddev", average=0.998)
    recipes = {
        "faces": Recipe("faces", 10, 32, "adam", ADAM, size=32, channels=3),
        "stylegan2": Recipe(
            "faces", 10, 32, "adam", ADAM, size=32, channels=3,
            config={
                "style": "modulation", "network": "skip", "start": None, "path_length": 2.0,
            },
        ),
        "paper": Recipe(
            "faces", 10, 32, "adam", ADAM, size=32, channels=3,
            config={
                "latents": 512, "width": 512, "maps": 8192, "phase_images": 600_000,
                "batch_sizes": (128, 128, 128, 64, 32, 16), "r1": 10.0,
            },
        ),
    }  # fmt: skip

    def __init__(
        self,
        image_shape: Sequence[int] = (32, 32, 3),
        latents: int = 64,
        width: int = 64,
        maps: int = 512,
        activation: ops.Activation = LEAKY,
        blur: bool = True,
        start: int | None = 8,
        styles: int | None = None,
        mapping_layers: int | None = 8,
        multiplier: float = 0.01,
        style: str = "adain",
        network: str = "growing",
        constant: bool = True,
        layer_noise: bool = True,
        mixing: float = 0.9,
        path_length: float = 0.0,
        path_every: int = 4,
        classes: int | None = None,
        phase_images: int = 40_000,
        batch_sizes: Sequence[int] = (),
        reset_optimizers: bool = True,
        noise: str = "normal",
        seed: int = 0,
        **remedies: Any,
    ) -> None:
        self.mixing = share("mixing", mixing)
        self.path_length = not_negative("path_length", path_length)
        self.path_every = whole("path_every", path_every)
        try:
            self._options = StyleOptions(
                styles, mapping_layers or 0, multiplier, style, network, constant, layer_noise,
                blur,
            )  # fmt: skip
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        super().__init__(
            image_shape, latents, width, maps, activation, blur, start, classes, phase_images,
            batch_sizes, reset_optimizers, noise, seed, **remedies,
        )  # fmt: skip
        self.mean_style = Buffer(np.zeros((self.styles,), np.float32))
        self.tracked = Buffer(np.zeros((), np.float32))  # how often, up to where it matters
        self.mean_length = Buffer(np.zeros((), np.float32))

    def _networks(
        self,
        shape: Sequence[int],
        latents: int,
        channels: Sequence[int],
        activation: ops.Activation,
        blur: bool,
        switches: Remedies,
        rng: Random,
    ) -> tuple[StyleGenerator, GrowingDiscriminator]:
        residual = self._options.network == "skip"
        return (
            StyleGenerator(latents, shape, channels, activation, self._options, self.classes, rng),
            self._judge(shape, channels, activation, blur, switches, rng, residual),
        )

    @property
    def styles(self) -> int:
        """Length of w."""
        length: int = self.generator.styles
        return length

    @property
    def layers(self) -> int:
        """How many styles synthesis takes: two a level."""
        number: int = self.generator.layers
        return number

    def stages(self, options: TrainingOptions) -> list[Stage]:
        """Those of progressive growing, with the lazy phase of path lengths."""
        stages = super().stages(options)
        if not self.path_length:
            return stages
        phase = Phase("path", self.generator, self.path_length_loss, every=self.path_every)
        return [replace(stage, phases=[*stage.phases, phase]) for stage in stages]

    def path_length_loss(
        self, x: TensorLike, label: Any = None, *, rng: Random
    ) -> tuple[Tensor, Figures]:
        """The penalty on path lengths, of half as many images as there are samples in x."""
        n = max(1, len(data_of(x)) // 2)
        w = self._styles(n, None if label is None else data_of(label)[:n], rng)
        lengths = path_lengths(lambda v: self.generator.synthesis(v, rng=rng), w, rng=rng)
        mean = self.mean_length.array
        mean[...] = LENGTH_DECAY * mean + (1 - LENGTH_DECAY) * lengths.array.mean()
        self.mean_length.version += 1
        loss = ops.mean(ops.square(lengths - mean.copy()))
        figures = {"path_length": ops.mean(lengths).detach()}
        return loss * (self.path_length * self.path_every), figures

    def _generate(self, n: int, label: Any, rng: Random, moments: str) -> Tensor:
        """n fakes, of latents drawn anew; in training some of two styles."""
        fake: Tensor = self.generator.synthesis(self._styles(n, label, rng), rng=rng)
        return fake

    def _styles(self, n: int, label: Any, rng: Random) -> Tensor:
        """n styles for each layer, (n, layers, styles), of latents drawn anew."""
        drawn = [beside(self.draw_latents(n, rng=rng), self._array) for _ in range(2)]
        if self.training:
            self._track(drawn[0], label)
        first: Tensor = self.generator.spread(self.generator.map(drawn[0], label))
        if not (self.training and self.mixing) or self.layers < 2:
            return first
        second = self.generator.spread(self.generator.map(drawn[1], label))
        u = beside(rng.uniform((2,), dtype=self.dtype), self._array)
        return ops.where(self._taken(u), second, first)

    def _taken(self, u: Array) -> Array:
        """Which layers the second style has: two numbers in [0, 1) -> a mask (layers, 1).

        It has those from 1, 2 ... or layers - 1 on, each as likely, in the share `mixing` of cases.
        """
        xp = array_module(u)
        begin = 1 + xp.floor(u[1] * (self.layers - 1))
        layers = xp.arange(self.layers, dtype=u.dtype)[:, None]
        taken: Array = (layers >= begin) & (u[0] < self.mixing)
        return taken

    def _track(self, z: Any, label: Any) -> None:
        """Move the mean of w: the plain mean at first, one with a decay of 0.995 then.

        It is that of the network which samples come from.
        """
        with no_grad():
            now = self.sampler.map(z, label).array.mean(axis=0)
        xp, times = array_module(now), self.tracked.array
        times[...] = xp.minimum(times + 1, 1 / (1 - TRACKED))
        self.mean_style.array[...] += (now - self.mean_style.array) / times
        for buffer in (self.tracked, self.mean_style):
            buffer.version += 1

    def truncate(self, w: TensorLike, truncation: float, cutoff: int | None = None) -> Tensor:
        """Styles drawn towards their mean: mean + truncation (w - mean) in the first layers.

        Args:
            w: styles (n, styles), or (n, layers, styles).
            truncation: 1 leaves them as they are, 0 makes all of them the mean.
            cutoff: how many layers it reaches; by default 8 of 18, the paper's share.

        Raises ValueError for a model that was never trained, so that it knows no mean.
        """
        given: Tensor = self.generator.spread(w)
        reach = round(TRUNCATED * self.layers) if cutoff is None else whole("cutoff", cutoff, 0)
        if reach > self.layers:
            raise ValueError(f"cutoff is at most {self.layers}, the number of layers, not {reach}")
        if truncation == 1:
            return given
        if not float(self.tracked.numpy()):
            raise ValueError(
                f"{self.name}: truncation needs the mean of w, which is tracked in training"
            )
        mean = beside(self.mean_style.array, given.array)
        nearer = mean + (given - mean) * truncation
        mask = (np.arange(given.shape[1]) < reach)[:, None]
        return ops.where(beside(mask, given.array), nearer, given)

    def sample(self, n: int, *, rng: Random, label: Any = None, truncation: float = 1.0) -> Tensor:
        """n new images, pixels in [0, 1]: (n, *image_shape), with noise drawn anew.

        Args:
            n: how many.
            rng: where latents and noise are drawn, and labels if none are given.
            label: of a conditional model: one for all, or one for each.
            truncation: see `truncate`; 1 for none, the paper's pictures have 0.7.

        Raises ValueError for a label that the model does not have.
        """
        with no_grad():
            z = self.draw_latents(n, rng=rng)
            w = self.truncate(self.map(z, self._labels(label, n, rng)), truncation)
            return ops.clip(self.synthesize(w, rng=rng), 0.0, 1.0)

    def synthesize(
        self,
        w: TensorLike,
        *,
        noise: Sequence[TensorLike] | None = None,
        rng: Random | None = None,
    ) -> Tensor:
        """The images of styles, of the data's size; some pixels may leave [0, 1].

        Args:
            w: styles (n, styles), or (n, layers, styles) with one for each layer.
            noise: a map (n or 1, h, w, 1) for each layer that has noise, see `fixed_noise`.
            rng: where noise is drawn if none is given; without either it is the fixed one.
        """
        return self._finished(self.sampler.synthesis(w, noise, rng=rng))

    def style_weights(self) -> dict[str, Array]:
        """The matrices (styles, outputs) that styles go through in each layer, by its name."""
        return {
            name.removesuffix(".weight"): p.array
            for name, p in self.sampler.named_parameters()
            if name.endswith("style.weight")
        }

    def fixed_noise(self) -> list[Tensor]:
        """The noise that images have where none is drawn: a map (1, h, w, 1) for each layer."""
        maps: list[Tensor] = self.sampler.fixed_noise()
        return maps
