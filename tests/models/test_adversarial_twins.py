"""Step by step PyTorch's losses and weights of the adversarial networks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.models.adversarial_twins import Twin
from tests.models.twins import images
from tinygen import Random, models
from tinygen.models.adversarial import Adversarial
from tinygen.training.losses import Losses
from tinygen.training.step import Step, make_optimizers

SMALL: dict[str, Any] = {"widths": (6, 8), "latents": 5}
HINGED = {"loss": "hinge", "together": False, "activation": "relu", "output": "tanh"}
CASES = [
    ("gan", "text", {}, 50, "float32", 1e-3),
    ("gan", "text", {}, 50, "float64", 1e-8),
    ("gan", "modern", {"average": 0.0}, 20, "float64", 1e-6),
    ("gan", "text", {"packing": 2, **HINGED}, 20, "float64", 1e-6),
    ("dcgan", "text", SMALL, 5, "float32", 1e-3),
    ("dcgan", "text", SMALL, 50, "float64", 1e-6),
    ("dcgan", "paper", SMALL, 5, "float32", 1e-3),
    ("dcgan", "paper", SMALL, 50, "float64", 1e-6),
    ("wgan", "paper", SMALL, 20, "float64", 1e-6),
    ("wgan-gp", "paper", SMALL, 20, "float64", 1e-6),
    ("sngan", "paper", SMALL, 20, "float64", 1e-6),
    ("cgan", "paper", {**SMALL, "label_units": 4}, 20, "float64", 1e-6),
    ("cgan", "projection", {**SMALL, "label_units": 4}, 20, "float64", 1e-6),
]


@pytest.mark.parametrize(
    ("name", "preset", "config", "steps", "dtype", "near"),
    CASES,
    ids=["-".join((c[0], c[1], *c[2].keys() & {"packing"}, c[4])) for c in CASES],
)
def test_steps_are_pytorchs(name, preset, config, steps, dtype, near):
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    model = models.create(name, preset=preset, **config).to(dtype=dtype)
    assert isinstance(model, Adversarial)
    recipe = model.recipe(preset)
    own = {**recipe.options, "convention": "pytorch"} if recipe.optimizer == "adam" else {}
    options = recipe.training(batch_size=16, **({"options": own} if own else {}))
    (stage,) = model.stages(options)
    rng, kept = Random(0, "training"), Losses()
    step = Step(
        model,
        stage,
        make_optimizers(stage, options, {}),
        rng=rng,
        accumulate=1,
        steps=steps,
        capture=False,
        losses=kept,
        check=lambda: None,
    )
    twin = Twin(torch, model, recipe.optimizer, dict(options.options))
    x = images(16 * steps).astype(dtype).reshape(steps, 16, 28, 28)
    label = np.arange(16) % model.classes if model.classes else None
    batches = [(batch,) if label is None else (batch, label) for batch in x]
    for i, batch in enumerate(batches):
        step([batch], i, i, 16 * i)
    phases = ("discriminator", "generator")
    ours = [figure.value for figure in kept.read() if figure.name in phases]
    streams = {phase: rng.stream(phase) for phase in phases}
    theirs = [loss for i, batch in enumerate(batches) for loss in twin.step(i, streams, *batch)]
    np.testing.assert_allclose(ours, theirs, rtol=near, atol=near * np.abs(theirs).max() / 10)
    if dtype == "float64":
        for key, array in model.state_dict().items():
            theirs = twin.tensors[key].detach().numpy()
            np.testing.assert_allclose(array, theirs, rtol=near, atol=near * abs(theirs).max())
