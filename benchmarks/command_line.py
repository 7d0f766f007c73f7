"""The command line of a benchmark."""

from __future__ import annotations

import argparse


def parser_for(name: str, page: str | None) -> argparse.ArgumentParser:
    """The parser of `python -m benchmarks.NAME`, whose help is a page of text as it stands."""
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks.{name}",
        description=page,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
