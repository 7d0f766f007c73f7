"""Where the pixels, taps and channels of a convolution are: tables that its kernels go by.

They depend on the geometry alone, so they are worked out once and kept.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..geometry import Geometry, Pads

Array = NDArray[Any]


class Grid(NamedTuple):
    """Pixels in an array: where the first one is, and how far it is to the next ones."""

    first: int
    image: int
    row: int
    column: int


@functools.lru_cache(maxsize=256)
def steps_of(
    kernel: tuple[int, int], dilation: tuple[int, int], width: int, channels: int, groups: int
) -> Array:
    """From where a kernel is put: where its taps and their channels are."""
    taps = np.add.outer(
        np.arange(kernel[0]) * dilation[0] * width, np.arange(kernel[1]) * dilation[1]
    )
    steps: Array = np.add.outer(taps.ravel() * channels, np.arange(channels // groups)).ravel()
    return steps


class Phase(NamedTuple):
    """Pixels of an image, a stride apart, that see the same taps of a transposed convolution.

    Its pixel q is at first + q * stride, and sees tap taps[t] of pixel q + offsets[t] of y.
    """

    first: int
    length: int
    taps: list[int]
    offsets: list[int]


def _phases(geometry: Geometry, axis: int) -> list[Phase]:
    """The phases in one direction; the pixels of all of them together are the image."""
    stride, dilation = geometry.stride[axis], geometry.dilation[axis]
    phases = []
    for first in range(min(stride, geometry.size[axis])):
        place = first + geometry.pads[axis][0]
        taps = [i for i in range(geometry.kernel[axis]) if (place - i * dilation) % stride == 0]
        offsets = [(place - i * dilation) // stride for i in taps]
        length = (geometry.size[axis] - first + stride - 1) // stride
        phases.append(Phase(first, length, taps, offsets))
    return phases


def _reach(geometry: Geometry, phases: list[Phase], axis: int) -> tuple[int, int]:
    """How far the phases look beyond the first and the last pixel of y."""
    lowest = min([0, *(offset for phase in phases for offset in phase.offsets)])
    ends = [phase.length + offset for phase in phases for offset in phase.offsets]
    return -lowest, max([0, *(end - geometry.output_size[axis] for end in ends)])


class Part(NamedTuple):
    """One product of a transposed convolution: a phase, for one group of channels."""

    taps: Array  # which of the kernel's
    steps: Array  # where they and their channels are, from a pixel
    source: Grid
    target: Grid
    size: tuple[int, int]  # pixels of the phase
    inputs: slice  # channels of the image, on the side of the convolution's input
    outputs: slice


@functools.lru_cache(maxsize=256)
def parts_of_transpose(geometry: Geometry, inputs: int, outputs: int) -> tuple[Pads, list[Part]]:
    """The zeros that the phases need around y, and the products that make up the image."""
    vertical, horizontal = (_phases(geometry, axis) for axis in (0, 1))
    pads = _reach(geometry, vertical, 0), _reach(geometry, horizontal, 1)
    (top, bottom), (left, right) = pads
    (oh, ow), (sh, sw), (xh, xw) = geometry.output_size, geometry.stride, geometry.size
    height, width = top + oh + bottom, left + ow + right
    parts = []
    for down in vertical:
        for across in horizontal:
            taps = [i * geometry.kernel[1] + j for i in down.taps for j in across.taps]
            seen = [(i + top) * width + j + left for i in down.offsets for j in across.offsets]
            for ins, outs in groups_of(inputs, outputs, geometry.groups):
                channels = np.arange(outs.stop - outs.start)
                steps = np.add.outer(np.array(seen, np.int64) * outputs, channels).ravel()
                source = Grid(outs.start, height * width * outputs, width * outputs, outputs)
                first = (down.first * xw + across.first) * inputs + ins.start
                target = Grid(first, xh * xw * inputs, sh * xw * inputs, sw * inputs)
                size = down.length, across.length
                parts.append(Part(np.array(taps, np.int64), steps, source, target, size, ins, outs))
    return pads, parts


def groups_of(inputs: int, outputs: int, groups: int) -> Iterator[tuple[slice, slice]]:
    """The channels of each group, on either side."""
    i, o = inputs // groups, outputs // groups
    return ((slice(k * i, (k + 1) * i), slice(k * o, (k + 1) * o)) for k in range(groups))
