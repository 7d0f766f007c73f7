"""Judging what a model has learned: codings against known factors, against PCA, over seeds.

A metric takes arrays and gives numbers; it knows neither runs nor pictures.
"""

from __future__ import annotations

from .disentanglement import (
    DCI,
    MIG,
    dci,
    discretize,
    entropy,
    information,
    mig,
    mutual_information,
)
from .pca import pca_errors
from .statistics import Interval, interval

__all__ = [
    "DCI",
    "MIG",
    "Interval",
    "dci",
    "discretize",
    "entropy",
    "information",
    "interval",
    "mig",
    "mutual_information",
    "pca_errors",
]
