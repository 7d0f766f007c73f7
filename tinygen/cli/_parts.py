"""What the commands share: how they are declared, and types of arguments."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
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


def at_most(most: int, least: int = 1) -> Callable[[str], int]:
    """The type of an argument that is a whole number from `least` to `most`, such as 1_000."""

    def whole(text: str) -> int:
        value = int(text.replace("_", "").replace(",", ""))
        if value < least:
            raise argparse.ArgumentTypeError(f"must be at least {least}, not {value!s:.40}")
        if value > most:
            raise argparse.ArgumentTypeError(f"must be at most {most:,}, not {value!s:.40}")
        return value

    whole.__name__ = "positive" if least == 1 else "int"  # as argparse calls it in messages
    return whole


def number(least: float, most: float) -> Callable[[str], float]:
    """The type of an argument that is a number from `least` to `most`."""

    def float_(text: str) -> float:
        value = float(text)
        if not least <= value <= most:
            raise argparse.ArgumentTypeError(f"must be from {least:g} to {most:g}, not {text:.40}")
        return value

    float_.__name__ = "number"
    return float_


positive = at_most(2**63 - 1)
seed = at_most(2**64 - 1, least=0)


@contextmanager
def progress_bar(title: str, total: float) -> Iterator[Callable[[float], None]]:
    """What takes the amount that is done so far, and shows it on a terminal; a bar needs tqdm."""
    bar: Any = None
    if sys.stderr.isatty():
        with suppress(ModuleNotFoundError):
            from tqdm import tqdm

            shape = "{desc} {percentage:3.0f} % |{bar}| {remaining}"
            bar = tqdm(total=total, desc=title, leave=False, delay=0.3, bar_format=shape)
    try:
        yield (lambda done: None) if bar is None else (lambda done: bar.update(done - bar.n))
    finally:
        if bar is not None:
            bar.close()


def picture(text: str) -> Path:
    """The name of a picture to write."""
    if not text.lower().endswith(".png"):
        raise argparse.ArgumentTypeError(f"a picture's name ends in .png, {text!r} does not")
    return Path(text)


def picture_or_animation(text: str) -> Path:
    """The name of a picture, or of an animation, to write."""
    return Path(text) if text.lower().endswith(".webp") else picture(text)


def assignment(text: str) -> tuple[str, Any]:
    """KEY=VALUE, where VALUE is a number, true, false, a list in brackets, or else a text."""
    key, sign, value = text.partition("=")
    if not sign or not key:
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    try:
        return key, json.loads(value)
    except (ValueError, RecursionError):  # no JSON, or numbers and brackets without end
        return key, value
