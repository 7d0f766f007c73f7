"""tinygen gradcheck."""

from __future__ import annotations

import argparse
from typing import Any

from ._parts import UsageError, add_command

EXAMPLE = """examples:
  tinygen gradcheck           every op, first and second order
  tinygen gradcheck tanh      one of them
"""


def add_to(commands: Any) -> None:
    """The command."""
    command = add_command(
        commands,
        "gradcheck",
        "Check gradients of ops against differences, in float64.",
        EXAMPLE,
        run,
    )
    command.add_argument("op", nargs="?", metavar="OP", help="default: all of them")


def run(options: argparse.Namespace) -> int:
    """A line an op; fails if any gradient is wrong."""
    from ..names import nearest
    from ..ops.check import GradientError, gradcheck, gradgradcheck
    from ..ops.examples import EXAMPLES

    if options.op is not None and options.op not in EXAMPLES:
        raise UsageError(f"no op {options.op!r} to check{nearest(options.op, EXAMPLES)}")
    failed = 0
    for name in [options.op] if options.op else EXAMPLES:
        function, inputs = EXAMPLES[name]()
        try:
            gradcheck(function, inputs)
            gradgradcheck(function, inputs)
            print(f"{name:36}first and second order agree")
        except GradientError as error:
            failed += 1
            print(f"{name:36}WRONG: {error}")
    return 1 if failed else 0
