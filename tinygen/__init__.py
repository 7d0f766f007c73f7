"""tinygen: autoencoders, GANs and StyleGAN from scratch in NumPy, with kernels that are fast."""

from __future__ import annotations

from . import ops
from .config import no_grad
from .core import Function, Parameter, Tensor, grad, tensor
from .ops.random import Random, seed
