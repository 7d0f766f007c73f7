"""What Numba and its machine code take of tinygen's memory: how the resident set grows by them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tinygen_kernels.cpu.jit import RecoveringCache


def watch() -> dict[str, int]:
    """Count from now on; the dictionary is kept up to date.

    Its "set-up" are the bytes of all that Numba knows of types and functions, made when the first
    kernel is loaded; "machine code" those of the kernels; "compiled" of them were not in the cache.
    """
    counted = {"set-up": 0, "machine code": 0, "kernels": 0, "compiled": 0}
    load = RecoveringCache.load_overload

    def counting(self: RecoveringCache, signature: Any, target_context: Any) -> Any:
        start = resident()
        target_context.refresh()  # as Numba's cache does next; the second time there is no more
        ready = resident()
        found = load(self, signature, target_context)
        counted["set-up"] += ready - start
        counted["machine code"] += resident() - ready
        counted["kernels"] += 1
        counted["compiled"] += found is None
        return found

    RecoveringCache.load_overload = counting  # type: ignore[method-assign]  # in this process alone
    return counted


def resident() -> int:
    """Bytes; 0 where the system does not tell."""
    file = Path("/proc/self/statm")
    if not file.exists():
        return 0
    return int(file.read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
