"""Training steps in tinygen."""

from __future__ import annotations

from typing import Any

import tinygen
from benchmarks.peers import tinygen_autoencoders, tinygen_generative
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
    "style-block": tinygen_generative.style_block,
}


def load(name: str, threads: int, small_work_shared: bool = False) -> TrainingStep:
    """The step of that model; with `small_work_shared`, threads share what one would do alone."""
    tinygen.set_threads(threads)
    if small_work_shared:
        from tinygen_kernels.cpu import dense, jit, optim  # not before they are needed

        jit.SHARED_FROM, optim.PLAIN, dense.SHARED_FROM = 1 << 14, 1, 0
    if name not in MODELS:
        raise AbsentError(f"{name} is not written for tinygen yet")
    step: TrainingStep = MODELS[name](PROBLEMS[name])
    return step
