"""The chapter's models, a file a family: networks, loss and training step together, flat.

`create(name)` builds one from a closed registry, so that a checkpoint names a model and never code.

>>> import numpy as np
>>> from tinygen import models
>>> model = models.create("stacked-ae", codings=10, seed=1)
>>> model.encode(np.zeros((1, 28, 28), np.float32)).shape
(1, 10)
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ..names import nearest
from ..ops.random import Random
from . import losses, penalties
from .adversarial import Adversarial
from .base import Autoencoder, Model
from .classifier import Classifier
from .conditional import CGAN
from .convolutional import ConvAutoencoder
from .dcgan import DCGAN
from .denoising import DenoisingAutoencoder
from .gan import GAN
from .hashing import HashingAutoencoder
from .kinds import check_kind, check_known, check_units, kinds_of
from .linear import LinearAutoencoder
from .losses import AdversarialLoss
from .packing import pack
from .progan import ProGAN
from .published import PUBLISHED, Published
from .recurrent import GRUAutoencoder, RecurrentAutoencoder
from .regressor import Regressor
from .remedies import Remedies
from .replay import ReplayPool
from .sparse import SparseKLAutoencoder, SparseL1Autoencoder
from .spectral import SNGAN
from .stacked import StackedAutoencoder, TiedAutoencoder
from .stages import Phase, Recipe, Stage, TrainingOptions
from .stylegan import StyleGAN
from .variational import VariationalAutoencoder
from .wasserstein import WGAN, WGANGP

__all__ = [
    "CGAN",
    "DCGAN",
    "GAN",
    "PUBLISHED",
    "SNGAN",
    "WGAN",
    "WGANGP",
    "Adversarial",
    "AdversarialLoss",
    "Autoencoder",
    "Classifier",
    "ConvAutoencoder",
    "DenoisingAutoencoder",
    "GRUAutoencoder",
    "HashingAutoencoder",
    "LinearAutoencoder",
    "Model",
    "Phase",
    "ProGAN",
    "Published",
    "Recipe",
    "RecurrentAutoencoder",
    "Regressor",
    "Remedies",
    "ReplayPool",
    "SparseKLAutoencoder",
    "SparseL1Autoencoder",
    "StackedAutoencoder",
    "Stage",
    "StyleGAN",
    "TiedAutoencoder",
    "TrainingOptions",
    "VariationalAutoencoder",
    "check_config",
    "create",
    "find",
    "losses",
    "names",
    "options",
    "pack",
    "penalties",
]

REGISTRY: dict[str, type[Model]] = {
    model.name: model
    for model in (
        LinearAutoencoder,
        StackedAutoencoder,
        TiedAutoencoder,
        ConvAutoencoder,
        RecurrentAutoencoder,
        GRUAutoencoder,
        DenoisingAutoencoder,
        SparseL1Autoencoder,
        SparseKLAutoencoder,
        HashingAutoencoder,
        VariationalAutoencoder,
        GAN,
        DCGAN,
        WGAN,
        WGANGP,
        SNGAN,
        CGAN,
        ProGAN,
        StyleGAN,
        Classifier,
        Regressor,
    )
}


def names() -> tuple[str, ...]:
    """The names that `create` knows."""
    return tuple(REGISTRY)


def find(name: str) -> type[Model]:
    """The class behind a name."""
    if not isinstance(name, str) or name not in REGISTRY:
        raise ValueError(f"unknown model {name!r}{nearest(name, REGISTRY)}")
    return REGISTRY[name]


def options(name: str) -> dict[str, Any]:
    """The settings of a model with their defaults, remedies among them."""
    model = find(name)
    parameters = inspect.signature(model).parameters.values()
    own = {p.name: p.default for p in parameters if p.kind is not p.VAR_KEYWORD}
    return {**own, **(model.remedies.settings() if issubclass(model, Adversarial) else {})}


def kinds(name: str) -> dict[str, Any]:
    """The settings of a model with their annotations."""
    model = find(name)
    return {**kinds_of(model), **(kinds_of(Remedies) if issubclass(model, Adversarial) else {})}


def check_config(name: str, config: Mapping[str, Any]) -> None:
    """Raise ValueError for a setting that the model does not have, or of another kind or range."""
    known, wanted = options(name), kinds(name)
    check_known(f"{name} has no setting", config, known)
    for key, value in config.items():
        check_kind(key, value, wanted[key], known[key])
        if key != "seed":
            check_units(key, value, wanted[key])
    Random(config.get("seed", 0))  # which knows what a seed may be


def create(name: str, *, preset: str | None = None, **config: Any) -> Model:
    """The model of that name, with the chapter's settings where `config` gives no others.

    Args:
        name: one of `names()`.
        preset: one of the model's recipes, whose settings count instead of the defaults.
        config: settings, see `options(name)`.

    Raises ValueError for an unknown name or setting, naming the nearest known one, and for a value
    of another kind or range.
    """
    known = options(name)
    check_config(name, config)
    # as a checkpoint will give them back: in JSON a tuple is a list
    given = {**known, **find(name).recipe(preset).config, **config}
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in given.items()}
    model = find(name)(**settings)
    model.config, model.preset = settings, preset
    return model
