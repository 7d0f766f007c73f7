"""The kernels of tinygen, and the one seam through which they are reached.

`kernels(x)` gives the family of kernels that works on arrays of the type of `x`: Numba for NumPy
arrays, CUDA for CuPy arrays. `using("reference")` swaps in the NumPy specification of each of them.
Nothing here imports tinygen, and nothing is imported before it is first used.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Kernels", "kernels", "using"]

# Which file of a backend's folder defines which kernels: the table of contents of this package.
FAMILIES = {
    "activation": (
        "activate",
        "activation_grad",
        "activation_grad_sum",
        "bias_activate",
        "erf",
    ),
    "matmul": ("matmul",),
    "dense": ("dense", "dense_grad"),
    "conv": ("conv2d", "conv2d_transpose", "conv2d_weight_grad"),
    "norm": ("channel_norm", "channel_norm_grad", "channel_affine", "channel_sums"),
    "row_norm": ("layer_norm", "layer_norm_grad", "pixel_norm", "pixel_norm_grad"),
    "pool": ("max_pool2d", "max_pool2d_grad", "max_pool2d_pick"),
    "resample": ("resample2d",),
    "embedding": ("add_rows",),
    "rnn": ("recurrent", "recurrent_grad"),
    "loss": ("loss", "loss_sum", "loss_grad"),
    "optim": ("sgd", "rmsprop", "adam", "ema", "sum_of_squares"),
    "reduce": ("sum_rows",),
    "random": ("random_bits",),
}
FAMILY_OF = {name: family for family, names in FAMILIES.items() for name in names}


class Kernels:
    """The kernels of one backend as attributes; a family is imported when it is first needed."""

    def __init__(self, backend: str) -> None:
        self.backend = backend

    def __getattr__(self, name: str) -> Callable[..., NDArray[Any]]:
        if name not in FAMILY_OF:
            raise AttributeError(f"tinygen_kernels has no kernel {name!r}; see FAMILIES")
        module = importlib.import_module(f"tinygen_kernels.{self.backend}.{FAMILY_OF[name]}")
        for each in FAMILIES[FAMILY_OF[name]]:
            setattr(self, each, getattr(module, each))
        kernel: Callable[..., NDArray[Any]] = getattr(module, name)
        return kernel


_REFERENCE, _CPU, _CUDA = Kernels("reference"), Kernels("cpu"), Kernels("cuda")
_chosen: Kernels | None = None


def kernels(x: object) -> Kernels:
    """The kernels for arrays of the type of `x`."""
    if isinstance(x, (np.ndarray, np.generic)):
        return _chosen or _CPU
    return _CUDA


@contextmanager
def using(backend: str) -> Iterator[None]:
    """Within the block, every kernel for NumPy arrays comes from `backend`.

    "reference" is their specification, "shim" the CUDA kernels as tests run them on the CPU, and
    "auto" undoes both.
    """
    global _chosen
    choices = {"auto": None, "reference": _REFERENCE, "shim": _CUDA}
    if backend not in choices:
        raise ValueError(f"no kernels called {backend!r}: choose from {', '.join(choices)}")
    if backend == "shim":
        from .cuda.launch import shim

        if shim() is None:
            raise ValueError("the shim is test equipment: call shim.install() of kernels/ first")
    before, _chosen = _chosen, choices[backend]
    try:
        yield
    finally:
        _chosen = before
