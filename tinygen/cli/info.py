"""tinygen info."""

from __future__ import annotations

import argparse
from typing import Any

from ._parts import add_command


def add_to(commands: Any) -> None:
    """The command."""
    add_command(
        commands,
        "info",
        "Show versions, cores, caches and what is installed.",
        "example:\n  tinygen info",
        run,
        computes=False,
    )


def run(options: argparse.Namespace) -> int:
    """A line a fact."""
    from .. import models
    from ..system import info

    for name, value in {**info(), "models": ", ".join(models.names())}.items():
        print(f"{name:14}{value}")
    return 0
