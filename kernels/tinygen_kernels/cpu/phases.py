"""Convolutions with a stride, as several without: pixels that are a stride apart form a phase.

A phase of the image that a convolution reads is seen by every other tap only, so a convolution
5 x 5 with stride 2 is the sum of four without stride: 3 x 3, 3 x 2, 2 x 3 and 2 x 2. The result of
its transpose has four phases, each made by one of those four kernels alone. In one direction, the
taps of a phase are neighbours in a window.
"""

from __future__ import annotations

from typing import NamedTuple

from ..geometry import Geometry


class Phase(NamedTuple):
    """Pixels of an image in one direction: first + q * stride for q from 0 to length - 1.

    Tap taps[t] of the kernel leads from pixel q + offsets[t] of the one image to pixel q of the
    other: forward from the phase to the result, transposed from the convolution's result to the
    phase.
    """

    first: int
    length: int
    taps: list[int]
    offsets: list[int]


def phases_of_input(geometry: Geometry, axis: int) -> list[Phase]:
    """The phases of the padded image that a convolution reads; it has no dilation."""
    stride, kernel = geometry.stride[axis], geometry.kernel[axis]
    padded = geometry.padded[axis]
    phases = []
    for first in range(min(stride, kernel)):
        taps = list(range(first, kernel, stride))
        length = (padded - first + stride - 1) // stride
        phases.append(Phase(first, length, taps, list(range(len(taps)))))
    return phases


def phases_of_transpose(geometry: Geometry, axis: int) -> list[Phase]:
    """The phases of the image that a transposed convolution makes."""
    stride, dilation = geometry.stride[axis], geometry.dilation[axis]
    phases = []
    for first in range(min(stride, geometry.size[axis])):
        place = first + geometry.pads[axis][0]
        taps = [i for i in range(geometry.kernel[axis]) if (place - i * dilation) % stride == 0]
        offsets = [(place - i * dilation) // stride for i in taps]
        length = (geometry.size[axis] - first + stride - 1) // stride
        phases.append(Phase(first, length, taps, offsets))
    return phases
