"""`evaluate`: means over all samples, in inference mode."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.toys import Noisy, images, tiny
from tinygen import models, nn, ops
from tinygen.ops.random import Random
from tinygen.training import evaluate


@pytest.mark.parametrize("batch_size", [1, 7, 19, 38, 1000])
def test_means_do_not_depend_on_the_batches(batch_size):
    model, x = tiny(), images()
    y = model.reconstruct(x).numpy().astype(np.float64)
    expected = {
        "loss": -(x * np.log(y) + (1 - x) * np.log(1 - y)).mean(),
        "rounded_accuracy": (np.round(x) == np.round(y)).mean(),
    }
    assert evaluate(model, x, batch_size=batch_size) == pytest.approx(expected, rel=1e-6)


def test_targets():
    model, x = tiny(), images()
    found = evaluate(model, x, np.zeros_like(x), batch_size=9)["loss"]
    y = model.reconstruct(x).numpy()
    assert found == pytest.approx(-np.log(1 - y).mean(), rel=1e-5)


def test_noise_is_off_and_the_mode_comes_back():
    model, x = Noisy(), images()
    expected = ops.mse(model.eval().net(x), x).item()
    model.train()
    assert evaluate(model, x)["loss"] == pytest.approx(expected, rel=1e-6)
    assert all(m.training for m in model.modules())
    model.eval()
    evaluate(model, x)
    assert not any(m.training for m in model.modules())
    assert all(p.grad is None for p in model.parameters())


def test_what_a_model_draws_depends_on_the_seed_alone():
    class Drawing(nn.Module):
        def measures(self, x, *, rng):
            return {"draw": float(rng.normal((len(x),)).mean())}

    x, model = images(), Drawing()
    first = evaluate(model, x, seed=1, batch_size=10)
    assert first == evaluate(model, x, seed=1, batch_size=10)
    assert first != evaluate(model, x, seed=2, batch_size=10)


def test_a_figure_that_not_all_batches_have_is_left_out():
    model = models.create("stacked-ae", image_shape=(6, 6), loss="mse")
    x = np.concatenate([images(8), 3 * images(8)])
    assert set(evaluate(model, x, batch_size=8)) == {"loss"}
    assert set(evaluate(model, x[:8], batch_size=8)) == {"loss", "rounded_accuracy"}


def test_an_error_leaves_the_mode_as_it_was():
    model = tiny().train()
    with pytest.raises(ValueError, match=r"was made for samples of shape \(6, 6\)"):
        evaluate(model, Random(0).uniform((3, 5, 5)))
    assert model.training
