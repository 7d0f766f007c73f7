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
ROWS = 256  # pixels in a block, about: their tables and inputs stay in the first caches


def _record(*names: str) -> np.dtype[Any]:
    return np.dtype([(name, np.int64) for name in names])


# One product: some pixels of the image that is made, and some of its channels.
PART = _record(
    "first_place",  # of a block's pixels in the tables of sources and targets
    "first_step", "steps",  # in the table of steps, and rows of the weights
    "channel",  # its first one
    "target_pixel",  # how far from pixel to pixel in the image that is made
)  # fmt: skip
# A block of its pixels, as many whole images or whole rows of one: `source` and `target` are where
# the first one is, `pixel` is its number.
JOB = _record("part", "source", "target", "pixel", "count")


class Places(NamedTuple):
    """A convolution, or a transposed one, as products over places; see direct.py."""

    pads: Pads  # the zeros around the image that is read
    taps: Array | None  # of the kernel, in the order of the steps; None if that is its own
    parts: Array
    steps: Array  # from a pixel to what it sees: the taps, and their channels
    sources: Array  # from the first pixel of a block to each, in the image that is read
    targets: Array  # and in the one that is made
    jobs: Array


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
    jobs: list[tuple[int, ...]] = []
    steps: list[Array] = []
    sources: list[Array] = []
    targets: list[Array] = []
    for ins, outs in groups_of(reads, makes, geometry.groups):
        for down, across, _, places in phases:
            seen = np.array([i * width + j for i, j in places], np.int64)
            its_steps = np.add.outer(seen * reads, np.arange(ins.stop - ins.start)).ravel()
            first = (down.first * size[1] + across.first) * makes + outs.start
            shape = n, down.length, across.length
            source = height * width * reads, step[0] * width * reads, step[1] * reads
            target = size[0] * size[1] * makes, gap[0] * size[1] * makes, gap[1] * makes
            block = _block(*shape)
            starts, ends = (sum(map(len, tables)) for tables in (sources, steps))
            parts.append((starts, ends, len(its_steps), outs.start, target[2]))
            steps.append(its_steps)
            sources.append(_offsets(block, source))
            targets.append(_offsets(block, target))
            for image in range(0, n, block[0]):
                for row in range(0, shape[1], block[1]):
                    images, rows = min(block[0], n - image), min(block[1], shape[1] - row)
                    jobs.append(
                        (
                            len(parts) - 1,
                            ins.start + image * source[0] + row * source[1],
                            first + image * target[0] + row * target[1],
                            (image * shape[1] + row) * shape[2],
                            images * rows * shape[2],
                        )
                    )
    jobs.sort(key=lambda job: job[3])  # phases that see the same pixels follow each other
    taps = np.concatenate([taps for *_, taps, _ in phases]) if transposed else None
    seen_from, read, made = (np.concatenate(table) for table in (steps, sources, targets))
    return Places(pads, taps, np.array(parts, PART), seen_from, read, made, np.array(jobs, JOB))


def _block(images: int, height: int, width: int) -> tuple[int, int, int]:
    """(images, rows, columns) of a block: about ROWS pixels, and all blocks nearly the same."""
    if not images * height * width:
        return 1, 1, width
    if height * width <= ROWS:
        return -(-images // -(-images * height * width // ROWS)), height, width
    return 1, -(-height // min(-(-height * width // ROWS), height)), width


def _offsets(block: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """How far each pixel of a block is from the first."""
    axes = [np.arange(n) * stride for n, stride in zip(block, strides, strict=True)]
    return np.asarray(axes[0][:, None, None] + axes[1][:, None] + axes[2], np.int64).ravel()


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
