"""Where Winograd's transforms find their tiles and weights; see winograd.py.

Each takes arrays, works out addresses, and calls a piece of sandwich.py for every tile or row.
"""

from __future__ import annotations

from numba.extending import register_jitable

from .pieces import call
from .sandwich import TILE, WINDOW


@register_jitable
def transform_weights(piece, w, kernel_width, phases, top, bottom, left, right, u, spread):  # type: ignore[no-untyped-def]
    """u[p] = the transforms of rows `top` to `bottom` of w, (taps, i, o), and some columns.

    Phases lie below each other in u, or side by side if `spread`.
    """
    rows, columns = w.shape[1:]
    size, run = w.itemsize, right - left
    down, across = kernel_width * rows * columns, rows * columns
    row, plane = u.strides[1] // size, u.strides[0] // size
    for k in range(len(phases)):
        phase = phases[k]
        tap = phase.tap_down * down + phase.tap_across * across
        skip = k * run if spread else k * (bottom - top) * row
        for r in range(bottom - top):
            source = w.ctypes.data + size * (tap + (top + r) * columns + left)
            target = u.ctypes.data + size * (skip + r * row)
            call(
                piece,
                (
                    source, phase.step_down * down, phase.step_across * across,
                    target, WINDOW * plane, plane, run,
                    phase.top, phase.bottom, phase.left, phase.right, 0, WINDOW, 0, WINDOW,
                ),
            )  # fmt: skip


@register_jitable
def _place(tile, tiles):  # type: ignore[no-untyped-def]
    """(image, first row, first column) of a tile."""
    image, rest = divmod(tile, tiles[0] * tiles[1])
    return image, rest // tiles[1] * TILE, rest % tiles[1] * TILE


@register_jitable
def transform_tiles(piece, x, before, left, right, phases, step, out, first, count, tiles):  # type: ignore[no-untyped-def]
    """out[:, t] = the transforms of tile `first` + t of the images x, phase by phase.

    Args:
        before: zeros above x and to its left.
        left, right: the channels to transform.
        phases, step: of the image; step is the stride.
    """
    height, width, channels = x.shape[1:]
    size, run = x.itemsize, right - left
    row, plane = out.strides[1] // size, out.strides[0] // size
    for t in range(count):
        n, i, j = _place(first + t, tiles)
        for k in range(len(phases)):
            phase = phases[k]
            down, across = phase.first_down - before[0], phase.first_across - before[1]
            down, across = down + step[0] * i, across + step[1] * j
            pixel = (n * height + down) * width + across
            source = x.ctypes.data + size * (pixel * channels + left)
            target = out.ctypes.data + size * (t * row + k * run)
            call(
                piece,
                (
                    source, step[0] * width * channels, step[1] * channels,
                    target, WINDOW * plane, plane, run,
                    -(down // step[0]), -((down - height) // step[0]),
                    -(across // step[1]), -((across - width) // step[1]),
                    phase.low_down, phase.high_down, phase.low_across, phase.high_across,
                ),
            )  # fmt: skip


@register_jitable
def transform_back(piece, f, m, y, b, left, right, phase, step, skip, first, count, tiles, a):  # type: ignore[no-untyped-def] # fmt: skip
    """Channels of a phase of y, from their transforms, with bias and activation.

    Args:
        piece, f, a: OUTPUT; an activation or 0, and its parameter.
        left, right: the channels of y.
        skip: where they begin in m.
    """
    height, width, channels = y.shape[1:]
    size, run = y.itemsize, right - left
    row, plane = m.strides[1] // size, m.strides[0] // size
    down, across = step[0] * width * channels, step[1] * channels
    for t in range(count):
        n, i, j = _place(first + t, tiles)
        rows, columns = min(TILE, phase.height - i), min(TILE, phase.width - j)
        pixel = (n * height + phase.first_down + step[0] * i) * width
        pixel += phase.first_across + step[1] * j
        source = m.ctypes.data + size * (t * row + skip)
        target = y.ctypes.data + size * (pixel * channels + left)
        call(
            piece,
            (
                source,
                WINDOW * plane,
                plane,
                target,
                down,
                across,
                run,
                0,
                WINDOW,
                0,
                WINDOW,
                0,
                rows,
                0,
                columns,
            ),
        )
        if f:
            bias = b.ctypes.data + size * left
            for r in range(rows):
                place = target + size * r * down
                call(f, (place, bias, columns, run, across * size, a))


@register_jitable
def transform_weights_back(piece, total, skip, gw, kernel_width, phase, top, bottom, left, right):  # type: ignore[no-untyped-def]
    """Rows and columns of gw at the taps of a phase, from row `skip` of their transforms on."""
    inputs, outputs = gw.shape[1:]
    size = gw.itemsize
    row, plane = total.strides[1] // size, total.strides[0] // size
    down, across = kernel_width * inputs * outputs, inputs * outputs
    for r in range(bottom - top):
        source = total.ctypes.data + size * (skip + r) * row
        tap = phase.tap_down * down + phase.tap_across * across
        target = gw.ctypes.data + size * (tap + (top + r) * outputs + left)
        call(
            piece,
            (
                source, WINDOW * plane, plane,
                target, phase.step_down * down, phase.step_across * across, right - left,
                0, WINDOW, 0, WINDOW, phase.top, phase.bottom, phase.left, phase.right,
            ),
        )  # fmt: skip
