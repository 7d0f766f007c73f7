"""The one switch for how precisely products of float32 are formed on a card.

"float32" is exact. "3xtf32" is nearly as good, by three products of tensor cores. "tf32" keeps 10
bits of each factor and "bf16" 7; both add up in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

PRECISIONS = ("float32", "tf32", "3xtf32", "bf16")

_current = "float32"


def current() -> str:
    """The precision in force, one of PRECISIONS."""
    return _current


@contextmanager
def using_precision(name: str) -> Iterator[None]:
    """Within the block, kernels form products of float32 with this precision."""
    global _current
    if name not in PRECISIONS:
        raise ValueError(f"unknown precision {name!r}: choose from {', '.join(PRECISIONS)}")
    before, _current = _current, name
    try:
        yield
    finally:
        _current = before
