"""Settings: defaults written out, and every name and value looked at."""

from __future__ import annotations

import inspect
import json

import numpy as np
import pytest
from PIL import Image

from tinygen import models, optim
from tinygen.training.experiment import Experiment
from tinygen.training.settings import FOREVER, settings


def test_every_default_is_there():
    found = settings("stacked-ae")
    assert (found["model"], found["preset"]) == ("stacked-ae", "text")
    assert found["config"] == {**models.options("stacked-ae"), "image_shape": [28, 28]}
    assert found["data"] == {
        "source": "fashion-mnist",
        "size": 28,
        "channels": 1,
        "count": None,
        "seed": 0,
    }
    assert found["training"] == {
        "epochs": 10,
        "max_steps": None,
        "batch_size": 32,
        "accumulate": 1,
        "patience": None,
        "judge_every": None,
        "judge_samples": 2000,
        "seed": 0,
        "device": "cpu",
        "precision": "float32",
        "capture": True,
        "greedy": False,
        "optimizer": "sgd",
    }
    assert found["options"]["learning_rate"] == 1.5
    assert found["options"]["momentum"] == 0.0
    json.dumps(found)


@pytest.mark.parametrize("name", optim.BY_NAME)
def test_options_are_those_of_the_optimiser(name):
    options = settings("stacked-ae", overrides={"optimizer": name})["options"]
    wanted = set(inspect.signature(optim.BY_NAME[name]).parameters) - {"parameters", "clip"}
    assert set(options) == wanted | {"clip_norm", "clip_value"}
    rate = 1.5 if name == "sgd" else inspect.signature(optim.BY_NAME[name]).parameters
    assert options["learning_rate"] == (rate if name == "sgd" else rate["learning_rate"].default)
    optim.create(name, models.create("linear-ae"), **options)


def test_presets_and_seeds():
    assert settings("stacked-ae", preset="ed2")["training"]["epochs"] == 20
    assert settings("stacked-ae", preset="greedy")["training"]["greedy"]
    found = settings("tied-ae", seed=7)
    assert found["config"]["seed"] == found["training"]["seed"] == 7
    assert found["data"]["seed"] == 0


def test_lengths():
    def length(**given):
        training = settings("stacked-ae", **given)["training"]
        return training["epochs"], training["max_steps"]

    assert length() == (10, None)
    assert length(epochs=3) == (3, None)
    assert length(steps=50) == (FOREVER, 50)
    assert length(images=100, batch_size=30) == (FOREVER, 4)
    assert length(images=100, overrides={"batch_size": 50}) == (FOREVER, 2)
    assert length(quick=True) == (2, None)
    assert length(quick=True, epochs=5) == (5, None)


def test_overrides_go_where_they_belong():
    overrides = {
        "channels": None,
        "codings": 5,
        "widths": [60, 40],
        "activation": ["leaky_relu", 0.1],
        "momentum": 0.5,
        "clip_norm": 1,
        "patience": 3,
        "size": 20,
        "data.seed": 4,
        "training.seed": 2,
    }
    found = settings("stacked-ae", overrides=overrides)
    assert found["config"]["codings"] == 5
    assert found["config"]["widths"] == [60, 40]
    assert found["options"]["momentum"] == 0.5
    assert found["options"]["clip_norm"] == 1
    assert found["training"]["patience"] == 3
    assert found["config"]["image_shape"] == [20, 20]
    assert [found[t]["seed"] for t in ("config", "data", "training")] == [0, 4, 2]


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ({"name": "linear-ae"}, [3]),
        ({"name": "linear-ae", "data": "fashion-mnist"}, [28, 28]),
        ({"name": "linear-ae", "data": "faces"}, [64, 64, 3]),
        ({"name": "tied-ae", "data": "faces", "overrides": {"channels": 3}}, [28, 28, 3]),
        ({"name": "linear-ae", "data": "."}, None),
    ],
)
def test_the_shape_of_the_samples_as_far_as_it_is_known(given, shape, tmp_path, monkeypatch):
    Image.new("L", (5, 5)).save(tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    assert settings(**given)["config"]["image_shape"] == shape


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"name": "stacked"}, "unknown model 'stacked', did you mean 'stacked-ae'"),
        ({"preset": "ed4"}, "no preset 'ed4', did you mean 'ed3'"),
        ({"data": "fashion_mnist"}, "Did you mean 'fashion-mnist'"),
        ({"data": "/no/such/folder"}, "there is no such file or folder"),
        ({"device": "cuda"}, "not available"),
        ({"device": "gpu"}, "unknown device 'gpu'"),
        ({"overrides": {"device": "cuda"}}, "not available"),
        ({"precision": "half"}, "unknown precision 'half': known are float32, tf32"),
        ({"precision": "tf32"}, "precision 'tf32' is for device 'cuda'"),
        ({"overrides": {"capture": 1}}, "capture cannot be 1"),
        ({"epochs": 1, "steps": 2}, "give only one of epochs, steps and images"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, not 0"),
        ({"steps": 0}, "max_steps must be a whole number of at least 1, not 0"),
        ({"batch_size": -1}, "batch_size must be a whole number of at least 1, not -1"),
        ({"overrides": {"codigns": 3}}, "no setting 'codigns', did you mean 'codings'"),
        ({"overrides": {"training.codings": 3}}, "no setting 'codings'"),
        ({"overrides": {"momentun": 0.1}}, "did you mean 'momentum'"),
        ({"overrides": {"beta1": 0.1}}, "no setting 'beta1'"),
        ({"overrides": {"optimizer": "adma"}}, "unknown optimizer 'adma', did you mean 'adam'"),
        ({"overrides": {"optimizer": 3}}, "unknown optimizer 3"),
        ({"overrides": {"seed": 3}}, "say config.seed or data.seed or training.seed"),
        ({"overrides": {"image_shape": [5, 7]}}, "comes from the data: set size and channels"),
        ({"name": "gan", "data": "ring", "size": 8}, "ring has points, which have no size"),
        (
            {"name": "linear-ae", "data": "plane", "channels": 3},
            "plane has points, which have no size",
        ),
        ({"overrides": {"codings": "many"}}, "codings cannot be 'many'; an example is 30"),
        ({"overrides": {"codings": 2.5}}, "codings cannot be 2.5"),
        ({"overrides": {"codings": True}}, "codings cannot be True"),
        ({"overrides": {"widths": 50}}, r"widths cannot be 50; an example is \(100,\)"),
        ({"overrides": {"widths": ["a"]}}, r"widths cannot be \['a'\]"),
        ({"overrides": {"learning_rate": "fast"}}, "learning_rate cannot be 'fast'"),
        ({"overrides": {"nesterov": 1}}, "nesterov cannot be 1; an example is False"),
        ({"overrides": {"patience": "long"}}, "patience cannot be 'long'"),
        ({"overrides": {"patience": 0}}, "patience must be a whole number of at least 1"),
        ({"overrides": {"epochs": 2.5}}, "epochs cannot be 2.5"),
        ({"overrides": {"batch_size": None}}, "batch_size cannot be None; an example is 32"),
        ({"seed": -1}, "seed must be a whole number of at least 0"),
        ({"overrides": {"data.seed": -1}}, "seed must be a whole number of at least 0"),
    ],
)
def test_what_makes_no_sense(given, message):
    with pytest.raises(ValueError, match=message):
        settings(**{"name": "stacked-ae", **given})


def test_a_quick_run_takes_what_there_is(tmp_path):
    for i in range(30):
        Image.new("L", (6, 6), i).save(tmp_path / f"{i}.png")
    np.savez(tmp_path / "x.npz", images=np.zeros((20, 6, 6), np.uint8))
    assert settings("stacked-ae", quick=True)["data"]["count"] == 2000
    assert settings("linear-ae", quick=True)["data"]["count"] is None
    folder = settings("stacked-ae", quick=True, data=str(tmp_path))
    assert folder["data"]["count"] == 30
    assert len(Experiment.build(folder).train[0]) == 24
    file = settings("stacked-ae", quick=True, data=str(tmp_path / "x.npz"))
    assert file["data"]["source"] == str(tmp_path / "x.npz")
    assert len(Experiment.build(file).train[0]) == 16


def test_very_little_data_is_not_validated_with(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.zeros((7, 6, 6), np.uint8))
    built = Experiment.build(settings("stacked-ae", data=str(tmp_path / "x.npz"), epochs=1))
    assert (len(built.train[0]), list(built.valid)) == (7, [])
    assert built.samples is built.train[0]
    assert built.settings["config"]["image_shape"] == [28, 28]
    rows = built.trainer(show=False).train()
    assert "valid_loss" not in rows[0]


def test_a_run_is_a_pure_function_of_its_settings(tmp_path):
    np.savez(tmp_path / "x.npz", images=np.arange(40 * 36, dtype=np.uint8).reshape(40, 6, 6))
    wanted = settings("tied-ae", data=str(tmp_path / "x.npz"), epochs=2, seed=3)
    first, second = (Experiment.build(wanted).trainer(show=False) for _ in range(2))
    assert first.train() == second.train()
    other = Experiment.build(settings("tied-ae", data=str(tmp_path / "x.npz"), epochs=2, seed=4))
    assert other.trainer(show=False).train() != first.rows
