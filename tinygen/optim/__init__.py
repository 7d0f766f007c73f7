"""Optimisers, learning-rate schedules, gradient clipping and weight averages.

Where Keras and PyTorch differ (the place of epsilon, what momentum keeps) the default is Keras's;
`convention="pytorch"` gives PyTorch's.
"""

from .average import EMA
from .gathered import Gathered
from .optimizer import Optimizer, clip_grad_norm
from .rules import BY_NAME, SGD, Adam, AdamW, Nadam, RMSprop, create
from .schedules import (
    Schedule,
    cosine_decay,
    exponential_decay,
    linear_decay,
    piecewise_constant,
    warmup,
)

__all__ = [
    "BY_NAME",
    "EMA",
    "SGD",
    "Adam",
    "AdamW",
    "Gathered",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "Schedule",
    "clip_grad_norm",
    "cosine_decay",
    "create",
    "exponential_decay",
    "linear_decay",
    "piecewise_constant",
    "warmup",
]
