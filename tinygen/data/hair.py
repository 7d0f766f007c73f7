"""Hair styles of the cartoon faces: a function each, from the shape of a head to that of its hair.

A style returns what hangs behind the head and what lies in front of it. Both are made from the
outline of the skull, so that they fit every shape of face; the hairline belongs to the face, so
that it turns with it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from .drawing import Plane, blend, box, circle, ellipse, intersection, stroke, union


class Head(NamedTuple):
    """Where hair can grow.

    Args:
        x, y: coordinates that tilt with the head.
        u, v: coordinates of the face, which also turn: v is y, u = 0 the middle of the face.
        skull: the shape of the head.
        width: half its width at the temples.
        top: the y of its crown.
    """

    x: Plane
    y: Plane
    u: Plane
    v: Plane
    skull: Plane
    width: Plane
    top: Plane


class Hair(NamedTuple):
    """The shapes of a head of hair, None where there is nothing."""

    back: Plane | None
    front: Plane | None


def opening(head: Head, hairline: float, width: float = 0.39) -> Plane:
    """The part of the face that hair leaves free: an ellipse that begins at the hairline."""
    middle = 0.30
    return ellipse(head.u, head.v - middle, width, middle - hairline)


def trimmed(head: Head, hair: Plane, face: Plane, hem: float = 0.03) -> Plane:
    """Hair cut away from the face and below the hem, and rounded where these meet."""
    return intersection(hair, -blend(face, hem - head.y, softness=0.16))


def around(head: Head, degrees: float, reach: float) -> tuple[Plane, Plane]:
    """A place at a distance from the skull, clockwise from the crown."""
    angle, radius = math.radians(degrees), head.width + reach
    return radius * math.sin(angle), head.top + head.width - radius * math.cos(angle)


def bald(head: Head) -> Hair:
    """Nothing but the eyebrows."""
    return Hair(None, None)


def buzz(head: Head) -> Hair:
    """Cut to a few millimetres, with corners at the temples."""
    face = blend(opening(head, -0.37, 0.36), box(head.u, head.v, 0.37, 0.31, 0.1), softness=0.06)
    return Hair(None, trimmed(head, head.skull - 0.012, face))


def side_part(head: Head) -> Hair:
    """Combed to one side."""
    sweep = (0.36 * head.u - 0.28 - head.v) / 1.06
    face = intersection(opening(head, -0.37), sweep)
    top = ellipse(head.x - 0.03, head.y - head.top - 0.12, head.width, 0.21)
    locks = blend(head.skull - 0.04, top, softness=0.05)
    return Hair(None, trimmed(head, locks, face))


def quiff(head: Head) -> Hair:
    """Short at the sides, a wave over the forehead."""
    sides = trimmed(head, head.skull - 0.02, opening(head, -0.36))
    x, y = head.x, head.y - head.top
    wave = ellipse(x - 0.06, y - 0.08, head.width * 0.86, 0.20)
    crest = circle(x - 0.24, y - 0.01, 0.17)
    return Hair(None, blend(sides, wave, crest, softness=0.06))


def spiky(head: Head) -> Hair:
    """Spikes all round and a jagged fringe."""
    base = trimmed(head, head.skull - 0.03, opening(head, -0.34))
    spikes = [
        stroke(head.x, head.y, around(head, angle, -0.08), around(head, angle, 0.2), 0.15, 0.012)
        for angle in range(-81, 82, 27)
    ]
    fringe = [
        stroke(head.u, head.v, (u, -0.42), (u * 1.1, -0.21), 0.10, 0.006)
        for u in (-0.24, -0.08, 0.08, 0.24)
    ]
    return Hair(None, union(base, *spikes, *fringe))


def curly(head: Head) -> Hair:
    """A cloud of curls."""
    curls = [intersection(head.skull - 0.06, head.y)]
    for angle in range(-112, 113, 28):
        x, y = around(head, angle, 0.07)
        curls.append(circle(head.x - x, head.y - y, 0.17))
    fringe = [
        circle(head.u - u, head.v + 0.42 - u * u, 0.10) for u in (-0.32, -0.16, 0, 0.16, 0.32)
    ]
    return Hair(None, union(intersection(union(*curls), -opening(head, -0.36, 0.40)), *fringe))


def bob(head: Head) -> Hair:
    """Chin-long with a straight fringe."""
    back = box(head.x, head.y + 0.10, head.width + 0.11, 0.56, 0.40)
    face = box(head.u, head.v - 0.26, 0.36, 0.50, 0.14)
    return Hair(back, trimmed(head, head.skull - 0.09, face, 0.36))


def long(head: Head) -> Hair:
    """Over the shoulders, parted in the middle."""
    back = box(head.x, head.y - 0.15, head.width + 0.10, 0.82, 0.42)
    u, v = np.abs(head.u) - 0.16, head.v - 0.22
    front = trimmed(head, head.skull - 0.07, ellipse(u, v, 0.28, 0.60), 0.35)
    x = np.abs(head.x) - head.width
    lock = blend(
        stroke(x, head.y, (0.02, -0.15), (0.03, 0.40), 0.05, 0.09),
        stroke(x, head.y, (0.03, 0.40), (-0.08, 0.72), 0.09, 0.03),
        softness=0.05,
    )
    return Hair(back, union(front, lock))


def bun(head: Head) -> Hair:
    """Drawn back into a knot on the crown."""
    knot = circle(head.x, head.y - head.top + 0.10, 0.16)
    return Hair(knot, trimmed(head, head.skull - 0.03, opening(head, -0.38, 0.40)))


def ponytail(head: Head) -> Hair:
    """Drawn back to one side."""
    x, y = head.x - head.width, head.y - head.top
    tail = blend(
        stroke(x, y, (-0.10, 0.14), (0.06, 0.18), 0.06, 0.11),
        stroke(x, y, (0.06, 0.18), (0.15, 0.50), 0.11, 0.12),
        stroke(x, y, (0.15, 0.50), (0.06, 0.90), 0.12, 0.015),
        softness=0.10,
    )
    return Hair(tail, trimmed(head, head.skull - 0.035, opening(head, -0.38, 0.40)))


def pigtails(head: Head) -> Hair:
    """Parted in the middle, a tail on either side."""
    x, y = np.abs(head.x) - head.width, head.y - head.top
    tails = blend(
        stroke(x, y, (-0.02, 0.42), (0.12, 0.56), 0.08, 0.13),
        stroke(x, y, (0.12, 0.56), (0.08, 0.95), 0.13, 0.02),
        softness=0.08,
    )
    u, v = np.abs(head.u) - 0.15, head.v - 0.20
    return Hair(tails, trimmed(head, head.skull - 0.035, ellipse(u, v, 0.29, 0.58), 0.10))


Style: TypeAlias = Callable[[Head], Hair]
STYLES: dict[str, Style] = {
    "bald": bald,
    "buzz": buzz,
    "side part": side_part,
    "quiff": quiff,
    "spiky": spiky,
    "curly": curly,
    "bob": bob,
    "long": long,
    "bun": bun,
    "ponytail": ponytail,
    "pigtails": pigtails,
}
