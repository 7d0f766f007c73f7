"""Module and the layers: thin objects that own parameters and call ops.

A layer's arithmetic lives in `ops`, never here; a whole model lives in `models`.
"""

from __future__ import annotations

from . import initializers
from .conv import Conv2D, Conv2DTranspose
from .layers import (
    SELU,
    Activation,
    Dense,
    Dropout,
    Flatten,
    GaussianNoise,
    LeakyReLU,
    ReLU,
    Reshape,
    Sigmoid,
    Tanh,
)
from .module import Module, Sequential
from .regularizers import ActivityRegularizer

__all__ = [
    "SELU",
    "Activation",
    "ActivityRegularizer",
    "Conv2D",
    "Conv2DTranspose",
    "Dense",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "LeakyReLU",
    "Module",
    "ReLU",
    "Reshape",
    "Sequential",
    "Sigmoid",
    "Tanh",
    "initializers",
]
