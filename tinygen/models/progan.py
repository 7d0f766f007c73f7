"""Progressive growing of GANs."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from .. import ops
from ..backend import Array
from ..config import no_grad
from ..core import Buffer, Tensor, TensorLike
from ..ops.random import Random
from ..ranges import whole
from .adversarial import Adversarial
from .gan import LEAKY
from .growing import START, Growing, GrowingGenerator, channels_of, level_of, levels_of
from .growing_discriminator import GrowingDiscriminator
from .remedies import Remedies
from .stages import Recipe, Stage, TrainingOptions

ADAM = {"learning_rate": 1e-3, "beta1": 0.0, "beta2": 0.99, "epsilon": 1e-8}


class ProGAN(Adversarial):
    """Progressive growing of GANs (Karras, Aila, Laine & Lehtinen 2018).

    Training begins with images of `start` pixels a side. Each level is trained for `phase_images`
    samples, then the next one, of twice the side, is faded in over as many; the real images are
    brought to the size of the level, and faded too. The last level is trained for the epochs of the
    run. The losses are those of WGAN-GP, with a small pull of the reals' scores to 0; layers have
    an equalised learning rate, and samples come from a moving average of the generator.

    A model that was just made is at its last level; training takes it to the first. As long as it
    is at an earlier one its samples are enlarged to the size of the images.

    Args:
        image_shape: shape of an image, pixels in [0, 1]: (side, side) or (side, side, channels)
            with a side of 4, 8, 16 ... pixels.
        latents: length of z.
        width: the most channels of a layer.
        maps: a level has maps / 2^(level + 1) channels where that is less; the paper has 8,192,
            and a width of 512.
        activation: of all layers but the last ones.
        blur: filter maps by [1, 2, 1] where they are enlarged or halved, as StyleGAN does.
        start: side of the images that training begins with; None for their full size, without
            growing.
        classes: how many labels the data has, from 0 on; None for a model without labels.
        phase_images: samples of each phase, stable or fading, before the last.
        batch_sizes: samples in a batch at each level, the first for 4 x 4 pixels; of levels beyond
            these it is that of the training options.
        reset_optimizers: begin the optimisers anew whenever a level or a fade begins.
        noise: the distribution of z: "normal", or "uniform" from -1 to 1.
        seed: of the initial weights.
        remedies: see Remedies; `replay`, `spectral_norm` and `minibatch` "discrimination" are not
            for growing networks.
    """

    name = "progan"
    quick = MappingProxyType({"phase_images": 500})
    remedies = Remedies(
        loss="wasserstein", gradient_penalty=10.0, drift=1e-3, minibatch="stddev", average=0.999
    )
    recipes = {
        "faces": Recipe("faces", 10, 32, "adam", ADAM, size=32, channels=3),
        "paper": Recipe(
            "faces", 10, 32, "adam", ADAM, size=32, channels=3,
            config={
                "latents": 512, "width": 512, "maps": 8192, "phase_images": 600_000,
                "batch_sizes": (128, 128, 128, 64, 32, 16),
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
        blur: bool = False,
        start: int | None = START,
        classes: int | None = None,
        phase_images: int = 40_000,
        batch_sizes: Sequence[int] = (),
        reset_optimizers: bool = True,
        noise: str = "normal",
        seed: int = 0,
        **remedies: Any,
    ) -> None:
        switches, rng = self.remedies.changed(remedies), Random(seed, "weights")
        for name, given in (
            ("replay", switches.replay),
            ("spectral_norm", switches.spectral_norm),
            ("minibatch 'discrimination'", switches.minibatch == "discrimination"),
        ):
            if given:
                raise ValueError(f"{self.name}: {name} is not for growing networks")
        if classes and switches.packing > 1:
            raise ValueError(
                f"{self.name}: projection compares one label with one sample: packing must be 1"
            )
        self.classes = 0 if classes is None else whole("classes", classes)
        self.phase_images, self.batch_sizes = whole("phase_images", phase_images), batch_sizes
        self.reset_optimizers = reset_optimizers
        try:
            levels = levels_of(image_shape)
            self.first_level = levels - 1 if start is None else level_of(start, levels)
            channels = channels_of(levels, width, maps)
            networks = self._networks(
                image_shape, latents, channels, activation, blur, switches, rng
            )
        except ValueError as error:
            raise ValueError(f"{self.name}: {error}") from None
        self.level = Buffer(np.array(networks[0].level, np.int64))  # for checkpoints
        super().__init__(
            *networks,  # type: ignore[arg-type]  # what is asked of networks they can
            image_shape=image_shape,
            latents=latents,
            noise=noise,
            output="tanh",  # the range; the layer is linear
            remedies=switches,
        )

    def _networks(
        self,
        shape: Sequence[int],
        latents: int,
        channels: Sequence[int],
        activation: ops.Activation,
        blur: bool,
        switches: Remedies,
        rng: Random,
    ) -> tuple[Any, GrowingDiscriminator]:
        """The generator and the discriminator."""
        return (
            GrowingGenerator(latents, shape, channels, activation, blur, self.classes, rng),
            self._judge(shape, channels, activation, blur, switches, rng),
        )

    def _judge(
        self,
        shape: Sequence[int],
        channels: Sequence[int],
        activation: ops.Activation,
        blur: bool,
        switches: Remedies,
        rng: Random,
        residual: bool = False,
    ) -> GrowingDiscriminator:
        """The discriminator, with what the remedies build in."""
        stddev = switches.minibatch == "stddev"
        return GrowingDiscriminator(
            shape, channels, activation, blur, switches.packing, stddev, self.classes, rng, residual
        )

    @property
    def growing(self) -> list[Growing]:
        """The networks that grow together."""
        found: list[Any] = [self.generator, self.discriminator, self.average]
        return [network for network in found if isinstance(network, Growing)]

    def grow(self, level: int, fading: bool = False) -> None:
        """Take all networks to a level: 4 2^level pixels a side; see Growing."""
        for network in self.growing:
            network.grow(level, fading)
        self.level.data[...] = level

    def load_state_dict(self, state: Mapping[str, Any], *, check_finite: bool = True) -> None:
        """Take weights, the level and alpha from a checkpoint."""
        super().load_state_dict(state, check_finite=check_finite)
        level = int(self.level.numpy())
        for network in self.growing:  # a fade that begins has an alpha of 0, one that ended of 1
            network.level, network.fading = level, float(network.alpha.numpy()) < 1 and level > 0

    def at(self, images: int) -> tuple[int, float]:
        """The level and alpha after so many samples: stable first, then the next is faded in.

        >>> from tinygen import models
        >>> model = models.create("progan", phase_images=1000)
        >>> model.at(999), model.at(1250), model.at(2500)
        ((0, 1.0), (1, 0.25), (1, 1.0))
        """
        phase, seen = divmod(images, self.phase_images)
        if phase >= self.phases - 1:
            return self.growing[0].levels - 1, 1.0
        return self._level_in(phase), seen / self.phase_images if phase % 2 else 1.0

    @property
    def phases(self) -> int:
        """How many phases a run has: a stable one, then for each further level a fade and one."""
        return 2 * (self.growing[0].levels - 1 - self.first_level) + 1

    def _level_in(self, phase: int) -> int:
        return self.first_level + (phase + 1) // 2

    def stages(self, options: TrainingOptions) -> list[Stage]:
        """For each level a fade, but for the first, and a stable phase; the last is in epochs."""
        (whole_run,) = super().stages(options)
        found = []
        for phase in range(self.phases):
            level, fading = self._level_in(phase), phase % 2 == 1
            size = self.batch_sizes[level] if level < len(self.batch_sizes) else None
            if size is not None:
                self.switches.check_batch(f"{self.name}: each of batch_sizes", size)
            last = phase == self.phases - 1
            schedules = dict(whole_run.schedules)
            if fading:
                names = [k for k, _ in self.named_buffers() if k.rpartition(".")[2] == "alpha"]
                schedules |= dict.fromkeys(names, self._faded)
            side = START << level
            found.append(
                replace(
                    whole_run,
                    name=f"{'fade' if fading else 'train'}-{side}",
                    epochs=whole_run.epochs if last else None,
                    images=None if last else self.phase_images,
                    batch_size=size,
                    begin=self._begin(level, fading),
                    keep_optimizers=not self.reset_optimizers and phase > 0,
                    schedules=schedules,
                )
            )
        return found

    def _begin(self, level: int, fading: bool) -> Any:
        return lambda: self.grow(level, fading)

    def _faded(self, images: int) -> float:
        """Alpha after so many samples of a fade."""
        return min(1.0, images / self.phase_images)

    def _scaled(self, x: TensorLike) -> Array:
        """Data in [-1, 1], at the size of the level, faded as the networks are."""
        array: Array = super()._scaled(x)
        network = self.growing[0]
        images = Tensor(array.reshape(*array.shape[:3], -1))
        with no_grad():
            if (factor := array.shape[1] // network.side) > 1:
                images = ops.downsample2d(images, factor)
            if network.fading:
                images = network.mixed(ops.upsample2d(ops.downsample2d(images)), images)
        return images.array.reshape(*images.shape[: array.ndim])

    def sample(self, n: int, *, rng: Random, label: Any = None, truncation: float = 1.0) -> Tensor:
        """n new images, pixels in [0, 1]: (n, *image_shape); arguments as for all GANs.

        Truncation is for styles; raises ValueError where it is not 1.
        """
        if truncation != 1:
            raise ValueError(f"{self.name} has no styles to truncate; stylegan has")
        with no_grad():
            return ops.clip(super().sample(n, rng=rng, label=label), 0.0, 1.0)

    def map(self, z: TensorLike, label: Any = None) -> Tensor:
        """What synthesis begins with: latents, and labels, of mean square 1."""
        w: Tensor = self.sampler.map(self._given(z), label)
        return w

    def synthesize(self, w: TensorLike, *, rng: Random | None = None) -> Tensor:
        """The images of what `map` gives, of the data's size; some pixels may leave [0, 1]."""
        return self._finished(self.sampler.synthesis(w, rng=rng))

    def generate(self, z: TensorLike, label: Any = None) -> Tensor:
        """The images that latents stand for, of the data's size; some pixels may leave [0, 1]."""
        return self.synthesize(self.map(z, label))

    def _finished(self, y: Tensor) -> Tensor:
        """What the generator made, in the range and at the size of the data."""
        y = (y + 1.0) / 2.0
        factor = self.image_shape[0] // y.shape[1]
        if factor == 1:
            return y
        y = ops.upsample2d(ops.reshape(y, (*y.shape[:3], -1)), factor)
        return ops.reshape(y, (len(y.array), *self.image_shape))

    def layer_rows(self) -> list[tuple[str, str, str]]:
        """The layers of the last level, and the total of all."""
        whole_model = copy.deepcopy(self)
        whole_model.grow(self.growing[0].levels - 1)
        return super(ProGAN, whole_model).layer_rows()
