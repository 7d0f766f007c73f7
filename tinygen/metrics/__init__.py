"""Metrics of samples, reconstructions and codings.

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
from .features import FeatureStatistics
from .frechet import frechet_distance, frechet_floor
from .judgement import Judgement
from .kernel import kernel_distance
from .modes import Modes, classifier_score, linear_separability, mode_histogram, modes_captured
from .neighbours import (
    DensityCoverage,
    Neighbours,
    PrecisionRecall,
    density_coverage,
    nearest_neighbours,
    precision_recall,
    real_radii,
)
from .path_length import perceptual_path_length
from .pca import pca_errors
from .similarity import ms_ssim, ms_ssim_diversity, psnr, ssim
from .statistics import Interval, Score, interval
from .wasserstein import SlicedWasserstein, sliced_wasserstein

__all__ = [
    "DCI",
    "DISTURBANCES",
    "MIG",
    "DensityCoverage",
    "FeatureStatistics",
    "Interval",
    "Judgement",
    "Modes",
    "Neighbours",
    "PrecisionRecall",
    "Score",
    "SlicedWasserstein",
    "classifier_score",
    "dci",
    "density_coverage",
    "discretize",
    "disturb",
    "entropy",
    "frechet_distance",
    "frechet_floor",
    "information",
    "interval",
    "kernel_distance",
    "linear_separability",
    "mig",
    "mode_histogram",
    "modes_captured",
    "ms_ssim",
    "ms_ssim_diversity",
    "mutual_information",
    "nearest_neighbours",
    "pca_errors",
    "perceptual_path_length",
    "precision_recall",
    "psnr",
    "real_radii",
    "sliced_wasserstein",
    "ssim",
]
