"""Runs of models that learn labels, or the factors that images were drawn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tinygen import data, models
from tinygen.data.factors import FACTORS, factor_table
from tinygen.ops.random import Random
from tinygen.training import RunError, Trainer, fit
from tinygen.training.experiment import Experiment
from tinygen.training.fingerprint import data_differs
from tinygen.training.run import without_none
from tinygen.training.settings import SettingsError, read_settings, settings

NAMES = ("ant", "bee", "cow")


def save_folder(folder: Path, classes: int = 3, n: int = 12) -> str:
    """Images of 8 x 8 whose grey says their class, in a subfolder for each; or in none."""
    for i in range(n):
        path = folder / "zoo" / (NAMES[i % classes] if classes else "") / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), 80 * (i % 3) + i, np.uint8)).save(path)
    return str(folder / "zoo")


def save_npz(folder: Path, labels: object = None, n: int = 20) -> str:
    images = Random(0).integers(0, 255, (n, 8, 8)).astype(np.uint8)
    labels = {} if labels is None else {"labels": np.resize(np.asarray(labels), n)}
    np.savez(folder / "some.npz", images=images, **labels)
    return str(folder / "some.npz")


def wanted(source: str, model: str = "classifier", size: int = 8, **overrides: object) -> dict:
    return settings(model, data=source, size=size, channels=1, epochs=1, overrides=overrides)


def test_a_folder_of_classes_gives_images_and_labels(tmp_path):
    made = wanted(save_folder(tmp_path, n=20))
    assert made["config"]["classes"] == 3  # known before any image is read
    found = Experiment.build(made)
    assert (found.model.classes, found.model.config["classes"]) == (3, 3)
    assert found.dataset.class_names == NAMES
    counts = [len(part[0]) for part in (found.train, found.valid, found.test)]
    assert counts == [16, 2, 2]
    for images, labels in (found.train, found.valid, found.test):
        assert labels.dtype == np.int64
        grey = np.rint(images[:, 0, 0] * 255).astype(int)
        np.testing.assert_array_equal(labels, grey // 80)
        assert len(images) == len(labels)
    np.testing.assert_array_equal(found.samples, found.valid[0])


def test_labels_of_a_file_are_counted_off(tmp_path):
    made = wanted(save_npz(tmp_path, [30, -4, 7]))
    assert made["config"]["classes"] is None  # the file has to be read first
    found = Experiment.build(made)
    assert found.settings["config"]["classes"] == found.model.classes == 3
    assert found.dataset.class_names == ("-4", "7", "30")
    whole = np.concatenate([part[1] for part in (found.train, found.valid, found.test)])
    raw = data.load(save_npz(tmp_path, [30, -4, 7])).labels
    np.testing.assert_array_equal(np.asarray([-4, 7, 30])[whole], raw)


def test_factors_of_faces_side_by_side():
    overrides = {"count": 20, "factors": ["glasses", "age"]}
    found = Experiment.build(wanted("faces", "regressor", **overrides))
    drawn = data.load("faces", size=8, channels=1, count=20)
    table = found.test[1]
    assert table.dtype == np.float32
    np.testing.assert_array_equal(table[:, 0], drawn.test.factors["glasses"])
    np.testing.assert_array_equal(table[:, 1], drawn.test.factors["age"])
    assert factor_table(drawn.factors).shape == (20, len(FACTORS))


def test_labels_are_part_of_the_data_that_a_run_goes_on_with(tmp_path):
    source = save_npz(tmp_path, [0, 1])
    prints = Experiment.build(wanted(source)).trainer(show=False).fingerprints
    save_npz(tmp_path, [0, 1, 1])  # the same images
    now = Experiment.build(wanted(source)).trainer(show=False).fingerprints
    assert [p["shape"] for p in now["training"]] == [[16, 8, 8], [16]]
    assert "other contents" in data_differs(prints, now)


@pytest.mark.parametrize("name", ["progan", "stylegan"])
@pytest.mark.parametrize("source", [save_folder, lambda folder: save_npz(folder, [30, -4, 7])])
def test_labels_if_the_model_is_to_know_classes(tmp_path, source, name):
    """With `classes` they are learned, also after the settings were written and read."""
    found = Experiment.build(wanted(source(tmp_path), name, classes=3))
    assert (found.model.classes, found.model.config["classes"]) == (3, 3)
    images, labels = found.train
    assert labels.shape == (len(images),)
    assert {*labels.tolist()} == {0, 1, 2}
    path = tmp_path / "config.toml"
    again = Experiment.build(read_settings(without_none(found.settings), path))
    np.testing.assert_array_equal(again.train[1], labels)
    plain = Experiment.build(wanted(source(tmp_path), name))
    assert (len(plain.train), plain.model.classes) == (1, 0)
    back = read_settings(without_none(plain.settings), path)
    assert back["config"]["classes"] is None
    assert len(Experiment.build(back).train) == 1


def test_another_number_of_classes_than_the_data_has(tmp_path):
    with pytest.raises(ValueError, match=r"zoo has 3 classes, not 4: set classes=3$"):
        wanted(save_folder(tmp_path), "progan", classes=4)
    made = wanted(save_npz(tmp_path, [0, 1]), "progan", classes=4)  # known when it is read
    with pytest.raises(SettingsError, match=r"some\.npz has 2 classes, not 4: set classes=2$"):
        Experiment.build(made)
    with pytest.raises(ValueError, match=r"faces has none; .*; or leave classes out"):
        wanted("faces", "progan", classes=4)
    for wrong in (0, "many", -1, 2.5):
        with pytest.raises(ValueError, match="classes "):
            wanted(save_npz(tmp_path, [0, 1]), "progan", classes=wrong)


# What is refused, before anything is built


@pytest.mark.parametrize(
    ("model", "source", "message"),
    [
        ("classifier", "faces", r"from labels, and faces has none; fashion-mnist, .*mnist.* have"),
        ("classifier", "plane", "classifier takes no points"),
        ("classifier", "flat", "flat has none; .* a subfolder for each class, or an .npz file"),
        ("classifier", "series", "classifier takes no series"),
        ("regressor", "mnist", "those of mnist are not known; faces has them"),
        ("regressor", "flat", "those of .*flat are not known; faces has them"),
    ],
)
def test_data_without_labels_or_factors(tmp_path, monkeypatch, model, source, message):
    monkeypatch.chdir(tmp_path)
    Path(save_folder(tmp_path, classes=0)).rename("flat")
    with pytest.raises(ValueError, match=message):
        wanted(source, model)


def test_a_file_turns_out_to_have_no_labels(tmp_path, monkeypatch):
    built = []
    monkeypatch.setattr("tinygen.models.create", lambda *args, **config: built.append(args))
    with pytest.raises(SettingsError, match=r"some\.npz has none; .* an array `labels`"):
        Experiment.build(wanted(save_npz(tmp_path)))
    assert not built
    for source in ("plane", save_npz(tmp_path)):
        made = wanted("faces", "regressor", count=10)
        made["data"] |= {"source": source}  # a config.toml that was edited
        if source == "plane":
            made["data"] |= {"size": None, "channels": None}
        with pytest.raises(SettingsError, match="are not known; faces has them"):
            Experiment.build(made)


def test_another_number_of_classes_than_when_the_run_began(tmp_path):
    made = Experiment.build(wanted(save_npz(tmp_path, [0, 1]))).settings
    save_npz(tmp_path, [0, 1, 2])
    with pytest.raises(RunError, match=r"has 3 classes, the model is one for 2"):
        Experiment.build(made)


def test_the_number_of_classes_is_not_for_anybody_to_choose(tmp_path):
    with pytest.raises(ValueError, match=r"classes comes from the data$"):
        wanted(save_npz(tmp_path, [0, 1]), classes=5)
    with pytest.raises(ValueError, match=r"classes comes from the data$"):
        wanted(save_npz(tmp_path, [0, 1]), "cgan", classes=2)
    with pytest.raises(SettingsError, match="one class needs no classifier"):
        Experiment.build(wanted(save_npz(tmp_path, [4])))


@pytest.mark.parametrize(
    ("model", "targets", "message"),
    [
        ("classifier", [], "classifier learns labels, and was given samples alone"),
        ("progan", [], "progan learns labels, and was given samples alone"),
        ("progan", [np.arange(6) % 3 + 1], "labels go from 0 to 2; 3 is none"),
        ("classifier", [np.arange(6) % 3 + 1], "labels go from 0 to 2; 3 is none"),
        ("classifier", [-np.arange(6) % 3 - 1], "labels go from 0 to 2; -"),
        ("classifier", [np.zeros(6)], "labels are whole numbers from 0 to 2, not float"),
        ("classifier", [np.eye(3, dtype=int)[[0, 1, 2, 0, 1, 2]]], r"not an array \(6, 3\)"),
        ("classifier", [np.arange(5) % 3], r"not an array \(5,\)"),
        ("regressor", [], "regressor learns factors, and was given samples alone"),
        ("regressor", [np.zeros((6, 3))], r"must be an array \(6, 2\), .*not \(6, 3\)"),
        ("regressor", [np.full((6, 2), 0.5)], "glasses.*0.5 is not an index from 0 to 3"),
        ("regressor", [np.full((6, 2), 4)], "glasses.*4 is not an index from 0 to 3"),
        ("regressor", [np.full((6, 2), 2)], "smile.*2 is not a number from -1 to 1"),
        ("regressor", [np.full((6, 2), np.nan)], "glasses.*nan is not an index"),
    ],
)
def test_targets_that_are_none(model, targets, message):
    config = {"classes": 3} if model != "regressor" else {"factors": ["glasses", "smile"]}
    made = models.create(model, image_shape=(8, 8), **config)
    x = Random(0).uniform((6, 8, 8))
    with pytest.raises(ValueError, match=message):
        fit(made, x, *targets, verbose=False)
    options = made.recipe().training()
    with pytest.raises(ValueError, match=message):
        Trainer(made, made.stages(options), [x, *targets], options)
