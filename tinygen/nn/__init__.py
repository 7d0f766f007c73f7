"""Module and the layers: thin objects that own parameters and call ops.

A layer's arithmetic lives in `ops`, never here; a whole model lives in `models`.
"""

from __future__ import annotations

from . import initializers
from .conv import Conv2D, Conv2DTranspose
from .discrimination import MinibatchDiscrimination
from .embedding import Embedding
from .equalized import EqualizedConv2D, EqualizedDense
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
from .maxout import Maxout
from .modulated import ModulatedConv2D
from .module import Module, Sequential
from .norm import AdaIN, BatchNorm, InstanceNorm, LayerNorm, MinibatchStdDev, PixelNorm
from .pool import AvgPool2D, Blur2D, GlobalAvgPool2D, MaxPool2D, UpSampling2D
from .recurrent import GRU, LSTM, RepeatVector, SimpleRNN, TimeDistributed
from .regularizers import ActivityRegularizer
from .spectral import SpectralNorm, spectral_norm
from .styles import MappingNetwork, NoiseInjection

__all__ = [
    "GRU",
    "LSTM",
    "SELU",
    "Activation",
    "ActivityRegularizer",
    "AdaIN",
    "AvgPool2D",
    "BatchNorm",
    "Blur2D",
    "Conv2D",
    "Conv2DTranspose",
    "Dense",
    "Dropout",
    "Embedding",
    "EqualizedConv2D",
    "EqualizedDense",
    "Flatten",
    "GaussianNoise",
    "GlobalAvgPool2D",
    "InstanceNorm",
    "LayerNorm",
    "LeakyReLU",
    "MappingNetwork",
    "MaxPool2D",
    "Maxout",
    "MinibatchDiscrimination",
    "MinibatchStdDev",
    "ModulatedConv2D",
    "Module",
    "NoiseInjection",
    "PixelNorm",
    "ReLU",
    "RepeatVector",
    "Reshape",
    "Sequential",
    "Sigmoid",
    "SimpleRNN",
    "SpectralNorm",
    "Tanh",
    "TimeDistributed",
    "UpSampling2D",
    "initializers",
    "spectral_norm",
]
