"""Losses of adversarial networks, of scores: what a discriminator gives without a sigmoid.

Each is an `AdversarialLoss`, with the loss that the discriminator lowers and the one that the
generator lowers. E is the mean over samples, r stands for the scores of reals, f for those of
fakes, and softplus(t) = log(1 + e^t), so that -log sigmoid(t) = softplus(-t).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from .. import ops
from ..backend import Array, array_module
from ..core import Tensor, TensorLike, data_of
from ..names import nearest
from ..promotion import float_type
from ..ranges import fraction

Criterion: TypeAlias = Callable[[TensorLike, float], Tensor]


@dataclass(frozen=True)
class AdversarialLoss:
    """The losses of a discriminator and of the generator that plays against it.

    Attributes:
        name: in `BY_NAME`.
        criterion: the mean loss of scores that should be what a label says.
        generate: the generator's loss of the scores of fakes; of f - r if `needs_real`.
        real: the label of reals.
        fake: the label of fakes.
        needs_real: scores are compared in pairs, and the generator's loss needs those of reals.
        smooths: labels are targets for the scores or their probabilities, and may be smoothed.
    """

    name: str
    criterion: Criterion
    generate: Callable[[TensorLike], Tensor]
    real: float = 1.0
    fake: float = 0.0
    needs_real: bool = False
    smooths: bool = False

    def discriminator(
        self, real_scores: TensorLike, fake_scores: TensorLike, smoothing: float = 0.0
    ) -> Tensor:
        """What the discriminator lowers: E of the reals' loss + E of the fakes' loss.

        Args:
            real_scores: (n,) or (n, 1); there may be more or fewer fakes, but not in a loss of
                pairs (`needs_real`).
            fake_scores: likewise.
            smoothing: of the reals' label, 1 - smoothing instead of 1, from 0 to below 1; fakes
                keep theirs (one-sided label smoothing, Salimans et al. 2016).

        Raises ValueError for smoothing where the loss has no labels that could be smoothed, and for
        pairs that do not fit.
        """
        fraction(f"{self.name}: smoothing", smoothing)
        if smoothing and not self.smooths:
            could = ", ".join(name for name, loss in BY_NAME.items() if loss.smooths)
            raise ValueError(
                f"{self.name}: smoothing={smoothing:g}, but its scores are compared with no label "
                f"that could be smoothed; the losses with labels are {could}"
            )
        if self.needs_real:
            return self.criterion(self._pairs(real_scores, fake_scores), self.real)
        return self.criterion(real_scores, self.real - smoothing) + self.criterion(
            fake_scores, self.fake
        )

    def generator(self, fake_scores: TensorLike, real_scores: TensorLike | None = None) -> Tensor:
        """What the generator lowers.

        Args:
            fake_scores: (n,) or (n, 1).
            real_scores: of as many reals; only a loss of pairs (`needs_real`) looks at them, and
                raises ValueError if they are missing.
        """
        if not self.needs_real:
            return self.generate(fake_scores)
        if real_scores is None:
            raise ValueError(
                f"{self.name}: the generator's loss compares fakes with reals: give real_scores too"
            )
        return self.generate(self._pairs(fake_scores, real_scores))

    def _pairs(self, a: TensorLike, b: TensorLike) -> Tensor:
        """Differences of scores, of which there must be as many."""
        if data_of(a).shape != data_of(b).shape:
            raise ValueError(
                f"{self.name}: compares fakes with reals in pairs, but there are scores of shapes "
                f"{data_of(a).shape} and {data_of(b).shape}"
            )
        return ops.subtract(a, b)


def _filled(scores: TensorLike, label: float) -> Array:
    """The label of each score."""
    array = data_of(scores)
    labels: Array = array_module(array).full(array.shape, label, float_type(array.dtype))
    return labels


def _cross_entropy(scores: TensorLike, label: float) -> Tensor:
    """E softplus(s) - label s: -log sigmoid(s) for label 1, -log(1 - sigmoid(s)) for 0."""
    return ops.binary_cross_entropy_with_logits(scores, _filled(scores, label))


def _half_squares(scores: TensorLike, label: float) -> Tensor:
    """E (s - label)^2 / 2."""
    return ops.mse(scores, _filled(scores, label)) * 0.5


def _margin(scores: TensorLike, label: float) -> Tensor:
    """E max(0, 1 - label s)."""
    return ops.hinge(scores, _filled(scores, label))


def _signed_mean(scores: TensorLike, label: float) -> Tensor:
    """-label E s."""
    return ops.mean(scores) * -label


minimax = AdversarialLoss(
    "minimax", _cross_entropy, lambda f: -_cross_entropy(f, 0.0), smooths=True
)
"""The zero-sum game (Goodfellow et al. 2014, equation 1).

D: E softplus(-r) + E softplus(f);  G: -E softplus(f), which saturates where D is sure.
"""

non_saturating = AdversarialLoss(
    "non_saturating", _cross_entropy, lambda f: _cross_entropy(f, 1.0), smooths=True
)
"""The same discriminator with a generator that never lacks a gradient (Goodfellow et al. 2014).

D: E softplus(-r) + E softplus(f);  G: E softplus(-f).
"""

least_squares = AdversarialLoss(
    "least_squares", _half_squares, lambda f: _half_squares(f, 1.0), smooths=True
)
"""Squares instead of logarithms, with labels 0, 1 and 1 (Mao et al. 2017).

D: E (r - 1)^2 / 2 + E f^2 / 2;  G: E (f - 1)^2 / 2.
"""

hinge = AdversarialLoss("hinge", _margin, lambda f: _signed_mean(f, 1.0), fake=-1.0)
"""Margins for the discriminator, none for the generator (Lim & Ye 2017, Miyato et al. 2018).

D: E max(0, 1 - r) + E max(0, 1 + f);  G: -E f.
"""

wasserstein = AdversarialLoss(
    "wasserstein", _signed_mean, lambda f: _signed_mean(f, 1.0), fake=-1.0
)
"""The earth mover's distance, of a critic that something keeps Lipschitz (Arjovsky et al. 2017).

D: E f - E r;  G: -E f.
"""

relativistic = AdversarialLoss(
    "relativistic", _cross_entropy, lambda d: _cross_entropy(d, 1.0), needs_real=True
)
"""Pairs of a real and a fake (Jolicoeur-Martineau 2019; R3GAN, Huang et al. 2024).

D: E softplus(-(r - f));  G: E softplus(-(f - r)).
"""

BY_NAME = {
    loss.name: loss
    for loss in (minimax, non_saturating, least_squares, hinge, wasserstein, relativistic)
}


def get(name: str) -> AdversarialLoss:
    """The loss of that name; ValueError, with the nearest, for an unknown one."""
    if not isinstance(name, str) or name not in BY_NAME:
        raise ValueError(f"unknown adversarial loss {name!r:.80}{nearest(name, BY_NAME)}")
    return BY_NAME[name]


def separation(real_scores: Array, fake_scores: Array) -> float:
    """The share of pairs in which the real has the higher score; ties count half."""
    real, fake = real_scores.ravel(), np.sort(fake_scores.ravel())
    below, up_to = (np.searchsorted(fake, real, side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * len(fake)))
