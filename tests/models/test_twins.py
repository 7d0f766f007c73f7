"""Step by step PyTorch's losses: the same weights, the same batches, the same noise."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models import twins
from tests.models.twins import ALPHABET, batches, samples
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
    ("conv-ae", "text", twins.PoolingTwin),
    ("conv-ae", "ed3", twins.PoolingTwin),
    ("recurrent-ae", "text", twins.RecurrentTwin),
    ("recurrent-ae", "ed3", twins.RecurrentTwin),
    ("recurrent-ae", "series", twins.RecurrentTwin),
    ("recurrent-ae", "characters", twins.RecurrentTwin),
    ("gru-ae", "text", twins.GatedTwin),
    ("gru-ae", "series", twins.GatedTwin),
]
SLOW = ("convolutional", "conv-ae", "recurrent-ae", "gru-ae")  # these do fewer steps
SEQUENCES = {
    "series": {"kind": "series", "image_shape": (48, 1)},
    "characters": {"kind": "characters", "alphabet": ALPHABET, "image_shape": (24, len(ALPHABET))},
}
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
    steps = 20 if name in SLOW or preset in SLOW else 100
    model = models.create(name, preset=preset, **SEQUENCES.get(preset, {})).to(dtype=dtype)
    if name == "conv-ae":  # with biases of 0, black pixels come to lie on kinks of activations
        for key, p in model.named_parameters():
            p.data += 0.05 * Random(2).stream(key).normal(p.shape) * key.endswith("bias")
    recipe = model.recipe(preset)
    step = twin(model, dtype).trainer(recipe)
    options = dict(recipe.options)
    if recipe.optimizer != "sgd":
        options["convention"] = "pytorch"
    optimizer = optim.create(recipe.optimizer, model, **options)
    data = list(batches(samples(preset, 1024).astype(dtype), steps))
    ours = []
    for i, x in enumerate(data):
        loss = model.loss(x, rng=Random(1).at(i))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ours.append(loss.item())
    # in turns, idle threads of one library slow the other
    theirs = [step(x, Random(1).at(i)) for i, x in enumerate(data)]
    np.testing.assert_allclose(ours, theirs, rtol=5e-5 if dtype == "float32" else 1e-8)
    assert model.loss(data[0], rng=Random(1).at(0)).item() < 0.99 * ours[0]  # it did learn
