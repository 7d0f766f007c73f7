"""Where Winograd's transforms find their tiles and weights; see winograd.py.

Each takes arrays, works out addresses, and calls a piece of sandwich.py for every tile or row.

A `grid` says how images are covered: (tiles down, tiles across, of these with 4 pixels down and
across, images in a group). Tiles are numbered group by group. Within a group they are in order of
KINDS, so that for any point those that have it lie one after the other.
"""

from __future__ import annotations

from numba.extending import register_jitable

from .pieces import call
from .sandwich import KINDS, LEFT_OUT, SMALL, TILE, WINDOW


@register_jitable
def transform_weights(piece, w, kernel_width, phases, top, bottom, left, right, u, spread):  # type: ignore[no-untyped-def]
    """u[p] = the transforms of rows `top` to `bottom` of w, (taps, i, o), and some columns.

    Phases lie below each other in u, or side by side if `spread`.
    """
    rows, columns = w.shape[1:]
    size, run = w.itemsize, right - left
    down, across = kernel_width * rows * columns, rows * columns
    row, plane = u.strides[1] // size, u.strides[0] // size
    for job in range(len(phases) * (bottom - top)):  # in the order of what is written
        if spread:
            r, k = divmod(job, len(phases))
        else:
            k, r = divmod(job, bottom - top)
        phase = phases[k]
        tap = phase.tap_down * down + phase.tap_across * across
        skip = k * run if spread else k * (bottom - top) * row
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
def _sides(kind, grid):  # type: ignore[no-untyped-def]
    """(rows, columns) of the tiles of a kind in an image."""
    down, across, large_down, large_across, _ = grid
    rows = large_down if KINDS[kind][0] == TILE else down - large_down
    columns = large_across if KINDS[kind][1] == TILE else across - large_across
    return rows, columns


@register_jitable
def _place(tile, images, grid):  # type: ignore[no-untyped-def]
    """(kind, image, first row, first column) of a tile."""
    group = grid[4]
    image, tile = divmod(tile, group * grid[0] * grid[1])
    image *= group
    here, kind = min(group, images - image), 0
    rows, columns = _sides(kind, grid)
    while tile >= here * rows * columns:
        tile -= here * rows * columns
        kind += 1
        rows, columns = _sides(kind, grid)
    further, rest = divmod(tile, rows * columns)
    i, j = divmod(rest, columns)
    row = TILE * i if KINDS[kind][0] == TILE else TILE * grid[2] + SMALL * i
    column = TILE * j if KINDS[kind][1] == TILE else TILE * grid[3] + SMALL * j
    return kind, image + further, row, column


@register_jitable
def with_point(p, count, grid):  # type: ignore[no-untyped-def]
    """The first of `count` tiles that has point p, and the one after the last.

    If there are smaller tiles, `count` is a whole group.
    """
    start, stop = 0, 0
    if grid[2] == grid[0] and grid[3] == grid[1]:
        return start, count
    i, j = divmod(p, WINDOW)
    images = count // (grid[0] * grid[1])
    for kind in range(len(KINDS)):
        rows, columns = _sides(kind, grid)
        small = (i == LEFT_OUT and KINDS[kind][0] == SMALL) or (
            j == LEFT_OUT and KINDS[kind][1] == SMALL
        )
        if not small:
            stop += images * rows * columns
        elif stop == start:
            start += images * rows * columns
            stop = start
    return start, stop


@register_jitable
def transform_tiles(pieces, x, before, left, right, phases, step, out, first, count, grid):  # type: ignore[no-untyped-def]
    """out[:, t] = the transforms of tile `first` + t of the images x, phase by phase.

    Args:
        pieces: INPUT or OUTPUT_GRAD by kind of tile.
        before: zeros above x and to its left.
        left, right: the channels to transform.
        phases, step: of the image; step is the stride.
    """
    height, width, channels = x.shape[1:]
    size, run = x.itemsize, right - left
    row, plane = out.strides[1] // size, out.strides[0] // size
    for t in range(count):
        kind, n, i, j = _place(first + t, len(x), grid)
        for k in range(len(phases)):
            phase = phases[k]
            down, across = phase.first_down - before[0], phase.first_across - before[1]
            down, across = down + step[0] * i, across + step[1] * j
            pixel = (n * height + down) * width + across
            source = x.ctypes.data + size * (pixel * channels + left)
            target = out.ctypes.data + size * (t * row + k * run)
            call(
                pieces[kind],
                (
                    source, step[0] * width * channels, step[1] * channels,
                    target, WINDOW * plane, plane, run,
                    -(down // step[0]), -((down - height) // step[0]),
                    -(across // step[1]), -((across - width) // step[1]),
                    phase.low_down, phase.high_down, phase.low_across, phase.high_across,
                ),
            )  # fmt: skip


@register_jitable
def transform_back(pieces, f, m, y, b, left, right, phase, step, skip, first, count, grid, a):  # type: ignore[no-untyped-def] # fmt: skip
    """Channels of a phase of y, from their transforms, with bias and activation.

    Args:
        pieces, f, a: OUTPUT by kind of tile; an activation or 0, and its parameter.
        left, right: the channels of y.
        skip: where they begin in m.
    """
    height, width, channels = y.shape[1:]
    size, run = y.itemsize, right - left
    row, plane = m.strides[1] // size, m.strides[0] // size
    down, across = step[0] * width * channels, step[1] * channels
    for t in range(count):
        kind, n, i, j = _place(first + t, len(y), grid)
        rows = min(KINDS[kind][0], phase.height - i)
        columns = min(KINDS[kind][1], phase.width - j)
        pixel = (n * height + phase.first_down + step[0] * i) * width
        pixel += phase.first_across + step[1] * j
        source = m.ctypes.data + size * (t * row + skip)
        target = y.ctypes.data + size * (pixel * channels + left)
        call(
            pieces[kind],
            (
                source, WINDOW * plane, plane, target, down, across, run,
                0, WINDOW, 0, WINDOW, 0, rows, 0, columns,
            ),
        )  # fmt: skip
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
