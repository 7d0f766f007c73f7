"""A run that was interrupted after any step and resumed ends as if it had not been."""

from __future__ import annotations

import numpy as np
import pytest

from tests.training.toys import (
    STEPS,
    Noisy,
    StopAt,
    assert_same_end,
    images,
    options_of,
    run_in,
    stage,
    tiny,
    trainer,
)
from tinygen.data import Loader
from tinygen.ops.random import Random
from tinygen.training import (
    CheckpointError,
    EarlyStopping,
    Interrupted,
    Run,
    RunError,
    Trainer,
    load,
    loop,
)
from tinygen.training.checkpoint import checkpoints


def with_optimizer(name: str, **options):
    def make(*callbacks, **more) -> Trainer:
        return trainer(tiny(), optimizer=name, callbacks=callbacks, **{**options, **more})

    return make


def noisy(*callbacks) -> Trainer:
    return trainer(Noisy(), momentum=0.9, callbacks=callbacks)


def greedy(*callbacks) -> Trainer:
    model = tiny()
    options = options_of(epochs=1, greedy=True, learning_rate=1.5)
    return trainer(model, *model.stages(options), callbacks=callbacks, learning_rate=1.5)


def accumulating(*callbacks) -> Trainer:
    model = tiny()  # with three steps an epoch, the last of one batch
    options = {"optimizer": "adam", "accumulate": 2}
    return trainer(model, stage(model, epochs=5), callbacks=callbacks, **options)


def stopping_early(*callbacks) -> Trainer:
    # with a rate so high that the first epochs are not the best, and the last not
    first = EarlyStopping("valid_loss", patience=2)
    return trainer(tiny(), learning_rate=4.0, momentum=0.9, callbacks=[first, *callbacks])


CASES = {
    "sgd": with_optimizer("sgd"),
    "momentum": with_optimizer("sgd", momentum=0.9, nesterov=True),
    "rmsprop": with_optimizer("rmsprop", learning_rate=0.01),
    "adam": with_optimizer("adam", learning_rate=0.01),
    "nadam": with_optimizer("nadam", learning_rate=0.01, clip_norm=0.5),
    "noise": noisy,
    "greedy": greedy,
    "accumulate": accumulating,
    "early stopping": stopping_early,
}
EVERYWHERE = (1, STEPS - 1, STEPS, STEPS + 1, 2 * STEPS, 3 * STEPS - 1, 3 * STEPS)


@pytest.fixture(scope="module", params=CASES, ids=lambda name: name.replace(" ", "-"))
def case(request, tmp_path_factory):
    """How to make a trainer, and one that was not interrupted."""
    make = CASES[request.param]
    whole = run_in(tmp_path_factory.mktemp("whole") / "run", make())
    whole.train()
    return make, whole


@pytest.mark.parametrize("step", EVERYWHERE)
def test_an_interrupted_run_ends_as_if_it_had_not_been(case, tmp_path, step):
    make, whole = case
    first = run_in(tmp_path / "run", make(StopAt(step)))
    with pytest.raises(Interrupted, match=r"saved .*safetensors\nGo on with: tinygen resume"):
        first.train()
    second = make()
    second.write_to(Run.open(tmp_path / "run"))
    second.resume(checkpoints(tmp_path / "run")[-1])
    assert second.step == first.step
    second.train()
    assert second.step == whole.step
    assert_same_end(second, whole)


def test_interrupted_again_and_again(case, tmp_path):
    make, whole = case
    folder = tmp_path / "run"
    run_in(folder, make())
    step, stops, stopped = 0, 0, True
    while stopped:
        again = make(StopAt(step + 1))
        again.write_to(Run.open(folder))
        again.resume(next(reversed(checkpoints(folder)), None))
        try:
            again.train()
            stopped = False
        except Interrupted:
            step, stops = again.step, stops + 1
    assert stops > STEPS
    assert_same_end(again, whole)


def test_steps_then_more_steps(tmp_path):
    whole = run_in(tmp_path / "whole", with_optimizer("adam")())
    whole.train()
    short = run_in(tmp_path / "run", with_optimizer("adam")(max_steps=STEPS + 2))
    rows = short.train()
    assert [row["step"] for row in rows] == [STEPS, STEPS + 2]
    again = with_optimizer("adam")(max_steps=STEPS + 2)  # nothing is left to do, or lost
    again.write_to(Run.open(tmp_path / "run"))
    again.resume(checkpoints(tmp_path / "run")[-1])
    assert again.done
    assert again.train() == rows == again.run.rows()
    more = with_optimizer("adam")()
    more.write_to(Run.open(tmp_path / "run"))
    more.resume(checkpoints(tmp_path / "run")[-1])
    more.train()
    assert_same_end(more, whole)


def test_more_epochs_than_at_first(tmp_path):
    model = tiny()
    whole = run_in(tmp_path / "whole", trainer(model, stage(model, epochs=4)))
    whole.train()
    model = tiny()
    run_in(tmp_path / "run", trainer(model, stage(model, epochs=2))).train()
    model = tiny()
    longer = trainer(model, stage(model, epochs=4))
    longer.write_to(Run.open(tmp_path / "run"))
    longer.resume(checkpoints(tmp_path / "run")[-1])
    longer.train()
    assert_same_end(longer, whole)
    fewer = trainer(tiny(), stage(tiny(), epochs=1))
    fewer.load_state(*longer.state())
    assert fewer.done
    assert len(fewer.train()) == 4


def test_an_older_checkpoint_and_lines_that_were_not_finished(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "EPOCH_SECONDS", 0)  # a checkpoint after every epoch
    whole = run_in(tmp_path / "run", with_optimizer("sgd")())
    whole.train()
    kept = (tmp_path / "run" / "metrics.jsonl").read_bytes()
    older, newest = checkpoints(tmp_path / "run")
    with open(tmp_path / "run" / "metrics.jsonl", "a") as file:
        file.write('{"epoch": 4, "lo')  # the process was killed here
    assert len(Run.open(tmp_path / "run").rows()) == 3
    again = with_optimizer("sgd")(StopAt(2 * STEPS + 2))
    again.write_to(Run.open(tmp_path / "run"))
    again.resume(older)
    assert again.step == 2 * STEPS
    with pytest.raises(Interrupted):
        again.train()
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes().startswith(kept)  # no new lines yet
    found = checkpoints(tmp_path / "run")
    assert [path.stem for path in found] == ["00000010", "00000012"]  # that at 15 is abandoned
    assert newest not in found
    last = with_optimizer("sgd")()
    last.write_to(Run.open(tmp_path / "run"))
    last.resume(found[-1])
    last.train()
    assert_same_end(last, whole)
    assert (tmp_path / "run" / "metrics.jsonl").read_bytes() == kept


def test_a_run_without_a_checkpoint_begins_anew(tmp_path):
    whole = run_in(tmp_path / "whole", with_optimizer("adam")())
    whole.train()
    (tmp_path / "run").mkdir()
    run = run_in(tmp_path / "run", with_optimizer("adam")()).run
    run.metrics({"epoch": 1, "loss": 0.5})  # killed before the first checkpoint
    again = with_optimizer("adam")()
    again.write_to(Run.open(tmp_path / "run"))
    again.resume(None)
    again.train()
    assert_same_end(again, whole)


def test_a_checkpoint_is_written_in_long_epochs_too(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0)
    seen = []

    class Look(StopAt):
        def on_step(self, trainer, losses):
            seen.append([path.stem for path in checkpoints(trainer.run.folder)])

    whole = run_in(tmp_path / "whole", with_optimizer("adam")())
    whole.train()
    second = run_in(tmp_path / "run", with_optimizer("adam")(Look(0)))
    second.train()
    assert seen[3] == ["00000002", "00000003"]
    assert_same_end(second, whole)


def test_the_finished_model_counts_until_training_went_on_past_it(tmp_path):
    model = tiny()
    first = run_in(tmp_path / "run", trainer(model, stage(model, epochs=2)))
    first.train()
    finished = tmp_path / "run" / "model.safetensors"
    assert (load(tmp_path / "run").state_dict()["encoder.layers.1.weight"]
            == model.state_dict()["encoder.layers.1.weight"]).all()  # fmt: skip
    assert finished.exists()
    model = tiny()
    second = trainer(model, stage(model, epochs=4), callbacks=[StopAt(2 * STEPS + 1)])
    second.write_to(Run.open(tmp_path / "run"))
    with pytest.raises(CheckpointError, match="a trained model, not a state"):
        second.resume(finished)
    second.resume(checkpoints(tmp_path / "run")[-1])
    with pytest.raises(Interrupted):
        second.train()
    assert finished.exists()  # until the next one is whole
    weight = load(tmp_path / "run").state_dict()["encoder.layers.1.weight"]
    np.testing.assert_array_equal(weight, model.state_dict()["encoder.layers.1.weight"])


def test_the_best_weights_are_what_a_stopped_run_gives(tmp_path):
    found = run_in(tmp_path / "run", stopping_early())
    rows = found.train()
    losses = [row["valid_loss"] for row in rows]
    assert min(losses) < losses[-1]  # or this would prove nothing
    np.testing.assert_array_equal(
        load(tmp_path / "run").state_dict()["encoder.layers.1.weight"],
        found.model.state_dict()["encoder.layers.1.weight"],
    )
    assert loop.evaluate(found.model, *found.valid, seed=3)["loss"] == min(losses)


def test_a_run_goes_on_with_the_same_data_only():
    first, other = trainer(tiny()), trainer(tiny())
    other.loader = Loader(images(40), batch_size=8, rng=Random(3))
    with pytest.raises(
        ValueError, match=r"data of shapes \[\[40, 6, 6\]\], this has \[\[38, 6, 6\]\]"
    ):
        first.load_state(*other.state())


def test_folders_that_are_no_runs(tmp_path):
    with pytest.raises(RunError, match=r"is not the folder of a run: there is no config\.toml"):
        Run.open(tmp_path)
    (tmp_path / "config.toml").write_text("model = ")
    with pytest.raises(RunError, match=r"config\.toml cannot be read"):
        Run.open(tmp_path)
