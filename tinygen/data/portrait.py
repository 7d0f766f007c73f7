"""A cartoon face and everything on it, painted from back to front.

Three canvases share the pixels: the `page` itself, the `head`, which tilts round the neck, and the
`face`, which is wrapped round the head and turns with it. A feature is drawn on the face as if seen
from the front; the turn then moves and foreshortens it. Since the face is symmetric, most features
are drawn once, in the distance from its middle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import factors as tables
from .drawing import (
    Canvas,
    Colour,
    Number,
    Plane,
    Window,
    arc,
    blend,
    box,
    circle,
    ellipse,
    intersection,
    mix,
    smooth_step,
    stroke,
    teardrop,
    union,
)
from .hair import STYLES, Hair, Head

VIEW = Window(-0.82, 0.82, -0.87, 0.77)
TURN = 0.25  # radians that the head turns at a pose of 1
TILT = 0.14  # radians that it leans over at a tilt of 1
NECK = 0.50  # the height round which it leans
ROUNDNESS = 1.36  # radius of the cylinder that the face is wrapped round, in widths of the head
FACE = 0.44  # half the width of the face in its own coordinates
EYE = 0.205  # the distance of an eye from the middle of the face

NOWHERE = np.full((1, 1, 1), 1, np.float32)  # the shape without inside


def rgb(colours: int | list[int] | NDArray[Any]) -> Colour:
    """Colours written 0xRRGGBB as numbers from 0 to 1, (3, n, 1, 1)."""
    codes = np.atleast_1d(np.asarray(colours))
    channels = np.stack([codes >> 16 & 255, codes >> 8 & 255, codes & 255])
    return (channels / 255).astype(np.float32)[:, :, None, None]


WHITE = rgb(0xFFFFFF)
INK = rgb(0x2B1D24)
SHADOW = rgb(0x9E6B73)  # what remains of white light in a shadow


def darker(colour: Colour, amount: Number) -> Colour:
    """The colour in a shadow of this depth."""
    shaded: Colour = mix(colour, colour * SHADOW, amount)
    return shaded


def lighter(colour: Colour, amount: Number) -> Colour:
    """The colour mixed with white."""
    lit: Colour = mix(colour, WHITE, amount)
    return lit


@dataclass(frozen=True)
class People:
    """What the factors of n faces mean for a painter; numbers are (n, 1, 1)."""

    factors: Mapping[str, NDArray[Any]]

    def number(self, factor: str) -> Plane:
        """A continuous factor."""
        return self.factors[factor].astype(np.float32)[:, None, None]

    def kind(self, factor: str) -> NDArray[Any]:
        """The index of a category."""
        return self.factors[factor][:, None, None]

    def colour(self, factor: str, palette: Mapping[str, int]) -> Colour:
        """The colour that a category stands for."""
        return rgb(np.array(list(palette.values()))[self.factors[factor]])

    def sizes(self, factor: str, table: Mapping[str, tuple[float, ...]]) -> list[Plane]:
        """The columns of the table of sizes that a category stands for."""
        rows = np.array(list(table.values()), np.float32)[self.factors[factor]]
        return [column[:, None, None] for column in rows.T]

    @property
    def age(self) -> Plane:
        """The age from 0 to 1."""
        return (self.number("age") - 18) / 62

    @property
    def skin(self) -> Colour:
        """The colour of the skin."""
        return self.colour("skin", tables.SKINS)

    @property
    def hair(self) -> Colour:
        """The colour of the hair, which greys with age."""
        grey: Colour = mix(
            self.colour("hair_colour", tables.HAIR_COLOURS),
            rgb(0xD3D8E0),
            0.75 * smooth_step(self.age, 0.2, 1.0),
        )
        return grey


def paint_portraits(factors: Mapping[str, NDArray[Any]], size: int) -> NDArray[np.float32]:
    """Pictures (3, n, size, size) of faces that share a hair style, from 0 to 1."""
    people = People(factors)
    page = Canvas.blank(len(factors["skin"]), size, VIEW)
    head = tilted(page, people)
    skull, width, top = outline(head, people)
    face = turned(head, people, width)
    style = list(STYLES.values())[factors["hair_style"][0]]
    hair = style(Head(head.x, head.y, face.x, face.y, skull, width, top))

    paint_background(page, people)
    if hair.back is not None:
        head.paint(hair.back, darker(people.hair, 0.5))
    paint_body(page, people)
    paint_ears(head, people, width)
    paint_head(head, face, people, skull, hair)
    paint_cheeks(face, people, skull)
    paint_wrinkles(face, people, skull)
    paint_beard(face, people, skull)
    paint_nose(face, people)
    paint_mouth(face, people)
    paint_eyes(face, people)
    paint_brows(face, people)
    paint_glasses(face, people, skull)
    paint_hair(head, people, hair)
    return page.pixels


def tilted(page: Canvas, people: People) -> Canvas:
    """The page in coordinates that lean over with the head."""
    angle = TILT * people.number("tilt")
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y = page.x, page.y - NECK
    return page.seen(x * cosine + y * sine, y * cosine - x * sine + NECK)


def outline(head: Canvas, people: People) -> tuple[Plane, Plane, Plane]:
    """The shape of the head, half its width, and the height of its crown."""
    skull, chin, skull_y, chin_y, widening = people.sizes("face_shape", tables.FACE_SHAPES)
    chin = chin + 0.03 * people.age
    x = np.maximum(np.abs(head.x) - widening, 0)
    shape = teardrop(x, head.y - skull_y, chin_y - skull_y, skull, chin)
    return shape, skull + widening, skull_y - skull


def turned(head: Canvas, people: People, width: Plane) -> Canvas:
    """The head in coordinates that turn with the face: those of a cylinder, seen from the front.

    At x = r sin(a) one sees, of a cylinder turned by b, what lies at r sin(a - b) from the front.
    """
    angle = TURN * people.number("pose")
    cosine, sine = np.cos(angle), np.sin(angle)
    _, chin, _, chin_y, widening = people.sizes("face_shape", tables.FACE_SHAPES)
    radius = ROUNDNESS * mix(width, chin + widening, smooth_step(head.y / (chin_y+chin), 0.0, 1.0))
    depth = np.sqrt(np.maximum(radius * radius - head.x * head.x, 0.02))
    scale = FACE / width
    squeeze = scale * (cosine + sine * head.x / depth)
    pixel = head.pixel * np.clip((1 + squeeze) / 2, 0.5, 2)
    return head.seen(scale * (head.x * cosine - depth * sine), head.y, pixel)


def paint_background(page: Canvas, people: People) -> None:
    """A plain colour with a paler disc."""
    page.pixels[...] = people.colour("background", tables.BACKGROUNDS)
    page.paint(circle(page.x, page.y + 0.02, 0.80), WHITE, 0.25)


def paint_body(page: Canvas, people: People) -> None:
    """Neck and shoulders, and what is worn on them."""
    part = page.crop(Window(-0.82, 0.82, 0.2, 0.77))
    x, y = part.x, part.y
    shirt = people.colour("shirt", tables.SHIRT_COLOURS)
    shoulders = union(box(x, y - 1.04, 0.68, 0.42, 0.30), teardrop(x, y - 0.54, 0.6, 0.17, 0.5))
    neckline = ellipse(x, y - 0.55, 0.22, 0.15)
    neck = union(intersection(box(x, y - 0.5, 0.165, 0.4, 0.1), y - 0.58), neckline)
    part.paint(shoulders, shirt)
    kind = people.kind("outfit")
    stripes = intersection(shoulders, np.abs((y - 0.55) % 0.12 - 0.06) - 0.03)
    part.paint(np.where(kind == 1, stripes, NOWHERE), lighter(shirt, 0.7))
    part.paint(intersection(neckline - 0.035, shoulders), darker(shirt, 0.4))
    part.paint(neck, people.skin)
    part.paint(intersection(neck, ellipse(x, y - 0.40, 0.3, 0.19)), darker(people.skin, 0.45))
    side = np.abs(x)
    collar = stroke(side, y, (0.20, 0.52), (0.12, 0.70), 0.065, 0.015)
    part.paint(np.where(kind == 2, collar, NOWHERE), lighter(shirt, 0.75))
    hood = intersection(ellipse(x, y - 0.56, 0.38, 0.20), -ellipse(x, y - 0.53, 0.21, 0.15))
    cord = stroke(side, y, (0.11, 0.70), (0.12, 0.9))
    part.paint(np.where(kind == 3, hood, NOWHERE), darker(shirt, 0.25))
    part.draw(np.where(kind == 3, cord, NOWHERE), 0.03, lighter(shirt, 0.8))


def paint_ears(head: Canvas, people: People, width: Plane) -> None:
    """Ears, which lie further back than the face and so move against it, and grow with age."""
    part = head.crop(Window(-0.75, 0.75, -0.4, 0.5))
    x = np.abs(part.x + 0.05 * people.number("pose")) - width
    y = part.y - 0.04
    growth = 1 + 0.2 * people.age
    part.paint(ellipse(x, y, 0.075 * growth, 0.115 * growth), people.skin)
    part.paint(ellipse(x - 0.015, y, 0.04, 0.07), darker(people.skin, 0.4))


def paint_head(head: Canvas, face: Canvas, people: People, skull: Plane, hair: Hair) -> None:
    """The skin of the head, darker under the hair and on the side turned away."""
    head.paint(skull, people.skin)
    pose = people.number("pose")
    side = np.clip(face.x * np.sign(pose) / FACE, 0, 1)
    head.paint(skull, darker(people.skin, 0.5), side * side * np.abs(pose) * 0.35)
    if hair.front is None:
        gloss = ellipse(face.x, face.y + 0.42, 0.20, 0.07)
        head.paint(intersection(gloss, skull + 0.03), WHITE, 0.22)
    else:
        head.paint(intersection(skull, hair.front - 0.035), darker(people.skin, 0.35), 0.7)


CHEEKS = Window(-0.6, 0.6, -0.1, 0.55)


def paint_cheeks(face: Canvas, people: People, skull: Plane) -> None:
    """A blush, which rises with a smile and fades with age."""
    part = face.crop(CHEEKS)
    smile = people.number("smile")
    x, y = np.abs(part.x) - 0.26, part.y - 0.20 + 0.025 * np.maximum(smile, 0)
    glow = np.maximum(1 - (x * x + y * y) / 0.13**2, 0) * part.coverage(face.cut(skull, CHEEKS))
    blush = mix(people.skin, rgb(0xEE5B5B), 0.6)
    part.glaze(glow * (0.30 + 0.15 * smile) * (1 - 0.7 * people.age), blush)


WRINKLES = Window(-0.6, 0.6, -0.5, 0.55)


def paint_wrinkles(face: Canvas, people: People, skull: Plane) -> None:
    """Lines of age on forehead, eyes and cheeks."""
    part = face.crop(WRINKLES)
    x, y = np.abs(part.x), part.y
    lines = union(
        stroke(x, y, (0.12, 0.17), (0.20, 0.29)),
        arc(x - EYE, y - 0.12, 0.08, 0.03),
        stroke(x, y, (0.335, -0.02), (0.385, -0.045)),
        stroke(x, y, (0.335, 0.01), (0.39, 0.02)),
        arc(x, y + 0.29, 0.2, -0.03),
        arc(x, y + 0.36, 0.16, -0.025),
    )
    strength = 0.9 * people.age * part.coverage(face.cut(skull, WRINKLES))
    part.draw(lines, 0.020, darker(people.skin, 0.7), strength)


def paint_beard(face: Canvas, people: People, skull: Plane) -> None:
    """Stubble, moustache, goatee or full beard."""
    part = face.crop(BEARD)
    skull = face.cut(skull, BEARD)
    x, y = np.abs(part.x), part.y
    moustache = union(
        stroke(x, y, (0.02, 0.222), (0.10, 0.245), 0.036, 0.028),
        stroke(x, y, (0.10, 0.245), (0.175, 0.225), 0.028, 0.008),
    )
    tuft = intersection(ellipse(x, y - 0.46, 0.115, 0.085), skull - 0.03)
    goatee = union(moustache, tuft)
    cheeks = union(ellipse(x, y - 0.02, 0.36, 0.23), ellipse(x, y - 0.13, 0.27, 0.12))
    full = intersection(skull - 0.025, -blend(cheeks, y - 0.0, softness=0.12))
    kind = people.kind("beard")
    stubble = np.choose(kind, [NOWHERE, intersection(full, skull), NOWHERE, NOWHERE, NOWHERE])
    part.paint(stubble, mix(people.skin, people.hair, 0.5), 0.5)
    shape = np.choose(kind, [NOWHERE, NOWHERE, moustache, goatee, full])
    part.paint(shape, darker(people.hair, 0.4))


BEARD = Window(-0.75, 0.75, -0.2, 0.75)


def paint_nose(face: Canvas, people: People) -> None:
    """A nose, which stands out of the face, and grows with age."""
    part = face.crop(Window(-0.4, 0.4, -0.15, 0.35))
    x, y = part.x - 0.04 * people.number("pose"), part.y - 0.145
    growth = 1 + 0.25 * people.age
    part.paint(ellipse(x, y, 0.058 * growth, 0.042 * growth), darker(people.skin, 0.35))


def paint_mouth(face: Canvas, people: People) -> None:
    """A mouth between two parabolas, which bend with the smile and part when it is broad."""
    part = face.crop(Window(-0.5, 0.5, 0.1, 0.65))
    smile = people.number("smile")
    width = 0.13 + 0.035 * np.abs(smile)
    sag = 0.012 + 0.045 * smile
    gap = 0.125 * smooth_step(smile, 0.2, 1.0)
    x, y = part.x, part.y - 0.29 + 0.4 * sag
    inside = np.clip(x, -width, width)
    bend = 1 - np.square(inside / width)
    slope = np.sqrt(1 + np.square(inside * (2 * (sag + gap) / (width * width))))
    hole = intersection(sag * bend - y, (y - (sag + gap) * bend) / slope, np.abs(x) - width)
    lips = mix(people.skin, rgb(0x7A1F2B), 0.85)
    part.draw(arc(x, y, width, sag), 0.03, lips)
    part.paint(hole - 0.008, lips)
    teeth = intersection(hole + 0.008, y - sag * bend - 0.38 * gap)
    part.paint(teeth, rgb(0xFFFCF6), smooth_step(gap, 0.02, 0.06))
    tongue = intersection(hole + 0.008, ellipse(x, y - 0.16, 0.09, 0.06))
    part.paint(tongue, rgb(0xE8707A), smooth_step(gap, 0.04, 0.1))


def paint_eyes(face: Canvas, people: People) -> None:
    """Eyes that look at the onlooker, whatever the pose."""
    part = face.crop(Window(-0.6, 0.6, -0.3, 0.3))
    size = (1 + 0.25 * people.number("eye_size")) * (1 - 0.12 * people.age)
    x, y = (np.abs(part.x) - EYE) / size, part.y / size  # x runs outwards
    eye = part.seen(x, y, part.pixel / size)
    ball = ellipse(x, y, 0.092, 0.100)
    slant = y + 0.15 * x
    almond = intersection(circle(x, slant - 0.06, 0.132), circle(x, slant + 0.06, 0.132))
    kind = people.kind("eyes")
    white = np.choose(kind, [ball, almond, intersection(ball, -0.022 - y)])
    gaze = -0.03 * people.number("pose") * np.sign(part.x)
    iris_x = x - gaze
    eye.paint(white, WHITE)
    eye.paint(intersection(white, circle(iris_x, y, 0.075)), people.colour("eye_colour", tables.EYE_COLOURS))
    eye.paint(intersection(white, circle(iris_x, y, 0.040)), INK)
    eye.paint(intersection(white, circle(iris_x, y + 0.036, 0.022)), WHITE)
    lid = np.choose(kind, [NOWHERE, NOWHERE, intersection(ball, y + 0.022)])
    eye.paint(lid, darker(people.skin, 0.3))
    lashes = np.maximum(np.abs(white), y + np.choose(kind, [0.03, 0.0, 0.0]))
    eye.draw(np.abs(lashes), 0.026, INK)


def paint_brows(face: Canvas, people: People) -> None:
    """Eyebrows in a darker shade of the hair."""
    part = face.crop(Window(-0.6, 0.6, -0.45, 0.1))
    x, y = np.abs(part.x) - EYE, part.y + 0.17
    part.draw(arc(x, y - 0.06 * x, 0.09, -0.035), 0.045, darker(people.hair, 0.45))


def paint_glasses(face: Canvas, people: People, skull: Plane) -> None:
    """Thin frames, a bridge, temples back to the ears."""
    part = face.crop(LENSES)
    width, height, corner, lift, thickness = people.sizes("glasses", tables.GLASSES)
    colour = people.colour("glasses", tables.FRAME_COLOURS)
    x, y = np.abs(part.x), part.y - 0.005
    lens = box(x - EYE, y + lift * (x - EYE), width, height, corner)
    part.paint(lens, WHITE, np.where(thickness > 0, 0.12, 0))
    bridge = arc(x, y + 0.025, 0.06, -0.03)
    temple = stroke(x, y, (EYE + width, -0.045), (0.6, -0.05))
    behind = part.coverage(face.cut(skull, LENSES))
    part.draw(temple, thickness, colour, behind)
    part.draw(union(np.abs(lens), bridge), thickness, colour)


LENSES = Window(-0.75, 0.75, -0.4, 0.4)


def paint_hair(head: Canvas, people: People, hair: Hair) -> None:
    """The hair in front of the face, with a band of light."""
    if hair.front is None:
        return
    head.paint(hair.front, people.hair)
    band = np.abs(circle(head.x, head.y + 0.05, 0.44)) - 0.028
    shine = intersection(hair.front + 0.03, band)
    head.paint(shine, lighter(people.hair, 0.25), smooth_step(-head.y, 0.22, 0.55))
