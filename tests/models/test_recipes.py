"""The chapter's recipes on real Fashion-MNIST reach its published figures."""

from __future__ import annotations

import pytest

from tinygen import data, models
from tinygen.training import evaluate, fit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fashion():
    if not data.is_here("fashion-mnist"):
        pytest.skip("Fashion-MNIST is not here: tinygen data fetch fashion-mnist")
    found = data.load("fashion-mnist")
    return found.train.floats(), found.valid.floats()


def trained(fashion, name: str, preset: str, seed: int) -> dict[str, float]:
    train, valid = fashion
    model = models.create(name, seed=seed)
    fit(model, train, preset=preset, seed=seed, verbose=False)
    found = evaluate(model, valid)
    print(name, preset, seed, found)
    return found


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_stacked(fashion, seed):
    found = trained(fashion, "stacked-ae", "text", seed)
    assert 0.283 <= found["loss"] <= 0.290
    assert found["rounded_accuracy"] >= 0.93


def test_stacked_of_the_second_edition(fashion):
    found = trained(fashion, "stacked-ae", "ed2", 0)
    assert found["loss"] <= 0.286
    assert found["rounded_accuracy"] >= 0.933


def test_tied(fashion):
    found = trained(fashion, "tied-ae", "text", 0)
    assert found["loss"] <= 0.289
    assert found["rounded_accuracy"] >= 0.93


def test_greedy(fashion):
    found = trained(fashion, "stacked-ae", "greedy", 0)
    assert found["loss"] <= 0.290
    assert found["rounded_accuracy"] >= 0.93
