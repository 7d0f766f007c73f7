"""Training steps in tinygen."""

from __future__ import annotations

from typing import Any

import tinygen
from benchmarks.peers import (
    tinygen_autoencoders,
    tinygen_games,
    tinygen_generative,
    tinygen_growing,
)
from benchmarks.problems import PROBLEMS
from benchmarks.subject import AbsentError, TrainingStep

MODELS: dict[str, Any] = {
    "stacked-ae": tinygen_autoencoders.stacked_ae,
    "conv-ae": tinygen_autoencoders.conv_ae,
    "recurrent-ae": tinygen_autoencoders.recurrent_ae,
    "gru-ae": tinygen_autoencoders.gru_ae,
    "vae": tinygen_generative.vae,
    "gan": tinygen_generative.gan,
    "dcgan": tinygen_generative.dcgan,
    "dcgan-128": tinygen_generative.dcgan,
    "wgan-gp": tinygen_games.wgan_gp,
    "sngan": tinygen_games.sngan,
    "cgan": tinygen_games.cgan,
    "style-block": tinygen_generative.style_block,
    "progan-32": tinygen_growing.progan,
    "progan-64": tinygen_growing.progan,
    "stylegan-32": tinygen_growing.stylegan,
    "stylegan-64": tinygen_growing.stylegan,
}


def load(name: str, threads: int) -> TrainingStep:
    """The step of that model."""
    tinygen.set_threads(threads)
    if name not in MODELS:
        raise AbsentError(f"{name} is not written for tinygen yet")
    step: TrainingStep = MODELS[name](PROBLEMS[name])
    return step
