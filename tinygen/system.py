"""The machine: how many threads to use, and what is installed."""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from .backend import cuda_status, kernel_cache_folder

_limits: Any = None  # keeps threadpoolctl's limits in force


def set_threads(n: int) -> None:
    """Use `n` threads in BLAS and in our own kernels, from now on.

    Raises ValueError if n is below 1 or above the number of cores.
    """
    global _limits
    import numba
    from threadpoolctl import threadpool_limits

    most = os.cpu_count() or 1
    if not 1 <= n <= most:
        raise ValueError(f"set_threads: n must be from 1 to {most}, the number of cores, not {n}")
    _limits = threadpool_limits(n)
    numba.set_num_threads(n)


def info() -> dict[str, str]:
    """What matters for speed and support: versions, cores, BLAS, caches, data.

    >>> import tinygen
    >>> sorted(tinygen.info())[:3]
    ['blas', 'cores', 'cuda']
    """
    from threadpoolctl import threadpool_info

    pools = [p for p in threadpool_info() if p.get("user_api") == "blas"]
    blas = ", ".join(f"{p['internal_api']} {p['version']} x{p['num_threads']}" for p in pools)
    return {
        "tinygen": importlib.import_module(__package__).__version__,
        "python": platform.python_version(),
        "numpy": _version("numpy"),
        "numba": _version("numba"),
        "blas": blas or "unknown",
        "cores": str(os.cpu_count()),
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
