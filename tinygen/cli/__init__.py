"""The shell: parses, calls, prints. Nothing is computed here.

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted, 143 terminated.
"""

from __future__ import annotations

from .main import main

__all__ = ["main"]
