"""What its machine code takes of tinygen's memory: how the resident set grows by it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from tinygen_kernels.cpu.jit import RecoveringCache


def watch() -> dict[str, int]:
    """Count from now on; the dictionary is kept up to date.

    The "bytes" are those of the machine code and of what LLVM and Numba make to load it, by how
    much more is resident; "compiled" is how many of the "kernels" were not in the cache.
    """
    counted = {"bytes": 0, "kernels": 0, "compiled": 0}
    load = RecoveringCache.load_overload

    def counting(self: RecoveringCache, signature: Any, target_context: Any) -> Any:
        before = resident()
        found = load(self, signature, target_context)
        counted["bytes"] += resident() - before
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
