"""Step by step PyTorch's losses: the same weights, the same batches, the same noise."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models import twins
from tests.models.twins import batches, images
from tinygen import Random, models, optim

TWINS = [
    ("stacked-ae", "text", twins.Twin),
    ("stacked-ae", "ed3", twins.Twin),
    ("tied-ae", "text", twins.TiedTwin),
    ("tied-ae", "ed3", twins.TiedTwin),
    ("denoising-ae", "gaussian", twins.DenoisingTwin),
    ("denoising-ae", "dropout", twins.DenoisingTwin),
    ("sparse-l1-ae", "text", twins.SparseTwin),
    ("sparse-l1-ae", "ed3", twins.SparseTwin),
    ("sparse-kl-ae", "text", twins.SparseTwin),
    ("hashing-ae", "ed2", twins.HashingTwin),
    ("vae", "ed2", twins.VariationalTwin),
    ("vae", "ed3", twins.VariationalTwin),
    ("vae", "convolutional", twins.ConvolutionalTwin),
]
# Adaptive optimisers make rounding errors of small gradients as large as others, so that two
# libraries agree for long in float64 only.
CASES = [
    pytest.param(*twin, dtype, id="-".join((*twin[:2], dtype)))
    for twin in TWINS
    for dtype in ("float32", "float64")
    if dtype == "float64" or models.find(twin[0]).recipe(twin[1]).optimizer == "sgd"
]


@pytest.fixture
def torch():
    """PyTorch; its Nadam keeps products in the default type, which a test may change."""
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    yield torch
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(("name", "preset", "twin", "dtype"), CASES)
def test_steps_are_pytorchs(torch, name, preset, twin, dtype):
    torch.set_default_dtype(getattr(torch, dtype))
    steps = 20 if preset == "convolutional" else 100
    model = models.create(name, preset=preset).to(dtype=dtype)
    recipe = model.recipe(preset)
    step = twin(model, dtype).trainer(recipe)
    optimizer = optim.create(recipe.optimizer, model, **recipe.options)
    data = list(batches(images(1024).astype(dtype), steps))
    ours = []
    for i, x in enumerate(data):
        loss = model.loss(x, rng=Random(1).at(i))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ours.append(loss.item())
    # in turns, idle threads of one library slow the other
    theirs = [step(x, Random(1).at(i)) for i, x in enumerate(data)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5 if dtype == "float32" else 1e-8)
    assert ours[-1] < 0.95 * ours[0]  # it did learn on the way
