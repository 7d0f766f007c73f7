"""The chapter's recipes on real Fashion-MNIST reach the published figures.

One seed each; `python -m benchmarks.recipes` takes the mean of three, and the third edition's too.
"""

from __future__ import annotations

import pytest

from tinygen import data, models
from tinygen.models import PUBLISHED
from tinygen.training import evaluate, fit

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def fashion():
    if not data.is_here("fashion-mnist"):
        pytest.skip("Fashion-MNIST is not here: tinygen data fetch fashion-mnist")
    found = data.load("fashion-mnist")
    return found.train.floats(), found.valid.floats()


@pytest.mark.parametrize("key", [key for key in PUBLISHED if key[1] != "ed3"], ids="-".join)
def test_the_published_figures(fashion, key):
    train, valid = fashion
    name, preset = key
    model = models.create(name, preset=preset)
    fit(model, train, verbose=False)
    found, published = evaluate(model, valid), PUBLISHED[key]
    assert 0.98 * published.loss <= found["loss"] <= 1.015 * published.loss
    if published.rounded_accuracy:
        assert found["rounded_accuracy"] == pytest.approx(published.rounded_accuracy, abs=0.006)
