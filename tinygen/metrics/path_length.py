"""Perceptual path length: how far features move when latents move a little."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from ..backend import Array, as_array, to_numpy
from ..config import no_grad
from ..core import data_of
from ..names import nearest
from ..nn.module import Module
from ..ops.random import Random
from ..ranges import positive, whole
from .images import mean_score
from .statistics import Score

SPACES, ENDS = ("z", "w"), ("full", "end")
PARALLEL = 1e-6  # sine of an angle; in float32 parallel codings differ by about a tenth of this
SAME = 1e-5  # share of the largest value by which two runs of a generator may differ

Features = Callable[[Any], Any]
Synthesis = Callable[[Array, Random], Any]


def perceptual_path_length(
    generator: Any,
    features: Features,
    space: Literal["z", "w"] = "z",
    ends: Literal["full", "end"] = "full",
    *,
    rng: Random,
    samples: int = 10_000,
    batch: int = 64,
    epsilon: float = 1e-4,
    latents: int | None = None,
) -> Score:
    """Perceptual path length: the squared speed of features along paths between random latents.

        PPL = mean |f(G(x(t + epsilon))) - f(G(x(t)))|^2 / epsilon^2

    over pairs of latents z_0, z_1 from N(0, 1). In space z the path x goes on the sphere, see
    `slerp`; in w it is the line (1 - t) w_0 + t w_1 between what the mapping makes of both. Values
    below the 1st and above the 99th percentile are dropped. Both ends of a step get the same noise.

    Args:
        generator: for space "z" a callable z -> images; if it takes `rng=`, its noise is drawn from
            that. For space "w" an object with `map(z)` -> w and `synthesize(w, rng=)` -> images,
            which are then used for "z" as well. Without truncation, and in float64,
            `to(dtype="float64")`: a step of epsilon is lost in rounding otherwise. A Module is in
            inference mode meanwhile.
        features: images -> (n, d), in float64, in inference mode too; it may crop first, as the
            paper does for faces.
        space: "z" or "w".
        ends: "full" starts steps at t uniform in [0, 1), "end" at t = 0.
        rng: draws latents, t and noise.
        samples: pairs of latents; the paper has 100,000.
        batch: pairs at a time.
        epsilon: the step in t.
        latents: the length of z; by default `generator.latents`.

    Returns:
        The mean of what was kept with its standard error; 0 or more, lower is smoother. Compare
        only scores of the same features.

    Raises TypeError for a generator without latents or, for space "w", without mapping; ValueError
    for features or images below float64 that move, for NaN, and for a generator that gives other
    images when it is asked again.

    Source: Karras et al. 2019, "A style-based generator architecture for generative adversarial
    networks", whose features are those of LPIPS and whose slerp makes latents of unit length: the
    same where the generator normalises z.
    """
    for name, value, known in ("space", space, SPACES), ("ends", ends, ENDS):
        if value not in known:
            hint = nearest(value, known)
            raise ValueError(f"perceptual_path_length: unknown {name} {value!r}{hint}")
    whole("perceptual_path_length: samples", samples)
    whole("perceptual_path_length: batch", batch)
    positive("perceptual_path_length: epsilon", epsilon)
    size = getattr(generator, "latents", None) if latents is None else latents
    if size is None:
        raise TypeError(
            "perceptual_path_length: the generator has no attribute `latents`; give latents=, the "
            "length of z"
        )
    whole("perceptual_path_length: latents", size)
    synthesize = _synthesis(generator, space)
    mapping = generator.map if space == "w" else None
    path: Callable[[Array, Array, Array], Array] = lerp if mapping else slerp
    rng = rng.on("cpu")
    parts: list[Array] = []
    with no_grad(), _inference(generator, features):
        for count in _counts(samples, batch):
            first, second = rng.normal((2, count, size), dtype=np.float64)
            t = rng.uniform((count, 1), dtype=np.float64) * (ends == "full")
            if mapping:
                first, second = _array(mapping(first)), _array(mapping(second))
                t = t.reshape(count, *[1] * (first.ndim - 1))
            start, stop = path(first, second, t), path(first, second, t + epsilon)
            if not parts:
                _check_repeats(synthesize, start, rng)
            parts.append(_squared_distances(synthesize, features, start, stop, rng))
    return mean_score(_without_extremes(np.concatenate(parts) / epsilon**2))


def lerp(a: Array, b: Array, t: Array) -> Array:
    """(1 - t) a + t b: each row of a and b at its own t."""
    return np.asarray((1 - t) * a + t * b)


def slerp(a: Array, b: Array, t: Array) -> Array:
    """On the arc between rows of a and b, (n, d), at t, (n, 1): the norm is preserved.

        x(t) = ((1 - t) |a| + t |b|) (sin((1 - t) o) a / |a| + sin(t o) b / |b|) / sin o

    with the angle o between them. Rows that are parallel, or zero, have `lerp`.
    """
    norm_a, norm_b = (np.linalg.norm(x, axis=-1, keepdims=True) for x in (a, b))
    u, v = a / np.where(norm_a, norm_a, 1), b / np.where(norm_b, norm_b, 1)
    cosine = (u * v).sum(axis=-1, keepdims=True)
    across = v - cosine * u
    sine = np.linalg.norm(across, axis=-1, keepdims=True)
    parallel = (sine < PARALLEL) | (norm_a == 0)
    angle = t * np.arctan2(sine, cosine)
    direction = np.cos(angle) * u + np.sin(angle) * across / np.where(parallel, 1, sine)
    return np.where(parallel, lerp(a, b, t), lerp(norm_a, norm_b, t) * direction)


def _synthesis(generator: Any, space: str) -> Synthesis:
    """latents, noise -> images in that space."""
    mapped = hasattr(generator, "map") and hasattr(generator, "synthesize")
    if space == "w":
        if not mapped:
            raise TypeError(
                'perceptual_path_length: for space "w" the generator needs the methods map(z) and '
                f"synthesize(w, rng=), which a {type(generator).__name__} has not"
            )
        return lambda w, rng: generator.synthesize(w, rng=rng)
    if mapped:
        return lambda z, rng: generator.synthesize(generator.map(z), rng=rng)
    if _takes_rng(generator):
        return lambda z, rng: generator(z, rng=rng)
    return lambda z, rng: generator(z)


def _takes_rng(call: Callable[..., Any]) -> bool:
    try:
        return "rng" in inspect.signature(call).parameters
    except ValueError:  # not all functions written in C tell
        return False


@contextmanager
def _inference(*networks: Any) -> Iterator[None]:
    """Within the block those that are Modules are in inference mode; after it as they were."""
    modes = [(each, each.training) for each in networks if isinstance(each, Module)]
    for each, _ in modes:
        each.eval()
    try:
        yield
    finally:
        for each, mode in modes:
            each.train(mode)


def _counts(samples: int, batch: int) -> Iterator[int]:
    return (min(batch, samples - done) for done in range(0, samples, batch))


def _array(values: Any) -> Array:
    return to_numpy(as_array(data_of(values)))


def _check_repeats(synthesize: Synthesis, latents: Array, rng: Random) -> None:
    """Raise ValueError unless the same latents and noise give the same images."""
    one, other = (_array(synthesize(latents, copy.copy(rng))) for _ in range(2))
    if not np.allclose(one, other, rtol=0, atol=SAME * float(np.abs(one).max()), equal_nan=True):
        raise ValueError(
            "perceptual_path_length: the generator gives other images for the same latents; let it "
            "draw its noise from an argument rng=, and put it into inference mode"
        )


def _squared_distances(
    synthesize: Synthesis, features: Features, start: Array, stop: Array, rng: Random
) -> Array:
    """|f(G(stop)) - f(G(start))|^2 with the same noise for both, which moves `rng` on."""
    again = copy.copy(rng)
    ends = []
    for latents, noise in (start, again), (stop, rng):
        images = synthesize(latents, noise)
        values = _array(features(images))
        if values.shape[:1] != start.shape[:1]:
            raise ValueError(
                f"perceptual_path_length: features must be ({len(start)}, d) for {len(start)} "
                f"images, got shape {values.shape}"
            )
        if not np.isfinite(values).all():
            raise ValueError("perceptual_path_length: the features hold NaN or infinity")
        ends.append((values.reshape(len(values), -1), _array(images).dtype))
    (one, images_type), (other, _) = ends
    moved = np.subtract(other, one, dtype=np.float64)
    for name, dtype in ("images", images_type), ("features", one.dtype):
        if dtype.kind != "f" or (dtype.itemsize < 8 and moved.any()):
            raise ValueError(
                f"perceptual_path_length: the {name} are {dtype}, which rounds away what a step of "
                'epsilon changes: compute in float64, with `.to(dtype="float64")` for a model'
            )
    return np.asarray((moved**2).sum(axis=1))


def _without_extremes(values: Array) -> Array:
    """Without those below the 1st percentile or above the 99th; percentiles are values of it."""
    low = np.percentile(values, 1, method="lower")
    high = np.percentile(values, 99, method="higher")
    kept: Array = values[(values >= low) & (values <= high)]
    return kept
