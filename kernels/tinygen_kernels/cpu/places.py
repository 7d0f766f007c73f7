"""Where the pixels, taps and channels of a convolution are: tables that its kernels go by.

They depend on sizes alone, so they are worked out once and kept.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..geometry import Geometry, Pads, Pair
from .phases import Phase, phases_of_transpose

Array = NDArray[Any]
ROWS = 256  # pixels in a block: their tables and inputs stay in the first caches

# One product: some pixels of the image that is made, and some of its channels.
PART = np.dtype(
    [
        (name, np.int64)
        for name in (
            # where its first pixel is, and how far from image to image, row to row, pixel to pixel
            "source", "source_image", "source_row", "source_pixel",  # in the image that is read
            "target", "target_image", "target_row", "target_pixel",  # in the one that is made
            "height", "width",  # pixels
            "first_step", "steps",  # in the table of steps, and rows of the weights
            "channel",  # its first one
        )
    ]
)  # fmt: skip


class Places(NamedTuple):
    """A convolution, or a transposed one, as products over places; see direct.py."""

    pads: Pads  # the zeros around the image that is read
    taps: Array | None  # of the kernel, in the order of the steps; None if that is its own
    parts: Array
    steps: Array  # from a pixel to what it sees: the taps, and their channels
    jobs: Array  # (part, first pixel) of each block of ROWS pixels


@functools.lru_cache(maxsize=256)
def places_of(geometry: Geometry, transposed: bool, n: int, inputs: int, outputs: int) -> Places:
    """The tables for n images with so many channels on the convolution's two sides."""
    reads, makes = (outputs, inputs) if transposed else (inputs, outputs)
    if transposed:
        pads, gap, phases = _phases(geometry)
        have, size = geometry.output_size, geometry.size
    else:
        pads, gap, phases = geometry.pads, (1, 1), [_whole(geometry)]
        have, size = geometry.size, geometry.output_size
    step = (1, 1) if transposed else geometry.stride
    height, width = (a + b + have[axis] for axis, (a, b) in enumerate(pads))
    parts: list[tuple[int, ...]] = []
    steps: list[Array] = []
    for ins, outs in groups_of(reads, makes, geometry.groups):
        for down, across, _, places in phases:
            seen = np.array([i * width + j for i, j in places], np.int64)
            its_steps = np.add.outer(seen * reads, np.arange(ins.stop - ins.start)).ravel()
            first = down.first * size[1] + across.first
            parts.append(
                (
                    ins.start, height * width * reads, step[0] * width * reads, step[1] * reads,
                    first * makes + outs.start, size[0] * size[1] * makes,
                    gap[0] * size[1] * makes, gap[1] * makes,
                    down.length, across.length, sum(len(each) for each in steps), len(its_steps),
                    outs.start,
                )
            )  # fmt: skip
            steps.append(its_steps)
    table = np.array(parts, PART)
    pixels = n * table["height"] * table["width"]
    jobs = [(k, first) for k, count in enumerate(pixels) for first in range(0, count, ROWS)]
    jobs.sort(key=lambda job: job[1])  # phases that see the same pixels follow each other
    taps = np.concatenate([taps for *_, taps, _ in phases]) if transposed else None
    all_steps = np.concatenate(steps) if steps else np.empty(0, np.int64)
    return Places(pads, taps, table, all_steps, np.array(jobs, np.int64).reshape(-1, 2))


def _whole(geometry: Geometry) -> Any:
    """A convolution's result as a single phase: it, its taps, and where they are."""
    (kh, kw), (dh, dw) = geometry.kernel, geometry.dilation
    down, across = (Phase(0, length, [], []) for length in geometry.output_size)
    return down, across, None, [(i * dh, j * dw) for i in range(kh) for j in range(kw)]


def _phases(geometry: Geometry) -> tuple[Pads, Pair, list[Any]]:
    """The zeros around what a transposed convolution reads, and the phases of what it makes.

    Between them, from pixel to pixel of a phase: the stride, where the image is not smaller.
    """
    vertical, horizontal = (phases_of_transpose(geometry, axis) for axis in (0, 1))
    pads = _reach(geometry, vertical, 0), _reach(geometry, horizontal, 1)
    (top, _), (left, _) = pads
    phases = []
    for down in vertical:
        for across in horizontal:
            taps = [i * geometry.kernel[1] + j for i in down.taps for j in across.taps]
            places = [(i + top, j + left) for i in down.offsets for j in across.offsets]
            phases.append((down, across, np.array(taps, np.int64), places))
    return pads, (len(vertical), len(horizontal)), phases


def _reach(geometry: Geometry, phases: list[Phase], axis: int) -> tuple[int, int]:
    """How far the phases look beyond the first and the last pixel of what they read."""
    lowest = min([0, *(offset for phase in phases for offset in phase.offsets)])
    ends = [phase.length + offset for phase in phases for offset in phase.offsets]
    return -lowest, max([0, *(end - geometry.output_size[axis] for end in ends)])


def groups_of(reads: int, makes: int, groups: int) -> Iterator[tuple[slice, slice]]:
    """The channels of each group, on either side."""
    i, o = reads // groups, makes // groups
    return ((slice(k * i, (k + 1) * i), slice(k * o, (k + 1) * o)) for k in range(groups))
