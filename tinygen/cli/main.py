"""`tinygen`: the command and its parts."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
from collections.abc import Sequence

from ..backend import threads_in_use, use_threads
from . import (
    check,
    data,
    evaluate,
    explore,
    info,
    interpolate,
    pretrain,
    project,
    report,
    sample,
    style_mix,
    sweep,
    train,
)
from ._parts import UsageError, usage

LONGEST = 1000  # characters of a message
EPILOG = """start here:
  tinygen train stacked-ae --data faces    train an autoencoder on built-in data, see its pictures
  tinygen info                             what is installed, and how fast it can be
"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        prog="tinygen",
        description="Train and explore autoencoders and generative models, written from scratch.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    using = (evaluate, sample, interpolate, style_mix, project, explore, report, pretrain, sweep)
    parts = (train, *using, data, check, info)
    for part in parts:
        part.add_to(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    command = "tinygen"
    if isinstance(sys.stdout, io.TextIOWrapper):  # a path may hold what the terminal cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        options = parser().parse_args(arguments)
        command = f"tinygen {options.command}"
        if "threads" in options:
            usage(use_threads, options.threads, "--threads")
        elif os.environ.get("TINYGEN_THREADS"):
            usage(threads_in_use)
        code = int(options.run(options) or 0)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt as stopped:
        number = getattr(stopped, "signal_number", signal.SIGINT)  # training may get SIGTERM, too
        return _failed("interrupted", 128 + number)
    except BrokenPipeError:  # such as: tinygen data list | head -1
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("tinygen", "tinygen_kernels"):
            raise
        advice = "" if "pip install" in str(error) else ': pip install "tinygen[app]"'
        return _failed(f"{command}: {error}{advice}", 1)
    except UsageError as error:
        return _failed(f"{command}: {error}", 2)
    except (ValueError, OSError, RuntimeError, ArithmeticError, MemoryError) as error:
        return _failed(f"{command}: {error}", 1)


def _failed(message: str, code: int) -> int:
    """Say why, in one line without what is too long to read, and give the exit code."""
    line = "  ".join(message.splitlines())
    if len(line) > LONGEST:
        line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
    print(line, file=sys.stderr)
    return code
