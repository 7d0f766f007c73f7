"""3 x 3 convolutions with a quarter of the multiplications: Winograd's F(4 x 4, 3 x 3).

A tile of 4 x 4 pixels of the result needs 6 x 6 of the input. Transformed,

    y = A^T [(G w G^T) (B^T x B)] A        element by element within the brackets

takes 36 multiplications for a pair of channels instead of 144. Over all channels and tiles each of
the 36 is a matrix product. The gradient of w is the same read backwards:

    gw = G^T [(B^T x B) (A gy A^T)] G      summed over the tiles

All five transforms are T X T^T with a small matrix T. The price is accuracy: the entries of B and A
are up to 8, and results err by about 1e-5 of their size instead of 1e-6.

Source: Lavin & Gray 2016, "Fast Algorithms for Convolutional Neural Networks".
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
import numpy as np
from numba import prange, types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable
from numpy.typing import NDArray

from .activation import ACTIVATE
from .jit import Loop
from .memory import empty
from .pieces import Piece, call
from .tile import PRODUCT, rectangle
from .vectors import INT64, Emitter

Array = NDArray[Any]
Matrix = Sequence[Sequence[float]]

BT = (
    (4, 0, -5, 0, 1, 0),
    (0, -4, -4, 1, 1, 0),
    (0, 4, -4, -1, 1, 0),
    (0, -2, -1, 2, 1, 0),
    (0, 2, -1, -2, 1, 0),
    (0, 4, 0, -5, 0, 1),
)
G = (
    (1 / 4, 0, 0),
    (-1 / 6, -1 / 6, -1 / 6),
    (-1 / 6, 1 / 6, -1 / 6),
    (1 / 24, 1 / 12, 1 / 6),
    (1 / 24, -1 / 12, 1 / 6),
    (0, 0, 1),
)
AT = (
    (1, 1, 1, 1, 1, 0),
    (0, 1, -1, 2, -2, 0),
    (0, 1, 1, 4, 4, 0),
    (0, 1, -1, 8, -8, 1),
)
TILE, WINDOW = 4, 6  # pixels of the result in a tile, and of the input, along each side
POINTS = WINDOW * WINDOW
WORKSPACE = 1 << 20  # bytes of transformed tiles that a thread works on at a time


def _sandwich_piece(matrix: Matrix) -> Piece:
    """Y = T X T^T for a vector of channels at every place.

    It takes, all in elements: address of X, its strides down and across; address of Y, its strides
    down and across; how many channels; how many rows and columns of Y to store.
    """

    @intrinsic
    def sandwich(  # type: ignore[no-untyped-def]  # Numba reads the names
        context, number, x, x_down, x_across, y, y_down, y_across, channels, rows, columns
    ):
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            _SandwichEmitter(number.dtype.bitwidth, builder).sandwich(matrix, *arguments[1:])
            return context.get_dummy_value()

        return types.void(number, *[types.int64] * 9), emit

    def make(number: Any) -> Any:
        def piece(
            x: int, x_down: int, x_across: int, y: int, y_down: int, y_across: int,
            channels: int, rows: int, columns: int,
        ) -> None:  # fmt: skip
            sandwich(number, x, x_down, x_across, y, y_down, y_across, channels, rows, columns)

        return piece

    return Piece(make, *[types.int64] * 9)


class _SandwichEmitter(Emitter):
    """Writes T X T^T."""

    def sandwich(
        self, matrix: Matrix, x: Any, x_down: Any, x_across: Any, y: Any, y_down: Any,
        y_across: Any, channels: Any, rows: Any, columns: Any,
    ) -> None:  # fmt: skip
        """All channels, as many at a time as a register holds."""
        builder, size = self.builder, len(matrix[0])
        x, y = self.pointer(x), self.pointer(y)
        with cgutils.for_range_slice(builder, INT64(0), channels, INT64(self.lanes)) as (k, _):
            mask = self.mask(builder.sub(channels, k))

            def place(base: Any, down: Any, across: Any, i: int, j: int) -> Any:
                offset = builder.add(builder.mul(down, INT64(i)), builder.mul(across, INT64(j)))
                return self.at(base, builder.add(offset, k), True)

            across_x = [
                self.times(
                    matrix, [self.load(place(x, x_down, x_across, i, j), mask) for i in range(size)]
                )
                for j in range(size)
            ]
            for i, row in enumerate(zip(*across_x, strict=True)):
                with builder.if_then(builder.icmp_signed("<", INT64(i), rows)):
                    for j, value in enumerate(self.times(matrix, row)):
                        with builder.if_then(builder.icmp_signed("<", INT64(j), columns)):
                            self.store(value, place(y, y_down, y_across, i, j), mask)

    def times(self, matrix: Matrix, vectors: Sequence[Any]) -> list[Any]:
        """The matrix times a column of vectors."""
        return [self.combination(row, vectors) for row in matrix]

    def combination(self, factors: Sequence[float], vectors: Sequence[Any]) -> Any:
        """The sum of factors times vectors; what is multiplied by 0 is left out."""
        total = None
        for factor, vector in zip(factors, vectors, strict=True):
            if factor == 0:
                continue
            if total is None:
                total = vector if factor == 1 else self.builder.fmul(vector, self.constant(factor))
            elif factor == 1:
                total = self.builder.fadd(total, vector)
            elif factor == -1:
                total = self.builder.fsub(total, vector)
            else:
                total = self.call("fma", self.vector, [vector, self.constant(factor), total])
        return self.zero if total is None else total


def _turned(matrix: Matrix) -> Matrix:
    return tuple(zip(*matrix, strict=True))


INPUT, WEIGHT, OUTPUT = _sandwich_piece(BT), _sandwich_piece(G), _sandwich_piece(AT)
OUTPUT_GRAD, WEIGHT_GRAD = _sandwich_piece(_turned(AT)), _sandwich_piece(_turned(G))


@Loop
def _transform_weights(w: Array, u: Array, flipped: bool, weight: int) -> None:
    """u[p] = the 36 matrices of w, (9, i, o); for `flipped` with its taps in reverse order."""
    inputs, outputs = w.shape[1:]
    plane = inputs * outputs
    first, sign = (8 * plane, -1) if flipped else (0, 1)
    for c in prange(inputs):
        source = w.ctypes.data + (first + c * outputs) * w.itemsize
        target = u.ctypes.data + c * outputs * w.itemsize
        call(
            weight,
            (source, sign * 3 * plane, sign * plane, target, 6 * plane, plane, outputs, 6, 6),
        )


@register_jitable
def _place(tile, down, across):  # type: ignore[no-untyped-def]
    """(image, first row, first column) of a tile."""
    image, rest = divmod(tile, down * across)
    return image, rest // across * TILE, rest % across * TILE


@register_jitable
def _transform(piece, x, out, first, count, down, across):  # type: ignore[no-untyped-def]
    """out[:, t] = the transform of tile `first` + t of the images x, all channels."""
    channels, size = x.shape[3], x.itemsize
    plane, row = out.shape[1] * channels, x.shape[2] * channels
    for t in range(count):
        n, i, j = _place(first + t, down, across)
        source = x.ctypes.data + size * (n * x.shape[1] * row + i * row + j * channels)
        target = out.ctypes.data + size * t * channels
        call(
            piece,
            (source, row, channels, target, WINDOW * plane, plane, channels, WINDOW, WINDOW),
        )


@Loop
def _convolve(
    x: Array, u: Array, b: Array, y: Array, v: Array, m: Array, pieces: tuple[int, int, int, int],
    parameter: float,
) -> None:  # fmt: skip
    product, forward, backward, f = pieces
    height, width, outputs = y.shape[1:]
    down, across = (height + TILE - 1) // TILE, (width + TILE - 1) // TILE
    tiles, batch = len(x) * down * across, v.shape[2]
    blocks, size = (tiles + batch - 1) // batch, x.itemsize
    for part in prange(len(v)):
        seen, made = v[part], m[part]
        for block in range(blocks * part // len(v), blocks * (part + 1) // len(v)):
            first = block * batch
            count = min(batch, tiles - first)
            _transform(forward, x, seen, first, count, down, across)
            for p in range(POINTS):
                rectangle(product, seen[p, :count, :], u[p, :, :], made[p, :count, :])
            for t in range(count):
                n, i, j = _place(first + t, down, across)
                source = made.ctypes.data + size * t * outputs
                target = y.ctypes.data + size * (((n * height + i) * width + j) * outputs)
                plane, row = batch * outputs, width * outputs
                rows, columns = min(TILE, height - i), min(TILE, width - j)
                call(
                    backward,
                    (source, 6 * plane, plane, target, row, outputs, outputs, rows, columns),
                )
                if f:
                    for r in range(rows):
                        place = target + size * r * row
                        call(f, (place, b.ctypes.data, columns, outputs, outputs * size, parameter))


def convolve(
    x: Array, w: Array, b: Array | None, size: tuple[int, int], flipped: bool, name: str,
    parameter: float,
) -> Array:  # fmt: skip
    """f(x * w + b) for x with its zeros around: `padding_for` says how many.

    Args:
        x: (n, height, width, i).
        w: (9, i, o); its taps are in reverse order if `flipped`.
        b: (o,) or None.
        size: (height, width) of the result.
    """
    (inputs, outputs), dtype = w.shape[1:], x.dtype
    u = empty((POINTS, inputs, outputs), dtype)
    _transform_weights.over(u.size)(np.ascontiguousarray(w), u, flipped, WEIGHT[dtype])
    y = empty((len(x), *size, outputs), dtype)
    batch = _tiles_at_a_time(inputs + outputs, dtype.itemsize)
    threads = numba.get_num_threads()
    v = empty((threads, POINTS, batch, inputs), dtype)
    m = empty((threads, POINTS, batch, outputs), dtype)
    f = 0 if b is None and name == "identity" else ACTIVATE[name][dtype]
    bias = np.zeros(outputs, dtype) if b is None else np.ascontiguousarray(b, dtype)
    pieces = PRODUCT[dtype], INPUT[dtype], OUTPUT[dtype], f
    _convolve.shared(x, u, bias, y, v, m, pieces, parameter)
    return y


def padding_for(
    before: tuple[int, int], have: tuple[int, int], size: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """The zeros around an image of `have` pixels: `before` it, and after it as tiles need them."""
    after = [-(-n // TILE) * TILE + 2 - h - b for b, h, n in zip(before, have, size, strict=True)]
    return (before[0], after[0]), (before[1], after[1])


@Loop
def _correlate(
    x: Array, gy: Array, v: Array, g: Array, parts: Array, pieces: tuple[int, int, int]
) -> None:
    product, forward, backward = pieces
    down, across = gy.shape[1] // TILE, gy.shape[2] // TILE
    tiles, batch = len(x) * down * across, v.shape[2]
    blocks = (tiles + batch - 1) // batch
    for part in prange(len(parts)):
        seen, made, total = v[part], g[part], parts[part]
        start = blocks * part // len(parts)
        for block in range(start, blocks * (part + 1) // len(parts)):
            first = block * batch
            count = min(batch, tiles - first)
            _transform(forward, x, seen, first, count, down, across)
            _transform(backward, gy, made, first, count, down, across)
            for p in range(POINTS):
                here = made[p, :count, :]
                rectangle(product, seen[p, :count, :].T, here, total[p, :, :], block - start)


@Loop
def _transform_sums(parts: Array, gw: Array, weight_grad: int) -> None:
    inputs, outputs = gw.shape[1:]
    plane, size = inputs * outputs, gw.itemsize
    for c in prange(inputs):
        for p in range(POINTS):
            total = parts[0, p, c]
            for part in range(1, len(parts)):
                addend = parts[part, p, c]
                for o in range(total.size):
                    total[o] += addend[o]
        source = parts.ctypes.data + size * c * outputs
        target = gw.ctypes.data + size * c * outputs
        call(weight_grad, (source, 6 * plane, plane, target, 3 * plane, plane, outputs, 3, 3))


def weight_grad(x: Array, gy: Array) -> Array:
    """The gradient of the kernel, (9, i, o), from images with their zeros around.

    Args:
        x: (n, height + 2, width + 2, i).
        gy: (n, height, width, o), where height and width are multiples of TILE.
    """
    inputs, outputs, dtype = x.shape[3], gy.shape[3], x.dtype
    batch = _tiles_at_a_time(inputs + outputs, dtype.itemsize)
    blocks = -(-len(gy) * (gy.shape[1] // TILE) * (gy.shape[2] // TILE) // batch)
    shares = min(blocks, 4 if inputs * outputs <= 1 << 13 else 2)
    v = empty((shares, POINTS, batch, inputs), dtype)
    g = empty((shares, POINTS, batch, outputs), dtype)
    parts = empty((shares, POINTS, inputs, outputs), dtype)
    _correlate.shared(x, gy, v, g, parts, (PRODUCT[dtype], INPUT[dtype], OUTPUT_GRAD[dtype]))
    gw = empty((9, inputs, outputs), dtype)
    _transform_sums.over(gw.size)(parts, gw, WEIGHT_GRAD[dtype])
    return gw


def _tiles_at_a_time(channels: int, size: int) -> int:
    """So many that their transforms fit the workspace, but enough to use each weight often."""
    return min(max(WORKSPACE // (POINTS * channels * size) // 8 * 8, 32), 64)
