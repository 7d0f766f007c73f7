"""Samples that are judged while a model is trained."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.training.toys import resumes_exactly
from tinygen import Random, models
from tinygen.metrics import frechet_distance
from tinygen.training import Interrupted, JudgeSamples, Run, Trainer, fit
from tinygen.training.experiment import Experiment
from tinygen.training.extractors import of_function
from tinygen.training.feature_network import of_model
from tinygen.training.judge_samples import samples_of
from tinygen.training.settings import SettingsError, settings

X = Random(0).uniform((40, 8, 8))
PIXELS = of_function(lambda x: x.reshape(len(x), -1)[:, ::16], "every sixteenth pixel")


def gan(**config):
    return models.create("gan", image_shape=(8, 8), widths=[6], latents=3, average=0.9, **config)


def options(**given):
    return {"epochs": 5, "batch_size": 8, "verbose": False, **given}


def test_scores_are_those_of_samples_that_are_drawn_every_few_epochs():
    model = gan()
    judged = JudgeSamples(X[:30], PIXELS, every=2, samples=20, seed=3)
    history = fit(model, X, callbacks=[judged], **options())
    for name in ("frechet_distance", "precision", "recall"):
        assert [v is not None for v in history[name]] == [False, True, False, True, True]
    made = samples_of(model, 20, seed=3)
    expected = frechet_distance(*(PIXELS.features(x) for x in (X[:20], made)))
    assert history["frechet_distance"][-1] == float(expected)
    np.testing.assert_array_equal(made, samples_of(model, 20, seed=3))
    assert (made != samples_of(model, 20)).any()


@pytest.mark.parametrize("name", ["gan", "dcgan", "sngan", "vae"])
def test_training_is_the_same_with_it_and_without(name):
    """To the bit, also what norms and spectral norms remember, and what validation says."""
    own = {"vae": {"widths": [6], "codings": 3}, "gan": {"widths": [6], "latents": 3}}
    config = own.get(name, {"widths": [2, 3], "latents": 3})
    one, other = (models.create(name, image_shape=(8, 8), **config) for _ in range(2))
    given = options(epochs=2, validation_data=X[30:])
    plain = fit(one, X[:30], **given)
    watched = fit(other, X[:30], callbacks=[JudgeSamples(X, PIXELS, samples=9)], **given)
    for before, after in zip(plain.rows, watched.rows, strict=True):
        assert {key: after[key] for key in before} == before
        assert "recall" in after
    for key, array in one.state_dict().items():
        np.testing.assert_array_equal(array, other.state_dict()[key])
    assert not other.training


def test_a_judged_run_goes_on_from_any_step():
    def make(*callbacks):
        model = gan()
        given = model.recipe().training(epochs=2, batch_size=8)
        own = [JudgeSamples(X, lambda: PIXELS, every=2, samples=10), *callbacks]
        return Trainer(model, model.stages(given), [X], given, callbacks=own)

    resumes_exactly(make, steps=10, every=4)


def test_without_features_images_are_compared():
    judged = JudgeSamples(np.kron(X, np.ones((1, 2, 2), np.float32)), samples=8)
    model = models.create("gan", image_shape=(16, 16), widths=[6], latents=3)
    history = fit(model, judged.real.repeat(2, axis=0), callbacks=[judged], **options(epochs=1))
    assert history["sliced_wasserstein"][0] > 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"every": 0}, "JudgeSamples: every must be a whole number of at least 1, not 0"),
        ({"samples": 1}, "JudgeSamples: samples must be a whole number of at least 2, not 1"),
        ({"names": ["frechet"]}, "unknown metric 'frechet', did you mean 'frechet_distance'"),
        ({"samples": 3}, "precision needs at least 4 samples and as many reals, not 3"),
        ({"names": []}, "names must hold at least one metric"),
        ({"samples": 5, "names": ["coverage"]}, "coverage needs at least 6 samples"),
        ({"network": None, "names": ["recall"]}, "recall needs a feature network, and there is no"),
    ],
)
def test_what_cannot_be_judged(given, message):
    with pytest.raises(ValueError, match=message):
        JudgeSamples(X, **{"network": PIXELS, **given})
    with pytest.raises(ValueError, match="sliced_wasserstein: real has images of 6 x 6 pixels"):
        JudgeSamples(X[:, :6, :6])
    with pytest.raises(ValueError, match="stacked-ae draws no samples"):
        samples_of(models.create("stacked-ae"), 3)


def test_a_run_that_ends_within_an_epoch_is_judged_at_its_end():
    model = gan()
    given = model.recipe().training(epochs=9, batch_size=8, max_steps=7)  # five make an epoch
    judged = JudgeSamples(X, PIXELS, every=4, samples=9)
    trainer = Trainer(model, model.stages(given), [X], given, callbacks=[judged])
    assert ["recall" in row for row in trainer.train()] == [False, True]


def test_a_network_is_made_before_the_first_step():
    asked = []

    def made():
        asked.append(trainer.step)
        return PIXELS

    model = gan()
    given = model.recipe().training(epochs=1, batch_size=8)
    judged = JudgeSamples(X, made, samples=10)
    trainer = Trainer(model, model.stages(given), [X], given, callbacks=[judged])
    trainer.train()
    assert asked == [0]
    needy = JudgeSamples(X, made, names=["classifier_score"], samples=10)
    trainer = Trainer(model, model.stages(given), [X], given, callbacks=[needy])
    with pytest.raises(ValueError, match="classifier_score needs a feature network with classes"):
        trainer.train()
    assert trainer.step == 0


def test_whoever_interrupts_the_training_of_a_network_learns_how_to_go_on(tmp_path):
    def stopped():
        raise Interrupted(15, "stopped while the classifier was trained")

    model = gan()
    given = model.recipe().training(epochs=1, batch_size=8)
    judged = JudgeSamples(X, stopped, samples=10)
    trainer = Trainer(model, model.stages(given), [X], given, callbacks=[judged])
    with pytest.raises(Interrupted, match=r"^stopped while the classifier was trained$"):
        trainer.train()
    trainer.write_to(Run.create(tmp_path / "run", {}))
    with pytest.raises(Interrupted, match=r"was trained\nGo on with: ") as told:
        trainer.train()
    assert told.value.signal_number == 15


def test_missing_classes_are_counted_where_there_are_classes():
    classifier = models.create("classifier", image_shape=(8, 8), classes=3)
    network = of_model(classifier, "toy", ("a", "b", "c"))
    history = fit(gan(), X, callbacks=[JudgeSamples(X, network, samples=9)], **options(epochs=1))
    assert {"frechet_distance", "precision", "recall", "classes_missing"} <= history.rows[0].keys()
    assert 0 <= history["classes_missing"][0] <= 2


def test_settings_ask_for_it(tmp_path):
    images = (X * 255).astype(np.uint8)
    np.savez(tmp_path / "plain.npz", images=images)
    source = str(tmp_path / "plain.npz")
    given = {"judge_every": 1, "judge_samples": 3, "size": None, "channels": None}
    known = {"gan": {"widths": [6], "latents": 3}, "stacked-ae": {}}
    made = {
        name: Experiment.build(settings(name, data=source, epochs=1, overrides=given | own))
        for name, own in known.items()
    }
    trainer = made["gan"].trainer(show=False)
    judged = next(c for c in trainer.callbacks if isinstance(c, JudgeSamples))
    assert (judged.every, len(judged.real), judged.network) == (1, 3, None)
    few = settings("gan", data=source, overrides=given | {"judge_samples": 1, **known["gan"]})
    with pytest.raises(SettingsError, match=r"judge_samples: .* at least 2, not 1"):
        Experiment.build(few).trainer(show=False)
    with pytest.raises(SettingsError, match="judge_every: stacked-ae draws no samples to judge"):
        made["stacked-ae"].trainer(show=False)
    points = Experiment.build(
        settings("gan", preset="ring", overrides={"judge_every": 1, "count": 50})
    )
    with pytest.raises(SettingsError, match="judge_every: images are judged, not points"):
        points.trainer(show=False)
    assert json.dumps(made["gan"].settings["training"]["judge_every"]) == "1"
