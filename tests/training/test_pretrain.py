"""Pre-training against scratch: the arms differ in the encoder's weights, and in nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.toys import images, tiny
from tinygen import metrics, models
from tinygen.data import Dataset
from tinygen.ops.random import Random
from tinygen.training import pretrain
from tinygen.training.experiment import Experiment
from tinygen.training.pretrain import (
    Data,
    Outcome,
    Plan,
    compare_pretraining,
    digest,
    find_data,
    measured_after,
    networks,
    summarize,
)

PLAN = Plan(labels=20, frozen_epochs=2, epochs=3, batch_size=8, hidden=5)
LABELS = np.arange(38) % 3
NUMBERS = Random(4).normal((38,), 40, 10)


def weights(module) -> dict[str, np.ndarray]:
    return {name: array.copy() for name, array in module.state_dict().items()}


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return list(a) == list(b) and all(np.array_equal(a[name], b[name]) for name in a)


def data(y: np.ndarray = LABELS) -> Data:
    return Data(images(len(y)), y)


def trained() -> models.Autoencoder:
    """An autoencoder with other weights than a fresh one of any seed; frozen, as it may be."""
    model = tiny(seed=77)
    for parameter in model.parameters():
        parameter.data += 0.01
    return model.freeze()


def compare(plan: Plan = PLAN, y: np.ndarray = LABELS, seeds=(3,), model=None) -> list[Outcome]:
    return list(compare_pretraining(model or trained(), data(y), data(y[:11]), plan, seeds))


@pytest.fixture
def watched(monkeypatch):
    """What both arms see and are, by arm: a list of batches and one of weights, step by step."""
    seen: dict[str, list] = {}

    class Watching(pretrain.Trainer):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.steps = seen.setdefault(pretrain.ARMS[len(seen)], [])

        def _do_step(self, batches):
            before = weights(self.model)
            super()._do_step(batches)
            (arrays,) = [[np.array(array) for array in batch] for batch in batches]
            self.steps.append((self.stage, before, arrays, weights(self.model), dict(self.last)))

    monkeypatch.setattr(pretrain, "Trainer", Watching)
    return seen


def part(state: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    return {name: array for name, array in state.items() if name.startswith(prefix)}


# The two arms


@pytest.mark.parametrize(("classes", "y"), [(3, LABELS), (0, NUMBERS)])
def test_the_weights_are_carried_over_and_the_heads_are_alike(classes, y):
    model = trained()
    for seed in (0, 1):
        arms = networks(model, y, PLAN, seed, classes)
        assert same(weights(arms["pretrained"].model), weights(model))
        fresh = tiny(seed=seed)
        assert same(weights(arms["scratch"].model), weights(fresh))
        assert same(weights(arms["pretrained"].head), weights(arms["scratch"].head))
        x = images(4)
        coded = model.encode(x)
        np.testing.assert_array_equal(
            arms["pretrained"](x).numpy(), arms["pretrained"].outputs(coded).numpy()
        )
    again, other = (networks(model, y, PLAN, seed, classes)["scratch"] for seed in (1, 2))
    assert same(weights(arms["scratch"]), weights(again))
    assert not same(weights(again.head), weights(other.head))


def test_the_first_step_begins_from_the_weights_of_the_autoencoder(watched):
    model = trained()
    compare(model=model)
    (_, before, *_), *_ = watched["pretrained"]
    carried = {f"model.{name}": array for name, array in weights(model).items()}
    assert same(part(before, "model."), carried)
    (_, before, *_), *_ = watched["scratch"]
    assert not same(part(before, "model."), carried)


def test_both_see_the_same_batches_in_the_same_order(watched):
    compare()
    assert len(watched["pretrained"]) == len(watched["scratch"]) == 15  # 5 epochs of 3 batches
    for mine, yours in zip(*watched.values(), strict=True):
        assert mine[0] == yours[0]
        for a, b in zip(mine[2], yours[2], strict=True):
            np.testing.assert_array_equal(a, b)
    x = np.concatenate([step[2][0] for step in watched["scratch"][:3]])
    y = np.concatenate([step[2][1] for step in watched["scratch"][:3]])
    whole = {row.tobytes(): label for row, label in zip(*data(), strict=True)}
    assert len({row.tobytes() for row in x}) == PLAN.labels
    assert [whole[row.tobytes()] for row in x] == y.tolist()  # and each with its own label
    later = np.concatenate([step[2][0] for step in watched["scratch"][3:6]])
    assert {row.tobytes() for row in later} == {row.tobytes() for row in x}
    assert (later != x).any()  # in another order


def test_frozen_weights_rest_until_they_are_unfrozen(watched):
    compare()
    for stage, before, _, after, _ in watched["pretrained"]:
        assert same(part(before, "model.encoder"), part(after, "model.encoder")) == (stage == 0)
        assert not same(part(before, "head"), part(after, "head"))
    for _, before, _, after, _ in watched["scratch"]:
        assert not same(part(before, "model.encoder"), part(after, "model.encoder"))
    for steps in watched.values():  # the decoder has no part in it
        assert same(part(steps[0][1], "model.decoder"), part(steps[-1][3], "model.decoder"))


def test_with_equal_encoders_the_arms_differ_by_the_freezing_alone(monkeypatch):
    """An autoencoder that was never trained, and never frozen, is the network from scratch."""
    stages = pretrain.FineTuned.stages
    monkeypatch.setattr(
        pretrain.FineTuned, "stages", lambda self, plan, frozen: stages(self, plan, False)
    )
    (outcome,) = compare(seeds=[5], model=tiny(seed=5))
    assert outcome.pretrained == outcome.scratch


@pytest.mark.parametrize("name", ["vae", "denoising-ae", "conv-ae", "recurrent-ae", "tied-ae"])
def test_encoders_of_all_kinds(watched, name):
    x = Random(0).uniform((24, 8, 8))
    model = models.create(name, image_shape=(8, 8))
    before = weights(model)
    plan = replace(PLAN, frozen_epochs=1, epochs=1, hidden=0)
    y = np.arange(24) % 2
    (outcome,) = compare_pretraining(model, Data(x, y), Data(x, y), plan, [0])
    assert (outcome.epochs, len(outcome.pretrained)) == ([1, 2], 2)
    assert same(weights(model), before)  # it is left as it is
    first, last = watched["pretrained"][0], watched["pretrained"][-1]
    for stage, old, _, new, _ in (first, last):
        assert same(part(old, "model"), part(new, "model")) == (stage == 0)


# What is learned


def test_a_classifier_and_a_regressor_learn_what_can_be_learned():
    x = images(200)
    bright, level = (x.mean(axis=(1, 2)) > 0.5).astype(np.int64), 100 * x.mean(axis=(1, 2))
    plan = Plan(labels=150, frozen_epochs=5, epochs=40, learning_rate=3e-3)
    (found,) = compare_pretraining(tiny(), Data(x, bright), Data(x, bright), plan, [0])
    assert min(found.pretrained[-1], found.scratch[-1]) > 0.9
    (found,) = compare_pretraining(tiny(), Data(x, level), Data(x, level), plan, [0])
    blind = np.abs(level - level.mean()).mean()
    assert max(found.pretrained[-1], found.scratch[-1]) < 0.5 * blind


def test_the_figure_is_that_of_the_network_on_validation_data():
    arms = networks(trained(), NUMBERS, PLAN, 0, 0)
    x, network = images(11), arms["scratch"]
    error = np.abs(network(x).numpy() - NUMBERS[:11]).mean()
    found = pretrain.evaluate(network, x, NUMBERS[:11])
    assert found["error"] == pytest.approx(error, rel=1e-5)
    variance = np.square(network(x).numpy() - NUMBERS[:11]).mean() / NUMBERS.var()
    assert found["loss"] == pytest.approx(variance, rel=1e-4)
    classifier = networks(trained(), LABELS, PLAN, 0, 3)["scratch"]
    right = (classifier(x).numpy().argmax(axis=1) == LABELS[:11]).mean()
    assert pretrain.evaluate(classifier, x, LABELS[:11])["accuracy"] == pytest.approx(right)


def test_it_repeats_and_seeds_differ():
    first, second = compare(seeds=[1, 2])
    assert compare(seeds=[2]) == [second]  # whatever came before it
    assert (first.pretrained, first.scratch) != (second.pretrained, second.scratch)


def test_the_summary_is_of_differences_seed_by_seed():
    pairs = [(0.8, 0.7), (0.9, 0.75), (0.7, 0.65)]
    outcomes = [Outcome(i, [1, 2], [0.0, a], [0.0, b]) for i, (a, b) in enumerate(pairs)]
    found = summarize(outcomes)
    assert found.difference == metrics.interval([0.8 - 0.7, 0.9 - 0.75, 0.7 - 0.65])
    assert (found.pretrained.mean, found.scratch.mean) == pytest.approx((0.8, 0.7))
    assert found.difference.half < found.pretrained.half  # what both have in common is gone
    with pytest.raises(ValueError, match="give two or more"):
        summarize(outcomes[:1])


@pytest.mark.parametrize(("frozen", "epochs"), [(10, 40), (1, 1), (3, 90)])
def test_it_is_measured_where_the_encoder_is_unfrozen_and_at_the_end(frozen, epochs):
    found = measured_after(Plan(frozen_epochs=frozen, epochs=epochs))
    assert {1, frozen, frozen + epochs} <= set(found)
    assert found == sorted(found)
    assert len(found) <= pretrain.POINTS + 1


def test_models_with_other_weights_have_other_digests():
    model = tiny()
    before = digest(model)
    assert before == digest(tiny())
    model.parameters()[0].data[0] += 1e-6
    assert before != digest(model)


# Data


def experiment(y: np.ndarray | None, valid: bool = True, **factors) -> Experiment:
    splits = {"train": slice(0, 30), "valid": slice(30, 38 if valid else 30), "test": slice(38, 38)}
    x = (images() * 255).astype(np.uint8)[..., None]
    dataset = Dataset("these", x, y, factors, splits=splits)
    settings = {"data": {"source": "these"}}
    some = [dataset.valid.floats()] if valid else []
    return Experiment(settings, tiny(), [dataset.train.floats()], some, dataset)


def test_targets_belong_to_their_samples():
    found = experiment(np.arange(38) % 3 * 10 - 5, age=NUMBERS)  # -5, 5, 15
    train, valid = find_data(found, "labels")
    assert train.y.tolist() == LABELS[:30].tolist()
    assert valid.y.tolist() == LABELS[30:].tolist()
    np.testing.assert_array_equal(valid.x, found.valid[0])
    np.testing.assert_array_equal(find_data(found, "age")[1].y, NUMBERS[30:])


@pytest.mark.parametrize(
    ("found", "task", "message"),
    [
        (experiment(None), "labels", "these has no 'labels': nothing is known of its images"),
        (experiment(LABELS), "age", "these has no 'age'; known are labels"),
        (experiment(None, smile=NUMBERS), "smlie", "no 'smlie', did you mean 'smile'"),
        (experiment(LABELS, valid=False), "labels", "images with labels, and some to validate"),
        (replace(experiment(LABELS), dataset=None), "labels", "pretraining needs images"),
    ],
)
def test_data_that_does_not_serve(found, task, message):
    with pytest.raises(ValueError, match=message):
        find_data(found, task)


def test_more_labels_than_there_are():
    with pytest.raises(ValueError, match="39 labels are asked for, the training data has 38"):
        compare(replace(PLAN, labels=39))
    with pytest.raises(ValueError, match=r"train has 38 samples and targets of shape \(37,\)"):
        list(compare_pretraining(trained(), Data(images(), LABELS[1:]), data(), PLAN, [0]))
    for y in (np.zeros(38, np.int64), np.full(38, 3.5)):
        with pytest.raises(ValueError, match="all targets of train are"):
            compare(y=y)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": 0}, "labels must be a whole number of at least 1, not 0"),
        ({"frozen_epochs": 0}, "frozen_epochs must be a whole number of at least 1"),
        ({"hidden": -1}, "hidden must be a whole number of at least 0"),
        ({"optimizer": "nadma"}, "unknown optimizer 'nadma', did you mean 'nadam'"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive"),
    ],
)
def test_plans_that_make_no_sense(options, message):
    with pytest.raises(ValueError, match=message):
        Plan(**options)
