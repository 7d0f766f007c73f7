"""The libraries that take part: which interpreter runs each, and with which settings."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Settings of the user's shell that would decide a comparison; workers start without them.
DROPPED = (
    *("OMP_", "KMP_", "GOMP_", "MKL_", "OPENBLAS_", "MALLOC_", "LD_PRELOAD", "XLA_FLAGS"),
    "TINYGEN_THREADS",
)


@dataclass(frozen=True)
class Library:
    """A library that takes part.

    Attributes:
        name: what the tables call it.
        packages: what its interpreter must be able to import.
        install: the command that installs it.
    """

    name: str
    packages: tuple[str, ...]
    install: str

    @property
    def variable(self) -> str:
        """The environment variable that names its interpreter."""
        return f"TINYGEN_BENCH_{self.name.upper()}_PYTHON"


LIBRARIES = {
    library.name: library
    for library in (
        Library("tinygen", ("numpy", "numba"), "pip install -e ."),
        Library(
            "torch",
            ("torch",),
            "pip install torch --index-url https://download.pytorch.org/whl/cpu",
        ),
        Library("jax", ("jax",), "pip install jax"),
        Library("keras", ("keras", "tensorflow"), "pip install tensorflow-cpu"),
    )
}


class NotInstalledError(RuntimeError):
    """No interpreter has the library; the message says which was asked and what to do."""


def interpreter(name: str, chosen: str | None = None) -> str:
    """The Python that runs a library: the chosen one, its environment variable's, or this one."""
    library = LIBRARIES[name]
    python = chosen or os.environ.get(library.variable) or sys.executable
    names = ", ".join(repr(package) for package in library.packages)
    code = (
        "import importlib.util as u, sys\n"
        f"sys.exit(3 if any(u.find_spec(p) is None for p in ({names},)) else 0)"
    )
    try:
        status = subprocess.run([python, "-c", code], cwd=ROOT, check=False).returncode
    except OSError as error:
        raise NotInstalledError(f"cannot run {python}: {error.strerror}") from error
    if status:
        raise NotInstalledError(
            f"{' and '.join(library.packages)} not found by {python}; "
            f"{library.install}, or name another Python with --{name}-python or {library.variable}"
        )
    return python


def environment(threads: int, paths: tuple[Path, ...] = ()) -> dict[str, str]:
    """What a worker's environment is: as many threads in every library, else their defaults."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(DROPPED)}
    n = str(threads)
    return kept | {
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "kernels", *paths))),
        "OMP_NUM_THREADS": n,
        "OPENBLAS_NUM_THREADS": n,
        "MKL_NUM_THREADS": n,
        "NUMBA_NUM_THREADS": n,
        "NPROC": n,  # the size of XLA's pool on the CPU
        "TF_NUM_INTRAOP_THREADS": n,
        "TF_NUM_INTEROP_THREADS": n,
        "TF_CPP_MIN_LOG_LEVEL": "2",
        "KERAS_BACKEND": "tensorflow",
        "TORCHINDUCTOR_COMPILE_THREADS": "1",  # compile in the worker, leave no helpers behind
    }


def add_arguments(parser: argparse.ArgumentParser, seconds: float = 0.3, blocks: int = 20) -> None:
    """The options that every comparison of times takes."""
    parser.add_argument(
        "--blocks", type=int, default=blocks, help="turns of each (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds", type=float, default=seconds, help="length of a turn (default: %(default)s)"
    )
    add_library_arguments(parser)


def add_library_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that every comparison takes."""
    parser.add_argument(
        "--threads", type=int, default=2, help="of every library (default: %(default)s)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures there")
    for name in LIBRARIES:
        if name != "tinygen":
            parser.add_argument(
                f"--{name}-python", metavar="PATH", help=f"the Python that has {name}"
            )
