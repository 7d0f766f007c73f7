"""Where the pixels of a convolution lie: the one description that all backends share."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from operator import index
from typing import TypeAlias

import numpy as np

Pair: TypeAlias = tuple[int, int]
Pads: TypeAlias = tuple[Pair, Pair]  # ((top, bottom), (left, right))
Padding: TypeAlias = str | int | Pads


@dataclass(frozen=True)
class Geometry:
    """A convolution from an image of `size` pixels to one of `output_size`.

    The transposed convolution of the same geometry leads back: from `output_size` to `size`.

    Args:
        size: (height, width) of the input.
        kernel: (height, width).
        stride: pixels between neighbours of the output, (down, across).
        pads: zeros around the input, ((top, bottom), (left, right)).
        dilation: pixels between neighbours of the kernel, (down, across).
        groups: into how many parts the channels are cut; each has a kernel of its own.
    """

    size: Pair
    kernel: Pair
    stride: Pair = (1, 1)
    pads: Pads = ((0, 0), (0, 0))
    dilation: Pair = (1, 1)
    groups: int = 1

    def __hash__(self) -> int:
        return self._hash

    @functools.cached_property
    def _hash(self) -> int:  # a geometry is looked up in tables of plans at every call
        return hash((self.size, self.kernel, self.stride, self.pads, self.dilation, self.groups))

    @functools.cached_property
    def padded(self) -> Pair:
        """(height, width) of the input with its zeros."""
        (top, bottom), (left, right) = self.pads
        return self.size[0] + top + bottom, self.size[1] + left + right

    @functools.cached_property
    def output_size(self) -> Pair:
        """(height, width) of the output."""
        height, width = (
            (length - dilation * (kernel - 1) - 1) // stride + 1
            for length, kernel, stride, dilation in zip(
                self.padded, self.kernel, self.stride, self.dilation, strict=True
            )
        )
        return height, width

    @property
    def taps(self) -> int:
        """How many weights the kernel has for a pair of channels."""
        return self.kernel[0] * self.kernel[1]


def pair(value: int | Pair) -> Pair:
    """A number for both directions, or one for each.

    >>> pair(2), pair((1, 3))
    ((2, 2), (1, 3))
    """
    if isinstance(value, int):
        return value, value
    down, across = value
    return down, across


def parse_padding(padding: Padding) -> str | Pads:
    """Padding in a form that can be a key: "same", "valid", or ((top, bottom), (left, right)).

    >>> parse_padding(1)
    ((1, 1), (1, 1))
    """
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f'padding must be "same", "valid", a number or pairs, not {padding!r}')
        return padding
    if isinstance(padding, (int, np.integer)):
        padding = (padding, padding), (padding, padding)
    try:
        (top, bottom), (left, right) = padding
        pads = (index(top), index(bottom)), (index(left), index(right))  # no fractions
    except (TypeError, ValueError):
        raise ValueError(
            f"padding must be ((top, bottom), (left, right)), a number or a name, not {padding!r}"
        ) from None
    if min(*pads[0], *pads[1]) < 0:
        raise ValueError(f"padding must not be negative, got {padding!r}")
    return pads


def resolve_padding(
    padding: Padding, size: Pair, kernel: Pair, stride: Pair, dilation: Pair
) -> Pads:
    """The zeros around an image as ((top, bottom), (left, right)).

    "valid" is none; "same" as many as make the output ceil(size / stride), the odd one below and
    to the right, as in TensorFlow; an integer is that many on every side.

    >>> resolve_padding("same", (28, 28), (5, 5), (2, 2), (1, 1))
    ((1, 2), (1, 2))
    """
    padding = parse_padding(padding)
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        totals = [
            max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            for n, k, s, d in zip(size, kernel, stride, dilation, strict=True)
        ]
        down, across = ((total // 2, total - total // 2) for total in totals)
        return down, across
    assert not isinstance(padding, str)
    return padding
