"""Stacked, tied and greedily trained autoencoders: against PyTorch, differences, and themselves."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tests.models.twins import Twin, batches, images
from tinygen import Random, grad, gradcheck, gradgradcheck, models, ops, optim, tensor
from tinygen.training import Callback, Trainer, evaluate, fit

RATE = 1.5  # of the chapter's recipe


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("name", ["stacked-ae", "tied-ae"])
def test_100_steps_are_pytorchs(name, dtype, tolerance):
    pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    model = models.create(name).to(dtype=dtype)
    step = Twin(model, dtype).trainer(RATE)
    optimizer = optim.SGD(model, RATE)
    data = list(batches(images(1024).astype(dtype), 100))
    ours = []
    for x in data:
        loss = model.loss(x, rng=Random(0))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ours.append(loss.item())
    theirs = [step(x) for x in data]  # in turns, idle threads of one library slow the other
    np.testing.assert_allclose(ours, theirs, rtol=tolerance)
    assert ours[-1] < 0.9 * ours[0]  # it did learn on the way


@pytest.mark.parametrize("activation", ["selu", "tanh"])
@pytest.mark.parametrize("loss", ["binary_cross_entropy", "mse"])
@pytest.mark.parametrize("name", ["stacked-ae", "tied-ae"])
def test_gradients_of_the_whole_loss(name, loss, activation):
    model = models.create(
        name, image_shape=(2, 3), widths=(4,), codings=2, activation=activation, loss=loss
    ).to(dtype="float64")
    x = tensor(Random(1).uniform((3, 2, 3), 0.1, 0.9, dtype=np.float64), requires_grad=True)

    def whole(x, *parameters):
        return model.loss(x, rng=Random(0))

    inputs = [x, *model.parameters()]
    assert gradcheck(whole, inputs)
    assert gradgradcheck(whole, inputs)


@pytest.mark.parametrize("name", ["stacked-ae", "tied-ae"])
def test_one_batch_can_be_learned_by_heart(name):
    x = np.round(images(8))  # black and white, so that the least loss is 0
    model = models.create(name)
    before = evaluate(model, x)
    fit(model, x, epochs=400, batch_size=8, learning_rate=0.5, verbose=False)
    after = evaluate(model, x)
    assert after["loss"] < 0.05 < before["loss"]
    assert before["rounded_accuracy"] < 0.9 < 0.99 < after["rounded_accuracy"]


@pytest.mark.parametrize("shape", [(5, 7), (32, 32, 3), (1, 1), (9,)])
@pytest.mark.parametrize("name", ["linear-ae", "stacked-ae", "tied-ae"])
def test_samples_of_any_shape(name, shape):
    x = Random(0).uniform((6, *shape))
    model = models.create(name, image_shape=shape, codings=3)
    history = fit(model, x, epochs=3, batch_size=4, learning_rate=0.05, verbose=False)
    assert model.encode(x).shape == (6, 3)
    assert model.decode(model.encode(x)).shape == model.reconstruct(x).shape == x.shape
    assert history["loss"][-1] < history["loss"][0]


def test_widths_are_mirrored():
    model = models.create("stacked-ae", image_shape=(4, 4), widths=(9, 7, 5), codings=2)
    shapes = [layer.weight.shape for layer in (*model.down, *model.up)]
    assert shapes == [(16, 9), (9, 7), (7, 5), (5, 2), (2, 5), (5, 7), (7, 9), (9, 16)]
    assert [layer.activation for layer in (*model.down, *model.up)] == ["selu"] * 7 + ["sigmoid"]


# Tied weights


def test_tied_weights_are_one_parameter_that_both_halves_use():
    model = models.create("tied-ae", image_shape=(4, 4), widths=(6,), codings=3)
    names = [name for name, _ in model.named_parameters()]
    assert [name for name in names if "weight" in name] == [
        "encoder.layers.1.weight",
        "encoder.layers.2.weight",
    ]
    assert len([name for name in names if "bias" in name]) == 4
    z = Random(0).normal((2, 3))
    before = model.decode(z).numpy()
    model.down[0].weight.data[...] *= 2  # an optimiser's step: in place
    assert (model.decode(z).numpy() != before).any()


def test_the_gradient_of_a_tied_weight_is_the_sum_over_both_uses():
    tied = models.create("tied-ae", image_shape=(4, 4), widths=(6,), codings=3)
    loose = models.create("stacked-ae", image_shape=(4, 4), widths=(6,), codings=3)
    for model in (tied, loose):
        model.to(dtype="float64")
    for ours, theirs in zip(loose.down, tied.down, strict=True):
        ours.load_state_dict(theirs.state_dict())
    for ours, theirs in zip(loose.up, reversed(tied.down), strict=True):
        ours.weight.data = theirs.weight.numpy().T.copy()
    x = Random(1).uniform((5, 4, 4), dtype=np.float64)
    both = [layer.weight for layer in tied.down]
    sums = grad(tied.loss(x, rng=Random(0)), both)
    down, up = [m.weight for m in loose.down], [m.weight for m in reversed(loose.up)]
    parts = grad(loose.loss(x, rng=Random(0)), [*down, *up])
    for whole, a, b in zip(sums, parts[:2], parts[2:], strict=True):
        np.testing.assert_allclose(whole.numpy(), a.numpy() + b.numpy().T, rtol=1e-12, atol=1e-15)
        assert abs(b.numpy()).max() > 0


# Greedy layer-wise training


class Snapshots(Callback):
    """The weights at the end of every epoch, with the name of its stage."""

    def __init__(self):
        self.taken = []

    def on_epoch(self, trainer, row):
        self.taken.append((row["stage"], trainer.model.state_dict()))


def greedy(name: str = "stacked-ae", **config) -> tuple[models.Model, list]:
    model = models.create(name, image_shape=(6, 6), widths=(12,), codings=4, **config)
    snapshots = Snapshots()
    fit(
        model,
        Random(2).uniform((40, 6, 6)),
        preset="greedy",
        epochs=1,
        callbacks=[snapshots],
        verbose=False,
    )
    return model, snapshots.taken


def test_each_greedy_stage_trains_its_pair_alone():
    start = models.create("stacked-ae", image_shape=(6, 6), widths=(12,), codings=4)
    _, taken = greedy()
    states = [start.state_dict(), *(state for _, state in taken)]
    assert [stage for stage, _ in taken] == ["layer 1", "layer 2", "fine-tune"]
    changed = [
        {name.rsplit(".", 1)[0] for name in before if (before[name] != after[name]).any()}
        for before, after in pairwise(states)
    ]
    outer = {"encoder.layers.1", "decoder.layers.1"}
    inner = {"encoder.layers.2", "decoder.layers.0"}
    assert changed == [outer, inner, outer | inner]


def test_a_pair_learns_to_reproduce_the_codes_of_the_layers_before_it():
    model = models.create("stacked-ae", image_shape=(6, 6), widths=(12,), codings=4)
    first, second, last = model.stages(model.recipe("greedy"))
    x = Random(2).uniform((40, 6, 6))
    flat = x.reshape(40, 36)
    codes = model.down[0](flat).numpy()
    losses = [stage.phases[0].loss(x, rng=Random(0)).item() for stage in (first, second, last)]
    expected = [
        ops.binary_cross_entropy(model.up[1](codes), flat),
        ops.mse(model.up[0](model.down[1](codes)), codes),
        model.loss(x, rng=Random(0)),
    ]
    assert losses == pytest.approx([e.item() for e in expected])
    assert [s.options["learning_rate"] for s in (first, second, last)] == [1.5, 0.05, 0.1]


def test_greedy_training_keeps_other_options_and_refuses_other_optimisers():
    model = models.create("stacked-ae", image_shape=(6, 6))
    x = Random(2).uniform((8, 6, 6))
    with pytest.raises(ValueError, match="layer by layer needs sgd, not adam"):
        fit(model, x, preset="greedy", optimizer="adam", verbose=False)
    with pytest.raises(ValueError, match="several stages need an optimizer each"):
        fit(model, x, preset="greedy", optimizer=optim.SGD(model, 0.1), verbose=False)
    options = {"learning_rate": 1.0, "momentum": 0.5}
    recipe = models.Recipe(epochs=1, greedy=True, options=options)
    trainer = Trainer(model, model.stages(recipe), [x])
    assert [s.options["momentum"] for s in trainer.stages] == [0.5] * 3
    with pytest.raises(ValueError, match="linear-ae cannot be trained layer by layer"):
        models.create("linear-ae").stages(recipe)
