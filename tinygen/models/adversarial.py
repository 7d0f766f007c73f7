"""Adversarial training: the losses of generator and discriminator, and the phases of their step."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from .. import ops
from ..backend import Array, array_module, beside, to_numpy
from ..config import no_grad
from ..core import Buffer, Tensor, TensorLike, data_of
from ..nn.module import summary_rows
from ..ops.random import Random
from ..optim import EMA
from . import losses
from .augment import augment
from .base import Model
from .discriminator import Discriminator, Generator
from .labels import check_labels
from .penalties import slope_penalties
from .remedies import RULE, Remedies
from .replay import ReplayPool
from .stages import Phase, Stage, TrainingOptions
from .statistics import batch_norms, statistics

NOISE = ("normal", "uniform")
GRADIENT_NORMS = 10  # steps from one measurement of the gradients' norms to the next
Figures = dict[str, Tensor]


class Adversarial(Model):
    """Generative adversarial network (Goodfellow et al. 2014): base of all of them.

    A step has two phases. The discriminator learns to tell real samples from those that the
    generator makes of random latents; then the generator learns to make samples that the
    discriminator, frozen, takes for real. `remedies` are switches that change either of them.

    The generator makes samples in the range of its last activation, [-1, 1] for "tanh"; data
    in [0, 1] is brought to that range, and `sample` brings back what it draws.

    Args:
        generator: from latents, and labels if it is conditional, to samples.
        discriminator: from samples, and labels, to scores.
        image_shape: of a sample.
        latents: length of z.
        noise: the distribution of z: "normal", or "uniform" from -1 to 1.
        output: activation of the generator's last layer.
        remedies: see Remedies.
    """

    name = ""
    figures: ClassVar[tuple[str, ...]] = (
        *("samples", "plane", "progress", "interpolation", "nearest", "curves"),
    )
    networks = ("discriminator", "generator")
    remedies: ClassVar[Remedies] = Remedies()  # the defaults of the model
    classes: int = 0  # labels that the networks know; 0 for none

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        *,
        image_shape: Sequence[int],
        latents: int,
        noise: str,
        output: ops.Activation,
        remedies: Remedies,
    ) -> None:
        if noise not in NOISE:
            raise ValueError(f"{self.name}: noise is one of {', '.join(NOISE)}, not {noise!r}")
        if remedies.gradient_penalty and batch_norms(discriminator):
            raise ValueError(
                f"{self.name}: the gradient penalty is one of each sample by itself, which batch "
                "norm in the discriminator mixes; leave one of them out"
            )
        if RULE in (remedies.r1, remedies.r2) and len(image_shape) < 2:
            raise ValueError(f"{self.name}: gamma by the rule is for images; give a number")
        if remedies.augment and len(image_shape) < 2:
            raise ValueError(f"{self.name}: augment is for images; leave it out")
        self.generator, self.discriminator = generator, discriminator
        self.image_shape, self.latents = tuple(image_shape), latents
        self.noise, self.signed = noise, output == "tanh"
        self.bounded = output in ("tanh", "sigmoid")
        self.switches, self.criterion = remedies, losses.get(remedies.loss)
        self.average = copy.deepcopy(generator).freeze() if remedies.average else None
        self.pool = None
        if remedies.replay:  # a fake, and its label behind it
            values = math.prod(image_shape) + bool(self.classes)
            self.pool = ReplayPool(remedies.replay, values)
        self.spread = Buffer(np.zeros((), np.float32)) if remedies.instance_noise else None

    def stages(self, options: TrainingOptions) -> list[Stage]:
        """One stage: the discriminator's phase, its lazy penalty, the generator's phase."""
        switches, k = self.switches, self.switches.penalty_every
        if options.greedy:
            raise ValueError(f"{self.name} cannot be trained layer by layer")
        if options.patience is not None:
            raise ValueError(
                f"{self.name}: early stopping waits for a loss to fall, and the losses of a game "
                "need not; leave patience out"
            )
        switches.check_batch(f"{self.name}: batch_size", options.batch_size)
        phases = [Phase("discriminator", self.discriminator, self.discriminator_loss)]
        if k > 1:
            phases.append(Phase("penalty", self.discriminator, self.lazy_penalty, every=k))
        phases.append(
            Phase("generator", self.generator, self.generator_loss, every=switches.critic_steps)
        )
        fade = {"spread": self._spread_at} if self.spread is not None else {}
        averages = []
        if self.average is not None:
            averages.append(EMA(self.generator, switches.average, self.average))
        return [
            Stage(
                "train",
                phases,
                epochs=options.epochs,
                drop_remainder=True,
                schedules=fade,
                averages=averages,
                gradient_norms=GRADIENT_NORMS,
            )
        ]

    def layer_rows(self) -> list[tuple[str, str, str]]:
        """The layers of the generator, then those of the discriminator, and the total of both."""
        label = [np.zeros((1,), np.int64)] if self.classes else []
        packed = np.zeros((self.switches.packing, *self.image_shape), self.dtype)
        labels = [np.zeros((len(packed),), np.int64)] if self.classes else []
        head, *layers, _ = summary_rows(self.generator, (self.latents,), *label)
        _, *more, _ = summary_rows(self.discriminator, packed, *labels)
        both = sum(p.size for net in (self.generator, self.discriminator) for p in net.parameters())
        named = [(f"generator.{name}", *rest) for name, *rest in layers]
        named += [(f"discriminator.{name}", *rest) for name, *rest in more]
        return [head, *((a, b, c) for a, b, c in named), ("total", "", f"{both:,}")]

    def check(self, x: TensorLike, target: TensorLike | None = None) -> None:
        """Raise TypeError or ValueError for samples, or labels, that the model was not made for."""
        super().check(x)
        array = to_numpy(data_of(x))
        low, high = (array.min(), array.max()) if array.size else (0, 0)
        if self.bounded and not (low >= 0 and high <= 1):
            raise ValueError(
                f"{self.name}: the generator makes values in [0, 1], the data goes from {low:.4g} "
                f"to {high:.4g}; divide pixels by 255 (tinygen.data.as_floats), or take output "
                "'identity'"
            )
        if self.classes:
            if target is None:
                raise ValueError(f"{self.name} needs a label for each sample")
            check_labels(target, len(array), self.classes)
        elif target is not None:
            known = "classes" in getattr(self, "config", {})
            also = f", and {self.name} with classes=" if known else ""
            raise ValueError(f"{self.name} takes no labels; cgan does{also}")

    def discriminator_loss(
        self, x: TensorLike, label: Any = None, *, rng: Random
    ) -> tuple[Tensor, Figures]:
        """The discriminator's loss on a batch of reals and as many fakes; what it scores both."""
        if self.switches.clip is not None:
            self._clip(self.switches.clip)
        real = self._scaled(x)
        with no_grad():
            fake = self._generate(len(real), label, rng, self.switches.generator_statistics)
        asked = label
        if self.pool is not None:
            fake, asked = self._replayed(fake, label, rng)
        real, fake = self._disturbed(real, rng), self._disturbed(fake, rng)
        penalty, known = None, dict[str, Tensor]()
        if self.switches.penalises and self.switches.penalty_every == 1:
            penalty, known = slope_penalties(
                self.discriminator, self.switches, real, fake, label, asked, rng=rng
            )
        real_score, fake_score = self._scores(real, fake, label, asked, rng, known)
        loss = self.criterion.discriminator(real_score, fake_score, self.switches.label_smoothing)
        if self.switches.drift:
            loss = loss + self.switches.drift * ops.mean(ops.square(real_score))
        if self.switches.together:
            loss = loss / 2  # the mean over both halves of the batch
        figures = {"real_score": ops.mean(real_score), "fake_score": ops.mean(fake_score)}
        if penalty is not None:
            figures["penalty"] = penalty
            loss = loss + penalty
        return loss, figures

    def lazy_penalty(self, x: TensorLike, label: Any = None, *, rng: Random) -> Tensor:
        """The penalties on the discriminator's gradients, as strong as they are rare."""
        real = self._scaled(x)
        with no_grad():
            fake = self._generate(len(real), label, rng, self.switches.generator_statistics)
        real, fake = self._disturbed(real, rng), self._disturbed(fake, rng)
        penalty, _ = slope_penalties(
            self.discriminator, self.switches, real, fake, label, label, rng=rng
        )
        return penalty * float(self.switches.penalty_every)

    def generator_loss(self, x: TensorLike, label: Any = None, *, rng: Random) -> Tensor:
        """The generator's loss on as many fakes as there are samples in x."""
        share, n = self.switches.feature_matching, len(data_of(x))
        with statistics(self.discriminator, self.switches.discriminator_statistics):
            fake = self._disturbed(self._generate(n, label, rng, "batch"), rng)
            packed = self.discriminator.pack(fake)
            if not share and not self.criterion.needs_real:
                return self.criterion.generator(self.discriminator.score(packed, label, rng=rng))
            real = self.discriminator.pack(self._disturbed(self._scaled(x), rng))
            seen = [self.discriminator.features(v, label, rng=rng) for v in (packed, real)]
            loss: Tensor | float = 0.0
            if share:
                apart = ops.mean(seen[0], axis=0) - ops.mean(seen[1], axis=0)
                loss = share * ops.sum(apart * apart)
            if share < 1:
                scores = (self.discriminator.judge(h, label) for h in seen)
                loss = loss + (1.0 - share) * self.criterion.generator(*scores)
            assert isinstance(loss, Tensor)
            return loss

    def loss(self, x: TensorLike, target: TensorLike | None = None, *, rng: Random) -> Tensor:
        """The discriminator's loss; `stages` has both."""
        return self.discriminator_loss(x, target, rng=rng)[0]

    def measures(
        self, x: TensorLike, target: TensorLike | None = None, *, rng: Random
    ) -> dict[str, float]:
        """Both losses, mean scores of reals and fakes, and how far these are apart, held out.

        Separation is the share of pairs of a real and a fake in which the real has the higher score
        (the area under the ROC curve): 1 where the discriminator makes no mistake, 0.5 where it
        knows nothing, whatever the loss. Samples are augmented as in training, for scores of those
        that the discriminator learns from and of others to be compared.
        """
        n = len(data_of(x)) // self.switches.packing * self.switches.packing
        if not n:
            return {}
        x, label = data_of(x)[:n], None if target is None else data_of(target)[:n]
        real = self._scaled(x)
        with no_grad():
            fake = self._generate(n, label, rng, "running")
            seen = [self._augmented(v, rng) for v in (real, fake)]
            scores = [self.discriminator(v, label, rng=rng) for v in seen]
            found = {
                "discriminator_loss": self.criterion.discriminator(*scores),
                "generator_loss": self.criterion.generator(*scores[::-1]),
                "real_score": ops.mean(scores[0]),
                "fake_score": ops.mean(scores[1]),
            }
        figures = {name: value.item() for name, value in found.items()}
        return {**figures, "separation": losses.separation(*(s.numpy() for s in scores))}

    def sample(self, n: int, *, rng: Random, label: Any = None) -> Tensor:
        """n new samples, in the range of the data: (n, *image_shape).

        They come from the average of the generator if there is one, in inference mode.

        Args:
            n: how many.
            rng: where latents are drawn, and labels if none are given.
            label: of a conditional model: one for all, or one for each.

        Raises ValueError for a label that the model does not have.
        """
        with no_grad():
            return self.generate(self.draw_latents(n, rng=rng), self._labels(label, n, rng))

    def generate(self, z: TensorLike, label: Any = None) -> Tensor:
        """The samples that latents stand for: (n, latents) -> (n, *image_shape)."""
        with statistics(self.sampler, "running"):
            y: Tensor = self.sampler(self._given(z), label)
        return (y + 1.0) / 2.0 if self.signed else y

    @property
    def sampler(self) -> Any:
        """The network that samples come from: the average of the generator if there is one."""
        return self.generator if self.average is None else self.average

    def _given(self, z: TensorLike) -> TensorLike:
        """Latents from outside, where the networks are; raises ValueError for others."""
        if data_of(z).shape[1:] != (self.latents,):
            raise ValueError(
                f"{self.name}: latents are arrays (n, {self.latents}), not {data_of(z).shape}"
            )
        return z if isinstance(z, Tensor) else beside(z, self._array)

    def draw_latents(self, n: int, *, rng: Random) -> Array:
        """n latents of the prior: (n, latents)."""
        shape, dtype = (n, self.latents), self.dtype
        if self.noise == "normal":
            return rng.normal(shape, dtype=dtype)
        return rng.uniform(shape, -1.0, 1.0, dtype=dtype)

    def _labels(self, label: Any, n: int, rng: Random) -> Any:
        """Labels for n samples: those asked for, or drawn; None where there are none."""
        if not self.classes:
            if label is not None:
                raise ValueError(f"{self.name} was trained without labels; leave label out")
            return None
        if label is None:
            return np.minimum(rng.on("cpu").uniform((n,)) * self.classes, self.classes - 1).astype(
                np.int64
            )
        return check_labels(label, n, self.classes)

    def _generate(self, n: int, label: Any, rng: Random, moments: str) -> Tensor:
        """n fakes, of latents drawn anew."""
        z = beside(self.draw_latents(n, rng=rng), self._array)
        with statistics(self.generator, moments):
            fake: Tensor = self.generator(z, label, rng=rng)
        return fake

    def _replayed(self, fake: Tensor, label: Any, rng: Random) -> tuple[Tensor, Any]:
        """Fakes of now and of before, and the labels that they were made for."""
        assert self.pool is not None
        rows = ops.reshape(fake, (len(fake.array), -1)).array
        if not self.classes:
            return ops.reshape(self.pool(rows, rng=rng), fake.shape), label
        xp = array_module(rows)
        column = xp.asarray(data_of(label)).astype(rows.dtype)[:, None]
        mixed = self.pool(xp.concatenate([rows, column], axis=1), rng=rng).array
        kept = ops.reshape(Tensor(mixed[:, :-1]), fake.shape)
        return kept, mixed[:, -1].astype(data_of(label).dtype)

    def _scores(
        self,
        real: TensorLike,
        fake: TensorLike,
        label: Any,
        asked: Any,
        rng: Random,
        known: Mapping[str, Tensor],
    ) -> tuple[Tensor, Tensor]:
        """The scores of reals with their labels and of fakes with those asked for.

        Those that a penalty worked out already are `known`; both in one batch are others.
        """
        if not self.switches.together:
            real_score, fake_score = (
                known[name] if name in known else self.discriminator(x, labels, rng=rng)
                for name, x, labels in (("real", real, label), ("fake", fake, asked))
            )
            return real_score, fake_score
        labels = None
        if label is not None:
            labels = array_module(data_of(label)).concatenate([data_of(asked), data_of(label)])
        both = self.discriminator(ops.concatenate([fake, real]), labels, rng=rng)
        fake_score, real_score = ops.split(both, 2)
        return real_score, fake_score

    def _scaled(self, x: TensorLike) -> Array:
        """Data in the range that the generator makes."""
        array = data_of(x)
        scaled: Array = array * 2.0 - 1.0 if self.signed else array
        return scaled

    def _disturbed(self, x: Any, rng: Random) -> Any:
        """x as the discriminator sees it: augmented, and with the instance noise of now."""
        x = self._augmented(x, rng)
        if self.spread is None:
            return x
        noise = beside(rng.normal(x.shape, dtype=self.dtype), self._array)
        return x + self.spread * noise

    def _augmented(self, x: Any, rng: Random) -> Any:
        """x changed as `augment` says; reals and fakes draw one after the other, never the same."""
        if not self.switches.augment:
            return x
        span = 2.0 if self.signed else 1.0
        return augment(x, self.switches.augment, span=span, rng=rng)

    def _spread_at(self, images: int) -> float:
        """The standard deviation of the instance noise after so many images."""
        left = max(0.0, 1.0 - images / self.switches.noise_images)
        return self.switches.instance_noise * left

    def _clip(self, bound: float) -> None:
        """Bring the discriminator's parameters into [-bound, bound], in place."""
        for p in self.discriminator.parameters():
            array_module(p.array).clip(p.array, -bound, bound, out=p.array)
            p.version += 1

    @property
    def _array(self) -> Array:
        """An array of the generator, which lies where the networks are."""
        array: Array = self.generator.parameters()[0].array
        return array
