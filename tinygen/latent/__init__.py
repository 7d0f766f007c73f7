"""What can be done with codings once a model is trained: maps, look-ups, walks, arithmetic.

Functions of arrays, mostly of codings (n, d). Nothing here trains a network or draws a picture.
"""

from __future__ import annotations

from .activations import mean_activations, shares
from .arithmetic import analogy, class_mean
from .classes import classes, index_of
from .codings import decode, encode, hash_codes, reconstruct
from .directions import (
    Components,
    FactorDirection,
    fitted_direction,
    mean_direction,
    pca_directions,
    weight_directions,
    without,
)
from .editing import Effects, effects, moved
from .embedding import tsne
from .interpolation import bilinear, linear, spherical
from .likelihood import has_likelihood, negative_log_likelihood
from .lookup import CodingIndex, HashIndex
from .mixing import layers_of, mixed_styles, variation
from .mixture import Mixture, fit_mixture
from .outliers import ERRORS, reconstruction_errors, threshold
from .projection import Projection, project
from .traversal import divergences, traverse

__all__ = [
    "ERRORS",
    "CodingIndex",
    "Components",
    "Effects",
    "FactorDirection",
    "HashIndex",
    "Mixture",
    "Projection",
    "analogy",
    "bilinear",
    "class_mean",
    "classes",
    "decode",
    "divergences",
    "effects",
    "encode",
    "fit_mixture",
    "fitted_direction",
    "has_likelihood",
    "hash_codes",
    "index_of",
    "layers_of",
    "linear",
    "mean_activations",
    "mean_direction",
    "mixed_styles",
    "moved",
    "negative_log_likelihood",
    "pca_directions",
    "project",
    "reconstruct",
    "reconstruction_errors",
    "shares",
    "spherical",
    "threshold",
    "traverse",
    "tsne",
    "variation",
    "weight_directions",
    "without",
]
