"""Sequences of unequal lengths: the steps that a sequence has not count for nothing."""

from __future__ import annotations

import numpy as np
import pytest

from tests.models.cases import CASES, each, lengths_mask, samples
from tinygen import Random, models, ops, tensor
from tinygen.data import DataError, as_text, one_hot, pad_sequences
from tinygen.training import fit

STEPS, FEATURES = 9, 4
PADDED = [case for case in CASES if case.kind != "images"]
sequences = each(*PADDED)


def float64(case, steps: int, **config) -> models.Model:
    """The row's model for so many steps; the weights do not depend on the number."""
    return case.create((steps, FEATURES), seed=5, **config).to(dtype="float64")


def padded(case) -> np.ndarray:
    """One sequence of every length from 9 to 1."""
    return case.samples(STEPS, (STEPS, FEATURES)).astype(np.float64)


@sequences
def test_a_padded_sequence_is_the_sequence_itself(case):
    model, x = float64(case, STEPS), padded(case)
    together = (model.encode(x).numpy(), model.reconstruct(x).numpy())
    losses = []
    for i, row in enumerate(x):
        length = STEPS - i
        alone, own = float64(case, length), row[None, :length]
        np.testing.assert_allclose(together[0][i], alone.encode(own).numpy()[0], rtol=1e-12)
        made = alone.reconstruct(own).numpy()[0]
        np.testing.assert_allclose(together[1][i, :length], made, rtol=1e-12)
        assert np.isnan(together[1][i, length:]).all()
        losses.append(alone.loss(own, rng=Random(0)).item())
        found = model.measures(x[i : i + 1], rng=Random(0))
        assert found == pytest.approx(alone.measures(own, rng=Random(0)), rel=1e-12)
    assert model.loss(x, rng=Random(0)).item() == pytest.approx(np.mean(losses), rel=1e-12)
    assert np.std(losses) > 0


@sequences
def test_gradients_are_those_of_the_sequences_alone(case):
    model, x = float64(case, STEPS), padded(case)
    model.loss(x, rng=Random(0)).backward()
    total = [np.zeros(p.shape) for p in model.parameters()]
    for i, row in enumerate(x):
        alone = float64(case, STEPS - i)
        alone.loss(row[None, : STEPS - i], rng=Random(0)).backward()
        for sums, p in zip(total, alone.parameters(), strict=True):
            sums += p.grad.numpy() / len(x)
    for sums, p in zip(total, model.parameters(), strict=True):
        np.testing.assert_allclose(p.grad.numpy(), sums, rtol=1e-9, atol=1e-14)


@sequences
def test_padding_gets_no_gradient(case):
    model, values = float64(case, STEPS), padded(case)
    x = tensor(values, requires_grad=True)
    model.loss(x, rng=Random(0)).backward()
    real = ~np.isnan(values)
    assert (x.grad.numpy()[~real] == 0).all()
    assert (x.grad.numpy()[real] != 0).all()
    x.zero_grad()
    ops.sum(ops.where(real, model.reconstruct(x), 0.0) ** 2).backward()
    assert (x.grad.numpy()[~real] == 0).all()
    assert np.isfinite(x.grad.numpy()).all()


@sequences
def test_a_short_sequence_in_a_batch_changes_no_other(case):
    model, x = float64(case, STEPS), padded(case)
    full = case.samples(1, (STEPS, FEATURES)).astype(np.float64)
    mixed = np.concatenate([full, x[-1:]])
    for use in (model.encode, model.reconstruct):
        np.testing.assert_allclose(use(mixed).numpy()[0], use(full).numpy()[0], rtol=1e-12)


@sequences
def test_decoded_codings_are_sequences_of_full_length(case):
    model, x = float64(case, STEPS), padded(case)
    made = model.decode(model.encode(x)).numpy()
    known = model.reconstruct(x).numpy()
    real = ~np.isnan(known)
    assert np.isfinite(made).all()
    np.testing.assert_allclose(made[real], known[real], rtol=1e-12)
    if case.kind == "characters":
        np.testing.assert_allclose(made.sum(axis=2), 1, rtol=1e-12)


@sequences
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda x: x.__setitem__((2,), np.nan), "sequence 2 is of length 0"),
        (lambda x: x.__setitem__((1, 3, 0), np.nan), "sequence 1 has NaN among its values"),
        (lambda x: x.__setitem__((4, 0), np.nan), "sequence 4 has NaN among its values"),
        (lambda x: x.__setitem__((0, -1, 1), np.nan), "sequence 0 has NaN among its values"),
    ],
)
def test_sequences_that_are_none(case, spoil, message):
    x = case.samples(5)
    spoil(x)
    model = case.create()
    for use in (model.encode, model.reconstruct, lambda x: model.loss(x, rng=Random(0))):
        with pytest.raises(DataError, match=message):
            use(x)
    with pytest.raises(DataError, match=message.split(" ", 2)[2]):  # in the order of the batch
        fit(model, x, epochs=1, verbose=False)


def test_targets_have_the_lengths_of_the_sequences():
    model = models.create("gru-ae", image_shape=(6, 3), output="identity", loss="mse")
    x = samples("series", 4, (6, 3))
    target = x + 1
    expected = model.loss(x, target, rng=Random(0)).item()
    made = model.reconstruct(x).numpy()
    assert expected == pytest.approx(
        np.nanmean(np.nanmean((made - target) ** 2, axis=(1, 2))), rel=1e-5
    )
    with pytest.raises(ValueError, match="x and its targets have different lengths"):
        model.loss(x, np.ones_like(x), rng=Random(0))


def test_the_loss_is_a_mean_of_means():
    """Steps of short sequences count more than those of long ones; each sequence alike."""
    model = models.create("recurrent-ae", image_shape=(6, 2), output="identity", loss="mse")
    x = samples("series", 6, (6, 2))
    errors = (model.reconstruct(x).numpy() - x) ** 2
    expected = np.mean([row[real].mean() for row, real in zip(errors, ~np.isnan(x), strict=True)])
    assert model.loss(x, rng=Random(0)).item() == pytest.approx(expected, rel=1e-5)
    assert expected != pytest.approx(errors[~np.isnan(errors)].mean(), rel=1e-3)


def test_the_accuracy_of_characters():
    lines = ["abc", "b", "ca"]
    x = one_hot(lines, "abc", steps=4)
    model = models.create(
        "recurrent-ae", preset="characters", image_shape=(4, 3), kind="characters", alphabet="abc"
    )
    made = as_text(model.reconstruct(x).numpy(), "abc")
    assert [len(line) for line in made] == [3, 1, 2]
    right = [
        np.mean([a == b for a, b in zip(line, own, strict=True)])
        for line, own in zip(made, lines, strict=True)
    ]
    assert model.measures(x, rng=Random(0))["accuracy"] == pytest.approx(np.mean(right))
    assert 0 < np.mean(right) < 1


@pytest.mark.parametrize("name", ["recurrent-ae", "gru-ae"])
def test_it_learns_series_of_unequal_lengths(name):
    t = np.arange(20) / 4
    waves = [np.sin(t[: 8 + i % 13] + i) for i in range(64)]
    x = pad_sequences(waves)
    model = models.create(name, preset="series", kind="series", image_shape=(20, 1), codings=8)
    losses = fit(model, x, epochs=60, verbose=False)["loss"]
    assert losses[-1] < 0.05 < 0.4 < losses[0]


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"kind": "serie"}, "unknown kind 'serie', did you mean 'series'"),
        ({"kind": "characters"}, "--preset characters --data FILE.txt"),
        ({"output": "softmax"}, "and nothing else does"),
        ({"alphabet": "abc"}, "and 3 characters"),
        ({"preset": "characters", "kind": "characters"}, "an alphabet"),
        (
            {"preset": "characters", "kind": "characters", "alphabet": "abc"},
            r"\(steps, 3\) with such an alphabet, not \(28, 28\)",
        ),
        ({"image_shape": (9,)}, r"must be \(steps, features\)"),
        ({"image_shape": (0, 3)}, "image_shape must be from 1 to"),
        ({"image_shape": (3, 0)}, "image_shape must be from 1 to"),
        ({"widths": ()}, "needs at least one width"),
        ({"loss": "mae"}, "unknown loss 'mae'"),
        ({"output": "tanh"}, "output must be 'sigmoid', not 'tanh'"),
    ],
)
def test_settings_that_make_no_sense(config, message):
    with pytest.raises(ValueError, match=message):
        models.create("recurrent-ae", **config)


def test_the_mask_of_the_samples_here():
    assert lengths_mask(4, 3).tolist() == [
        [True, True, True],
        [True, True, False],
        [True, False, False],
        [True, True, True],
    ]
