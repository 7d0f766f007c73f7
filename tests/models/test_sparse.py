"""The penalty as the chapter's formula gives it, in training and in validation."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import Random, models, ops
from tinygen.training import evaluate, fit


def small(name: str, **config) -> models.Model:
    return models.create(name, image_shape=(6, 6), widths=(9,), codings=12, **config)


def l1(codings: np.ndarray) -> float:
    """What Keras 2 adds to the loss: the weight times the sum, divided by the batch size."""
    return 1e-3 * abs(codings).sum() / len(codings)


def divergence(codings: np.ndarray) -> float:
    """Likewise: summed over the units, not averaged."""
    p, q = 0.1, codings.mean(axis=0)
    units = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
    return 0.05 * units.sum() / len(codings)


PENALTIES = [("sparse-l1-ae", l1), ("sparse-kl-ae", divergence)]


@pytest.mark.parametrize(("name", "penalty"), PENALTIES)
def test_the_loss_is_reconstruction_and_penalty(name, penalty):
    model, x = small(name), Random(0).uniform((32, 6, 6))
    codings = model.encode(x).numpy().astype(np.float64)
    assert 0 < codings.min() < codings.max() < 1
    plain = ops.binary_cross_entropy(model.decode(model.encode(x)), x).item()
    assert model.loss(x, rng=Random(0)).item() == pytest.approx(plain + penalty(codings), rel=1e-6)
    target = 1 - x
    plain = ops.binary_cross_entropy(model.reconstruct(x), target).item()
    expected = plain + penalty(codings)
    assert model.loss(x, target, rng=Random(0)).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(("name", "penalty"), PENALTIES)
def test_validation_adds_the_penalty_of_batches_of_32_as_keras_does(name, penalty):
    model, x = small(name), Random(0).uniform((72, 6, 6))
    found = evaluate(model, x)
    codings = model.encode(x).numpy().astype(np.float64)
    parts = [codings[i : i + 32] for i in (0, 32, 64)]
    expected = sum(len(part) * penalty(part) for part in parts) / 72
    assert found["sparsity_loss"] == pytest.approx(expected, rel=1e-5)
    plain = ops.binary_cross_entropy(model.reconstruct(x), x).item()
    assert found["reconstruction_loss"] == pytest.approx(plain, rel=1e-5)
    assert found["loss"] == pytest.approx(plain + expected, rel=1e-5)
    whole = evaluate(model, x, batch_size=72)["sparsity_loss"]
    assert (whole == pytest.approx(expected, rel=1e-5)) == (name == "sparse-l1-ae")


def test_the_weights_make_codings_sparse():
    x = Random(1).uniform((160, 6, 6))

    def activity(name: str, **config) -> float:
        model = small(name, **config)
        fit(model, x, epochs=60, optimizer="adam", learning_rate=0.01, verbose=False)
        return float(model.encode(x).numpy().mean())

    assert activity("sparse-l1-ae", l1=0.05) < 0.05 < 0.3 < activity("sparse-l1-ae", l1=0.0)
    for target in (0.05, 0.2):
        found = activity("sparse-kl-ae", weight=10.0, target=target)
        assert found == pytest.approx(target, rel=0.15)
