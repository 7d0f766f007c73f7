"""Figures of models that predict labels or factors. How a docstring begins is the caption."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..backend import Array
from ..config import no_grad
from ..training import evaluate
from .axes import BLUE, GREY, ORANGE, side_by_side
from .plate import to_pixels
from .subject import Subject, Unfit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MISTAKES, COLUMNS = 30, 10  # images on the plate of mistakes, and in a row of it
BATCH = 500  # images that are looked at together
WRITTEN = 20  # classes up to which the cells of a confusion matrix hold their numbers
LONGEST = 12  # letters of a class's name


def confusion(subject: Subject) -> Figure:
    """How often samples of each class, by row, are taken for each class, by column. Samples that
    the model was not trained on; right is what lies on the diagonal.
    """
    labels, names = _labels(subject)
    predicted = _probabilities(subject).argmax(axis=1)
    counts = confusion_matrix(labels, predicted, len(names))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(4.0, 0.5 * min(len(names), 30) + 1.5)
    figure, (axis,) = side_by_side(1, size=(side + 0.6, side))
    axis.grid(visible=False)
    axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(names) <= WRITTEN:
        for row, column in np.argwhere(counts):
            color = "white" if shares[row, column] > 0.5 else "black"
            text = f"{counts[row, column]:,}"
            axis.text(column, row, text, ha="center", va="center", color=color, fontsize=7)
        ticks, short = range(len(names)), [name[:LONGEST] for name in names]
        axis.set_xticks(ticks, short, rotation=45, ha="right", fontsize=8)
        axis.set_yticks(ticks, short, fontsize=8)
    axis.set_xlabel("predicted class")
    axis.set_ylabel("true class")
    accuracy = np.trace(counts) / counts.sum()
    title = f"{subject.model.name}: {accuracy:.2%} of {counts.sum():,} samples right"
    axis.set_title(title, loc="left", fontsize=10)
    return figure


def confusion_matrix(labels: Array, predicted: Array, classes: int) -> Array:
    """How many samples of class i are taken for class j: (n,), (n,) -> (classes, classes)."""
    counts = np.bincount(labels * classes + predicted, minlength=classes**2)
    return counts.reshape(classes, classes)


def mistakes(subject: Subject) -> Figure:
    """Samples that are taken for another class, those first of which the model is surest. Above
    each the class that it predicts, and its probability; below the true one.
    """
    labels, names = _labels(subject)
    probabilities = _probabilities(subject)
    rows = wrongest(labels, probabilities)[:MISTAKES]
    if not len(rows):
        raise Unfit(f"{subject.folder}: no sample is taken for another class")
    columns = min(COLUMNS, len(rows))
    lines = -(-len(rows) // columns)
    figure, _ = side_by_side(1, size=(1.15 * columns, 1.5 * lines))
    figure.clear()
    for place, row in enumerate(rows):
        axis = figure.add_subplot(lines, columns, place + 1)
        axis.imshow(to_pixels(subject.samples[row : row + 1])[0])
        guess = probabilities[row].argmax()
        sure = f"{names[guess][:LONGEST]} {probabilities[row, guess]:.0%}"
        axis.set_title(sure, fontsize=7, color=ORANGE, pad=2)
        axis.set_xlabel(names[labels[row]][:LONGEST], fontsize=7, labelpad=2)
        axis.set_xticks([])
        axis.set_yticks([])
    return figure


def wrongest(labels: Array, probabilities: Array) -> Array:
    """Rows of samples whose most probable class is wrong, surest first: (n,), (n, k) -> (m,)."""
    rows = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return rows[np.argsort(-probabilities[rows].max(axis=1), kind="stable")]


def factors(subject: Subject) -> Figure:
    """How much of each factor is found in images that the model was not trained on: of numbers R2,
    the share of the variance that is explained, of categories the accuracy.
    """
    subject.need("images")
    figures = evaluate(subject.model, *_arrays(subject))
    bars = {
        factor.name: figures[f"{factor.name}_{'accuracy' if factor.values else 'r2'}"]
        for factor in subject.model.factors
    }
    figure, (axis,) = side_by_side(1, size=(6.4, 0.28 * len(bars) + 1.2))
    _draw_bars(axis, bars, [BLUE if f.values else ORANGE for f in subject.model.factors])
    axis.set_title(f"{subject.model.name}: accuracy (blue), R2 (orange)", loc="left", fontsize=10)
    return figure


def _draw_bars(axis: Axes, bars: dict[str, float], colors: list[str]) -> None:
    """A horizontal bar for each number, with the number at its end."""
    names = [name.replace("_", " ") for name in bars]
    lengths = [max(value, 0.0) for value in bars.values()]
    axis.barh(names, lengths, color=colors)
    for row, (length, value) in enumerate(zip(lengths, bars.values(), strict=True)):
        axis.text(length + 0.01, row, f"{value:.3f}", va="center", fontsize=8, color=GREY)
    axis.set_xlim(0, 1.12)
    axis.invert_yaxis()


def _arrays(subject: Subject) -> Any:
    """Samples with their targets: such as the model was not trained on, if there are any."""
    return subject.experiment.valid or subject.experiment.train


def _labels(subject: Subject) -> tuple[Array, tuple[str, ...]]:
    """The labels of the samples, and the names of the classes."""
    subject.need("images")
    classes = subject.classes
    if classes is None:
        raise Unfit(f"{subject.folder}: the classes of its samples are not known")
    return classes.shown, classes.names


def _probabilities(subject: Subject) -> Array:
    """The probability of each class: (n, classes)."""
    model, x = subject.model.eval(), subject.samples
    with no_grad():
        parts = [model.probabilities(x[i : i + BATCH]).numpy() for i in range(0, len(x), BATCH)]
    return np.concatenate(parts)
