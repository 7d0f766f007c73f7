"""Figures of models that predict labels or factors."""

from __future__ import annotations

import numpy as np
import pytest

from tests.view.runs import opened
from tinygen.data.factors import FACTORS
from tinygen.ops.random import Random
from tinygen.training import Run
from tinygen.training.experiment import Experiment
from tinygen.training.settings import settings
from tinygen.view import Subject, draw_figures
from tinygen.view.predictions import confusion, confusion_matrix, factors, mistakes, wrongest


def trained(folder, name, source, epochs=1, **overrides) -> Subject:
    made = settings(name, data=source, size=8, channels=1, epochs=epochs, overrides=overrides)
    experiment = Experiment.build(made)
    trainer = experiment.trainer(show=False)
    trainer.write_to(Run.create(folder / "run", experiment.settings))
    return Subject(experiment, folder / "run", trainer.train())


def save(folder, learnable: bool) -> str:
    """60 images of three classes that are black, grey and white, or nothing like it."""
    labels = np.arange(60) % 3
    images = np.broadcast_to(labels[:, None, None] * 127, (60, 8, 8))
    if not learnable:
        images = Random(0).integers(0, 255, (60, 8, 8))
    np.savez(folder / "some.npz", images=images.astype(np.uint8), labels=labels)
    return str(folder / "some.npz")


def test_a_confusion_matrix_counts_each_sample_once():
    labels, predicted = (Random(seed).integers(0, 4, (50,)) for seed in (0, 1))
    expected = np.zeros((4, 4), int)
    for i, j in zip(labels, predicted, strict=True):
        expected[i, j] += 1
    np.testing.assert_array_equal(confusion_matrix(labels, predicted, 4), expected)


def test_mistakes_come_in_the_order_of_how_sure_they_are():
    probabilities = np.array([[0.6, 0.4], [0.1, 0.9], [0.45, 0.55], [0.2, 0.8]])
    assert wrongest(np.array([1, 1, 0, 0]), probabilities).tolist() == [3, 0, 2]
    assert not len(wrongest(np.array([0, 1, 1, 1]), probabilities))


@pytest.mark.parametrize(
    ("learnable", "drawn"),
    [(False, ["confusion", "mistakes", "curves"]), (True, ["confusion", "curves"])],
)
def test_a_classifier_draws_what_it_confuses(tmp_path, learnable, drawn):
    done = trained(
        tmp_path, "classifier", save(tmp_path, learnable), 40 if learnable else 1, batch_size=16
    )
    paths = draw_figures(done)
    assert [path.stem for path in paths] == drawn
    for path in paths:
        opened(path)
    right = 6 if learnable else confusion_counts(done)
    (axis,) = confusion(done).axes
    assert axis.get_title(loc="left") == f"classifier: {right / 6:.2%} of 6 samples right"
    written = sum(int(text.get_text()) for text in axis.texts)
    assert written == 6  # each sample of validation is in one cell
    if not learnable:
        assert len(mistakes(done).axes) == 6 - right


def confusion_counts(done: Subject) -> int:
    """How many samples of validation the model classifies right."""
    images, labels = done.experiment.valid
    return int((done.model.classify(images) == labels).sum())


def test_a_regressor_draws_a_bar_for_each_factor(tmp_path):
    done = trained(tmp_path, "regressor", "faces", count=60)
    assert [path.stem for path in draw_figures(done)] == ["factors", "curves"]
    opened(tmp_path / "run" / "factors.png")
    (axis,) = factors(done).axes
    assert len(axis.patches) == len(FACTORS)
    names = [text.get_text() for text in axis.get_yticklabels()]
    assert names == [factor.name.replace("_", " ") for factor in FACTORS]
    images, table = done.experiment.valid
    place = [factor.name for factor in FACTORS].index("glasses")
    share = (done.model.predict(images)["glasses"] == table[:, place]).mean()
    assert axis.texts[place].get_text() == f"{share:.3f}"
