"""The chapter's figures of its autoencoders. How a docstring begins is the caption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..backend import Array
from ..config import no_grad
from ..core import Tensor
from ..latent import HashIndex, bilinear, decode, reconstruct, tsne
from ..nn import Dropout, GaussianNoise
from ..ops.random import Random
from .codings import look_alikes, square
from .embedding import draw_activations, draw_map
from .plate import SHOWN, plate
from .sequences import small_curves
from .subject import Subject

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

SIDE = 7  # images of a side of the grid between four codings
SAMPLES = 50
QUERIES, NEAREST = 8, 9
JUDGED = 500  # at most, to tell how much of what is found is of the right class
AMONG = 100  # images that the corners of the grid are chosen from
MAPPED = 1000  # samples on a map


def codings_map(
    subject: Subject, *, n: int = MAPPED, perplexity: float | None = None, seed: int = 0
) -> Figure:
    """A map by t-SNE, on which near each other is what has similar codings. Two codings need no
    t-SNE to be a map.

    Args:
        subject: of images or series.
        n: the most samples to draw.
        perplexity: see `tinygen.latent.tsne`.
        seed: likewise.
    """
    subject.need("images", "series", least=4)
    codings, samples = subject.codings[:n], subject.samples[:n]
    plane = codings.shape[1] == 2
    points = codings if plane else lying(tsne(codings, perplexity=perplexity, seed=seed))
    thumbnails = samples if subject.kind == "images" else small_curves(samples)
    classes = subject.classes
    labels, names = (classes.shown[:n], classes.names) if classes else (None, ())
    what = "the two codings" if plane else f"t-SNE of the {codings.shape[1]} codings"
    title = f"{subject.model.name}: {what} of {len(points):,} samples of {subject.source}"
    return draw_map(points, thumbnails, labels, names, title=title)


def lying(points: Array) -> Array:
    """Points that are more wide than high, by turning a map whose directions mean nothing."""
    width, height = np.ptp(points, axis=0)
    return points if width >= height else np.asarray(points[:, ::-1] * (-1, 1))


def denoising(subject: Subject) -> Image.Image:
    """Clean images, the same with the noise of training, and what the model makes of those.

    The noise is drawn by the model's own layer. Dropout makes what it leaves brighter, as much as
    is needed to keep the mean; here such pixels are shown as they were.
    """
    subject.need("images")
    model, clean = subject.model, subject.samples[:SHOWN]
    layer = next(m for m in model.modules() if isinstance(m, (GaussianNoise, Dropout)))
    noisy = with_noise(layer, clean)
    shown = noisy * (1 - layer.rate) if isinstance(layer, Dropout) else noisy
    parts = [clean, shown, reconstruct(model, noisy)]
    return plate(np.concatenate(parts), len(clean), captions=["clean", "noisy", "restored"])


def with_noise(layer: GaussianNoise | Dropout, x: Array) -> Array:
    """What the layer makes of x in training; the same whenever it is drawn."""
    was_training = layer.training
    with no_grad():
        noisy = layer.train()(Tensor(x), rng=Random(0, "figures/noise")).numpy()
    layer.train(was_training)
    return np.asarray(noisy)


def activations(subject: Subject) -> Figure:
    """How active the codings are: left all of all samples, right the mean of each over the samples.

    Where the penalty has a target for the mean, it is marked.
    """
    subject.need("images", "series", "characters")
    codings = subject.codings
    title = f"{subject.model.name}: {codings.shape[1]} codings of {len(codings):,} samples"
    return draw_activations(codings, subject.model.config.get("target"), title=title)


def nearest_images(subject: Subject, *, n: int = QUERIES, k: int | None = None) -> Image.Image:
    """Images, and beside each the training images whose codes are nearest to its own.

    Args:
        subject: of images.
        n: how many to look up.
        k: how many to find of each; by default a few, as many as there are.
    """
    subject.need("images")
    k = min(NEAREST, len(subject.train)) if k is None else k
    rows, distances = subject.nearest(n, k)
    note, kinds, same, classes = "distances of codings", [], None, subject.classes
    if isinstance(subject.index, HashIndex):
        note = f"by how many of {subject.index.width} bits their codes differ; there are "
        note += f"{subject.index.different:,} different codes"
    if classes:
        kinds = [classes.names[i] for i in classes.shown[:n]]
        same = classes.train[rows] == classes.shown[:n, None]
        judged = min(JUDGED, len(subject.samples))
        note += f"\ngreen: of the image's class, orange: of another; for {judged} images "
        note += f"{right_class(subject, k):.1%} of what is found is of the right class"
    return look_alikes(
        subject.samples[:n],
        subject.train[rows],
        [[_distance(d) for d in row] for row in distances],
        kinds,
        same,
        title=f"{subject.model.name}: look-alikes among {len(subject.train):,} images",
        note=note,
    )


def _distance(value: np.generic) -> str:
    """A distance in bits or as a number."""
    if value.dtype.kind == "f":
        return f"{value:.2f}"
    return "1 bit" if value == 1 else f"{value} bits"


def right_class(subject: Subject, k: int) -> float:
    """The share of the k look-alikes of many samples that are of the sample's class."""
    classes = subject.classes
    assert classes is not None
    rows, _ = subject.nearest(JUDGED, k)
    return float((classes.train[rows] == classes.shown[:JUDGED, None]).mean())


def samples(subject: Subject) -> Image.Image:
    """New images, decoded from codings that were drawn from the prior."""
    subject.need("images")
    with no_grad():
        made = subject.model.eval().sample(SAMPLES, rng=Random(0, "figures/samples")).numpy()
    return plate(made, SHOWN)


def interpolation(
    subject: Subject, *, corners: Sequence[int] | None = None, side: int = SIDE
) -> Image.Image:
    """What is decoded on the way between the codings of four images, which are framed.

    Args:
        subject: of images.
        corners: the four, by row; by default such as are unlike each other.
        side: images of a side of the grid.
    """
    subject.need("images", least=4)
    if corners is None:
        corners = far_apart(subject.codings[:AMONG], 4)
    codings = subject.codings[np.asarray(corners)].reshape(2, 2, -1)
    made = decode(subject.model, bilinear(codings, side, side).reshape(side * side, -1))
    title = f"{subject.model.name}: between four images of {subject.source}"
    return square(made.reshape(side, side, *made.shape[1:]), title=title)


def far_apart(codings: Array, k: int) -> list[int]:
    """k rows of codings (n, d): the first, then always the one that is farthest from all so far."""
    chosen = [0]
    nearest = np.full(len(codings), np.inf)
    while len(chosen) < k:
        apart = np.square(codings - codings[chosen[-1]]).sum(axis=1)
        nearest = np.minimum(nearest, apart)
        chosen.append(int(nearest.argmax()))
    return chosen
