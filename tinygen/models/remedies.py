"""The switches that steady a game of two networks, and what each of them may be."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ..ops.norm import stddev_group
from ..ranges import fraction, not_negative, share, whole
from . import losses
from .augment import policies
from .kinds import check_kind, check_known, kinds_of

STATISTICS = ("batch", "running")
MINIBATCH = ("discrimination", "stddev")
RULE = "rule"  # gamma by the resolution and the batch size


@dataclass(frozen=True)
class Remedies:
    """Remedies for the training of adversarial networks; each goes with every pair of networks.

    Attributes:
        loss: a name from `tinygen.models.losses.BY_NAME`.
        critic_steps: updates of the discriminator for each of the generator's.
        together: the discriminator sees fakes and reals in one batch, and its loss is the mean over
            both (the text's way), instead of in two batches, whose losses are added (the papers').
            With batch norm or minibatch layers in the discriminator these are different models.
        generator_statistics: what batch norm in the generator uses in the discriminator's phase:
            "batch" (its running moments then move in both phases) or "running" (they move in the
            generator's phase alone).
        discriminator_statistics: the same of the discriminator in the generator's phase: with
            "running" that phase leaves the discriminator's running moments as they are.
        label_smoothing: the target of reals is 1 minus this; that of fakes stays 0 (Salimans 2016).
        instance_noise: standard deviation of noise on all that the discriminator sees, which falls
            to 0 in a straight line (Sønderby et al. 2017)
        noise_images: over so many images.
        augment: differentiable augmentation of reals and fakes in both phases (Zhao et al. 2020):
            any of "color", "translation" and "cutout", with commas between them, in the order in
            which they are applied; "" for none. As in the authors' code penalties are of the
            gradient in what the discriminator sees, so reals and fakes are augmented before: a
            gradient through the augmentation would be 0 in a hole, and ask nothing of D there.
            `sample` augments nothing; held-out scores are of augmented samples, as in training.
        packing: samples that the discriminator judges at once, side by side in the channels
            (Lin et al. 2018, PacGAN); the batch size must be a multiple of it.
        replay: the size of a pool of past fakes, of which half of those that the discriminator sees
            come (Shrivastava et al. 2017); None for none.
        minibatch: a layer through which the discriminator compares the samples of a batch:
            "discrimination" (Salimans et al. 2016) or "stddev" (Karras et al. 2018).
        feature_matching: the share, from 0 to 1, of |E f(x) - E f(G(z))|^2 in the generator's loss,
            f being the discriminator's last features (Salimans et al. 2016).
        spectral_norm: divide the discriminator's weights by their largest singular value (Miyato
            et al. 2018).
        clip: before each of its steps, bring all parameters of the discriminator into [-clip, clip]
            (Arjovsky et al. 2017).
        gradient_penalty: weight of E (|grad D| - 1)^2 between reals and fakes (Gulrajani et al.
            2017).
        drift: weight of E D^2 on reals, which keeps their scores near 0 (Karras et al. 2018).
        r1: gamma of gamma / 2 E |grad D|^2 on reals (Mescheder et al. 2018); "rule" is
            0.0002 resolution^2 / batch size (Karras et al. 2020).
        r2: the same on fakes.
        penalty_every: k to work the penalties out in every k-th step only, k times as strong, in a
            phase of their own (lazy regularisation, Karras et al. 2020).
        average: decay of a moving average of the generator, which samples are then drawn from; 0
            for none.

    Raises ValueError for values that make no sense, with the name of the remedy.
    """

    loss: str = "non_saturating"
    critic_steps: int = 1
    together: bool = False
    generator_statistics: str = "batch"
    discriminator_statistics: str = "batch"
    label_smoothing: float = 0.0
    instance_noise: float = 0.0
    noise_images: int = 200_000
    augment: str = ""
    packing: int = 1
    replay: int | None = None
    minibatch: str | None = None
    feature_matching: float = 0.0
    spectral_norm: bool = False
    clip: float | None = None
    gradient_penalty: float = 0.0
    drift: float = 0.0
    r1: float | str = 0.0
    r2: float | str = 0.0
    penalty_every: int = 1
    average: float = 0.0

    def __post_init__(self) -> None:
        kinds = kinds_of(Remedies)
        for name, value in self.settings().items():
            check_kind(name, value, kinds[name])
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                continue
            if kinds[name] in (int, int | None):
                whole(name, value)
            elif name in ("label_smoothing", "average"):
                fraction(name, value)
            elif name == "feature_matching":
                share(name, value)
            else:
                not_negative(name, value)
        losses.get(self.loss)
        policies(self.augment)
        for name in ("generator_statistics", "discriminator_statistics"):
            _check_one_of(name, getattr(self, name), STATISTICS)
        if self.minibatch is not None:
            _check_one_of("minibatch", self.minibatch, MINIBATCH)
        for name in ("r1", "r2"):
            if isinstance(getattr(self, name), str):
                _check_one_of(name, getattr(self, name), (RULE,))
        if self.clip == 0:
            raise ValueError("clip must be above 0; leave it out for no clipping")
        if self.penalty_every > 1 and not self.penalises:
            raise ValueError("penalty_every needs a penalty: gradient_penalty, r1 or r2")

    @property
    def penalises(self) -> bool:
        """Whether there is a penalty on the discriminator's gradients."""
        return bool(self.gradient_penalty or self.r1 or self.r2)

    def check_batch(self, name: str, size: int) -> None:
        """Raise ValueError for a batch size with which packing or minibatch "stddev" cannot work.

        Args:
            name: of the setting, for messages.
            size: samples in a batch.
        """
        packs, rest = divmod(size, self.packing)
        if rest:
            raise ValueError(f"{name} must be a multiple of packing, {self.packing}, not {size}")
        if self.minibatch == "stddev" and stddev_group(packs) == 1:
            raise ValueError(
                f"{name} must be such that minibatch 'stddev' has groups of 4, 3 or 2 to compare, "
                f"a multiple of {4 * self.packing} at best, not {size}"
            )

    def changed(self, changes: Mapping[str, Any]) -> Self:
        """These with some changed; raises ValueError for unknown names."""
        check_known("there is no remedy", changes, self.settings())
        return dataclasses.replace(self, **changes)

    def settings(self) -> dict[str, Any]:
        """The remedies by name."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}


def _check_one_of(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name} is one of {', '.join(known)}, not {value!r}")
