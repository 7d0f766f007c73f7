"""The precision of products and convolutions in float32: one switch for both devices.

Arrays and sums are float32 all the same.

float32: the default. On the CPU, convolutions may go Winograd's way, whose rounding errors are
         relative to the largest pixel of a tile; on the GPU each product is formed by itself.
exact:   each product is formed by itself on the CPU too; on the GPU the same as float32.

The others are for the GPU alone, and say what becomes of the factors inside a kernel.

tf32:    rounded to 10 bits after the point, for the tensor cores: relative errors of some 3e-4.
3xtf32:  each the sum of two of tf32, three products for one: nearly float32, still on tensor cores.
bf16:    rounded to 7 bits after the point, at twice the speed of tf32: errors of some 3e-3.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

PRECISIONS = ("float32", "tf32", "3xtf32", "bf16", "exact")
ON_CPU = ("float32", "exact")

_current = "float32"


def current() -> str:
    """The precision of products now, one of PRECISIONS."""
    return _current


@contextmanager
def using_precision(name: str) -> Iterator[None]:
    """Within the block, products and convolutions of float32 have this precision.

    "exact" keeps convolutions on the CPU from Winograd's way: 2 to 4 times the multiplications, but
    a huge pixel leaves all results alone that it is no part of. "tf32", "3xtf32" and "bf16" are for
    the GPU, and change nothing on the CPU.

    Raises ValueError for a name that is not in PRECISIONS.

    >>> with using_precision("exact"):
    ...     current()
    'exact'
    >>> current()
    'float32'
    """
    global _current
    if name not in PRECISIONS:
        raise ValueError(f"no precision called {name!r}: choose from {', '.join(PRECISIONS)}")
    before, _current = _current, name
    try:
        yield
    finally:
        _current = before
