"""The optimisers' updates on CUDA, one launch for all parameters; the twin of reference/optim.py.

Kernels find the arrays by a table of addresses. Parameters and state that an optimiser has gathered
stay where they are, and a training loop whose gradients come to lie at the same places again uses a
table that is there already. A new one is copied from the host, and factors go by value: so an
update is launched after a captured graph, not captured itself.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .arrays import address, blocks, c_type, contiguous, empty, for_both_types, module_of
from .launch import Source, launch
from .reduce import add_all

Array = NDArray[Any]
Arrays = Sequence[Array]

THREADS, CHUNK = 256, 2048  # as in optim.cu
TABLES = 64  # how many are kept

SOURCE = Source(
    "optim.cu", for_both_types("sgd", "momentum", "rmsprop", "adam", "ema", "sum_of_squares")
)


def sgd(
    parameters: Arrays,
    gradients: Arrays,
    velocities: Arrays,
    momentum: float,
    into_velocity: float,
    from_velocity: float,
    from_gradient: float,
    scale: float | Array,
) -> None:
    """See the reference."""
    if velocities:
        factors = momentum, into_velocity, from_velocity, from_gradient
        _update("momentum", gradients, [parameters, velocities], factors, scale)
    else:
        _update("sgd", gradients, [parameters], (from_gradient,), scale)


def rmsprop(
    parameters: Arrays,
    gradients: Arrays,
    squares: Arrays,
    rate: float,
    rho: float,
    inside: float,
    outside: float,
    scale: float | Array,
) -> None:
    """See the reference."""
    factors = rate, rho, 1 - rho, inside, outside
    _update("rmsprop", gradients, [parameters, squares], factors, scale)


def adam(
    parameters: Arrays,
    gradients: Arrays,
    means: Arrays,
    squares: Arrays,
    beta1: float,
    beta2: float,
    from_mean: float,
    from_gradient: float,
    root: float,
    epsilon: float,
    keep: float,
    scale: float | Array,
) -> None:
    """See the reference."""
    of_averages = beta1, 1 - beta1, beta2, 1 - beta2
    of_step = from_mean, from_gradient, root, epsilon, keep
    _update("adam", gradients, [parameters, means, squares], (*of_averages, *of_step), scale)


def ema(averages: Arrays, parameters: Arrays, decay: float) -> None:
    """See the reference."""
    _update("ema", parameters, [averages], (1 - decay,))


def sum_of_squares(arrays: Arrays) -> Array | float:
    """The sum of the squares of all elements, added up in float64.

    An array without axes where they live, so that the host need not wait for it; 0.0 for no arrays.
    """
    if not arrays:
        return 0.0
    like = arrays[0]
    part = empty((sum(blocks(a.size, CHUNK) for a in arrays),), np.float64, like)
    start = 0
    for members in _by_type(arrays):
        read = [contiguous(arrays[i]) for i in members]
        table, chunks = _table(read, [])
        kernel = SOURCE[f"sum_of_squares<{c_type(read[0])}>"]
        args = table, np.int32(len(read)), part[start : start + chunks]
        launch(kernel, chunks, THREADS, args)
        start += chunks
    return add_all(part)


def _update(
    name: str,
    read: Arrays,
    changed: Sequence[Arrays],
    factors: Sequence[float],
    scale: float | Array | None = None,
) -> None:
    """A launch for each type: `changed` follow the arrays of `read`, which may have any layout.

    The scale may be an array without axes where they live, so that nobody need wait for it.
    """
    if any(len(arrays) != len(read) for arrays in changed):
        raise ValueError(f"{name}: lists of {[len(a) for a in (read, *changed)]} arrays")
    for members in _by_type(changed[0]):
        own = [[arrays[i] for i in members] for arrays in changed]
        dtype = own[0][0].dtype
        followed = [contiguous(read[i], dtype) for i in members]
        table, chunks = _table(followed, own)
        args = [table, np.int32(len(members)), *map(dtype.type, factors)]
        if isinstance(scale, type(table)):
            args += [dtype.type(1), scale.astype(dtype)]
        elif scale is not None:
            args += [dtype.type(scale), None]
        launch(SOURCE[f"{name}<{c_type(own[0][0])}>"], chunks, THREADS, args)


def _by_type(arrays: Arrays) -> list[list[int]]:
    """The places of the arrays of each type."""
    members: dict[Any, list[int]] = {}
    for i, a in enumerate(arrays):
        members.setdefault(a.dtype, []).append(i)
    return list(members.values())


def _table(read: Arrays, changed: Sequence[Arrays]) -> tuple[Array, int]:
    """The table for these arrays where they live, and how many chunks they are cut into."""
    for arrays in changed:
        for a, of in zip(arrays, read, strict=True):
            if a.size != of.size or a.dtype != of.dtype or not a.flags.c_contiguous:
                raise ValueError(
                    f"an update of {of.size} elements of {of.dtype} cannot go into an array of "
                    f"{a.size} of {a.dtype} with strides {a.strides}"
                )
    nowhere = [0] * len(read)
    followed, *state = [[address(a) for a in arrays] for arrays in changed] or [nowhere]
    columns = [followed, [address(a) for a in read], *state, nowhere, nowhere][:4]
    return _laid_out(_place(read[0]), tuple(map(tuple, columns)), tuple(a.size for a in read))


def _place(x: Array) -> tuple[Any, int, int]:
    """The module of x, and the device and the stream by which its memory is in use."""
    xp = module_of(x)
    if xp is np:
        return np, 0, 0
    return xp, xp.cuda.runtime.getDevice(), xp.cuda.get_current_stream().ptr


@functools.lru_cache(TABLES)
def _laid_out(
    place: tuple[Any, int, int], columns: tuple[tuple[int, ...], ...], sizes: tuple[int, ...]
) -> tuple[Array, int]:
    chunks = [blocks(size, CHUNK) for size in sizes]
    first = np.cumsum([0, *chunks])
    rows = np.array([*columns, sizes, first[:-1]], np.uint64).T
    return place[0].asarray(np.ascontiguousarray(rows)), int(first[-1])
