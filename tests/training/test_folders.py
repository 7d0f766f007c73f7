"""Run folders in every state: nothing whole is lost, and nothing changed is believed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.training.folders import digests, go_on, save_images
from tests.training.toys import StopAt, images, tiny, trainer
from tinygen import nn
from tinygen.models import TrainingOptions
from tinygen.ops.random import Random
from tinygen.training import Callback, CheckpointError, Interrupted, Run, RunError, fit, load
from tinygen.training.checkpoint import checkpoints, load_arrays, model_state
from tinygen.training.experiment import Experiment, restore

# Nothing whole is lost


def empty_checkpoints(run: Path) -> None:
    for path in checkpoints(run):
        path.unlink()


def edit(old: str, new: str):
    def change(run: Path) -> None:
        path = run / "config.toml"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return change


def other_data(run: Path) -> None:
    source = save_images(run.parent, seed=5)
    text = (run / "config.toml").read_text()
    (run / "config.toml").write_text(re.sub(r'source = ".*"', f'source = "{source}"', text))


def other_test_data(run: Path) -> None:
    """Change a pixel of an image that is kept for the test; all others stay as they are."""
    experiment = Experiment.of(Run.open(run))
    images = np.load(experiment.settings["data"]["source"])["images"]
    (first,) = np.flatnonzero((images == experiment.kept[0][0][..., 0]).all(axis=(1, 2)))
    images[first, 0, 0] ^= 1
    other = run.parent / "other.npz"
    np.savez(other, images=images)
    edit(experiment.settings["data"]["source"], str(other))(run)


REFUSED = {
    "no checkpoints": (
        lambda run: shutil.rmtree(run / "checkpoints"),
        r"is done: model\.safetensors is there\. There is no checkpoint .* another folder",
    ),
    "empty checkpoints": (empty_checkpoints, "is done: model.safetensors is there"),
    "metrics alone": (
        lambda run: (empty_checkpoints(run), (run / "model.safetensors").unlink()),
        "has 2 epochs in metrics.jsonl but no checkpoint to go on from",
    ),
    "other data": (
        other_data,
        "was made with training data of other contents, though the shapes are the same",
    ),
    "a folder as checkpoint": (
        lambda run: (run / "checkpoints" / "00009999.safetensors").mkdir(),
        "00009999.safetensors: a folder, where a file should be; move it away",
    ),
    "other test data": (
        other_test_data,
        "was made with test data of other contents, though the shapes are the same",
    ),
    "another activation": (
        edit('activation = "selu"', 'activation = "relu"'),
        "trained with activation 'selu', not 'relu'",
    ),
    "another learning rate": (
        edit("learning_rate = 1.5", "learning_rate = 0.05"),
        "made with learning_rate 1.5, not 0.05",
    ),
    "another batch size": (
        edit("batch_size = 32", "batch_size = 16"),
        "made with batch_size 32, not 16",
    ),
}


@pytest.mark.parametrize("epochs", [None, 4])
@pytest.mark.parametrize("state", REFUSED)
def test_a_refused_resume_changes_nothing(run, state, epochs):
    spoil, message = REFUSED[state]
    spoil(run)
    before = digests(run)
    with pytest.raises((RunError, CheckpointError), match=message):
        go_on(run, epochs)
    assert digests(run) == before


def test_resuming_what_is_done_changes_nothing(run):
    before = digests(run)
    assert go_on(run).done
    assert digests(run) == before
    (run / "model.safetensors").unlink()
    (run / "metrics.jsonl").unlink()
    go_on(run)  # which makes what can be made again
    assert digests(run) == before


def test_a_renamed_run_goes_on_as_if_it_were_not(run, tmp_path):
    moved, before = run.rename(tmp_path / "elsewhere"), digests(run.parent / "elsewhere")
    longer = go_on(moved, 3)
    assert len(longer.rows) == 3
    assert not run.exists()
    newest = digests(moved)
    assert before.items() - newest.items() != set()
    assert len((moved / "metrics.jsonl").read_text().splitlines()) == 3


def test_the_newest_checkpoint_removed(run):
    """What was finished stays until the same has been made again."""
    before = digests(run)
    longer = go_on(run, 3)
    checkpoints(run)[-1].unlink()
    kept = digests(run)
    step = longer.step - 1
    with pytest.raises(Interrupted):
        go_on(run, None, StopAt(step))
    after = digests(run)
    for name in ("model.safetensors", "metrics.jsonl"):
        assert after[name] == kept[name] != before[name]
    assert load(run).config == longer.model.config
    go_on(run)
    after = digests(run)
    for name in ("model.safetensors", "metrics.jsonl"):
        assert after[name] == kept[name]


def test_a_run_that_cannot_go_on_keeps_its_model(run):
    """Training that fails in its first step leaves the shorter run's model and metrics."""

    class Fail(Callback):
        def on_step(self, trainer, losses):
            raise MemoryError

    before = digests(run)
    with pytest.raises(MemoryError):
        go_on(run, 4, Fail())
    after = digests(run)
    assert {**after, "config.toml": ""} == {**before, "config.toml": ""}
    np.testing.assert_array_equal(
        load(run).state_dict()["encoder.layers.1.weight"],
        load(checkpoints(run)[-1]).state_dict()["encoder.layers.1.weight"],
    )


@pytest.mark.parametrize("left", [[], [".lock"], [".lock", ".config.toml.k3j"]])
def test_a_folder_that_was_only_begun_may_be_used(tmp_path, left):
    for name in left:
        (tmp_path / name).write_text("x")
    Run.create(tmp_path, {"model": "mine"})
    assert Run.open(tmp_path).config == {"model": "mine"}


def test_settings_alone_begin_anew(run):
    whole = digests(run)
    for path in run.iterdir():
        if path.name not in ("config.toml", "environment.json"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    go_on(run)
    assert digests(run)["model.safetensors"] == whole["model.safetensors"]


def test_settings_that_cannot_be_written_leave_no_folder(tmp_path):
    with pytest.raises(UnicodeEncodeError):
        Run.create(tmp_path / "run", {"source": "\udcff"})
    assert not (tmp_path / "run").exists()


# What the weights were trained with


def test_data_that_has_changed_is_told(run, capsys):
    restore(run)
    assert capsys.readouterr().err == ""
    other_data(run)
    restore(run)
    err = capsys.readouterr().err
    assert "the data has changed" in err
    assert "training data of other contents" in err


def test_test_data_that_has_changed_is_told(run, capsys):
    other_test_data(run)
    restore(run)
    assert "test data of other contents" in capsys.readouterr().err


def test_runs_without_a_fingerprint_of_the_test_data_go_on():
    arrays, meta = trainer(tiny()).state()
    del meta["data"]["test"]
    again = trainer(tiny())
    again.load_state(arrays, meta)
    assert again.state()[1]["data"]["test"] == []


def test_validation_data_that_has_changed_is_refused():
    first, other = trainer(tiny()), trainer(tiny(), valid=[images(11, seed=2)])
    with pytest.raises(RunError, match="validation data of other contents"):
        first.load_state(*other.state())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (edit('activation = "selu"', 'activation = "relu"'), "activation 'selu', not 'relu'"),
        (edit('model = "stacked-ae"', 'model = "denoising-ae"'), "model|no setting|no preset"),
    ],
)
@pytest.mark.parametrize("file", ["", "model.safetensors", "checkpoints/00000004.safetensors"])
def test_a_config_that_says_another_model_is_not_believed(run, change, message, file):
    change(run)
    with pytest.raises(ValueError, match=message):
        restore(run / file)


def test_options_are_compared_without_the_length():
    """So that a run may be lengthened, and by `max_steps` shortened."""
    first, other = trainer(tiny()), trainer(tiny(), max_steps=3, epochs=7)
    first.load_state(*other.state())
    assert first.options != other.options
    assert first.options.epochs == TrainingOptions().epochs


def test_fit_refuses_another_model_of_the_same_shapes(tmp_path):
    call = {"out": tmp_path / "run", "resume": True, "verbose": False}
    fit(tiny(), images(), epochs=1, **call)
    before = digests(tmp_path / "run")
    with pytest.raises(RunError, match="activation 'selu', not 'relu'"):
        fit(tiny(activation="relu"), images(), epochs=2, **call)
    with pytest.raises(RunError, match="data of other contents"):
        fit(tiny(), images(seed=4), epochs=2, **call)
    assert digests(tmp_path / "run") == before
    fit(tiny(), images(), epochs=2, **call)
    assert Run.open(tmp_path / "run").config["training"]["epochs"] == 2


def test_ones_own_module_is_loaded_by_ones_own_code(tmp_path):
    net = nn.Dense(4, 4, rng=Random(0))
    net.config = {"a": print}  # whatever its owner keeps there
    fit(net, Random(1).normal((8, 4)), loss="mse", out=tmp_path / "run", verbose=False)
    with pytest.raises(CheckpointError, match=r"module of your own \(Dense\).* resume=True") as e:
        load(tmp_path / "run")
    assert "load_state_dict(model_state(*load_arrays(path)))" in str(e.value)
    again = nn.Dense(4, 4, rng=Random(5))
    again.load_state_dict(model_state(*load_arrays(checkpoints(tmp_path / "run")[-1])))
    np.testing.assert_array_equal(again.weight.numpy(), net.weight.numpy())
