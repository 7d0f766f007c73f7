"""Anti-aliased shapes by signed distances: negative inside, zero on the edge, positive outside.

A shape is the array of its distances to every pixel, so shapes combine by arithmetic: a union is
a minimum, an intersection a maximum. All arrays are float32 with axes (pictures, rows, columns);
coordinates run to the right and down. Nothing here knows what is being drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Plane: TypeAlias = NDArray[Any]  # a number a pixel, or a number a picture: (n, 1, 1)
Colour: TypeAlias = NDArray[Any]  # red, green and blue of every picture: (3, n, 1, 1)
Number: TypeAlias = Plane | float


class Window(NamedTuple):
    """A rectangle of the plane."""

    left: float
    right: float
    top: float
    bottom: float


@dataclass(frozen=True)
class Canvas:
    """Pictures being painted, with the coordinates in which their pixels are spoken of.

    Several canvases can share their pixels and see them in different coordinates.

    Args:
        pixels: red, green and blue, (3, n, rows, columns), from 0 to 1, painted in place.
        x, y: the centre of every pixel.
        pixel: the width of a pixel in these coordinates, over which an edge is blended.
        view: what the pictures show, in the coordinates of `blank`.
    """

    pixels: Plane
    x: Plane
    y: Plane
    pixel: Plane
    view: Window

    @classmethod
    def blank(cls, n: int, size: int, view: Window) -> Canvas:
        """`n` black pictures of size x size pixels, showing a square `view` of the plane."""
        pixel = (view.right - view.left) / size
        centres = np.arange(1 - size, size, 2) * (pixel / 2)  # symmetric to the last bit
        x = (centres + (view.left + view.right) / 2).astype(np.float32)
        y = (centres + (view.top + view.bottom) / 2).astype(np.float32)
        shape = (n, size, size)
        return cls(
            np.zeros((3, *shape), np.float32),
            np.broadcast_to(x, shape),
            np.broadcast_to(y[:, None], shape),
            np.full((n, 1, 1), pixel, np.float32),
            view,
        )

    def seen(self, x: Plane, y: Plane, pixel: Plane | None = None) -> Canvas:
        """The same pixels in other coordinates."""
        return replace(self, x=x, y=y, pixel=self.pixel if pixel is None else pixel)

    def crop(self, window: Window) -> Canvas:
        """The part in a window of the plane of `blank`; painting it paints the whole canvas."""
        pixels, x, y, pixel = (
            self.cut(plane, window) for plane in (self.pixels, self.x, self.y, self.pixel)
        )
        return Canvas(pixels, x, y, pixel, window)

    def cut(self, plane: Plane, window: Window) -> Plane:
        """The rows and columns of a plane that meet the window: a view."""
        left, right, top, bottom = self.view
        rows = _span(window.top - top, window.bottom - top, bottom - top, plane.shape[-2])
        columns = _span(window.left - left, window.right - left, right - left, plane.shape[-1])
        return plane[..., rows, columns]

    def paint(self, shape: Plane, colour: Colour, opacity: Number = 1.0) -> None:
        """Lay `colour` over the inside of a shape."""
        self.glaze(self.coverage(shape) * opacity, colour)

    def draw(self, line: Plane, thickness: Number, colour: Colour, opacity: Number = 1.0) -> None:
        """Draw a line, given the distance to it (never negative); it may be finer than a pixel."""
        half = thickness / 2
        alpha = self.coverage(line - half) - self.coverage(line + half)
        self.glaze(alpha * opacity, colour)

    def coverage(self, shape: Plane) -> Plane:
        """How much of each pixel lies inside: a ramp from 0 to 1 across the edge, a pixel wide."""
        alpha: Plane = np.clip(np.float32(0.5) - shape / self.pixel, 0, 1)
        return alpha

    def glaze(self, alpha: Plane, colour: Colour) -> None:
        """Mix `colour` into every pixel in the proportion `alpha`, from 0 to 1."""
        change = colour - self.pixels
        change *= alpha
        self.pixels[...] += change


def _span(low: float, high: float, extent: float, length: int) -> slice:
    """The pixels between two places on an axis of this extent (all if there is but one)."""
    if length == 1:
        return slice(None)
    first, last = int(low / extent * length), int(np.ceil(high / extent * length))
    return slice(max(0, first), min(length, last))


def length(x: Plane, y: Plane) -> Plane:
    """sqrt(x^2 + y^2): unlike `hypot`, the same on every machine."""
    root: Plane = np.sqrt(x * x + y * y)
    return root


def circle(x: Plane, y: Plane, radius: Number) -> Plane:
    """A disc round the origin."""
    return length(x, y) - radius


def ellipse(x: Plane, y: Plane, width: Number, height: Number) -> Plane:
    """An ellipse of these half-axes round the origin; exact to first order near its edge."""
    x, y = x / width, y / height
    level = length(x, y)
    slope = length(x / width, y / height) + np.float32(1e-6)
    shape: Plane = level * (level - 1) / slope
    return shape


def box(x: Plane, y: Plane, width: Number, height: Number, corner: Number) -> Plane:
    """A rectangle of these half-axes round the origin, its corners rounded by a radius."""
    x, y = np.abs(x) - (width - corner), np.abs(y) - (height - corner)
    outside = length(np.maximum(x, 0), np.maximum(y, 0))
    shape: Plane = outside + np.minimum(np.maximum(x, y), 0) - corner
    return shape


def teardrop(x: Plane, y: Plane, long: Number, radius: Number, tip: Number) -> Plane:
    """The hull of a disc round the origin and of one round (0, long), of radii `radius` and `tip`.

    The radii may differ by less than `long`.
    """
    narrowing = (radius - tip) / long  # the sine of the angle between a side and the axis
    side = (1 - narrowing * narrowing) ** 0.5
    x = np.abs(x)
    along = np.clip(y - x * (narrowing / side), 0, long)
    return length(x, y - along) - (radius - narrowing * along)


def stroke(
    x: Plane,
    y: Plane,
    start: tuple[Number, Number],
    end: tuple[Number, Number],
    radius: Number = 0.0,
    tip: Number | None = None,
) -> Plane:
    """A straight stroke of the brush from start to end, its radius changing to that of its tip."""
    (x0, y0), (x1, y1) = start, end
    long = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
    right, down = (x1 - x0) / long, (y1 - y0) / long
    x, y = x - x0, y - y0
    across, along = x * down - y * right, x * right + y * down
    return teardrop(across, along, long, radius, radius if tip is None else tip)


def arc(x: Plane, y: Plane, width: Number, sag: Number) -> Plane:
    """The distance to the arc of a parabola from (-width, 0) by (0, sag) to (width, 0): a line.

    It is exact to first order near the line.
    """
    inside = np.clip(x, -width, width)
    across = y - sag * (1 - np.square(inside / width))
    slope = inside * (2 * sag / (width * width))
    line: Plane = np.sqrt(np.square(x - inside) + across * across / (1 + slope * slope))
    return line


def union(*shapes: Plane) -> Plane:
    """What lies in any of the shapes; of lines, all of them."""
    return reduce(np.minimum, shapes)


def intersection(*shapes: Plane) -> Plane:
    """What lies in all of the shapes."""
    return reduce(np.maximum, shapes)


def blend(*shapes: Plane, softness: float) -> Plane:
    """A union whose inner corners are rounded over a width of `softness`."""

    def soft_minimum(a: Plane, b: Plane) -> Plane:
        near = np.maximum(softness - np.abs(a - b), 0)
        lower: Plane = np.minimum(a, b) - near * near / (4 * softness)
        return lower

    return reduce(soft_minimum, shapes)


def mix(a: Any, b: Any, share: Any) -> Any:
    """a where the share is 0, b where it is 1."""
    return a + (b - a) * share


def ramp(value: Plane, low: float, high: float) -> Plane:
    """0 up to `low`, 1 from `high`, and smooth between them."""
    t = np.clip((value - low) / (high - low), 0, 1)
    smooth: Plane = t * t * (3 - 2 * t)
    return smooth
