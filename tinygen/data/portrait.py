"""A cartoon face and everything on it, painted from back to front.

Three canvases share the pixels: the `page` itself, the `head`, which leans over with the tilt, and
the `face`, which is wrapped round the head and turns with the pose. A feature is drawn on the face
as if seen from the front; the turn then moves and foreshortens it. Since a face is symmetric, most
features are drawn once, by the distance from its middle.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

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
    ramp,
    stroke,
    teardrop,
    union,
)
from .hair import STYLES, Hair, Head

VIEW = Window(-0.82, 0.82, -0.87, 0.77)

# Where on the page a part of the face can come to lie, whatever the factors.
BODY = Window(-0.82, 0.82, 0.20, 0.77)
EARS = Window(-0.75, 0.75, -0.40, 0.50)
CHEEKS = Window(-0.60, 0.60, -0.10, 0.55)
WRINKLES = Window(-0.60, 0.60, -0.55, 0.55)
BEARD = Window(-0.70, 0.70, -0.20, 0.75)
NOSE = Window(-0.40, 0.40, -0.10, 0.35)
MOUTH = Window(-0.45, 0.45, 0.05, 0.65)
EYES = Window(-0.60, 0.60, -0.30, 0.30)
BROWS = Window(-0.60, 0.60, -0.45, 0.10)
GLASSES = Window(-0.70, 0.70, -0.35, 0.35)

LEAN = 0.14  # sine of the angle at which the head leans over at a tilt of 1
TURN = 0.25  # sine of the angle by which the face turns at a pose of 1
THROAT = 0.50  # the height round which the head leans
ROUNDNESS = 1.36  # radius of the cylinder that the face is wrapped round, in breadths of the head
BREADTH = 0.44  # half the breadth of the face in its own coordinates
EYE = 0.205  # the distance of an eye from the middle of the face

FAR_OFF = np.float32(10)  # added to its distances, this makes a shape vanish


def rgb(colours: int | NDArray[Any]) -> Colour:
    """Colours written 0xRRGGBB as numbers from 0 to 1, (3, n, 1, 1)."""
    codes = np.atleast_1d(colours)
    channels = np.stack([codes >> 16 & 255, codes >> 8 & 255, codes & 255])
    return (channels / 255).astype(np.float32)[:, :, None, None]


WHITE = rgb(0xFFFFFF)
SHADE = rgb(0x9E6B73)  # what a shadow leaves of white
INK = rgb(0x2B1D24)
GREY_HAIR = rgb(0xD3D8E0)
BLUSH = rgb(0xEE5B5B)
LIPS = rgb(0x7A1F2B)
TEETH = rgb(0xFFFCF6)
TONGUE = rgb(0xE8707A)


def darker(colour: Colour, amount: Number) -> Colour:
    """The colour in a shadow of this depth, 0 to 1."""
    shaded: Colour = mix(colour, colour * SHADE, amount)
    return shaded


def lighter(colour: Colour, amount: Number) -> Colour:
    """The colour mixed with white."""
    lit: Colour = mix(colour, WHITE, amount)
    return lit


@dataclass(frozen=True)
class People:
    """What the factors of n faces mean to a painter; numbers are (n, 1, 1), colours (3, n, 1, 1).

    Args:
        factors: every factor, checked, (n,).
    """

    factors: Mapping[str, NDArray[Any]]

    def number(self, factor: str) -> Plane:
        """A continuous factor."""
        return self.factors[factor].astype(np.float32)[:, None, None]

    def colour(self, factor: str, palette: Mapping[str, int]) -> Colour:
        """The colours that a category stands for."""
        return rgb(np.array(list(palette.values()))[self.factors[factor]])

    def sizes(self, factor: str, table: Mapping[str, tuple[float, ...]]) -> list[Plane]:
        """The columns of a table, in the rows that a category stands for."""
        rows = np.array(list(table.values()), np.float32)[self.factors[factor]]
        return [column[:, None, None] for column in rows.T]

    def pick(self, factor: str, values: tuple[str, ...], **shapes: Plane) -> Plane:
        """The shape that belongs to the value of a category; nothing where none is given."""
        value = self.factors[factor][:, None, None]
        return union(
            *(
                shape + np.where(value == values.index(name), np.float32(0), FAR_OFF)
                for name, shape in shapes.items()
            )
        )

    @cached_property
    def age(self) -> Plane:
        """The age, from 0 to 1."""
        return (self.number("age") - tables.YOUNG) / (tables.OLD - tables.YOUNG)

    @cached_property
    def skin(self) -> Colour:
        """The colour of the skin."""
        return self.colour("skin", tables.SKINS)

    @cached_property
    def hair(self) -> Colour:
        """The colour of the hair, which greys with age but never loses its tint."""
        colour = self.colour("hair_colour", tables.HAIR_COLOURS)
        greying: Colour = mix(colour, GREY_HAIR, 0.75 * ramp(self.age, 0.2, 1.0))
        return greying


class Skull(NamedTuple):
    """The head without its face: its shape, half its breadth at every height, its crown's y."""

    shape: Plane
    breadth: Plane
    width: Plane
    top: Plane


def paint_portraits(factors: Mapping[str, NDArray[Any]], size: int) -> NDArray[np.float32]:
    """Pictures, (3, n, size, size) from 0 to 1, of faces that share their hair style."""
    people = People(factors)
    page = Canvas.blank(len(factors["hair_style"]), size, VIEW)
    head = tilted(page, people)
    skull = bare_skull(head, people)
    face = turned(head, people, skull)
    style = list(STYLES.values())[factors["hair_style"][0]]
    hair = style(Head(head.x, head.y, face.x, face.y, skull.shape, skull.width, skull.top))

    paint_background(page, people)
    paint_back_hair(head, people, hair)
    paint_body(page, people, skull)
    paint_ears(head, people, skull)
    paint_head(head, face, people, skull, hair)
    paint_cheeks(face, people, skull)
    paint_wrinkles(face, people, skull)
    paint_beard(face, people, skull)
    paint_nose(face, people)
    paint_mouth(face, people)
    paint_eyes(face, people)
    paint_brows(face, people)
    paint_glasses(face, people, skull)
    paint_front_hair(head, people, hair)
    return page.pixels


def tilted(page: Canvas, people: People) -> Canvas:
    """The page in coordinates that lean over with the head."""
    sine = LEAN * people.number("tilt")
    cosine = np.sqrt(1 - sine * sine)
    x, y = page.x, page.y - THROAT
    return page.seen(x * cosine + y * sine, y * cosine - x * sine + THROAT)


def bare_skull(head: Canvas, people: People) -> Skull:
    """The head's outline; the chin grows heavier with age."""
    skull, chin, skull_y, chin_y, widening = people.sizes("face_shape", tables.FACE_SHAPES)
    chin = chin + 0.03 * people.age
    x = np.maximum(np.abs(head.x) - widening, 0)
    shape = teardrop(x, head.y - skull_y, chin_y - skull_y, skull, chin)
    descent = ramp(head.y / (chin_y + chin), 0.0, 1.0)
    breadth = mix(skull, chin, descent) + widening
    return Skull(shape, breadth, skull + widening, skull_y - skull)


def turned(head: Canvas, people: People, skull: Skull) -> Canvas:
    """The head in coordinates that turn with the face: those of a cylinder, seen from the front.

    At x = r sin(a) one sees, of a cylinder turned by b, what from the front lay at r sin(a - b).
    """
    sine = TURN * people.number("pose")
    cosine = np.sqrt(1 - sine * sine)
    radius = ROUNDNESS * skull.breadth
    depth = np.sqrt(np.maximum(radius * radius - head.x * head.x, 0.02))
    scale = BREADTH / skull.width
    stretch = scale * (cosine + sine * head.x / depth)
    pixel = head.pixel * np.clip((1 + stretch) / 2, 0.5, 2)
    return head.seen(scale * (head.x * cosine - depth * sine), head.y, pixel)


def paint_background(page: Canvas, people: People) -> None:
    """A plain colour with a paler disc."""
    page.pixels[...] = people.colour("background", tables.BACKGROUNDS)
    page.paint(circle(page.x, page.y + 0.02, 0.80), WHITE, 0.25)


def paint_back_hair(head: Canvas, people: People, hair: Hair) -> None:
    """The hair behind the head, in its shadow."""
    if hair.back is not None:
        head.paint(hair.back, darker(people.hair, 0.5))


def paint_front_hair(head: Canvas, people: People, hair: Hair) -> None:
    """The hair in front of the face, with a band of light."""
    if hair.front is not None:
        head.paint(hair.front, people.hair)
        band = np.abs(circle(head.x, head.y + 0.05, 0.44)) - 0.028
        shine = intersection(hair.front + 0.03, band)
        head.paint(shine, lighter(people.hair, 0.25), ramp(-head.y, 0.22, 0.55))


def paint_body(page: Canvas, people: People, skull: Skull) -> None:
    """Neck and shoulders, and what is worn on them."""
    part = page.crop(BODY)
    x, y, side = part.x, part.y, np.abs(part.x)
    shirt = people.colour("shirt", tables.SHIRT_COLOURS)
    shoulders = union(box(x, y - 1.04, 0.68, 0.42, 0.30), teardrop(x, y - 0.54, 0.6, 0.17, 0.5))
    neckline = ellipse(x, y - 0.55, 0.22, 0.15)
    neck = union(intersection(box(x, y - 0.5, 0.165, 0.4, 0.1), y - 0.58), neckline)
    stripes = intersection(shoulders, np.abs((y - 0.55) % 0.12 - 0.06) - 0.03)
    collar = stroke(side, y, (0.22, 0.51), (0.10, 0.69), 0.07, 0.02)
    hood = intersection(ellipse(x, y - 0.56, 0.38, 0.20), -ellipse(x, y - 0.53, 0.21, 0.15))
    cord = stroke(side, y, (0.11, 0.70), (0.12, 0.9), 0.015)

    def wear(colour: Colour, **shapes: Plane) -> None:
        part.paint(people.pick("outfit", tables.OUTFITS, **shapes), colour)

    part.paint(shoulders, shirt)
    wear(lighter(shirt, 0.7), stripes=stripes)
    part.paint(intersection(neckline - 0.035, shoulders), darker(shirt, 0.4))
    part.paint(neck, people.skin)
    chin = page.cut(skull.shape, BODY) - 0.08
    part.paint(intersection(neck, chin), darker(people.skin, 0.45))
    wear(lighter(shirt, 0.8), collar=collar)
    wear(darker(shirt, 0.25), hoodie=hood)
    wear(lighter(shirt, 0.8), hoodie=cord)


def paint_ears(head: Canvas, people: People, skull: Skull) -> None:
    """Ears, which lie further back than the face and so move against it; they grow with age."""
    part = head.crop(EARS)
    x = np.abs(part.x + 0.05 * people.number("pose")) - skull.width
    y = part.y - 0.04
    growth = 1 + 0.2 * people.age
    part.paint(ellipse(x, y, 0.075 * growth, 0.115 * growth), people.skin)
    part.paint(ellipse(x - 0.015, y, 0.04, 0.07), darker(people.skin, 0.4))


def paint_head(head: Canvas, face: Canvas, people: People, skull: Skull, hair: Hair) -> None:
    """The skin of the head, darker under the hair and on the side that is turned away."""
    head.paint(skull.shape, people.skin)
    pose = people.number("pose")
    away = np.clip(face.x * np.sign(pose) / BREADTH, 0, 1)
    head.paint(skull.shape, darker(people.skin, 0.5), 0.35 * away * away * np.abs(pose))
    if hair.front is None:
        gloss = ellipse(face.x, face.y + 0.42, 0.20, 0.07)
        head.paint(intersection(gloss, skull.shape + 0.03), WHITE, 0.22)
    else:
        shadow = intersection(skull.shape, hair.front - 0.035)
        head.paint(shadow, darker(people.skin, 0.35), 0.7)


def paint_cheeks(face: Canvas, people: People, skull: Skull) -> None:
    """A blush, which rises with a smile and fades with age."""
    part = face.crop(CHEEKS)
    smile = people.number("smile")
    x, y = np.abs(part.x) - 0.26, part.y - 0.20 + 0.025 * np.maximum(smile, 0)
    glow = np.maximum(1 - (x * x + y * y) / 0.13**2, 0)
    strength = (0.30 + 0.15 * smile) * (1 - 0.7 * people.age)
    inside = part.coverage(face.cut(skull.shape, CHEEKS))
    part.glaze(glow * strength * inside, mix(people.skin, BLUSH, 0.6))


def paint_wrinkles(face: Canvas, people: People, skull: Skull) -> None:
    """Lines on forehead and cheeks and round the eyes, which deepen with age."""
    part = face.crop(WRINKLES)
    x, y = np.abs(part.x), part.y
    lines = union(
        stroke(x, y, (0.12, 0.17), (0.20, 0.29)),
        arc(x - EYE, y - 0.12, 0.08, 0.03),
        stroke(x, y, (0.335, -0.02), (0.385, -0.045)),
        stroke(x, y, (0.335, 0.01), (0.39, 0.02)),
        arc(x, y + 0.29, 0.20, -0.03),
        arc(x, y + 0.36, 0.16, -0.025),
    )
    inside = part.coverage(face.cut(skull.shape, WRINKLES))
    part.draw(lines, 0.02, darker(people.skin, 0.7), 0.9 * people.age * inside)


def paint_beard(face: Canvas, people: People, skull: Skull) -> None:
    """Stubble, moustache, goatee or full beard."""
    part = face.crop(BEARD)
    jaw = face.cut(skull.shape, BEARD)
    x, y = np.abs(part.x), part.y
    moustache = union(
        stroke(x, y, (0.02, 0.222), (0.10, 0.245), 0.036, 0.028),
        stroke(x, y, (0.10, 0.245), (0.175, 0.225), 0.028, 0.008),
    )
    tuft = intersection(ellipse(x, y - 0.46, 0.115, 0.085), jaw - 0.03)
    cheeks = union(ellipse(x, y - 0.02, 0.36, 0.23), ellipse(x, y - 0.13, 0.27, 0.12))
    full = intersection(jaw - 0.025, -blend(cheeks, y, softness=0.12))
    stubble = people.pick("beard", tables.BEARDS, stubble=intersection(full, jaw))
    part.paint(stubble, mix(people.skin, people.hair, 0.5), 0.5)
    beard = people.pick(
        "beard", tables.BEARDS, moustache=moustache, goatee=union(moustache, tuft), full=full
    )
    part.paint(beard, darker(people.hair, 0.4))


def paint_nose(face: Canvas, people: People) -> None:
    """A nose, which stands out of the face and so moves ahead of it; it grows with age."""
    part = face.crop(NOSE)
    x, y = part.x - 0.04 * people.number("pose"), part.y - 0.145
    growth = 1 + 0.25 * people.age
    part.paint(ellipse(x, y, 0.058 * growth, 0.042 * growth), darker(people.skin, 0.35))


def paint_mouth(face: Canvas, people: People) -> None:
    """A mouth between two parabolas, which bend with the smile and part when it is broad."""
    part = face.crop(MOUTH)
    smile = people.number("smile")
    width = 0.13 + 0.035 * np.abs(smile)
    sag = 0.012 + 0.045 * smile  # how far the middle hangs below the corners
    gap = 0.125 * ramp(smile, 0.2, 1.0)
    x, y = part.x, part.y - 0.29 + 0.4 * sag
    inside = np.clip(x, -width, width)
    bow = 1 - np.square(inside / width)
    slope = np.sqrt(1 + np.square(inside * (2 * (sag + gap) / (width * width))))
    hole = intersection(sag * bow - y, (y - (sag + gap) * bow) / slope, np.abs(x) - width)
    lips = mix(people.skin, LIPS, 0.85)
    part.draw(arc(x, y, width, sag), 0.03, lips)
    part.paint(hole - 0.008, lips)
    teeth = intersection(hole + 0.008, y - sag * bow - 0.38 * gap)
    part.paint(teeth, TEETH, ramp(gap, 0.02, 0.06))
    tongue = intersection(hole + 0.008, ellipse(x, y - 0.16, 0.09, 0.06))
    part.paint(tongue, TONGUE, ramp(gap, 0.04, 0.10))


def paint_eyes(face: Canvas, people: People) -> None:
    """Eyes that look at the onlooker, whatever the pose; they narrow with age."""
    part = face.crop(EYES)
    size = (1 + 0.25 * people.number("eye_size")) * (1 - 0.12 * people.age)
    x, y = (np.abs(part.x) - EYE) / size, part.y / size  # from its centre, x outwards
    eye = part.seen(x, y, part.pixel / size)
    ball = ellipse(x, y, 0.092, 0.100)
    slant = y + 0.15 * x
    almond = intersection(circle(x, slant - 0.06, 0.132), circle(x, slant + 0.06, 0.132))
    open_half, lid = intersection(ball, -0.022 - y), intersection(ball, y + 0.022)
    white = people.pick("eyes", tables.EYES, round=ball, almond=almond, sleepy=open_half)
    gaze = x + 0.02 * people.number("pose") * np.sign(part.x)
    upper = people.pick("eyes", tables.EYES, round=y + 0.03, almond=y, sleepy=y)

    eye.paint(white, WHITE)
    for radius, colour in (
        (0.075, people.colour("eye_colour", tables.EYE_COLOURS)),
        (0.040, INK),
    ):
        eye.paint(intersection(white, circle(gaze, y, radius)), colour)
    eye.paint(intersection(white, circle(gaze, y + 0.036, 0.022)), WHITE)
    eye.paint(people.pick("eyes", tables.EYES, sleepy=lid), darker(people.skin, 0.3))
    eye.draw(np.abs(intersection(np.abs(white), upper)), 0.026, INK)


def paint_brows(face: Canvas, people: People) -> None:
    """Eyebrows, a little darker than the hair."""
    part = face.crop(BROWS)
    x, y = np.abs(part.x) - EYE, part.y + 0.17
    part.draw(arc(x, y - 0.06 * x, 0.09, -0.035), 0.045, darker(people.hair, 0.45))


def paint_glasses(face: Canvas, people: People, skull: Skull) -> None:
    """Lenses in their frames, a bridge, and temples that end at the side of the head."""
    part = face.crop(GLASSES)
    width, height, corner, lift, thickness = people.sizes("glasses", tables.GLASSES)
    colour = people.colour("glasses", tables.FRAME_COLOURS)
    x, y = np.abs(part.x), part.y - 0.005
    lens = box(x - EYE, y + lift * (x - EYE), width, height, corner)
    bridge = arc(x, y + 0.025, 0.06, -0.03)
    temple = stroke(x, y, (EYE + width, -0.045), (0.6, -0.05))
    part.paint(lens, WHITE, np.float32(0.12) * (thickness > 0))
    part.draw(temple, thickness, colour, part.coverage(face.cut(skull.shape, GLASSES)))
    part.draw(union(np.abs(lens), bridge), thickness, colour)
