"""tinygen report."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ._parts import add_command

EXAMPLE = """examples:
  tinygen report runs/stacked-ae                      writes runs/stacked-ae/report.html
  tinygen report runs/vae --out vae.html
"""


def page(text: str) -> Path:
    """The name of a page to write."""
    if not text.lower().endswith((".html", ".htm")):
        raise argparse.ArgumentTypeError(f"a page's name ends in .html, {text!r} does not")
    return Path(text)


def add_to(commands: Any) -> None:
    """The command."""
    what = "Write one HTML page that shows a run: figures, curves, pictures, settings."
    command = add_command(commands, "report", what, EXAMPLE, run)
    command.add_argument("run_folder", metavar="RUN", help="a run's folder, or a checkpoint in it")
    command.add_argument(
        "--out", type=page, metavar="FILE", help="an .html (default RUN/report.html)"
    )


def run(options: argparse.Namespace) -> int:
    """The page, and where it is."""
    from ..view import write_report

    print(write_report(options.run_folder, options.out))
    return 0
