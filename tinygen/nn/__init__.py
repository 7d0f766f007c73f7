"""Module and the layers: thin objects that own parameters and call ops.

A layer's arithmetic lives in `ops`, never here; a whole model lives in `models`.
"""

from __future__ import annotations

from . import initializers
from .conv import Conv2D, Conv2DTranspose
from .embedding import Embedding
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
from .norm import AdaIN, BatchNorm, InstanceNorm, LayerNorm, MinibatchStdDev, PixelNorm
from .recurrent import GRU, LSTM, RepeatVector, SimpleRNN, TimeDistributed
from .regularizers import ActivityRegularizer

__all__ = [
    "GRU",
    "LSTM",
    "SELU",
    "Activation",
    "ActivityRegularizer",
    "AdaIN",
    "BatchNorm",
    "Conv2D",
    "Conv2DTranspose",
    "Dense",
    "Dropout",
    "Embedding",
    "Flatten",
    "GaussianNoise",
    "InstanceNorm",
    "LayerNorm",
    "LeakyReLU",
    "MinibatchStdDev",
    "Module",
    "PixelNorm",
    "ReLU",
    "RepeatVector",
    "Reshape",
    "Sequential",
    "Sigmoid",
    "SimpleRNN",
    "Tanh",
    "TimeDistributed",
    "initializers",
]
