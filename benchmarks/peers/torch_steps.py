"""Training steps in PyTorch: eager, and with torch.compile in its default mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.peers import torch_autoencoders, torch_games, torch_generative, torch_growing
from benchmarks.peers.choice import fastest
from benchmarks.peers.torch_updates import Candidates
from benchmarks.problems import PROBLEMS
from benchmarks.subject import AbsentError, TrainingStep

MODELS: dict[str, Callable[[Any, bool], Candidates]] = {
    "stacked-ae": torch_autoencoders.stacked_ae,
    "conv-ae": torch_autoencoders.conv_ae,
    "recurrent-ae": torch_autoencoders.recurrent_ae,
    "gru-ae": torch_autoencoders.recurrent_ae,
    "vae": torch_generative.vae,
    "gan": torch_generative.gan,
    "dcgan": torch_generative.dcgan,
    "dcgan-128": torch_generative.dcgan,
    "wgan-gp": torch_games.wgan_gp,
    "sngan": torch_games.sngan,
    "cgan": torch_games.cgan,
    "style-block": torch_generative.style_block,
    "progan-32": torch_growing.progan,
    "progan-64": torch_growing.progan,
    "stylegan-32": torch_growing.stylegan,
    "stylegan-64": torch_growing.stylegan,
}


def load(name: str, threads: int, compiled: bool) -> TrainingStep:
    """The step of that model, in whichever way is fastest."""
    if name not in MODELS:
        raise AbsentError(f"{name} is not written for PyTorch yet")
    torch.set_num_threads(threads)
    return fastest(MODELS[name](PROBLEMS[name], compiled))
