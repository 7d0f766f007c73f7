"""Moving codes along directions, and how far that moves each factor of the images."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from ..backend import Array
from ..ranges import whole
from .mixing import layers_checked

BATCH = 250  # codes at a time

Generate = Callable[[Array], Array]
Judge = Callable[[Array], Mapping[str, Array]]


class Effects(NamedTuple):
    """How far factors move along directions, in standard deviations of each factor.

    Attributes:
        directions: their names.
        factors: their names.
        shifts: (directions, factors): the mean change from a step down to a step up, halved.
        errors: standard errors of these, over codes.
    """

    directions: tuple[str, ...]
    factors: tuple[str, ...]
    shifts: Array
    errors: Array

    def leakage(self, name: str) -> float:
        """How much the other factors move for each unit that the factor of that name does.

        The root of the mean square of their shifts, over the size of its own.
        """
        row, own = self.directions.index(name), self.factors.index(name)
        others = np.delete(self.shifts[row], own)
        return float(np.sqrt(np.mean(others**2)) / abs(self.shifts[row, own]))


def moved(
    codes: Array, direction: Array, sizes: Array, layers: Iterable[int] | None = None
) -> Array:
    """Codes moved along a direction by each size: -> (n, sizes, ...).

    Args:
        codes: (n, d), or (n, layers, d).
        direction: (d,).
        sizes: how far, (k,).
        layers: which layers are moved, of codes that have some; by default all.

    >>> moved(np.zeros((1, 2)), np.array([0.0, 1.0]), np.array([-1.0, 1.0])).tolist()
    [[[0.0, -1.0], [0.0, 1.0]]]
    """
    codes, sizes = np.asarray(codes), np.asarray(sizes, np.float64)
    if codes.ndim not in (2, 3) or direction.shape != codes.shape[-1:] or sizes.ndim != 1:
        raise ValueError(
            f"moved: codes are (n, d) or (n, layers, d), and a direction (d,), not {codes.shape}, "
            f"{direction.shape}"
        )
    step = np.multiply.outer(sizes, direction)  # (k, d)
    if codes.ndim == 2:
        if layers is not None:
            raise ValueError("moved: codes without layers are moved as a whole")
        way: Array = codes[:, None] + step
    else:
        mask = np.zeros((codes.shape[1], 1))
        chosen = range(codes.shape[1]) if layers is None else layers
        mask[layers_checked("moved", chosen, codes.shape[1])] = 1.0
        way = codes[:, None] + mask * step[:, None]
    return way.astype(codes.dtype, copy=False)


def effects(
    generate: Generate,
    judge: Judge,
    codes: Array,
    directions: Mapping[str, Array],
    size: float,
    *,
    layers: Iterable[int] | None = None,
) -> Effects:
    """How far each direction moves each factor of the images.

    Args:
        generate: from codes (n, ...) to images, with the same noise at each call.
        judge: from images to factors by name, (n,) numbers each.
        codes: (n, d), or (n, layers, d).
        directions: by name, (d,) each.
        size: how far codes are moved, up and down.
        layers: which layers are moved; by default all.

    Raises ValueError for factors that do not vary.
    """
    whole("effects: codes", len(codes), 2)
    chosen = None if layers is None else list(layers)
    still = _judged(generate, judge, codes)
    names = tuple(still)
    spread = np.array([still[name].std() for name in names])
    if not (spread > 0).all():
        same = ", ".join(n for n, s in zip(names, spread, strict=True) if not s > 0)
        raise ValueError(f"effects: the images do not differ in {same}")
    shifts, errors = [], []
    for direction in directions.values():
        ways = moved(codes, direction, np.array([-size, size]), chosen)
        down, up = (_judged(generate, judge, ways[:, i]) for i in (0, 1))
        changes = np.stack([(up[n] - down[n]) / 2 for n in names], axis=1) / spread
        shifts.append(changes.mean(axis=0))
        errors.append(changes.std(axis=0, ddof=1) / np.sqrt(len(codes)))
    return Effects(tuple(directions), names, np.array(shifts), np.array(errors))


def _judged(generate: Generate, judge: Judge, codes: Array) -> dict[str, Array]:
    """The factors of the images of all codes, a batch at a time."""
    parts = [judge(generate(codes[i : i + BATCH])) for i in range(0, len(codes), BATCH)]
    return {
        name: np.concatenate([np.asarray(part[name], np.float64) for part in parts])
        for name in parts[0]
    }
