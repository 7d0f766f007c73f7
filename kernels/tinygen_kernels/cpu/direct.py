"""Convolution as a product whose rows and steps lie at places in the image.

Pixel p of the result, channel o, is the sum over k of a[rows[p] + steps[k]] w[k, o]: `rows` says
where the kernel is put, `steps` where each tap and channel is from there. So nothing is copied into
a matrix, and the innermost tile (see gathered.py) is that of any product. With a table for the
places of the result too, the phases of a transposed convolution are such products, and with rows
and steps exchanged so is the gradient of the weights: no zero is ever multiplied.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numba import prange
from numba.extending import register_jitable
from numpy.typing import NDArray

from ..geometry import Geometry
from ..lines import LINE
from .activation import ACTIVATE, bias_activate, repeated
from .gathered import DOTS, GATHERED, gathered_dots, gathered_rectangle
from .jit import Loop
from .memory import empty
from .pieces import call
from .places import Places, groups_of
from .reduce import add
from .shares import share

Array = NDArray[Any]
DEPTH = 192  # steps in a block: 48 columns of so many weights stay in the first cache
WIDE = 256  # elements of a row that bias and activation are applied to at a time, at least
MANY, COLUMNS = 8, 96  # blocks that keep the threads busy; channels in a share if there are fewer
ALONE = 1 << 18  # multiply-adds; up to here a second thread costs more than it saves


@register_jitable
def _activate(f, made, b, stride, first, rows, columns, parameter):  # type: ignore[no-untyped-def]
    """Add bias and apply an activation to pixels that are neighbours; b is repeated, see WIDE."""
    place, bias = made.ctypes.data, b.ctypes.data
    if stride == columns:  # all channels: the rows are one, which is cut into longer ones
        rows, rest = divmod(rows * columns, b.size)
        call(f, (place, bias, rows, b.size, b.size * b.itemsize, parameter))
        call(f, (place + rows * b.size * b.itemsize, bias, 1, rest, 0, parameter))
    else:
        bias += first * b.itemsize
        call(f, (place, bias, rows, columns, stride * b.itemsize, parameter))


@Loop
def _products(
    x: Array, w: Array, columns: int, b: Array, y: Array, parts: Array, steps: Array,
    sources: Array, targets: Array, jobs: Array, product: int, f: int, parameter: float,
) -> None:  # fmt: skip
    width = columns if len(jobs) >= MANY else min(COLUMNS, columns)  # few: share out channels too
    shares = (columns + width - 1) // width
    for k in prange(len(jobs) * shares):
        job = jobs[k // shares]
        part, count = parts[job.part], job.count
        left = k % shares * width
        right = min(left + width, columns)
        seen, made = x.reshape(-1)[job.source :], y.reshape(-1)[job.target + left :]
        block = slice(part.first_place, part.first_place + count)
        first, last = part.first_step, part.first_step + part.steps
        for start in range(first, max(last, first + 1), DEPTH):
            here = slice(start, min(start + DEPTH, last))
            gathered_rectangle(
                product, seen, sources[block], steps[here], w[here, left:right], made,
                targets[block], start - first,
            )  # fmt: skip
        if f:
            stride, channel = part.target_pixel, part.channel + left
            _activate(f, made, b, stride, channel, count, right - left, parameter)


@Loop
def _dots(
    x: Array, w: Array, b: Array, y: Array, parts: Array, steps: Array, sources: Array,
    targets: Array, jobs: Array, product: int, f: int, parameter: float,
) -> None:  # fmt: skip
    columns, run = w.shape[1:]
    taps = steps[::run].copy()
    for k in prange(len(jobs)):
        job = jobs[k]
        part, count = parts[job.part], job.count
        seen, made = x.reshape(-1)[job.source :], y.reshape(-1)[job.target :]
        block = slice(part.first_place, part.first_place + count)
        here = slice(part.first_step // run, (part.first_step + part.steps) // run)
        for o in range(columns):
            gathered_dots(
                product, seen, sources[block], taps[here], w[here, o], made[o:], targets[block]
            )
        if f:
            stride, channel = part.target_pixel, part.channel
            _activate(f, made, b, stride, channel, count, columns, parameter)


@Loop
def _weight_grad(
    x: Array, gy: Array, sums: Array, steps: Array, sources: Array, jobs: Array, row_shares: int,
    product: int,
) -> None:  # fmt: skip
    depth, columns = sums.shape[1:]
    shares = len(sums)
    for k in prange(row_shares * shares):
        of_sums, of_rows = k // row_shares, k % row_shares
        top, bottom = share(depth, row_shares, of_rows)
        first, last = share(len(jobs), shares, of_sums)
        total = sums[of_sums].reshape(-1)
        targets = np.arange(top, bottom) * columns
        if first == last:
            sums[of_sums, top:bottom] = 0
        for block in range(first, last):
            job = jobs[block]
            pixels = gy[job.pixel : job.pixel + job.count, :columns]
            gathered_rectangle(
                product, x.reshape(-1)[job.source :], steps[top:bottom], sources[: job.count],
                pixels, total, targets, block - first,
            )  # fmt: skip
    for part in range(1, shares):
        add(sums[0].reshape(-1), sums[part].reshape(-1))


def convolve(
    x: Array, w: Array, b: Array | None, y: Array, places: Places, transposed: bool, dots: bool,
    geometry: Geometry, name: str, parameter: float,
) -> Array:  # fmt: skip
    """y = f(x * w + b), or f of the transposed convolution.

    Args:
        x: with its zeros around, see Places.
        w: (taps, i / groups, o), or turned, (taps, o, i / groups), if the channels that are read
            should come last: for a convolution by dots, or a transposed one without.
        y: to be filled.
    """
    axis = 1 if transposed != dots else 2  # where the groups are
    if places.taps is not None:
        w = w[places.taps]
    if geometry.groups > 1:
        cuts = groups_of(w.shape[axis], 0, geometry.groups)
        w = np.concatenate([w[:, c] if axis == 1 else w[..., c] for c, _ in cuts])
    # bias and activation of phases come when they are together
    whole = len(places.parts) == geometry.groups
    f = 0 if not whole or (b is None and name == "identity") else ACTIVATE[name][y.dtype]
    bias = _no_bias(y.shape[3], y.dtype) if b is None or not f else _repeated(b, y.dtype)
    work = w.size * (y.size // y.shape[3]) if y.size else 0
    tables = places[2:7]
    if dots:
        loop = _dots.shared if work > ALONE else _dots.alone
        loop(x, w, bias, y, *tables, DOTS[y.dtype], f, parameter)
    else:
        columns = w.shape[2]
        w = _spread_rows(w.reshape(-1, columns))
        loop = _products.shared if work > ALONE else _products.alone
        loop(x, w, columns, bias, y, *tables, GATHERED[y.dtype], f, parameter)
    return y if whole else bias_activate(y, b, name, parameter)


def _repeated(b: Array, dtype: np.dtype[Any]) -> Array:
    """A bias again and again, at least WIDE numbers, so that rows of few channels are one."""
    return repeated(b, -(-WIDE // max(b.size, 1)), dtype)


@functools.lru_cache(maxsize=256)
def _no_bias(channels: int, dtype: np.dtype[Any]) -> Array:
    """The same for no bias."""
    return _repeated(np.zeros(channels), dtype)


def _spread_rows(w: Array) -> Array:
    """w, with rows an odd number of cache lines apart if they were a multiple of 8.

    A block of columns is read again and again, and should stay in the first cache; but that far
    apart, rows share so few of its sets that they push each other out.
    """
    if not w.shape[1] or w.shape[1] * w.itemsize % (8 * LINE):
        return w
    spread = empty((len(w), w.shape[1] + LINE // w.itemsize), w.dtype)
    spread[:, : w.shape[1]] = w
    return spread


def weight_grad(x: Array, gy: Array, places: Places, geometry: Geometry) -> Array:
    """The gradient of the kernel, (kh, kw, i / groups, o).

    Args:
        x: with its zeros around, see Places.
    """
    channels, outputs = x.shape[3] // geometry.groups, gy.shape[3]
    seen, depth = gy.reshape(-1, outputs), geometry.taps * channels
    row_shares = min(max(depth // 64, 1), 8)
    shares = 4 if row_shares == 1 else 1  # few rows: cut the sums instead
    loop = _weight_grad.shared if depth * gy.size > ALONE else _weight_grad.alone
    parts = []
    for g, (_, outs) in enumerate(groups_of(channels, outputs, geometry.groups)):
        sums = empty((shares, depth, outs.stop - outs.start), x.dtype)
        tables = places.steps[:depth], places.sources, places.jobs_of[g]
        loop(x, seen[:, outs], sums, *tables, row_shares, GATHERED[x.dtype])
        parts.append(sums[0].reshape(*geometry.kernel, channels, sums.shape[2]))
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=3)
