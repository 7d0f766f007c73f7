"""The largest of each window, and the way back.

Both directions go through the positions in a window: for one of them, all windows of a line of
output take the same step from one to the next, and a piece works through them, channel by channel,
while the line stays in cache. Backward, a thread has rows of the image's gradient and adds to them
what the windows above them send, so windows may overlap.

Windows of 2 x 2, the usual ones, are compared in one go; where they lie side by side, backward
each writes its four pixels.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange, types
from numba.extending import register_jitable
from numpy.typing import NDArray

from ..geometry import Geometry
from ..reference import pool as reference
from ..reference.pool import max_pool2d_pick
from .jit import Loop, prefer_wide_vectors
from .memory import empty
from .pieces import Piece, call, vector

__all__ = ["max_pool2d", "max_pool2d_grad", "max_pool2d_pick"]

Array = NDArray[Any]

BLOCK = 1 << 14  # numbers that a thread computes at a time, in whole rows


def _keep_larger(number: Any) -> Any:
    """y = max(y, x), with the position of x where that was larger; for `repeats` pixels."""

    def piece(
        x: int, y: int, positions: int, position: int, channels: int,
        repeats: int, x_step: int, y_step: int,
    ) -> None:  # fmt: skip
        prefer_wide_vectors()
        here = types.uint8(position)
        for r in range(repeats):
            new = vector(x + r * x_step, channels, number)
            best = vector(y + r * y_step, channels, number)
            where = vector(positions + r * channels, channels, types.uint8)
            for k in range(channels):
                larger = (new[k] > best[k]) | ((new[k] != new[k]) & (best[k] == best[k]))
                best[k] = new[k] if larger else best[k]
                where[k] = here if larger else where[k]

    return piece


def _largest_of_four(number: Any) -> Any:
    """y = the largest of a window of 2 x 2 and its position, for `repeats` pixels."""

    def piece(
        x: int, y: int, positions: int, channels: int,
        repeats: int, down: int, across: int, x_step: int, y_step: int,
    ) -> None:  # fmt: skip
        prefer_wide_vectors()
        zero, one, two, three = types.uint8(0), types.uint8(1), types.uint8(2), types.uint8(3)
        for r in range(repeats):
            place = x + r * x_step
            a = vector(place, channels, number)
            b = vector(place + across, channels, number)
            c = vector(place + down, channels, number)
            d = vector(place + down + across, channels, number)
            best = vector(y + r * y_step, channels, number)
            where = vector(positions + r * channels, channels, types.uint8)
            for k in range(channels):
                ak, bk, ck, dk = a[k], b[k], c[k], d[k]
                right = (bk > ak) | ((bk != bk) & (ak == ak))
                upper, upper_at = bk if right else ak, one if right else zero
                right = (dk > ck) | ((dk != dk) & (ck == ck))
                lower, lower_at = dk if right else ck, three if right else two
                below = (lower > upper) | ((lower != lower) & (upper == upper))
                best[k] = lower if below else upper
                where[k] = lower_at if below else upper_at

    return piece


def _send_back(number: Any) -> Any:
    """gx += gy where the position is the given one, for `repeats` pixels."""

    def piece(
        gy: int, positions: int, gx: int, position: int, channels: int,
        repeats: int, gy_step: int, gx_step: int,
    ) -> None:  # fmt: skip
        prefer_wide_vectors()
        here = types.uint8(position)
        for r in range(repeats):
            sent = vector(gy + r * gy_step, channels, number)
            where = vector(positions + r * channels, channels, types.uint8)
            total = vector(gx + r * gx_step, channels, number)
            for k in range(channels):
                total[k] += sent[k] if where[k] == here else number(0)

    return piece


def _send_to_four(number: Any) -> Any:
    """gx = gy where the position is that of the pixel, else 0, in `repeats` windows of 2 x 2."""

    def piece(
        gy: int, positions: int, gx: int, channels: int,
        repeats: int, down: int, across: int, gy_step: int, gx_step: int,
    ) -> None:  # fmt: skip
        prefer_wide_vectors()
        here = types.uint8(0), types.uint8(1), types.uint8(2), types.uint8(3)
        for r in range(repeats):
            sent = vector(gy + r * gy_step, channels, number)
            where = vector(positions + r * channels, channels, types.uint8)
            for i in range(2):  # LLVM gives up on a loop that writes to four places
                place, left, right = gx + r * gx_step + i * down, here[2 * i], here[2 * i + 1]
                a = vector(place, channels, number)
                b = vector(place + across, channels, number)
                for k in range(channels):
                    a[k] = sent[k] if where[k] == left else number(0)
                    b[k] = sent[k] if where[k] == right else number(0)

    return piece


KEEP_LARGER = Piece(_keep_larger, *[types.int64] * 8)
LARGEST_OF_FOUR = Piece(_largest_of_four, *[types.int64] * 9)
SEND_BACK = Piece(_send_back, *[types.int64] * 8)
SEND_TO_FOUR = Piece(_send_to_four, *[types.int64] * 9)


@register_jitable
def _touching(offset, stride, inputs, outputs):  # type: ignore[no-untyped-def]
    """Outputs i, from the first to the one after the last, with 0 <= i stride + offset < inputs."""
    first = max(-(offset // stride), 0)
    after = min((inputs - 1 - offset) // stride + 1, outputs)
    return first, max(after, first)


@Loop
def _max_pool2d(
    x: Array, y: Array, positions: Array, block: int, larger: int,
    kh: int, kw: int, sh: int, sw: int, top: int, left: int,
) -> None:  # fmt: skip
    _, height, width, channels = x.shape
    n, oh, ow, _ = y.shape
    blocks = -(-oh // block)
    down, across, step = x.strides[1], x.strides[2], y.strides[2]
    for part in prange(n * blocks):
        image, first_row = part // blocks, part % blocks * block
        for i in range(first_row, min(first_row + block, oh)):
            origin = x.ctypes.data + image * x.strides[0] + (i * sh - top) * down - left * across
            out = y.ctypes.data + image * y.strides[0] + i * y.strides[1]
            where = positions.ctypes.data + image * positions.strides[0] + i * positions.strides[1]
            a0, a1 = max(top - i * sh, 0), min(height + top - i * sh, kh)
            for j in range(ow):
                y[image, i, j] = -np.inf
                positions[image, i, j] = a0 * kw + max(left - j * sw, 0)
            for a in range(a0, a1):
                for b in range(kw):
                    j0, j1 = _touching(b - left, sw, width, ow)
                    place = origin + a * down + (j0 * sw + b) * across
                    places = place, out + j0 * step, where + j0 * channels
                    call(larger, (*places, a * kw + b, channels, j1 - j0, sw * across, step))


@Loop
def _max_pool2d_of_four(
    x: Array, y: Array, positions: Array, sh: int, sw: int, piece: int
) -> None:  # fmt: skip
    """For windows of 2 x 2 within the image."""
    n, oh, ow, channels = y.shape
    down, across, step = x.strides[1], x.strides[2], y.strides[2]
    for row in prange(n * oh):
        image, i = row // oh, row % oh
        places = x[image, i * sh].ctypes.data, y[image, i].ctypes.data
        where = positions[image, i].ctypes.data
        call(piece, (*places, where, channels, ow, down, across, sw * across, step))


@Loop
def _max_pool2d_grad(
    gy: Array, positions: Array, gx: Array, block: int, send: int,
    kh: int, kw: int, sh: int, sw: int, top: int, left: int,
) -> None:  # fmt: skip
    n, height, width, channels = gx.shape
    _, oh, ow, _ = gy.shape
    blocks = -(-height // block)
    across, step = gx.strides[2], gy.strides[2]
    for part in prange(n * blocks):
        image, first_row = part // blocks, part % blocks * block
        for row in range(first_row, min(first_row + block, height)):
            gx[image, row] = 0
            total = gx.ctypes.data + image * gx.strides[0] + row * gx.strides[1]
            for a in range(kh):
                i, rest = divmod(row + top - a, sh)
                if rest or i < 0 or i >= oh:
                    continue
                sent = gy.ctypes.data + image * gy.strides[0] + i * gy.strides[1]
                where = positions.ctypes.data
                where += image * positions.strides[0] + i * positions.strides[1]
                for b in range(kw):
                    j0, j1 = _touching(b - left, sw, width, ow)
                    place = total + (j0 * sw + b - left) * across
                    places = sent + j0 * step, where + j0 * channels, place
                    call(send, (*places, a * kw + b, channels, j1 - j0, step, sw * across))


@Loop
def _max_pool2d_grad_of_four(
    gy: Array, positions: Array, gx: Array, block: int, piece: int
) -> None:  # fmt: skip
    """For windows of 2 x 2 side by side: every pixel is in one of them or beyond all."""
    channels = gx.shape[3]
    n, oh, ow, _ = gy.shape
    blocks = -(-oh // block)
    down, across, step = gx.strides[1], gx.strides[2], gy.strides[2]
    for part in prange(n * blocks):
        image, first_row = part // blocks, part % blocks * block
        last_row = min(first_row + block, oh)
        for i in range(first_row, last_row):
            places = gy[image, i].ctypes.data, positions[image, i].ctypes.data
            target = gx[image, 2 * i].ctypes.data
            call(piece, (*places, target, channels, ow, down, across, step, 2 * across))
            gx[image, 2 * i : 2 * i + 2, 2 * ow :] = 0
        if last_row == oh:
            gx[image, 2 * oh :] = 0


def max_pool2d(x: Array, geometry: Geometry) -> tuple[Array, Array]:
    """The largest number of each window, (n, h', w', c), and its position; see the reference."""
    if not _is_usual(x, geometry):
        return reference.max_pool2d(x, geometry)
    x = np.ascontiguousarray(x)
    shape = len(x), *geometry.output_size, x.shape[3]
    y, positions = empty(shape, x.dtype), empty(shape, np.dtype(np.uint8))
    if _four_each(geometry):
        piece = LARGEST_OF_FOUR[x.dtype]
        _max_pool2d_of_four.over(x.size)(x, y, positions, *geometry.stride, piece)
        return y, positions
    _max_pool2d.over(x.size)(x, y, positions, _rows(y), KEEP_LARGER[x.dtype], *_numbers(geometry))
    return y, positions


def max_pool2d_grad(gy: Array, position: Array, geometry: Geometry) -> Array:
    """Each number of gy, (n, h', w', c), added where its position is: (n, h, w, c)."""
    if not _is_usual(gy, geometry):
        return reference.max_pool2d_grad(gy, position, geometry)
    gy, position = np.ascontiguousarray(gy), np.ascontiguousarray(position)
    gx = empty((len(gy), *geometry.size, gy.shape[3]), gy.dtype)
    if _four_each(geometry) and geometry.stride == (2, 2):
        piece = SEND_TO_FOUR[gy.dtype]
        _max_pool2d_grad_of_four.over(gx.size)(gy, position, gx, _rows(gy), piece)
        return gx
    _max_pool2d_grad.over(gx.size)(
        gy, position, gx, _rows(gx), SEND_BACK[gy.dtype], *_numbers(geometry)
    )
    return gx


def _is_usual(x: Array, geometry: Geometry) -> bool:
    """Whether these kernels can do it: something to do, a type and a window they know."""
    return x.size > 0 and x.dtype.char in "fd" and geometry.taps <= 256


def _four_each(geometry: Geometry) -> bool:
    """Whether all windows are 2 x 2 pixels of the image."""
    return geometry.kernel == (2, 2) and geometry.pads == ((0, 0), (0, 0))


def _rows(y: Array) -> int:
    """How many rows of a result a thread takes at a time."""
    rows: int = max(BLOCK // (y.shape[2] * y.shape[3]), 1)
    return rows


def _numbers(geometry: Geometry) -> tuple[int, ...]:
    """What the kernels need to know of a geometry."""
    (top, _), (left, _) = geometry.pads
    return *geometry.kernel, *geometry.stride, top, left
