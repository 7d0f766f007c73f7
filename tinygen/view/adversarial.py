"""Pictures of what a generator makes: samples, ways between latents, nearest real images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import ops
from ..backend import Array, to_numpy
from ..config import no_grad
from ..data import Dataset, centres
from ..data.mixtures import SIGMA
from ..latent import bilinear, linear, spherical
from ..metrics import modes_captured
from ..metrics.features import squared_distances
from ..models import Adversarial
from ..ops.random import Random
from .codings import look_alikes, square
from .field import draw_points
from .plate import SHOWN, plate
from .subject import Subject, Unfit

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

SAMPLES = 50
SHOWN_POINTS = 2500
SIDE = 7  # images of a side of the grid between four latents
QUERIES, NEAREST = 8, 4
WAYS: dict[str, Callable[[Array, Array, int], Array]] = {"linear": linear, "spherical": spherical}


def of_fixed_latents(model: Adversarial, n: int) -> Array:
    """n images of latents that are always the same, with labels in turn if there are any."""
    z = model.draw_latents(n, rng=Random(0, "figures/latents", device=model.device))
    return generated(model, z, np.arange(n) % model.classes if model.classes else None)


def generated(model: Adversarial, z: Array, label: Any = None) -> Array:
    """What latents stand for, as an array of the CPU: (n, latents) -> (n, ...)."""
    with no_grad():
        made: Array = to_numpy(model.generate(z.astype(model.dtype, copy=False), label).array)
    return made


def samples(subject: Subject) -> Image.Image:
    """New images; of a model with labels a row for each class."""
    subject.need("images")
    model, rng = subject.model, Random(0, "figures/samples")
    labels = np.arange(model.classes).repeat(SHOWN) if model.classes else None
    n = SAMPLES if labels is None else len(labels)
    with no_grad():
        made = model.sample(n, rng=rng, label=labels).numpy()
    captions: Sequence[str] = ()
    if model.classes:
        numbers = [str(i) for i in range(model.classes)]
        captions = subject.experiment.class_names or numbers
    return plate(made, SHOWN, captions=captions)


def of_plane(model: Adversarial, points: Array, dataset: Dataset | None) -> Figure:
    """Points that were made, over the modes of the data and the discriminator's output."""
    name = "" if dataset is None else dataset.name
    title = f"{model.name}: {len(points):,} samples of {name}"
    known: dict[str, Any] = {}
    if name in SIGMA:
        known = {"centres": centres(name), "sigma": SIGMA[name]}
        modes = modes_captured(points.astype(np.float64), **known)
        title += f", {modes.captured} of {len(known['centres'])} modes"
        title += f", {float(modes.high_quality):.1%} within 3 sigma"
    elif dataset is not None:
        known = {"real": dataset.train.floats()[:SHOWN_POINTS]}
    m = model.switches.packing

    def field(grid: Array) -> Array:
        """The probability that a pack of equal points is real."""
        packs = grid.repeat(m, axis=0).astype(model.dtype)
        with no_grad():
            return to_numpy(ops.sigmoid(model.discriminator(packs)).array)[:, 0]

    return draw_points(points, field=field, title=title, **known)


def plane(subject: Subject) -> Figure:
    """New points, over the modes of the data and the discriminator's output."""
    subject.need("points")
    if subject.samples.shape[1] != 2:
        raise Unfit(f"{subject.folder}: the points have {subject.samples.shape[1]} dimensions")
    model, rng = subject.model, Random(0, "figures/samples")
    with no_grad():
        made = model.eval().sample(SHOWN_POINTS, rng=rng).numpy()
    return of_plane(model, made, subject.experiment.dataset)


def interpolation(
    subject: Subject, *, side: int = SIDE, kind: str = "spherical", seed: int = 0
) -> Image.Image:
    """What is made on the way between four latents, which are framed.

    Args:
        subject: of images.
        side: images of a side of the grid.
        kind: "spherical", which keeps the norm that latents have, or "linear".
        seed: of the latents.
    """
    subject.need("images")
    model: Adversarial = subject.model
    corners = model.draw_latents(4, rng=Random(seed, "interpolation")).reshape(2, 2, -1)
    grid = bilinear(corners, side, side, WAYS[kind]).reshape(side * side, -1)
    label = np.zeros(len(grid), np.int64) if model.classes else None
    made = generated(model, grid, label)
    title = f"{model.name}: {kind} interpolation between four latents"
    return square(made.reshape(side, side, *made.shape[1:]), title=title)


def nearest(subject: Subject) -> Image.Image:
    """New images, and beside each the training images nearest to it: is any learned by heart?"""
    subject.need("images")
    model, rng = subject.model, Random(0, "figures/nearest")
    with no_grad():
        made = model.sample(QUERIES, rng=rng).numpy()
    k, train = min(NEAREST, len(subject.train)), subject.train
    (_, distances), *_ = squared_distances(
        made.reshape(QUERIES, -1).astype(np.float64),
        train.reshape(len(train), -1).astype(np.float64),
    )
    rows = np.argsort(distances, axis=1)[:, :k]
    pixels = made[0].size
    apart = np.sqrt(np.take_along_axis(distances, rows, axis=1) / pixels)
    return look_alikes(
        made,
        train[rows],
        [[f"{d:.3f}" for d in row] for row in apart],
        ["new"] * QUERIES,
        title=f"{model.name}: new images and the nearest of {len(train):,} that it learned from",
        note="root mean squared differences of pixels",
    )
