"""Layers mirrored, tied, and trained greedily one by one."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tinygen import Random, grad, models, ops, optim
from tinygen.training import Callback, Trainer, fit


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
    options = model.recipe("greedy").training()
    first, second, last = model.stages(options)
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
    assert options.options == {"learning_rate": 1.5}
    changed = [dict(s.options) for s in (first, second, last)]
    assert changed == [{}, {"learning_rate": 0.05}, {"learning_rate": 0.1}]


def test_greedy_training_keeps_other_options_and_refuses_other_optimisers():
    model = models.create("stacked-ae", image_shape=(6, 6))
    x = Random(2).uniform((8, 6, 6))
    with pytest.raises(ValueError, match="layer by layer needs sgd, not adam"):
        fit(model, x, preset="greedy", optimizer="adam", verbose=False)
    with pytest.raises(
        ValueError, match="need an optimizer each, and one was given; give its name"
    ):
        fit(model, x, preset="greedy", optimizer=optim.SGD(model, 0.1), verbose=False)
    options = {"learning_rate": 1.0, "momentum": 0.5}
    options = models.TrainingOptions(epochs=1, greedy=True, options=options)
    trainer = Trainer(model, model.stages(options), [x], options)
    found = []
    for stage in range(3):
        trainer.begin_stage(stage)
        (optimizer,) = trainer.optimizers.values()
        found.append((optimizer.momentum, optimizer.learning_rate))
    assert found == [(0.5, 1.0), (0.5, 0.05), (0.5, 0.1)]
    with pytest.raises(ValueError, match="linear-ae cannot be trained layer by layer"):
        models.create("linear-ae").stages(options)
