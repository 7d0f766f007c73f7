"""Sweeps: the right runs, each once, compared on the same data as PCA."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.cli.data import write_images
from tests.training.toys import StopAt
from tinygen import latent, metrics
from tinygen.training import Interrupted, RunError, sweep
from tinygen.training.experiment import Experiment, restore
from tinygen.training.results import Results
from tinygen.training.settings import settings
from tinygen.training.sweep import check_same, pca_reference, plan_sweep, train_member


@pytest.fixture
def members(tmp_path):
    """Four runs of two epochs: two values of codings, two seeds."""
    source = write_images(tmp_path)

    def wanted(value, seed):
        overrides = {"size": 6, "widths": [7], "codings": value}
        return settings(
            "stacked-ae", data=source, epochs=2, seed=seed, overrides=overrides, batch_size=8
        )

    return plan_sweep("codings", [2, 5], [0, 1], wanted)


def test_there_is_a_run_for_each_value_and_seed(members):
    assert [(m.value, m.seed) for m in members] == [(2, 0), (2, 1), (5, 0), (5, 1)]
    assert [m.name for m in members[::3]] == ["codings=2/seed-0", "codings=5/seed-1"]
    for member in members:
        config = member.settings["config"]
        assert (config["codings"], config["seed"]) == (member.value, member.seed)


def test_values_make_names_of_folders():
    names = [m.name for m in plan_sweep("f", ["selu", [0.5, 1], 0.05, "a/b"], [0], lambda *_: {})]
    assert names == ["f=selu/seed-0", "f=[0.5,1]/seed-0", "f=0.05/seed-0", "f=a-b/seed-0"]
    with pytest.raises(ValueError, match="f: there are two alike among 5, 5"):
        plan_sweep("f", [5, 5], [0], lambda *_: {})


def test_a_run_is_measured_on_validation_data(tmp_path, members):
    found = train_member(members[3], tmp_path / "run")
    experiment, _ = restore(tmp_path / "run")
    x = experiment.valid[0]
    made = latent.reconstruct(experiment.model, x)
    assert found["mse"] == pytest.approx(np.square(made - x).mean(), rel=1e-5)
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert (last["epoch"], last["valid_loss"]) == (2, pytest.approx(found["loss"]))
    assert "activation" not in found


def test_the_mean_does_not_depend_on_batches(tmp_path, members, monkeypatch):
    whole = train_member(members[0], tmp_path / "a")
    monkeypatch.setattr(sweep, "BATCH", 4)
    assert train_member(members[0], tmp_path / "b")["mse"] == pytest.approx(whole["mse"])


def test_activations_are_measured_where_there_is_a_target(tmp_path):
    overrides = {"size": 6, "codings": 9, "widths": [7], "target": 0.05}
    wanted = settings("sparse-kl-ae", data=write_images(tmp_path), epochs=1, overrides=overrides)
    (member,) = plan_sweep("target", [0.05], [0], lambda *_: wanted)
    found = train_member(member, tmp_path / "run")
    experiment, _ = restore(tmp_path / "run")
    mean = latent.encode(experiment.model, experiment.valid[0]).mean()
    assert found["activation"] == pytest.approx(mean, rel=1e-5)
    assert found["loss"] == pytest.approx(found["reconstruction_loss"] + found["sparsity_loss"])


def test_a_run_that_was_stopped_goes_on_to_the_same_end(tmp_path, members, monkeypatch):
    whole = train_member(members[0], tmp_path / "whole")
    trainer = Experiment.trainer
    monkeypatch.setattr(
        Experiment, "trainer", lambda self, show: trainer(self, [StopAt(9)], show=show)
    )
    with pytest.raises(Interrupted):
        train_member(members[0], tmp_path / "run")
    monkeypatch.undo()
    assert train_member(members[0], tmp_path / "run") == whole
    names = [tmp_path / folder / "metrics.jsonl" for folder in ("run", "whole")]
    assert names[0].read_bytes() == names[1].read_bytes()
    assert train_member(members[0], tmp_path / "run") == whole  # done, and only measured


def test_a_folder_with_another_run_is_left_alone(tmp_path, members):
    train_member(members[0], tmp_path / "run")
    check_same(members[0], tmp_path / "run")
    with pytest.raises(RunError, match=r"run with config\.codings 2, not 5; choose another"):
        train_member(members[2], tmp_path / "run")
    longer = {**members[0].settings["training"], "epochs": 3}
    other = members[0]._replace(settings={**members[0].settings, "training": longer})
    with pytest.raises(RunError, match=r"training\.epochs 2, not 3"):
        check_same(other, tmp_path / "run")
    check_same(members[1], tmp_path / "nowhere")


def test_pca_has_the_data_of_the_runs(members):
    experiment = Experiment.build(members[0].settings)
    train, valid = experiment.train[0], experiment.valid[0]
    assert pca_reference(members[0].settings, [2, 5]) == metrics.pca_errors(train, valid, [2, 5])


def test_a_linear_autoencoder_comes_to_the_error_of_pca(tmp_path):
    """The oracle of the comparison: both are measured alike (Baldi & Hornik 1989)."""
    wanted = settings("linear-ae", epochs=1000)
    (member,) = plan_sweep("codings", [2], [0], lambda *_: wanted)
    found = train_member(member, tmp_path / "run")
    (best,) = pca_reference(wanted, [2])
    assert found["mse"] == pytest.approx(best, rel=1e-2)


# Files of results


def test_results_are_kept_row_by_row(tmp_path):
    path = tmp_path / "new" / "found.json"
    first = Results(path, {"labels": 5})
    assert not path.exists()
    first.add("0", [0.5, 1])
    first.write(summary=3)
    again = Results(path, {"labels": 5})
    assert again.rows == {"0": [0.5, 1]}
    again.add("1", [2])
    kept = json.loads(path.read_text())
    assert kept == {"settings": {"labels": 5}, "rows": {"0": [0.5, 1], "1": [2]}}


def test_results_of_something_else_are_not_mixed_in(tmp_path):
    path = tmp_path / "found.json"
    Results(path, {"labels": 5, "task": "age"}).add("0", 1)
    with pytest.raises(RunError, match="results with labels 5, not 6; choose another --out"):
        Results(path, {"labels": 6, "task": "age"})
    with pytest.raises(RunError, match="results with task 'age', not None"):
        Results(path, {"labels": 5})
    for text in ("{", "[]", '{"rows": {}}', '{"rows": 3, "settings": {}}'):
        path.write_text(text)
        with pytest.raises(RunError, match=r"found.json cannot be read"):
            Results(path, {})
