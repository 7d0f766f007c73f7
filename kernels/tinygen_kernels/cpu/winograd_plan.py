"""What Winograd's transforms do for a geometry: its tiles, its phases, and the points they use.

The result is covered by tiles of 4 pixels along each side, and of 3 as far as that saves covering
more than there is: 7 pixels are 4 + 3, 14 are 4 + 4 + 3 + 3. A tile of 3 has 5 points instead of 6.

F(4 x 4, 3 x 3) has a window of three taps along each side. A phase of a strided convolution may
have fewer: where the window's first or last tap is missing, so is the first or last point of the
transform along that side. 5 x 5 with stride 2 has phases of 3 and 2 taps, (6 + 5)^2 points in all:
121 multiplications for a tile instead of 400.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..geometry import Geometry, Pair
from .phases import Phase, phases_of_input, phases_of_transpose
from .sandwich import LEFT_OUT, POINTS, TAPS, TILE, WINDOW

Array = NDArray[Any]

# A phase of an image, in both directions at once, as kernels read it.
PHASE = np.dtype(
    [
        (name, np.int64)
        for name in (
            "first_down", "first_across", "height", "width",  # its first pixel; its size
            "tap_down", "tap_across",  # which of the kernel's is at the window's first place
            "step_down", "step_across",  # from there to the tap at the next place
            "top", "bottom", "left", "right",  # the places of the window that have a tap
            "low_down", "high_down", "low_across", "high_across",  # the points that these reach
        )
    ]
)  # fmt: skip


@dataclass(frozen=True, eq=False)  # equal only to itself: a key that is hashed at once
class Plan:
    """A convolution, or a transposed one, by tiles.

    Of the image that is read and of the one that is made, one has phases, and the other is whole:
    a single phase. `points_read` and `points_made` are, for each point, the first of their phases
    that takes part in it, and the one after the last; none where nothing is to be multiplied.
    """

    transposed: bool
    before: Pair  # zeros above the image that is read and to its left
    tiles: Pair  # down and across
    large: Pair  # of these the first, which have 4 pixels; the others have 3
    read: Array
    made: Array
    points_read: Array  # (POINTS, 2)
    points_made: Array
    read_step: Pair  # from pixel to pixel of a phase
    made_step: Pair
    saves: float  # multiplications of the direct way for one of Winograd's

    @functools.cached_property
    def phases(self) -> Array:
        """Of the image that has them."""
        return self.made if self.transposed else self.read


class _Side(NamedTuple):
    """A phase in one direction, with its taps in the window of three."""

    first: int
    length: int
    tap: int
    step: int
    start: int
    stop: int

    @property
    def points(self) -> Pair:
        return int(self.start > 0), WINDOW - int(self.stop < TAPS)


def _side(phase: Phase, lowest: int, step: int) -> _Side:
    places = [offset - lowest for offset in phase.offsets]
    tap = phase.taps[0] - places[0] * step
    return _Side(phase.first, phase.length, tap, step, min(places), max(places) + 1)


@functools.lru_cache(maxsize=256)
def plan(geometry: Geometry, transposed: bool) -> Plan | None:
    """How it is done, or None if the geometry does not fit."""
    if geometry.dilation != (1, 1) or geometry.groups != 1 or max(geometry.stride) > 2:
        return None
    sides: list[list[_Side]] = []
    before: list[int] = []
    tiles: list[int] = []
    large: list[int] = []
    for axis in (0, 1):
        phases = (phases_of_transpose if transposed else phases_of_input)(geometry, axis)
        stride = geometry.stride[axis]
        makes = max(p.length for p in phases) if transposed else geometry.output_size[axis]
        if not all(phase.taps for phase in phases):
            return None
        lowest = min(offset for phase in phases for offset in phase.offsets)
        step = -stride if transposed else stride
        sides.append([_side(phase, lowest, step) for phase in phases])
        tiles.append(-(-makes // TILE))
        large.append(max(tiles[axis] - (-makes % TILE), 0))
        before.append(-lowest if transposed else geometry.pads[axis][0])
        if max(side.stop for side in sides[axis]) > TAPS:
            return None
    pairs = _in_order(*sides)
    table = np.array([_record(*pair) for pair in pairs], PHASE)
    points = _points(table)
    directly = geometry.output_size[0] * geometry.output_size[1] * geometry.taps
    products = sum(
        (stop - start)
        * math.prod(
            large[axis] if place == LEFT_OUT else tiles[axis]
            for axis, place in enumerate(divmod(p, WINDOW))
        )
        for p, (start, stop) in enumerate(points.tolist())
    )
    whole = np.zeros(1, PHASE)
    whole["height"], whole["width"] = geometry.output_size
    whole["high_down"] = whole["high_across"] = WINDOW
    once = np.minimum(points[:, 1:] - points[:, :1], 1) * np.array([0, 1])
    read, made = (table, points, geometry.stride), (whole, once, (1, 1))
    if transposed:
        read, made = made, read
    return Plan(
        transposed, (before[0], before[1]), (tiles[0], tiles[1]), (large[0], large[1]),
        read[0], made[0], read[1], made[1], read[2], made[2], directly / products,
    )  # fmt: skip


def _in_order(down: list[_Side], across: list[_Side]) -> list[tuple[_Side, _Side]]:
    """All pairs, each next to those that share its side, so that few points have gaps.

    Those with the most points are in the middle: only they take part in the outermost points.
    """
    d, a = (
        sorted(sides, key=lambda side: side.points[0] - side.points[1]) for sides in (down, across)
    )
    if len(d) == len(a) == 2:
        return [(d[1], a[0]), (d[0], a[0]), (d[0], a[1]), (d[1], a[1])]
    return list(itertools.product(d, a))


def _record(down: _Side, across: _Side) -> tuple[int, ...]:
    """A row of the table; see PHASE."""
    pairs = (
        (down.first, across.first), (down.length, across.length), (down.tap, across.tap),
        (down.step, across.step), (down.start, down.stop), (across.start, across.stop),
        down.points, across.points,
    )  # fmt: skip
    return tuple(itertools.chain.from_iterable(pairs))


def _points(table: Array) -> Array:
    """See Plan. A phase in a gap between two others takes part with weights of 0."""
    points = np.zeros((POINTS, 2), np.int64)
    for p in range(POINTS):
        i, j = divmod(p, WINDOW)
        (places,) = np.nonzero(
            (table["low_down"] <= i) & (i < table["high_down"])
            & (table["low_across"] <= j) & (j < table["high_across"])
        )  # fmt: skip
        if places.size:
            points[p] = places[0], places[-1] + 1
    return points
