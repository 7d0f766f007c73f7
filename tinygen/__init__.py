"""tinygen: autoencoders, GANs and StyleGAN from scratch in NumPy, with kernels that are fast."""

from __future__ import annotations

from . import nn, ops, optim
from .config import no_grad
from .core import Buffer, Function, Parameter, Tensor, tensor
from .gradients import grad
from .ops.random import Random, seed
