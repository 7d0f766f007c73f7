"""`tinygen`: the command and its parts."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from . import check, data, info, sample, train

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
    for part in (train, sample, data, check, info):
        part.add_to(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options) or 0)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:  # such as: tinygen data list | head -1
        sys.stderr.close()
        return 0
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in ("tinygen", "tinygen_kernels"):
            raise
        package = error.name or str(error)
        print(
            f'tinygen {options.command}: {package} is missing; pip install "tinygen[app]"',
            file=sys.stderr,
        )
        return 1
    except (ValueError, OSError, RuntimeError, FloatingPointError) as error:
        print(f"tinygen {options.command}: {error}", file=sys.stderr)
        return 1
