"""The precision of products on the GPU: one switch for everything.

It says what becomes of the factors inside a kernel; arrays and sums are float32 all the same.

float32: they stay what they are (the default).
tf32:    rounded to 10 bits after the point, for the tensor cores: relative errors of some 3e-4.
3xtf32:  each the sum of two of tf32, three products for one: nearly float32, still on tensor cores.
bf16:    rounded to 7 bits after the point, at twice the speed of tf32: errors of some 3e-3.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

PRECISIONS = ("float32", "tf32", "3xtf32", "bf16")

_current = "float32"


def current() -> str:
    """The precision of products now, one of PRECISIONS."""
    return _current


@contextmanager
def using_precision(name: str) -> Iterator[None]:
    """Within the block, products of float32 on the GPU have this precision.

    Raises ValueError for a name that is not in PRECISIONS.

    >>> with using_precision("tf32"):
    ...     current()
    'tf32'
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
