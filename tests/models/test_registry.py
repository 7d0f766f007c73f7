"""The closed registry: names and settings, the same model again, files."""

from __future__ import annotations

import json

import numpy as np
import pytest

import tinygen
from tinygen import Random, models
from tinygen.models import StackedAutoencoder
from tinygen.training import fit


def assert_same(a: models.Model, b: models.Model) -> None:
    assert (a.name, a.config) == (b.name, b.config)
    mine, yours = a.state_dict(), b.state_dict()
    assert list(mine) == list(yours)
    for name in mine:
        np.testing.assert_array_equal(mine[name], yours[name], err_msg=name)


def test_names():
    assert models.names()[:3] == ("linear-ae", "stacked-ae", "tied-ae")
    for name in models.names():
        assert models.create(name).name == name


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: models.create("stakced-ae"), "'stakced-ae', did you mean 'stacked-ae'"),
        (lambda: models.create("xyz"), "known are linear-ae, stacked-ae, tied-ae"),
        (lambda: models.create("tied-ae", coding=3), "no setting 'coding', did you mean 'codings'"),
        (lambda: models.create("stacked-ae", activation="sleu"), "did you mean 'selu'"),
        (lambda: models.create("tied-ae", loss="msee"), "unknown loss 'msee', did you mean 'mse'"),
        (lambda: models.create("tied-ae", output="identity"), "output must be 'sigmoid', not 'ide"),
        (lambda: models.create("stacked-ae", codings="many"), "cannot be 'many'; an example is 30"),
        (lambda: models.create("stacked-ae", widths=[5, 2.5]), r"widths cannot be \[5, 2.5\]"),
        (lambda: models.create("vae", beta=float("nan")), "beta cannot be nan; an example is 1.0"),
        (lambda: models.create("tied-ae", activation=[[1]]), r"activation cannot be \[\[1\]\]"),
        (lambda: models.create("conv-ae", codings=[]), r"cannot be \[\]; it is a whole number"),
        (lambda: models.create([]), r"unknown model \[\]"),
        (lambda: models.create("stacked-ae", codings=0), "codings must be from 1 to 1,000,000"),
        (lambda: models.create("denoising-ae", noise="gausian"), "did you mean 'gaussian'"),
        (lambda: models.create("denoising-ae", rate=1.0), "rate must be at least 0 and below 1"),
        (lambda: models.create("sparse-kl-ae", target=0), "target must be between 0 and 1"),
        (lambda: models.create("sparse-l1-ae", l1=-1), "l1 must be at least 0"),
        (lambda: models.create("hashing-ae", noise=-1), "std must be at least 0"),
        (lambda: models.create("vae", beta=-1), "beta must not be negative"),
        (lambda: models.create("vae", image_shape=(9,), filters=(4,)), r"filters need images.*9"),
        (lambda: models.create("vae", preset="convolution"), "did you mean 'convolutional'"),
        (lambda: models.find("linear").recipe(), "did you mean 'linear-ae'"),
        (lambda: StackedAutoencoder.recipe("gredy"), "no preset 'gredy', did you mean 'greedy'"),
    ],
)
def test_unknown_names_and_settings(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("name", models.names())
def test_a_config_makes_the_same_model_again(name):
    units = "codings" if issubclass(models.find(name), models.Autoencoder) else "features"
    model = models.create(name, seed=7, **{units: 2})
    assert model.config == {**models.options(name), units: 2, "seed": 7}
    assert_same(model, models.create(name, **model.config))
    as_json = json.loads(json.dumps(model.config))
    assert_same(model, models.create(name, **as_json))
    other = models.create(name, seed=8, **{units: 2})
    assert (other.parameters()[0].data != model.parameters()[0].data).any()


def test_a_preset_sets_what_is_not_set_by_hand():
    model = models.create("vae", preset="ed3", activation="tanh")
    assert (model.preset, model.config["loss"], model.config["activation"]) == (
        "ed3",
        "mse",
        "tanh",
    )
    assert models.create("vae").preset is None
    for name in models.names():  # the first preset is that of the model's defaults
        assert not models.find(name).recipe().config


def test_fit_takes_the_preset_that_the_model_was_made_for():
    x = Random(0).uniform((40, 4, 4))
    losses = []
    for first, then in (("ed3", None), (None, "ed2"), ("ed3", "ed2")):
        model = models.create(
            "vae", preset=first, image_shape=(4, 4), loss="mse", output="identity"
        )
        losses.append(fit(model, x, preset=then, epochs=1, verbose=False)["loss"])
    assert losses[0] != losses[1] != losses[2]  # of Nadam and RMSprop, of RELU and SELU
    with pytest.raises(ValueError, match=r"with activation='relu', output='identity', loss='mse'; "
                       r"make it with models\.create\('vae', preset='ed3'\)"):  # fmt: skip
        fit(models.create("vae", image_shape=(4, 4)), x, preset="ed3", verbose=False)


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("linear-ae", {}),
        ("stacked-ae", {"image_shape": (5, 7), "widths": [6, np.int64(4)], "codings": 3}),
        ("stacked-ae", {"activation": ("leaky_relu", 0.1), "loss": "mse", "seed": 5}),
        ("tied-ae", {"image_shape": [4, 4, 3], "widths": (), "codings": 2}),
    ],
)
def test_saved_models_come_back(tmp_path, name, config):
    model = models.create(name, **config)
    model.parameters()[0].data[0, 0] = 3.0  # not what the seed gives
    path = tmp_path / "a model.safetensors"
    model.save(path)
    found = tinygen.load(path)
    assert not found.training
    assert_same(model, found)
    x = Random(0).uniform((2, *model.config["image_shape"]))
    np.testing.assert_array_equal(model.reconstruct(x).numpy(), found.reconstruct(x).numpy())


def test_only_models_from_the_registry_are_saved(tmp_path):
    for module in (tinygen.nn.Dense(2, 3), StackedAutoencoder((4, 4))):
        with pytest.raises(TypeError, match=r"only a model from tinygen\.models\.create"):
            module.save(tmp_path / "x")
    assert not list(tmp_path.iterdir())


def test_pixels_of_0_to_255_are_refused():
    model = models.create("stacked-ae", image_shape=(4, 4))
    x = np.zeros((2, 4, 4), np.uint8)
    for use in (model, model.encode, model.reconstruct):
        with pytest.raises(TypeError, match=r"x holds integers \(uint8\); images are floats"):
            use(x)


def test_measures_tell_the_rounded_accuracy_of_pixels_only():
    model = models.create("stacked-ae", image_shape=(4, 4), loss="mse")
    x = Random(0).uniform((3, 4, 4))
    found = model.measures(x, rng=Random(0))
    y = model.reconstruct(x).numpy()
    assert found["rounded_accuracy"] == (np.round(x) == np.round(y)).mean()
    assert found["loss"] == model.loss(x, rng=Random(0)).item()
    assert list(model.measures(2 * x - 1, rng=Random(0))) == ["loss"]
    target = np.ones_like(x)
    assert model.measures(x, target, rng=Random(0))["rounded_accuracy"] == np.round(y).mean()
