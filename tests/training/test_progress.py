"""What a person sees of a run: lines, and on a terminal a bar."""

from __future__ import annotations

import errno
import io
import sys

import pytest

from tests.training.toys import images, stage, tiny, trainer
from tinygen.training import Callback, fit
from tinygen.training.progress import Progress, short


def test_a_line_an_epoch_without_control_characters(capsys):
    fit(tiny(), images(), epochs=2, validation_data=images())
    out, err = capsys.readouterr()
    first, second = out.splitlines()
    assert first.startswith("epoch 1/2  loss 0.")
    assert "valid loss 0." in second
    assert "valid rounded accuracy 0." in second
    assert second.endswith(" s)")
    assert not err
    assert all(c.isprintable() or c == "\n" for c in out)


def test_quiet_is_quiet(capsys):
    fit(tiny(), images(), epochs=2, verbose=False)
    assert capsys.readouterr() == ("", "")


def test_stages_are_named(capsys):
    fit(tiny(), images(), preset="greedy", epochs=1)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(")")[0] for line in lines] == [
        "epoch 1/3 (layer 1",
        "epoch 2/3 (layer 2",
        "epoch 3/3 (fine-tune",
    ]


@pytest.mark.parametrize(("epochs", "lines"), [(1, 1), (100, 100), (101, 52), (1000, 51)])
def test_of_very_many_epochs_some_are_shown(epochs, lines):
    log = []
    progress = Progress(show=False)
    progress.log = log.append
    for epoch in range(epochs):
        progress.begin(epoch, epochs, 3, 0, "train")
        progress.end({"loss": 0.5}, 0.0)
    assert len(log) == lines
    assert log[0].startswith(f"epoch 1/{epochs} ")
    assert log[-1].startswith(f"epoch {epochs}/{epochs} ")


def test_figures_are_short():
    values = [0.28712, 0.0029412, 1e-9, 123.45678, -0.5, 1e30, 0.0]
    expected = ["0.2871", "0.00294", "1e-09", "123.4568", "-0.5000", "1e+30", "0"]
    assert [short(v) for v in values] == expected


def on_a_terminal(monkeypatch) -> None:
    """For the rest of the test; a fixture would do it before the output is captured."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)


def test_a_bar_on_a_terminal_that_goes_away(monkeypatch, capsys):
    on_a_terminal(monkeypatch)
    progress = Progress()
    progress.begin(0, 2, batches=150, done=40, stage="train")
    assert (progress.bar.n, progress.bar.total) == (40, 150)
    for _ in range(60):
        progress.step({"train": 0.25})
    assert progress.bar.n == 100
    assert progress.bar.postfix == "loss 0.2500"
    for _ in range(50):
        progress.step({"critic": 0.25, "generator": -1.0})
    assert progress.bar.postfix == "critic 0.2500, G -1"
    progress.end({"loss": 0.5}, 1.0)
    assert progress.bar is None
    assert capsys.readouterr().out == "epoch 1/2  loss 0.5000  (1.0 s)\n"


def test_the_bar_goes_away_when_training_fails(monkeypatch, capsys):
    on_a_terminal(monkeypatch)
    bars = []

    class Fail(Callback):
        def on_step(self, trainer, losses):
            bars.append(trainer.progress.bar)
            raise ZeroDivisionError

    failing = trainer(tiny(), callbacks=[Fail()])
    failing.progress.show = True
    with pytest.raises(ZeroDivisionError):
        failing.train()
    assert bars[0].disable  # closed
    assert failing.progress.bar is None


def test_without_tqdm_there_are_lines(monkeypatch, capsys):
    on_a_terminal(monkeypatch)
    monkeypatch.setitem(sys.modules, "tqdm", None)
    fit(tiny(), images(), epochs=2)
    out, err = capsys.readouterr()
    assert [line.split()[1] for line in out.splitlines()] == ["1/2", "2/2"]
    assert not err


class Lengths(Progress):
    """Notes how many steps an epoch is said to have, and how many of them are done."""

    def __init__(self) -> None:
        super().__init__(show=False)
        self.lengths: list[tuple[int, int]] = []

    def begin(self, epoch: int, epochs: int, batches: int, done: int, stage: str) -> None:
        self.lengths.append((batches, done))


@pytest.mark.parametrize(
    ("length", "options", "expected"),
    [
        ({"epochs": 2}, {}, [(5, 0), (5, 0)]),
        ({"epochs": 9}, {"max_steps": 3}, [(3, 0)]),
        ({"epochs": 9}, {"max_steps": 7}, [(5, 0), (2, 0)]),
        ({"epochs": 9}, {"max_steps": 4, "accumulate": 2}, [(3, 0), (1, 0)]),
        ({"steps": 6}, {}, [(5, 0), (1, 0)]),
        ({"images": 38 + 9}, {}, [(5, 0), (2, 0)]),
        ({"images": 17}, {"accumulate": 2}, [(2, 0)]),
    ],
)
def test_an_epoch_has_as_many_steps_as_will_be_done(length, options, expected):
    model, progress = tiny(), Lengths()
    done = trainer(model, stage(model, **{"epochs": None, **length}), progress=progress, **options)
    done.train()
    assert progress.lengths == expected
    assert sum(steps for steps, _ in progress.lengths) == done.step


def test_an_epoch_that_is_gone_on_with_has_what_is_left():
    first = trainer(tiny(), max_steps=2)
    first.train()
    progress = Lengths()
    second = trainer(tiny(), max_steps=4, progress=progress)
    second.load_state(*first.state())
    second.train()
    assert progress.lengths == [(4, 2)]


def test_a_terminal_that_is_gone_does_not_end_training(monkeypatch):
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(sys, "stdout", Gone())
    progress, lines = Progress(), []
    progress.log = lines.append
    progress.say("one")
    progress.say("two")
    assert lines == ["one", "two"]
