"""Convolution as a product whose rows and steps lie at places in the image.

Pixel p of the result, channel o, is the sum over k of a[rows[p] + steps[k]] w[k, o]: `rows` says
where the kernel is put, `steps` where each tap and channel is from there. So nothing is copied into
a matrix, and the innermost tile (see tile.py) is that of any product. With a table for the places
of the result too, the phases of a transposed convolution are the same product, and with rows and
steps exchanged so is the gradient of the weights: no zero is ever multiplied.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numba.extending import register_jitable
from numpy.typing import NDArray

from ..geometry import Geometry
from ..reference import conv as reference
from . import winograd
from .activation import ACTIVATE, bias_activate
from .jit import Loop
from .memory import empty
from .pieces import call
from .places import Grid, groups_of, parts_of_transpose, steps_of
from .tile import DOTS, GATHERED, gathered_dots, gathered_rectangle

Array = NDArray[Any]
ROWS = 256  # pixels in a block: their tables and inputs stay in the first caches
DEPTH = 192  # steps in a block: 48 columns of so many weights stay in the first cache
FEW = 4  # columns of a product; up to here the tiles of other products waste their registers
WIDE = 256  # elements of a row that bias and activation are applied to at a time, at least
MANY, COLUMNS = 8, 96  # blocks that keep the threads busy; channels in a share if there are fewer
ALONE = 1 << 18  # multiply-adds; up to here a second thread costs more than it saves


@register_jitable
def _fill_places(places, start, grid, height, width):  # type: ignore[no-untyped-def]
    """The places of pixels `start`, `start` + 1 and so on, image by image and row by row."""
    image, pixel = divmod(start, height * width)
    i, j = divmod(pixel, width)
    for p in range(places.size):
        places[p] = grid[0] + image * grid[1] + i * grid[2] + j * grid[3]
        j += 1
        if j == width:
            i, j = i + 1, 0
            if i == height:
                image, i = image + 1, 0


@register_jitable
def _activate_places(f, y, b, places, stride, columns, parameter):  # type: ignore[no-untyped-def]
    """Add bias and apply an activation to pixels that are neighbours; b is repeated, see WIDE."""
    place, bias = y.ctypes.data + places[0] * y.itemsize, b.ctypes.data
    if stride == columns:  # all channels: the rows are one, which is cut into longer ones
        rows, rest = divmod(places.size * columns, b.size)
        call(f, (place, bias, rows, b.size, b.size * y.itemsize, parameter))
        call(f, (place + rows * b.size * y.itemsize, bias, 1, rest, 0, parameter))
    else:
        call(f, (place, bias, places.size, columns, stride * y.itemsize, parameter))


@Loop
def _product(
    x: Array, w: Array, b: Array, y: Array, steps: Array, source: Grid, target: Grid,
    size: tuple[int, int, int], product: int, f: int, parameter: float,
) -> None:  # fmt: skip
    depth, columns = w.shape
    count = size[0] * size[1] * size[2]
    blocks = (count + ROWS - 1) // ROWS
    width = columns if blocks >= MANY else COLUMNS  # few pixels: share out the channels too
    shares = (columns + width - 1) // width
    for job in prange(blocks * shares):
        start, left = job // shares * ROWS, job % shares * width
        right = min(left + width, columns)
        rows = np.empty(min(ROWS, count - start), np.int64)
        places = np.empty(rows.size, np.int64)
        _fill_places(rows, start, source, size[1], size[2])
        _fill_places(places, start, target, size[1], size[2])
        places += left
        for k in range(0, max(depth, 1), DEPTH):
            here = slice(k, min(k + DEPTH, depth))
            gathered_rectangle(product, x, rows, steps[here], w[here, left:right], y, places, k)
        if f:
            _activate_places(f, y, b[left:right], places, target[3], right - left, parameter)


@Loop
def _few_columns(
    x: Array, w: Array, b: Array, y: Array, taps: Array, source: Grid, target: Grid,
    size: tuple[int, int, int], product: int, f: int, parameter: float,
) -> None:  # fmt: skip
    columns = len(w)
    count = size[0] * size[1] * size[2]
    for block in prange((count + ROWS - 1) // ROWS):
        start = block * ROWS
        rows = np.empty(min(ROWS, count - start), np.int64)
        places = np.empty(rows.size, np.int64)
        _fill_places(rows, start, source, size[1], size[2])
        _fill_places(places, start, target, size[1], size[2])
        for o in range(columns):
            gathered_dots(product, x, rows, taps, w[o], y, places + o)
        if f:
            _activate_places(f, y, b, places, target[3], columns, parameter)


@Loop
def _weight_grad(
    x: Array, gy: Array, parts: Array, steps: Array, source: Grid, size: tuple[int, int, int],
    row_shares: int, product: int,
) -> None:  # fmt: skip
    depth, columns = parts.shape[1:]
    count = size[0] * size[1] * size[2]
    blocks, shares = (count + ROWS - 1) // ROWS, len(parts)
    for job in prange(row_shares * shares):
        part, share = job // row_shares, job % row_shares
        top, bottom = depth * share // row_shares, depth * (share + 1) // row_shares
        first, last = blocks * part // shares, blocks * (part + 1) // shares
        total = parts[part].reshape(-1)
        targets = np.arange(top, bottom) * columns
        if first == last:
            parts[part, top:bottom] = 0
        for block in range(first, last):
            start = block * ROWS
            rows = np.empty(min(ROWS, count - start), np.int64)
            _fill_places(rows, start, source, size[1], size[2])
            seen = gy[start : start + rows.size, :columns]
            taps = steps[top:bottom]
            gathered_rectangle(product, x, taps, rows, seen, total, targets, block - first)


@Loop
def _fill_padded(x: Array, padded: Array, top: int, left: int) -> None:
    n, height, width = x.shape
    for image in prange(n):
        padded[image, :top] = 0
        padded[image, top + height :] = 0
        for i in range(height):
            row = padded[image, top + i]
            row[:left] = 0
            row[left : left + width] = x[image, i]
            row[left + width :] = 0


@Loop
def _turn(w: Array, turned: Array) -> None:
    taps, channels, outputs = w.shape
    for tap in prange(taps):
        for c in range(0, channels, 16):
            stop = min(c + 16, channels)
            for o in range(outputs):
                column, row = w[tap, c:stop, o], turned[tap, o, c:stop]
                for i in range(row.size):
                    row[i] = column[i]


def conv2d(
    x: Array, w: Array, b: Array | None, geometry: Geometry, name: str, parameter: float
) -> Array:
    """f(x * w + b); see the reference."""
    if x.dtype.char not in "fd":
        return reference.conv2d(x, w, b, geometry, name, parameter)
    w = np.ascontiguousarray(w, x.dtype)
    n, channels, outputs = len(x), x.shape[3], w.shape[3]
    if by_winograd(n, geometry, channels, outputs):
        before = geometry.pads[0][0], geometry.pads[1][0]
        padded = _pad(x, winograd.padding_for(before, geometry.size, geometry.output_size))
        taps = w.reshape(9, channels, outputs)
        return winograd.convolve(padded, taps, b, geometry.output_size, False, name, parameter)
    y = empty((n, *geometry.output_size, outputs), x.dtype)
    padded = _pad(x, geometry.pads)
    height, width = padded.shape[1:3]
    (sh, sw), (oh, ow) = geometry.stride, geometry.output_size
    reach = height * width * channels, sh * width * channels, sw * channels
    steps = steps_of(geometry.kernel, geometry.dilation, width, channels, geometry.groups)
    for inputs, outs in groups_of(channels, outputs, geometry.groups):
        source = Grid(inputs.start, *reach)
        target = Grid(outs.start, oh * ow * outputs, ow * outputs, outputs)
        weights = w[..., outs].reshape(-1, outs.stop - outs.start)
        bias = None if b is None else b[outs]
        size, run = (n, oh, ow), channels // geometry.groups
        _run(padded, weights, bias, y, steps, source, target, size, run, name, parameter)
    return y


def conv2d_transpose(
    y: Array, w: Array, b: Array | None, geometry: Geometry, name: str, parameter: float
) -> Array:
    """The transpose, phase by phase: pixels that are a stride apart see the same taps."""
    if y.dtype.char not in "fd":
        return reference.conv2d_transpose(y, w, b, geometry, name, parameter)
    w = np.ascontiguousarray(w, y.dtype)
    n, outputs, channels = len(y), w.shape[3], w.shape[2] * geometry.groups
    if by_winograd(n, geometry, channels, outputs):
        before = 2 - geometry.pads[0][0], 2 - geometry.pads[1][0]
        padded = _pad(y, winograd.padding_for(before, geometry.output_size, geometry.size))
        turned = _turned(w)
        return winograd.convolve(padded, turned, b, geometry.size, True, name, parameter)
    x = empty((n, *geometry.size, channels), y.dtype)
    pads, parts = parts_of_transpose(geometry, channels, outputs)
    padded, turned = _pad(y, pads), _turned(w)
    run = outputs // geometry.groups
    whole = geometry.stride == (1, 1)  # else bias and activation come when the phases are together
    for part in parts:
        weights = turned[part.taps, part.outputs].reshape(-1, w.shape[2])
        bias = b[part.inputs] if whole and b is not None else None
        f = name if whole else "identity"
        _run(
            padded, weights, bias, x, part.steps, part.source, part.target, (n, *part.size), run,
            f, parameter,
        )  # fmt: skip
    return x if whole else bias_activate(x, b, name, parameter)


def conv2d_weight_grad(x: Array, gy: Array, geometry: Geometry) -> Array:
    """The gradient of w; see the reference."""
    if x.dtype.char not in "fd":
        return reference.conv2d_weight_grad(x, gy, geometry)
    gy = np.ascontiguousarray(gy, x.dtype)
    n, channels, outputs = len(x), x.shape[3], gy.shape[3]
    if by_winograd(n, geometry, channels, outputs):
        before = geometry.pads[0][0], geometry.pads[1][0]
        seen = _pad(x, winograd.padding_for(before, geometry.size, geometry.output_size))
        (oh, ow), tile = geometry.output_size, winograd.TILE
        whole = _pad(gy, ((0, -oh % tile), (0, -ow % tile)))
        return winograd.weight_grad(seen, whole).reshape(3, 3, channels, outputs)
    padded = _pad(x, geometry.pads)
    height, width = padded.shape[1:3]
    (sh, sw), (oh, ow) = geometry.stride, geometry.output_size
    steps = steps_of(geometry.kernel, geometry.dilation, width, channels, geometry.groups)
    gw = empty((*geometry.kernel, channels // geometry.groups, outputs), x.dtype)
    seen = gy.reshape(-1, outputs)
    for inputs, outs in groups_of(channels, outputs, geometry.groups):
        source = Grid(inputs.start, height * width * channels, sh * width * channels, sw * channels)
        row_shares = min(max(steps.size // 64, 1), 8)
        shares = 4 if row_shares == 1 else 1  # few rows: cut the sums instead
        parts = empty((shares, steps.size, outs.stop - outs.start), x.dtype)
        loop = _weight_grad.shared if parts[0].size * n * oh * ow > ALONE else _weight_grad.alone
        loop(
            padded.reshape(-1), seen[:, outs], parts, steps, source, (n, oh, ow), row_shares,
            GATHERED[x.dtype],
        )  # fmt: skip
        total = parts[0] if shares == 1 else parts.sum(axis=0, dtype=x.dtype)
        gw[..., outs] = total.reshape(*gw.shape[:3], -1)
    return gw


def by_winograd(n: int, geometry: Geometry, inputs: int, outputs: int) -> bool:
    """Whether Winograd's way is the faster one, by measurement."""
    plain = geometry.stride == geometry.dilation == (1, 1) and geometry.groups == 1
    fits = max(geometry.pads[0][0], geometry.pads[1][0]) <= 2 and geometry.kernel == (3, 3)
    height, width = geometry.output_size
    tiles = n * -(-height // winograd.TILE) * -(-width // winograd.TILE)
    return plain and fits and min(inputs, outputs) >= 16 and tiles >= 48


def _run(
    x: Array, w: Array, b: Array | None, y: Array, steps: Array, source: Grid, target: Grid,
    size: tuple[int, int, int], run: int, name: str, parameter: float,
) -> None:  # fmt: skip
    """One product, by one thread or all of them; steps come in runs of so many neighbours."""
    f = 0 if b is None and name == "identity" else ACTIVATE[name][y.dtype]
    bias = np.zeros(w.shape[1], y.dtype) if b is None else np.asarray(b, y.dtype)
    bias = np.tile(bias, -(-WIDE // max(bias.size, 1)))
    work = w.size * size[0] * size[1] * size[2]
    flat, target_flat = x.reshape(-1), y.reshape(-1)
    if w.shape[1] <= FEW and run >= FEW:  # a register's lanes are then better used along channels
        weights = np.ascontiguousarray(w.T, y.dtype).reshape(w.shape[1], -1, run)
        loop = _few_columns.shared if work > ALONE else _few_columns.alone
        loop(
            flat, weights, bias, target_flat, steps[::run].copy(), source, target, size,
            DOTS[y.dtype], f, parameter,
        )  # fmt: skip
        return
    weights = np.ascontiguousarray(w, y.dtype)
    loop = _product.shared if work > ALONE else _product.alone
    loop(
        flat, weights, bias, target_flat, steps, source, target, size, GATHERED[y.dtype], f,
        parameter,
    )  # fmt: skip


def _pad(x: Array, pads: tuple[tuple[int, int], tuple[int, int]]) -> Array:
    """x with zeros around it."""
    (top, bottom), (left, right) = pads
    if not (top or bottom or left or right):
        return np.ascontiguousarray(x)
    n, height, width, channels = x.shape
    padded = empty((n, top + height + bottom, left + width + right, channels), x.dtype)
    rows = np.ascontiguousarray(x).reshape(n, height, width * channels)
    shape = n, top + height + bottom, (left + width + right) * channels
    _fill_padded.over(padded.size)(rows, padded.reshape(shape), top, left * channels)
    return padded


def _turned(w: Array) -> Array:
    """(kh, kw, i, o) as (kh kw, o, i)."""
    kh, kw, channels, outputs = w.shape
    turned = empty((kh * kw, outputs, channels), w.dtype)
    loop = _turn.over(w.size)
    loop(np.ascontiguousarray(w).reshape(kh * kw, channels, outputs), turned)
    return turned
