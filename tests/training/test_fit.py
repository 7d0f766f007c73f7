"""`fit`: what it takes, what it gives back, what it refuses."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import tinygen
from tests.training.toys import StopAt, images, tiny
from tinygen import data, nn, ops, optim
from tinygen.ops.random import Random
from tinygen.training import Callback, EarlyStopping, RunError, evaluate, fit


def classifier() -> tuple[nn.Module, np.ndarray, np.ndarray]:
    """A network, points, and which of three classes each is in."""
    rng = Random(1)
    x = rng.normal((60, 4))
    y = x[:, :3].argmax(axis=1)
    return nn.Sequential(nn.Dense(4, 16, "tanh", rng=rng), nn.Dense(16, 3, rng=rng)), x, y


def weights(model: nn.Module) -> list[np.ndarray]:
    return [p.numpy().copy() for p in model.parameters()]


def assert_equal(a: nn.Module, b: nn.Module, **tolerances: float) -> None:
    for x, y in zip(weights(a), weights(b), strict=True):
        np.testing.assert_allclose(x, y, **{"rtol": 0, "atol": 0, **tolerances})


# What it gives


def test_the_history():
    history = fit(tiny(), images(), epochs=3, validation_data=images(10, seed=1), verbose=False)
    assert len(history) == 3
    assert history["epoch"] == [1, 2, 3]
    assert history["step"] == [2, 4, 6]
    for name in ("loss", "valid_loss", "valid_rounded_accuracy"):
        assert len(history[name]) == 3
        assert all(isinstance(value, float) for value in history[name])
    with pytest.raises(KeyError, match="no figure 'val_loss', did you mean 'valid_loss'"):
        history["val_loss"]
    assert "3 epochs" in repr(history)


def test_the_loss_is_the_mean_over_all_samples_of_the_epoch():
    model, x = tiny(), images()
    found = fit(model, x, epochs=1, learning_rate=0.0, batch_size=7, verbose=False)["loss"][0]
    assert found == pytest.approx(evaluate(model, x)["loss"], rel=1e-6)


def test_validation_data_is_an_array_or_a_pair():
    net, x, y = classifier()
    history = fit(
        net,
        x,
        y,
        loss="softmax_cross_entropy",
        epochs=40,
        optimizer="adam",
        learning_rate=0.05,
        validation_data=(x, y),
        verbose=False,
    )
    assert history["valid_loss"][-1] < 0.5 * history["valid_loss"][0]
    assert (net(x).numpy().argmax(axis=1) == y).mean() > 0.9
    pair = (images(), images())
    found = [
        fit(tiny(), images(), epochs=1, validation_data=given, verbose=False)["valid_loss"]
        for given in (images(), pair, list(pair))
    ]
    assert found[0] == found[1] == found[2]
    with pytest.raises(ValueError, match="validation_data needs targets too"):
        fit(net, x, y, loss="softmax_cross_entropy", validation_data=x, verbose=False)


def test_any_module_with_any_loss():
    def shifted(prediction, target):
        return ops.mse(prediction, target + 1.0)

    net = nn.Dense(2, 2, rng=Random(0))
    x = Random(1).normal((32, 2))
    fit(net, x, loss=shifted, epochs=200, learning_rate=0.3, verbose=False)
    np.testing.assert_allclose(net(x).numpy(), x + 1.0, atol=1e-2)


def test_penalties_of_regularisers_count():
    def trained(amount):
        rng = Random(0)
        net = nn.Sequential(
            nn.Dense(3, 3, rng=rng), nn.ActivityRegularizer(l1=amount), nn.Dense(3, 3, rng=rng)
        )
        fit(net, Random(1).normal((32, 3)), loss="mse", epochs=50, learning_rate=0.1, verbose=False)
        return abs(net[0](Random(1).normal((32, 3))).numpy()).mean()

    assert trained(1.0) < 0.5 * trained(0.0)


def test_optimisers_by_name_and_as_objects():
    by_name, as_object = tiny(), tiny()
    fit(by_name, images(), epochs=2, optimizer="adam", learning_rate=0.02, verbose=False)
    optimizer = optim.Adam(as_object, 0.02)
    fit(as_object, images(), epochs=2, optimizer=optimizer, verbose=False)
    assert_equal(by_name, as_object)
    assert optimizer.steps == 4
    by_recipe, by_hand = tiny(), tiny()
    fit(by_recipe, images(), epochs=2, verbose=False)
    fit(by_hand, images(), epochs=2, optimizer=optim.SGD(by_hand, 1.5), verbose=False)
    assert_equal(by_recipe, by_hand)


@pytest.mark.parametrize("samples", [64, 61, 35])
def test_accumulated_batches_are_one_big_batch(samples):
    x, big, small = images(samples), tiny().to(dtype="float64"), tiny().to(dtype="float64")
    for model, size, accumulate in ((big, 24, 1), (small, 8, 3)):
        fit(model, x, epochs=3, batch_size=size, accumulate=accumulate, verbose=False)
    assert_equal(big, small, rtol=1e-10, atol=1e-13)


def test_the_seed_decides_all():
    def trained(seed):
        model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Dense(36, 36, rng=Random(0)))
        fit(model, images(), images().reshape(-1, 36), loss="mse", seed=seed, verbose=False)
        return model

    tinygen.seed(1)
    first = trained(3)
    tinygen.seed(2)  # the process's own stream has no part in it
    assert_equal(first, trained(3))
    assert (weights(first)[0] != weights(trained(4))[0]).any()


def test_every_step_draws_noise_of_its_own():
    x = images(1).repeat(8, axis=0)  # the order of the samples makes no difference
    model = nn.Sequential(nn.GaussianNoise(0.5), nn.Flatten(), nn.Dense(36, 1, rng=Random(0)))
    options = {"loss": "mse", "batch_size": 8, "learning_rate": 0.0, "verbose": False}
    losses = fit(model, x, np.zeros((8, 1)), epochs=5, **options)["loss"]
    assert len(set(losses)) == 5
    assert fit(model, x, np.zeros((8, 1)), epochs=5, **options)["loss"] == losses


def test_types_of_the_data():
    reference = tiny()
    fit(reference, images(), epochs=1, verbose=False)
    for x in (images().astype(np.float64), tinygen.tensor(images()), images().tolist()):
        model = tiny()
        fit(model, x, epochs=1, verbose=False)
        assert {w.dtype for w in weights(model)} == {np.dtype(np.float32)}
        assert_equal(model, reference)
    model = tiny().to(dtype="float64")
    fit(model, images(), epochs=1, verbose=False)
    assert {w.dtype for w in weights(model)} == {np.dtype(np.float64)}
    assert_equal(model, reference, rtol=1e-4, atol=1e-5)


def test_afterwards_the_model_is_ready_for_use():
    model = nn.Sequential(nn.Dropout(0.5), nn.Dense(4, 4, rng=Random(0)))
    x = Random(0).normal((8, 4))
    fit(model, x, loss="mse", verbose=False)
    assert not model.training
    np.testing.assert_array_equal(model(x).numpy(), model(x).numpy())


def test_callbacks_see_every_step_and_epoch():
    class Diary(Callback):
        def __init__(self):
            self.lines = []

        def on_step(self, trainer, losses):
            self.lines.append((trainer.step, trainer.model.training, list(losses)))

        def on_epoch(self, trainer, row):
            self.lines.append(("epoch", row["epoch"]))

        def on_end(self, trainer):
            self.lines.append("end")

    diary = Diary()
    fit(tiny(), images(), epochs=2, batch_size=20, callbacks=[diary], verbose=False)
    first, last = [(i, True, ["train"]) for i in (1, 2)], [(i, True, ["train"]) for i in (3, 4)]
    assert diary.lines == [*first, ("epoch", 1), *last, ("epoch", 2), "end"]


# Early stopping


def test_early_stopping_brings_back_the_best(capsys):
    model = tiny()
    stopping = EarlyStopping(patience=2)
    history = fit(
        model,
        images(),
        epochs=100,
        learning_rate=6.0,
        validation_data=images(20, seed=1),
        callbacks=[stopping],
    )
    losses = history["valid_loss"]
    assert len(losses) < 100
    best = min(losses)
    assert losses.index(best) == len(losses) - 3
    assert evaluate(model, images(20, seed=1))["loss"] == best == stopping.best
    assert "stopped early: valid_loss has not improved for 2 epochs" in capsys.readouterr().out


def test_early_stopping_may_be_used_again():
    stopping = EarlyStopping("loss", patience=1, min_delta=1e-6)  # more than rounding
    lengths = []
    for rate in (0.5, 0.0):  # what the first run reached would stop the second at once
        options = {"learning_rate": rate, "callbacks": [stopping], "verbose": False}
        lengths.append(len(fit(tiny(), images(), epochs=3, **options)))
    assert lengths == [3, 2]


def test_early_stopping_may_keep_the_last_weights_and_ask_for_more():
    stopping = EarlyStopping("loss", patience=1, min_delta=10.0, restore_best=False)
    history = fit(tiny(), images(), epochs=9, callbacks=[stopping], verbose=False)
    assert len(history) == 2  # the first is better than nothing, the second not by 10
    with pytest.raises(ValueError, match="patience must be a whole number of at least 1"):
        EarlyStopping(patience=0)
    with pytest.raises(ValueError, match="no 'valid_loss' in the metrics, which are epoch, step"):
        fit(tiny(), images(), epochs=1, callbacks=[EarlyStopping()], verbose=False)


# Folders


def test_a_run_in_a_script_goes_on_where_it_was(tmp_path):
    whole, stopped = tiny(), tiny()
    call = {"epochs": 3, "batch_size": 8, "optimizer": "adam", "verbose": False}
    rows = fit(whole, images(), **call).rows
    with pytest.raises(
        KeyboardInterrupt, match=r"Go on with: fit\(\.\.\., out='.*', resume=True\)"
    ):
        fit(stopped, images(), **call, out=tmp_path / "run", resume=True, callbacks=[StopAt(7)])
    again = tiny(seed=5)  # its weights come from the checkpoint
    assert fit(again, images(), **call, out=tmp_path / "run", resume=True).rows == rows
    assert_equal(again, whole)
    assert_equal(tinygen.load(tmp_path / "run"), whole)
    for change in ({"batch_size": 4}, {"optimizer": "sgd"}, {"seed": 1}):
        with pytest.raises(RunError, match=f"is a run with {next(iter(change))}"):
            fit(tiny(), images(), **{**call, **change}, out=tmp_path / "run", resume=True)
    with pytest.raises(RunError, match="holds another run"):
        fit(tiny(), images(), **call, out=tmp_path / "run")
    with pytest.raises(ValueError, match="resume=True needs out="):
        fit(tiny(), images(), resume=True)


def test_a_refused_call_leaves_no_folder(tmp_path):
    for x, message in ((images() * 255, "the data goes from"), (images()[:0], "no samples")):
        with pytest.raises(ValueError, match=message):
            fit(tiny(), x, out=tmp_path / "run", verbose=False)
        assert not (tmp_path / "run").exists()


# What it refuses


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"epochs": 0}, "epochs must be a whole number of at least 1, not 0"),
        ({"epochs": 2.5}, "epochs must be a whole number of at least 1, not 2.5"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, not 0"),
        ({"accumulate": 0}, "accumulate must be a whole number of at least 1, not 0"),
        ({"optimizer": "adma"}, "unknown optimizer 'adma', did you mean 'adam'"),
        ({"loss": "mse"}, "stacked-ae has a loss of its own"),
        ({"preset": "gredy"}, "did you mean 'greedy'"),
        ({"learning_rate": -1.0}, "learning_rate must not be negative"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"y": images(3)}, "first axes differ"),
        ({"validation_data": images() * 2 - 1}, r"targets in \[0, 1\], the data goes from -0\.99"),
    ],
)
def test_arguments_that_make_no_sense(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit(tiny(), images(), verbose=False, **arguments)


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        ((images() * 255).astype(np.uint8), ValueError, r"integers \(uint8\); .*as_floats"),
        (images() * 255, ValueError, r"needs targets in \[0, 1\], .* divided by 255"),
        (images()[:0], ValueError, "no samples"),
        (images()[:, :, :5], ValueError, r"was made for samples .*; x is an array \(38, 6, 5\)"),
        (images().reshape(-1, 36), ValueError, r"shape \(6, 6\), .*x is an array \(38, 36\)"),
        (images()[..., None], ValueError, r"shape \(6, 6\), .*x is an array \(38, 6, 6, 1\)"),
        (3.5, ValueError, "x is no array of numbers"),
        (["a", "b"], ValueError, "x is no array of numbers"),
        (
            data.Samples("few", np.zeros((3, 6, 6, 1), np.uint8)),
            TypeError,
            r"images\.train\.floats",
        ),
    ],
)
def test_data_that_does_not_fit(x, error, message):
    with pytest.raises(error, match=message):
        fit(tiny(), x, verbose=False)


def test_labels_that_are_no_integers():
    net, x, y = classifier()
    with pytest.raises(ValueError, match=r"softmax_cross_entropy: logits of shape \(32, 3\)"):
        fit(net, x, y.astype(np.float32), loss="softmax_cross_entropy", verbose=False)
    with pytest.raises(ValueError, match="labels must be from 0 to 2, got 1 to 3"):
        fit(net, x, y + 1, loss="softmax_cross_entropy", batch_size=60, verbose=False)


def test_modules_and_optimisers_that_do_not_fit():
    net, x, _ = classifier()
    with pytest.raises(ValueError, match="Sequential has no loss of its own; give loss="):
        fit(net, x, verbose=False)
    with pytest.raises(ValueError, match="unknown loss 'msee', did you mean 'mse'"):
        fit(net, x, loss="msee", verbose=False)
    with pytest.raises(ValueError, match="made for the parameters of another model"):
        fit(tiny(), images(), optimizer=optim.SGD(net, 0.1), verbose=False)
    own = optim.SGD(net, 0.1)
    with pytest.raises(ValueError, match="has a learning rate already"):
        fit(net, x, loss="mse", optimizer=own, learning_rate=0.2, verbose=False)
    with pytest.raises(TypeError, match="optimizer must be a name or an optimizer"):
        fit(tiny(), images(), optimizer=optim.SGD, verbose=False)


def test_in_another_thread_signals_are_left_alone():
    found = []
    thread = threading.Thread(
        target=lambda: found.append(fit(tiny(), images(), epochs=1, verbose=False))
    )
    thread.start()
    thread.join()
    assert len(found[0]) == 1


def test_fit_refuses_what_is_no_whole_number():
    for name, value in (("accumulate", 1.5), ("seed", 1.5), ("seed", True), ("epochs", "2")):
        with pytest.raises(ValueError, match=f"fit: {name} "):
            fit(tiny(), images(), verbose=False, **{name: value})
