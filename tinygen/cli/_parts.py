"""What the commands share: how they are declared, and types of arguments."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

Result = TypeVar("Result")


def add_command(
    commands: Any,
    name: str,
    description: str,
    epilog: str,
    run: Callable[[argparse.Namespace], int],
    *,
    computes: bool = True,
) -> argparse.ArgumentParser:
    """A command with its help text and examples, whose work `run` does.

    One that computes takes --threads, which `main` sees to.
    """
    command: argparse.ArgumentParser = commands.add_parser(
        name,
        help=description,
        description=description,
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    if computes:
        command.add_argument(
            "--threads",
            type=positive,
            default=argparse.SUPPRESS,
            metavar="N",
            help="of the CPU (default: TINYGEN_THREADS, or all cores)",
        )
    return command


class UsageError(ValueError):
    """What was asked for makes no sense; nothing was done."""


def usage(check: Callable[..., Result], *arguments: Any, **keywords: Any) -> Result:
    """The result of what looks at the command line; its ValueErrors become usage errors."""
    try:
        return check(*arguments, **keywords)
    except ValueError as error:
        raise UsageError(str(error)) from error


def positive(text: str) -> int:
    """A whole number of at least 1."""
    value = int(text.replace("_", "").replace(",", ""))
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {value}")
    return value


def picture(text: str) -> Path:
    """The name of a picture to write."""
    if not text.lower().endswith(".png"):
        raise argparse.ArgumentTypeError(f"a picture's name ends in .png, {text!r} does not")
    return Path(text)


def assignment(text: str) -> tuple[str, Any]:
    """KEY=VALUE, where VALUE is a number, true, false, a list in brackets, or else a text."""
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    try:
        return key, json.loads(value)
    except json.JSONDecodeError:
        return key, value
