"""Penalties on the slope of a critic, which keep an adversarial game from diverging.

`critic` is a function of a batch of samples (n, ...) that gives a score for each, (n,) or (n, 1);
for a conditional one, give a function that knows the labels. The slope of a sample is the gradient
of its own score, so a critic must not mix samples of a batch: no batch norm. The mean over samples
makes all penalties independent of the batch size. With packing a sample is a pack: give packs, see
`tinygen.models.packing`, and slopes and norms are those of whole packs.

Samples are constants: the penalties train the critic, and send no gradient to the generator. Second
derivatives come from the engine.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeAlias

from .. import ops
from ..backend import Array, beside, device_of
from ..config import grad_mode, state
from ..core import Tensor, TensorLike, data_of
from ..gradients import grad
from ..ops.random import Random, default_rng
from ..promotion import float_type
from ..ranges import not_negative, whole
from .discriminator import Judge
from .remedies import RULE, Remedies

Critic: TypeAlias = Callable[[Tensor], Tensor]


def gradient_penalty(
    critic: Critic,
    real: TensorLike,
    fake: TensorLike,
    *,
    rng: Random | None = None,
    weight: float | Tensor = 10.0,
) -> Tensor:
    """weight E (|grad D(x)| - 1)^2 of WGAN-GP (Gulrajani et al. 2017).

    x = real + t (fake - real) lies between a real and a fake, with a t from U(0, 1) of its own for
    each sample. The norm is taken over all axes of a sample; where it is 0 so is its gradient.

    Args:
        critic: see the head of this file.
        real: samples (n, ...).
        fake: as many, of the same shape.
        rng: where t is drawn; by default the process's stream.
        weight: a number, or a tensor without axes where it changes with time.

    Raises ValueError for reals and fakes that make no pairs, and for scores that are not one a
    sample.
    """
    _check_factor("gradient_penalty: weight", weight)
    fakes = _samples("gradient_penalty", fake)
    reals = beside(_samples("gradient_penalty", real), fakes)
    fakes = beside(fakes, reals)
    if reals.shape != fakes.shape:
        raise ValueError(
            f"gradient_penalty: mixes reals and fakes in pairs, but they have shapes {reals.shape} "
            f"and {fakes.shape}"
        )
    stream = (rng or default_rng()).on(device_of(reals))
    one_each = (len(reals), *[1] * (reals.ndim - 1))
    t = stream.uniform(one_each, dtype=float_type(fakes.dtype))
    slopes = _slopes("gradient_penalty", critic, reals + t * (fakes - reals))
    return ops.mean(ops.square(ops.norm(slopes, axis=1) - 1.0)) * weight


def r1(critic: Critic, real: TensorLike, gamma: float | Tensor) -> Tensor:
    """gamma / 2 E |grad D(x)|^2 on reals (Mescheder et al. 2018).

    Args:
        critic: see the head of this file.
        real: samples (n, ...).
        gamma: a number, or a tensor without axes where it changes with time; see `gamma_rule`. The
            paper's code leaves out the 1/2: its 10 is a gamma of 20.
    """
    return _mean_square("r1", critic, real, gamma)


def r2(critic: Critic, fake: TensorLike, gamma: float | Tensor) -> Tensor:
    """gamma / 2 E |grad D(x)|^2 on fakes (Mescheder et al. 2018); arguments as for `r1`."""
    return _mean_square("r2", critic, fake, gamma)


def gamma_rule(resolution: int, batch_size: int) -> float:
    """0.0002 resolution^2 / batch size: a gamma for `r1` to begin with (Karras et al. 2020, ADA).

    >>> gamma_rule(32, 16)
    0.0128
    """
    whole("gamma_rule: resolution", resolution)
    whole("gamma_rule: batch_size", batch_size)
    return 0.0002 * resolution**2 / batch_size


def slope_penalties(
    discriminator: Judge,
    switches: Remedies,
    real: TensorLike,
    fake: TensorLike,
    label: Any = None,
    asked: Any = None,
    *,
    rng: Random,
) -> tuple[Tensor, dict[str, Tensor]]:
    """The penalties that the switches ask for, on what a discriminator sees.

    Args:
        discriminator: of packs, with labels or without.
        switches: at least one of gradient_penalty, r1 and r2.
        real: samples (n, ...).
        fake: as many.
        label: of the reals, (n,); also of what lies between both.
        asked: of the fakes.
        rng: where noise of the discriminator, and places between reals and fakes, are drawn.

    Returns:
        Their sum, and the scores that R1 and R2 worked out, "real" and "fake": those of the loss
        are the same, and need not be worked out again.
    """
    scores: dict[str, Tensor] = {}
    packs = [discriminator.pack(v).detach() for v in (real, fake)]
    total: Tensor | float = 0.0

    def critic(name: str, labels: Any) -> Critic:
        def score(v: Tensor) -> Tensor:
            scores[name] = discriminator.score(v, labels, rng=rng)
            return scores[name]

        return score

    if switches.gradient_penalty:
        weight = switches.gradient_penalty
        total = gradient_penalty(critic("between", label), *packs, rng=rng, weight=weight)
    for name, gamma, x, labels, penalty in (
        ("real", switches.r1, packs[0], label, r1),
        ("fake", switches.r2, packs[1], asked, r2),
    ):
        if gamma:
            by_rule = gamma == RULE
            known = gamma_rule(x.shape[1], len(data_of(real))) if by_rule else float(gamma)
            total = total + penalty(critic(name, labels), x, gamma=known)
    assert isinstance(total, Tensor)
    return total, scores


def path_lengths(
    synthesis: Callable[[Tensor], Tensor], w: TensorLike, *, rng: Random | None = None
) -> Tensor:
    """|J^T y| of each sample: how far its image moves with its styles (Karras et al. 2020).

    J is the derivative of the image by the styles, y an image of N(0, 1) / sqrt(pixels). Over
    layers, where each has a style, it is the root of the mean of squares.

    Args:
        synthesis: from styles to images (n, h, w, ...).
        w: styles (n, styles), or (n, layers, styles).
        rng: where y is drawn; by default the process's stream.

    Returns (n,), differentiable in the parameters of `synthesis` and in what w was made of.
    """
    recording = state.grad_enabled
    with grad_mode(True):
        if not (isinstance(w, Tensor) and w.requires_grad):
            w = Tensor(data_of(w), requires_grad=True)
        images = synthesis(w)
        if images.ndim < 3:
            raise ValueError(f"path_lengths: synthesis gives images (n, h, w), not {images.shape}")
        stream = (rng or default_rng()).on(device_of(images.array))
        y = stream.normal(images.shape, dtype=float_type(images.dtype))
        pixels = images.shape[1] * images.shape[2]
        seen = ops.sum(images * (y / math.sqrt(pixels)))
        (slopes,) = grad(seen, w, create_graph=recording)
        layers = w.shape[1] if w.ndim == 3 else 1
        norms = ops.norm(ops.reshape(slopes, (len(w.array), -1)), axis=1)
    return norms * (1.0 / math.sqrt(layers))


def _mean_square(name: str, critic: Critic, x: TensorLike, gamma: float | Tensor) -> Tensor:
    _check_factor(f"{name}: gamma", gamma)
    samples = _samples(name, x)
    slopes = _slopes(name, critic, samples)
    return ops.sum(ops.square(slopes)) * (gamma * (0.5 / len(samples)))


def _slopes(name: str, critic: Critic, samples: Array) -> Tensor:
    """The gradient of the score of each sample: (n, numbers of a sample)."""
    n = len(samples)
    recording = state.grad_enabled  # without, the value of the penalty is wanted all the same
    with grad_mode(True):
        x = Tensor(samples, requires_grad=True)
        scores = critic(x)
        if scores.shape not in ((n,), (n, 1)):
            raise ValueError(
                f"{name}: the critic gives scores of shape {scores.shape} for {n} samples, not one "
                "each; where it packs samples, give packs and a critic of packs"
            )
        (slopes,) = grad(ops.sum(scores), x, create_graph=recording)
    return ops.reshape(slopes, (n, math.prod(samples.shape[1:])))


def _samples(name: str, x: TensorLike) -> Array:
    """Samples as an array, of which there is at least one."""
    array: Array = data_of(x)
    if not array.ndim or not len(array):
        raise ValueError(f"{name}: needs samples (n, ...), got shape {array.shape}")
    return array


def _check_factor(name: str, value: float | Tensor) -> None:
    if not isinstance(value, Tensor):
        not_negative(name, value)
    elif value.ndim:
        raise ValueError(f"{name} must be a number, or a tensor without axes, not {value.shape}")
