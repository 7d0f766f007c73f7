"""Convolutions on the tensor cores, in the precision of precision.py; see reference/conv.py.

`serves` tells which shapes come here; the others are for the exact kernels of conv.py.
"""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import precision
from ..geometry import Geometry
from . import conv_tiles
from .activation import KINDS
from .arrays import aligned, blocks, contiguous, empty, module_of
from .conv_shares import add_shares
from .conv_tiles import TILES, Plan, Product
from .launch import Source, launch

Array = NDArray[Any]

FEWEST_CHANNELS = 8  # with less on either side most of a tile would be zeros
QUAD = 4  # numbers that are copied together

TYPES = {"tf32": "Tf32", "3xtf32": "Tf32x3", "bf16": "Bf16"}  # as conv_mma.cuh calls them


def _source(file: str, *kernels: str) -> Source:
    tiles = [(tile, P) for name, P in TYPES.items() for tile in conv_tiles.tiles_for(name)]
    names = (f"{kernel}<{TILES[tile].type_name}, {P}>" for kernel in kernels for tile, P in tiles)
    return Source(file, tuple(names))


PIXELS = _source("conv_mma.cu", "conv_mma", "conv_mma_transpose")
WEIGHTS = _source("conv_mma_weights.cu", "conv_mma_weights")
SOURCES = {"conv_mma": PIXELS, "conv_mma_transpose": PIXELS, "conv_mma_weights": WEIGHTS}

AXIS = np.dtype([(name, "i4") for name in ("read", "written", "stride", "pad", "dilation", "taps")])
SHAPE = np.dtype(
    [(name, "i4") for name in ("images", "channels", "columns", "pitch")]
    + [("down", AXIS), ("across", AXIS)]
)


def why_not(geometry: Geometry, inputs: int, outputs: int, dtype: Any) -> str:
    """Why convolutions like this do not run on the tensor cores; "" if they do."""
    if precision.current() not in TYPES:
        return f"the precision is {precision.current()}; tensor cores have {', '.join(TYPES)}"
    if dtype != np.float32:
        return f"tensor cores take float32, not {np.dtype(dtype)}"
    if geometry.groups != 1:
        return f"there are {geometry.groups} groups, each of which would leave most of a tile empty"
    if min(inputs, outputs) < FEWEST_CHANNELS:
        return (
            f"{inputs} channels in and {outputs} out leave most of a tile empty: "
            f"it takes {FEWEST_CHANNELS} of each"
        )
    return ""


def serves(geometry: Geometry, inputs: int, outputs: int, dtype: Any) -> bool:
    """Whether convolutions of this geometry and so many channels, all three passes, run here.

    They do in the precisions of TYPES, for arrays of float32, with one group and at least
    FEWEST_CHANNELS channels on either side. Numbers of channels that are no multiple of QUAD are
    rounded up in a copy, with zeros: copies to shared memory go by 16 bytes.
    """
    return not why_not(geometry, inputs, outputs, dtype)


def conv2d(
    x: Array,
    w: Array,
    b: Array | None,
    geometry: Geometry,
    name: str,
    parameter: float,
    plan: Plan | None = None,
) -> Array:
    """f(x * w + b):  (n, h, w, i), (kh, kw, i, o), (o,) -> (n, h', w', o).

    Args:
        x, w, b, geometry, name, parameter: as in reference/conv.py.
        plan: how to cut it, one of candidates(forward_product(...)); that of conv_tiles if None.

    Raises ValueError for what `serves` does not.
    """
    inputs, outputs = w.shape[2:]
    product = forward_product(geometry, len(x), inputs, outputs, x.dtype)
    x, w = _whole_quads(x, 3), _whole_quads(w, 2, 3)
    y = empty((len(x), *geometry.output_size, outputs), x.dtype, x)
    shape = _shape(geometry, x, y, pitch=w.shape[3])
    return _run(product, plan, x, w, y, shape, (b, name, parameter))


def conv2d_transpose(
    y: Array,
    w: Array,
    b: Array | None,
    geometry: Geometry,
    name: str,
    parameter: float,
    plan: Plan | None = None,
) -> Array:
    """The adjoint of conv2d, then f(... + b): (n, h', w', o), (kh, kw, i, o) -> (n, h, w, i).

    Arguments and errors as for conv2d; the product is transpose_product(...).
    """
    inputs, outputs = w.shape[2:]
    product = transpose_product(geometry, len(y), inputs, outputs, y.dtype)
    y, w = _whole_quads(y, 3), _whole_quads(w, 3)
    x = empty((len(y), *geometry.size, inputs), y.dtype, y)
    shape = _shape(geometry, y, x)
    return _run(product, plan, y, w, x, shape, (b, name, parameter))


def conv2d_weight_grad(x: Array, gy: Array, geometry: Geometry, plan: Plan | None = None) -> Array:
    """The gradient of w: (n, h, w, i), (n, h', w', o) -> (kh, kw, i, o).

    Arguments and errors as for conv2d; the product is weights_product(...).
    """
    inputs, outputs = x.shape[3], gy.shape[3]
    product = weights_product(geometry, len(x), inputs, outputs, x.dtype)
    x, gy = _whole_quads(x, 3), _whole_quads(gy, 3)
    gw = empty((*geometry.kernel, x.shape[3], outputs), x.dtype, x)
    shape = _shape(geometry, x, gy[..., :outputs], pitch=gy.shape[3])
    return contiguous(_run(product, plan, x, gy, gw, shape)[:, :, :inputs])


# --- The matrix products of the three -------------------------------------------------------------


def forward_product(
    geometry: Geometry, images: int, inputs: int, outputs: int, dtype: Any = np.float32
) -> Product:
    """conv2d: rows are pixels of the result."""
    rows, depth = images * prod(geometry.output_size), geometry.taps * inputs
    kind = _precision(geometry, inputs, outputs, dtype)
    return Product("conv_mma", kind, 1, rows, outputs, depth)


def transpose_product(
    geometry: Geometry, images: int, inputs: int, outputs: int, dtype: Any = np.float32
) -> Product:
    """conv2d_transpose: rows are pixels of a phase, the depth is that of an average one."""
    (height, width), (down, across) = geometry.size, geometry.stride
    rows = images * -(-height // down) * -(-width // across)
    depth = -(-geometry.taps * outputs // (down * across))
    kind = _precision(geometry, inputs, outputs, dtype)
    return Product("conv_mma_transpose", kind, down * across, rows, inputs, depth)


def weights_product(
    geometry: Geometry, images: int, inputs: int, outputs: int, dtype: Any = np.float32
) -> Product:
    """conv2d_weight_grad: rows are taps and channels, the depth counts pixels."""
    rows = geometry.taps * _quads(inputs) * QUAD
    depth = images * prod(geometry.output_size)
    kind = _precision(geometry, inputs, outputs, dtype)
    return Product("conv_mma_weights", kind, 1, rows, outputs, depth)


def _precision(geometry: Geometry, inputs: int, outputs: int, dtype: Any) -> str:
    reason = why_not(geometry, inputs, outputs, dtype)
    if reason:
        raise ValueError(f"no convolution for the tensor cores: {reason}")
    return precision.current()


def _quads(channels: int) -> int:
    return -(-channels // QUAD)


def _whole_quads(x: Array, *axes: int) -> Array:
    """x as float32, as kernels read it by 16 bytes: these axes filled up with zeros to quads."""
    shape = [_quads(n) * QUAD if axis in axes else n for axis, n in enumerate(x.shape)]
    if tuple(shape) != x.shape:
        wider: Array = module_of(x).zeros(shape, np.float32)
        wider[tuple(slice(n) for n in x.shape)] = x
        return wider
    return aligned(x.astype(np.float32, copy=False))


def _shape(geometry: Geometry, read: Array, written: Array, pitch: int = 0) -> Array:
    """The structure Shape of conv_mma.cuh, for images that are read, and whose pixels are rows."""
    axes = (
        (read.shape[1 + i], written.shape[1 + i], geometry.stride[i], geometry.pads[i][0],
         geometry.dilation[i], geometry.kernel[i])
        for i in range(2)
    )  # fmt: skip
    return np.array((len(read), read.shape[3], written.shape[3], pitch, *axes), SHAPE)


def _run(
    product: Product,
    plan: Plan | None,
    x: Array,
    w: Array,
    y: Array,
    shape: Array,
    epilogue: tuple[Array | None, str, float] = (None, "identity", 0.0),
) -> Array:
    """y, made in parts if the plan says so."""
    name, splits = plan or conv_tiles.plan(product)
    tile = TILES[name]
    bias = None if epilogue[0] is None else contiguous(epilogue[0].astype(np.float32, copy=False))
    kind, parameter = KINDS[epilogue[1]], np.float32(epilogue[2])
    part = y if splits == 1 else empty((splits, *y.shape), y.dtype, y)
    launch(
        SOURCES[product.kernel][f"{product.kernel}<{tile.type_name}, {TYPES[product.precision]}>"],
        (
            blocks(product.rows, tile.rows) * blocks(product.columns, tile.columns),
            splits,
            product.phases,
        ),
        tile.threads,
        (x, w, bias, part, shape, kind, parameter),
        tile.shared,
    )
    if splits > 1:
        return add_shares(part, y, bias, *epilogue[1:])
    return y
