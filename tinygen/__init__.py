"""tinygen: autoencoders and GANs from scratch in NumPy, with kernels that are fast.

`ops` are differentiable operations, `nn` layers, `optim` optimisers; `models` has every autoencoder
of the chapter, `data` what to train them on, `training` the loop, `latent` what to do with codings.
The last four are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from . import interruption  # noqa: F401  # first, since the other imports take a while

# isort: split
from . import nn, ops, optim
from .backend import using_precision
from .config import debug_level, no_grad
from .core import Buffer, Parameter, Tensor, tensor
from .function import Function
from .gradients import grad
from .ops.check import gradcheck, gradgradcheck
from .ops.random import Random, seed
from .system import info, set_threads

if TYPE_CHECKING:
    from . import data, hooks, latent, models, training, view
    from .training import load

__version__ = "0.1.0"

__all__ = [
    "Buffer",
    "Function",
    "Parameter",
    "Random",
    "Tensor",
    "data",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "hooks",
    "info",
    "latent",
    "load",
    "models",
    "nn",
    "no_grad",
    "ops",
    "optim",
    "seed",
    "set_threads",
    "tensor",
    "training",
    "using_precision",
    "view",
]

_LATER = ("data", "hooks", "latent", "models", "training", "view")

if debug_level():
    importlib.import_module("tinygen.hooks").switch_on(debug_level())


def __getattr__(name: str) -> Any:
    if name == "load":
        return importlib.import_module("tinygen.training").load
    if name in _LATER:
        return importlib.import_module(f"tinygen.{name}")
    raise AttributeError(f"module 'tinygen' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
