"""The machine: how many threads to use, and what is installed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
from importlib.metadata import PackageNotFoundError, version

from .backend import cuda_status, kernel_cache_folder, threads_in_use, use_threads


def set_threads(n: int) -> None:
    """Use `n` threads in BLAS and in our own kernels, from now on.

    Without it there are as many as the environment variable TINYGEN_THREADS says when a kernel is
    first used, or else as many as there are cores. Our kernels give the same bits for any number;
    BLAS, which forms large products, need not. Numba has a number for each thread of Python: this
    one is that of the thread that calls.

    Raises ValueError if n is below 1 or above the number of cores.
    """
    use_threads(n, "tinygen.set_threads")


def info() -> dict[str, str]:
    """What matters for speed and support: versions, cores, threads, BLAS, caches, data.

    >>> import tinygen
    >>> sorted(tinygen.info())[:3]
    ['blas', 'cores', 'cuda']
    """
    from threadpoolctl import threadpool_info

    threads, origin = threads_in_use()
    pools = [p for p in threadpool_info() if p.get("user_api") == "blas"]
    blas = ", ".join(f"{p['internal_api']} {p['version']} x{p['num_threads']}" for p in pools)
    return {
        "tinygen": importlib.import_module(__package__).__version__,
        "python": platform.python_version(),
        "numpy": _version("numpy"),
        "numba": _version("numba"),
        "blas": blas or "unknown",
        "cores": str(os.cpu_count()),
        "threads": f"{threads} ({origin})",
        "cuda": cuda_status(),
        "data": os.environ.get("TINYGEN_DATA_DIR", "not set (TINYGEN_DATA_DIR)"),
        "kernel cache": str(kernel_cache_folder() or "none: the cache folder cannot be written"),
        "extras": ", ".join(name for name in _EXTRAS if _version(name) != "not installed"),
    }


def require(*modules: str) -> None:
    """Raise ModuleNotFoundError, with what to install, if a module of the extras is missing."""
    for name in modules:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f'{name} is missing: pip install "tinygen[app]"', name=name)


_EXTRAS = ("tqdm", "matplotlib", "jinja2", "scikit-learn", "pooch", "tomli-w")


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
