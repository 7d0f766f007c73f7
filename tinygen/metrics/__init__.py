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
from .disturbances import DISTURBANCES, disturb
from .path_length import perceptual_path_length
from .pca import pca_errors
from .similarity import ms_ssim, ms_ssim_diversity, psnr, ssim
from .statistics import Interval, Score, interval
from .wasserstein import SlicedWasserstein, sliced_wasserstein

__all__ = [
    "DCI",
    "DISTURBANCES",
    "MIG",
    "Interval",
    "Score",
    "SlicedWasserstein",
    "dci",
    "discretize",
    "disturb",
    "entropy",
    "information",
    "interval",
    "mig",
    "ms_ssim",
    "ms_ssim_diversity",
    "mutual_information",
    "pca_errors",
    "perceptual_path_length",
    "psnr",
    "sliced_wasserstein",
    "ssim",
]
