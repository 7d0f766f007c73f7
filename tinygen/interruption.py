"""Ctrl-C ends the `tinygen` command in a line, even while it still imports what it needs.

Once `tinygen.cli.main` runs, it sees to that itself. In any other process nothing is changed.
"""

from __future__ import annotations

import os
import sys
from types import TracebackType

INTERRUPTED = 130  # the exit code


def is_command() -> bool:
    """Whether this process is `tinygen ...` or `python -m tinygen ...`."""
    if sys.argv[:1] == ["-m"]:  # while the package is imported; before it stands its name
        return sys.orig_argv[-len(sys.argv)] == "tinygen"
    return os.path.basename(next(iter(sys.argv), "")) in ("tinygen", "tinygen.exe")


def end_quietly(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Report what nobody caught: an interruption in a word, all else as Python does."""
    if not issubclass(kind, KeyboardInterrupt):
        return sys.__excepthook__(kind, error, trace)
    print("interrupted", file=sys.stderr, flush=True)
    os._exit(INTERRUPTED)


if is_command():
    sys.excepthook = end_quietly
