"""The chapter's figures of its autoencoders. The first line of each docstring is its caption."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..backend import Array
from ..config import no_grad
from ..core import Tensor
from ..latent import (
    HashIndex,
    bilinear,
    decode,
    encode,
    hash_codes,
    mean_activations,
    reconstruct,
    shares,
)
from ..nn import Dropout, GaussianNoise
from ..ops.random import Random
from .codings import look_alikes, square
from .embedding import draw_activations, save_figure
from .epochs import SHOWN
from .plate import plate, save_png

BINS = 25  # of a histogram of activations
SIDE = 7  # images of a side of the grid between four codings
SAMPLES = 50
NEAREST = 8
AMONG = 100  # images that the corners of the grid are chosen from


def denoising(model: Any, images: Array, rows: Sequence[Any], folder: Path) -> Path | None:
    """Clean images, the same with the noise of training, and what the model makes of those.

    The noise is drawn by the model's own layer. Dropout makes what it leaves brighter, as much as
    is needed to keep the mean; here such pixels are shown as they were.
    """
    if images.ndim < 3:
        return None
    layer = next(m for m in model.modules() if isinstance(m, (GaussianNoise, Dropout)))
    clean = images[:SHOWN]
    noisy = with_noise(layer, clean)
    shown = noisy * (1 - layer.rate) if isinstance(layer, Dropout) else noisy
    parts = [clean, shown, reconstruct(model, noisy)]
    sheet = plate(np.concatenate(parts), len(clean), captions=["clean", "noisy", "restored"])
    return save_png(sheet, folder / "denoising.png")


def with_noise(layer: GaussianNoise | Dropout, x: Array) -> Array:
    """What the layer makes of x in training; the same whenever it is drawn."""
    was_training = layer.training
    with no_grad():
        noisy = layer.train()(Tensor(x), rng=Random(0, "figures/noise")).numpy()
    layer.train(was_training)
    return np.asarray(noisy)


def activations(model: Any, images: Array, rows: Sequence[Any], folder: Path) -> Path | None:
    """How active the codings are, each for each image and each on average: few are far from 0.

    Where the penalty has a target for the average, it is marked.
    """
    codings = encode(model, images)
    means = mean_activations(codings)
    target = model.config.get("target")
    inside = codings.min() >= 0 and codings.max() <= 1  # those of a sigmoid
    most = 1.1 * float(max(means.max(), target or 0.0))
    figure = draw_activations(
        shares(codings, BINS, *((0.0, 1.0) if inside else ())),
        shares(means, BINS, *((0.0, most) if inside and most else ())),
        float(means.mean()),
        target,
        title=f"{model.name}: {codings.shape[1]} codings, {len(codings):,} samples",
    )
    return save_figure(figure, folder / "activations.png")


def hash_look_alikes(model: Any, images: Array, rows: Sequence[Any], folder: Path) -> Path | None:
    """Images, and those among all others whose codes differ from theirs in the fewest bits."""
    queries, others = images[:SHOWN], images[SHOWN:]
    if images.ndim < 3 or not len(others):
        return None
    bits = hash_codes(model, others)
    found, distances = HashIndex(bits).query(hash_codes(model, queries), min(NEAREST, len(others)))
    sheet = look_alikes(
        queries,
        others[found],
        [["1 bit" if d == 1 else f"{d} bits" for d in row] for row in distances],
        title=f"{model.name}: look-alikes among {len(others):,} images",
        note=f"by the bits in which their codes differ, of {bits.shape[1]}",
    )
    return save_png(sheet, folder / "look-alikes.png")


def samples(model: Any, images: Array, rows: Sequence[Any], folder: Path) -> Path | None:
    """New images, decoded from codings that were drawn from the prior."""
    if images.ndim < 3:
        return None
    with no_grad():
        made = model.eval().sample(SAMPLES, rng=Random(0, "figures/samples")).numpy()
    return save_png(plate(made, SHOWN), folder / "samples.png")


def interpolation(model: Any, images: Array, rows: Sequence[Any], folder: Path) -> Path | None:
    """Decoded codings on a grid between those of four unlike images, which are in the corners."""
    if images.ndim < 3 or len(images) < 4:
        return None
    codings = encode(model, images[:AMONG])
    corners = codings[far_apart(codings, 4)].reshape(2, 2, -1)
    grid = bilinear(corners, SIDE, SIDE).reshape(SIDE * SIDE, -1)
    made = decode(model, grid)
    return save_png(square(made.reshape(SIDE, SIDE, *made.shape[1:])), folder / "interpolation.png")


def far_apart(codings: Array, k: int) -> list[int]:
    """k rows of codings (n, d): the first, then always the one that is farthest from all so far."""
    chosen = [0]
    nearest = np.full(len(codings), np.inf)
    while len(chosen) < k:
        apart = np.square(codings - codings[chosen[-1]]).sum(axis=1)
        nearest = np.minimum(nearest, apart)
        chosen.append(int(nearest.argmax()))
    return chosen
