"""The engine's switches: gradient recording, debug level, hooks.

Others stand beside what they change: precision, threads and the choice of kernels in the package
`tinygen_kernels`, the stream of random numbers that layers draw from in `ops.random`.
"""

from __future__ import annotations

import os
import threading
from typing import Any


class State(threading.local):
    """What every thread has of its own."""

    grad_enabled: bool = True


state = State()

# Objects whose before() and after() run around every op's forward and backward; see tinygen.hooks.
hooks: list[Any] = []


def debug_level() -> int:
    """From TINYGEN_DEBUG: 1 finds NaN, 2 also tells where ops were called, 3 prints every op."""
    text = os.environ.get("TINYGEN_DEBUG", "0")
    if text not in ("0", "1", "2", "3"):
        raise ValueError(f"TINYGEN_DEBUG must be 0, 1, 2 or 3, not {text!r}")
    return int(text)


class grad_mode:
    """Within the block, record operations for backward, or do not."""

    __slots__ = ("before", "enabled")

    def __init__(self, enabled: bool) -> None:
        self.enabled = enabled

    def __enter__(self) -> None:
        self.before, state.grad_enabled = state.grad_enabled, self.enabled

    def __exit__(self, *error: object) -> None:
        state.grad_enabled = self.before


def no_grad() -> grad_mode:
    """Within `with tinygen.no_grad():` operations are not recorded and keep no memory for backward.

    The switch belongs to the thread.
    """
    return grad_mode(False)
