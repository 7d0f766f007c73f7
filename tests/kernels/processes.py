"""Processes of their own that compile kernels, each with the cache it is given."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import tinygen_kernels

PACKAGE = Path(tinygen_kernels.__file__).parent
LINE = "tinygen: compiling CPU kernels (once; kept for the next run)\n"


def start(code: str, cache: Path | None, package: Path = PACKAGE) -> subprocess.Popen[str]:
    unset = ("NUMBA", "XDG_CACHE_HOME", "TINYGEN")
    env = {k: v for k, v in os.environ.items() if not k.startswith(unset)}
    env["PYTHONPATH"] = str(package.parent)
    if cache is not None:
        env["TINYGEN_CACHE_DIR"] = str(cache)
    command = [sys.executable, "-B", "-W", "error", "-c", code]
    return subprocess.Popen(
        command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What it printed, and what it said on stderr."""
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return out, err
