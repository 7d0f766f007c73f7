"""Projection: the style whose image is most like a given picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import ops
from ..backend import Array, beside, to_numpy
from ..config import no_grad
from ..core import Parameter, Tensor
from ..metrics import psnr
from ..ops.random import Random
from ..optim import Adam
from ..ranges import not_negative, positive, whole

DRAWN = 10_000  # styles of latents that the search begins in the middle of
RISE, FALL = 0.05, 0.25  # shares of the steps in which the learning rate grows, and goes down
NOISE, QUIET = 0.05, 0.75  # of the styles' deviation, and when it has gone
SMALLEST = 8  # pixels of a side of the noise maps that are kept free of pattern
PATTERN = 1e5  # weight of that

Features = Callable[[Tensor], Tensor]
Progress = Callable[[int], object]


class Projection(NamedTuple):
    """What was found.

    Attributes:
        w: the style, (styles,), or (layers, styles) where every layer has its own.
        noise: the maps of noise, (1, h, w, 1) each.
        image: that they make, in [0, 1].
        distances: of features (and of pixels) at each step.
        psnr: of the image and the picture, in decibels.
        steps: images on the way, (m, h, w, ...), of which the last is `image`.
    """

    w: Array
    noise: list[Array]
    image: Array
    distances: Array
    psnr: float
    steps: Array


def project(
    model: Any,
    picture: Array,
    features: Features | None = None,
    *,
    steps: int = 1000,
    learning_rate: float = 0.1,
    pixels: float = 1.0,
    layered: bool = False,
    optimize_noise: bool = True,
    seed: int = 0,
    shown: int = 8,
    progress: Progress | None = None,
) -> Projection:
    """The style, and noise, whose image is most like a picture, by gradient descent.

    The search begins at the mean style. Adam's rate grows in the first 5 % of the steps and falls
    by a cosine in the last 25 %; until three quarters of the way the style is disturbed by noise
    that fades, so that a wide valley is found. The maps of noise are learned too, and kept from
    holding the picture: neighbours in them must not be alike, at all sizes down to 8 pixels, and
    each is brought to mean 0 and variance 1 after every step.

    Args:
        model: a StyleGAN, in whose state nothing changes.
        picture: (h, w), (h, w, 1) or (h, w, 3), as the model makes them, in [0, 1].
        features: of images (n, h, w, ...) in [0, 1]: Tensors (n, d), differentiable; None for
            pixels alone.
        steps: how many.
        learning_rate: the largest of Adam.
        pixels: weight of the mean squared difference of pixels, beside that of features.
        layered: a style for each layer (W+): nearer to the picture, further from what the model
            makes.
        optimize_noise: whether the maps of noise are learned; else they are those of the model.
        seed: of latents and noise.
        shown: images on the way to give back, in equal steps.
        progress: called with each step.

    Raises ValueError for a picture of another shape or range, and if the search ends in NaN.

    Source: Karras et al. 2020, "Analyzing and improving the image quality of StyleGAN", section 5;
    distances are of the library's own features, theirs of LPIPS.
    """
    whole("project: steps", steps)
    positive("project: learning_rate", learning_rate)
    not_negative("project: pixels", pixels)
    if features is None and not pixels:
        raise ValueError("project: without features pixels must count")
    target = _picture(model, picture)
    rng = Random(seed, "projection")
    mean, deviation = _middle(model, rng)
    shape = (model.layers, model.styles) if layered else (model.styles,)
    w = Parameter(np.broadcast_to(mean, shape).astype(model.dtype).copy())
    learned = _maps(model, rng) if optimize_noise else []
    maps: list[Any] = learned or [m.array for m in model.fixed_noise()]
    with no_grad():
        wanted = None if features is None else features(Tensor(target)).array
    adam = Adam([w, *learned], learning_rate=learning_rate, beta1=0.9, beta2=0.999, epsilon=1e-8)
    distances, images = [], []
    at = {round(i) for i in np.linspace(0, steps - 1, min(shown, steps))} - {steps - 1}
    model_was = model.training
    model.eval()
    try:
        for step in range(steps):
            t = step / steps
            adam.learning_rate = learning_rate * ramp(t)
            strength = deviation * NOISE * max(0.0, 1 - t / QUIET) ** 2
            disturbed = w + strength * rng.normal(shape, dtype=w.dtype)
            image = model.synthesize(ops.reshape(disturbed, (1, *shape)), noise=maps)
            loss = _distance(image, target, features, wanted, pixels)
            distances.append(loss.item())
            if not math.isfinite(distances[-1]):
                raise ValueError(f"project: the distance is {distances[-1]} at step {step}")
            if step in at:
                images.append(_shown(image))
            for m in learned:
                loss = loss + PATTERN * pattern(m)
            adam.zero_grad()
            loss.backward()
            adam.step()
            for m in learned:
                m.data[...] = (m.data - m.data.mean()) / max(float(m.data.std()), 1e-8)
            if progress is not None:
                progress(step + 1)
        with no_grad():
            image = model.synthesize(ops.reshape(w.detach(), (1, *shape)), noise=maps)
    finally:
        model.train(model_was)
    final = _shown(image)
    return Projection(
        to_numpy(w.array).copy(),
        [to_numpy(m.array if isinstance(m, Tensor) else m).copy() for m in maps],
        final,
        np.array(distances),
        float(psnr(final[np.newaxis], to_numpy(target))),
        np.stack([*images, final]),
    )


def ramp(t: float) -> float:
    """The factor of the learning rate at a part t of the way: up, level, down by a cosine.

    >>> [round(ramp(t), 3) for t in (0, 0.025, 0.05, 0.5, 0.75, 0.875)]
    [0.0, 0.5, 1.0, 1.0, 1.0, 0.5]
    """
    down = min(1.0, (1.0 - t) / FALL)
    return (0.5 - 0.5 * math.cos(math.pi * down)) * min(1.0, t / RISE)


def pattern(noise: Tensor) -> Tensor:
    """How alike neighbours in a map (1, h, w, 1) are: squared means of products, at all sizes."""
    total: Tensor | None = None
    while True:
        down = ops.mean(noise * _shifted(noise, 1))
        across = ops.mean(noise * _shifted(noise, 2))
        part = ops.square(down) + ops.square(across)
        total = part if total is None else total + part
        if noise.shape[1] <= SMALLEST:
            return total
        noise = ops.downsample2d(noise)


def _shifted(x: Tensor, axis: int) -> Tensor:
    """x moved round by one place."""
    last = [slice(None)] * x.ndim
    rest = list(last)
    last[axis], rest[axis] = slice(-1, None), slice(None, -1)
    return ops.concatenate([x[tuple(last)], x[tuple(rest)]], axis=axis)


def _distance(
    image: Tensor, target: Array, features: Features | None, wanted: Any, pixels: float
) -> Tensor:
    """Mean squared differences of features, as a share of theirs, and of pixels."""
    loss: Tensor | None = None
    if features is not None:
        size = float((wanted**2).mean()) or 1.0
        loss = ops.mse(features(ops.clip(image, 0.0, 1.0)), wanted) / size
    if pixels:
        of_pixels = pixels * ops.mse(image, target)
        loss = of_pixels if loss is None else loss + of_pixels
    assert loss is not None
    return loss


def _middle(model: Any, rng: Random) -> tuple[Array, float]:
    """The mean of styles, and the root of their mean squared distance from it."""
    parts = []
    with no_grad():
        for begin in range(0, DRAWN, 1000):
            n = min(1000, DRAWN - begin)
            labels = np.arange(n) % model.classes if model.classes else None
            parts.append(to_numpy(model.map(model.draw_latents(n, rng=rng), labels).array))
    w = np.concatenate(parts)
    mean = w.mean(axis=0)
    return mean, float(np.sqrt(((w - mean) ** 2).sum(axis=1).mean()))


def _maps(model: Any, rng: Random) -> list[Parameter]:
    """Maps of noise to learn, drawn anew."""
    return [
        Parameter(beside(rng.normal(m.shape, dtype=model.dtype), m.array))
        for m in model.fixed_noise()
    ]


def _picture(model: Any, picture: Array) -> Array:
    """The picture as a batch of one; raises ValueError for another shape or range."""
    array = np.asarray(picture)
    wanted = tuple(model.image_shape)
    if array.ndim == 2 and len(wanted) == 3:
        array = array[..., np.newaxis]
    if array.shape != wanted:
        raise ValueError(f"project: the model makes images {wanted}, not {np.shape(picture)}")
    if array.dtype.kind != "f" or not (array.min() >= 0 and array.max() <= 1):
        raise ValueError("project: the picture must hold floats in [0, 1]; divide pixels by 255")
    mine: Array = beside(array[np.newaxis].astype(model.dtype), model.mean_style.array)
    return mine


def _shown(image: Tensor) -> Array:
    shown: Array = np.clip(to_numpy(image.array)[0], 0, 1)
    return shown
