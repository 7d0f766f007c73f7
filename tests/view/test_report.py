"""The report: one page that needs nothing else, whatever is in the folder of the run."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tinygen
from tests.training.toys import StopAt, images
from tests.view.runs import labelled
from tests.view.test_autoencoders import CHAPTER
from tinygen import models, nn
from tinygen.data import Dataset
from tinygen.data.plane import noisy_plane
from tinygen.ops.random import Random
from tinygen.training import Interrupted, Run, RunError, fit
from tinygen.training.experiment import Experiment, restore
from tinygen.training.settings import settings
from tinygen.view import Plates, write_report
from tinygen.view.embedding import TEN
from tinygen.view.report import duration

VOID = {"meta", "img"}


class Page(HTMLParser):
    """A page, read: every tag closed in order, its attributes, and what a person reads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text("utf-8")
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.words: list[str] = []
        self.styles = ""
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes), f"an attribute of {tag} stands there twice"
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "style":
            self.styles += data
        elif data.strip():
            self.words.append(data.strip())

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def pictures(self) -> dict[str, np.ndarray]:
        """The pictures by the beginning of their description, decoded."""
        found = {}
        for tag, attributes in self.tags:
            if tag == "img":
                start, data = attributes["src"].split(",", 1)
                assert start == "data:image/png;base64"
                with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as picture:
                    pixels = np.asarray(picture.convert("RGB"))
                assert pixels.shape[:2] == (int(attributes["height"]), int(attributes["width"]))
                assert pixels.std() > 0
                title, caption = attributes["alt"].split(": ", 1)
                assert caption
                found[title] = pixels
        return found

    def needs_nothing_else(self) -> None:
        """Nothing is fetched, and nothing runs."""
        tags = {tag for tag, _ in self.tags}
        assert not tags & {"script", "link", "iframe", "object", "embed", "base", "video", "form"}
        for tag, attributes in self.tags:
            assert not [name for name in attributes if name.startswith("on")]
            for name in ("href", "src", "srcset", "xlink:href", "data", "action", "style"):
                if name in attributes:
                    assert (tag, name) == ("img", "src")
        assert not re.search(r"url\(|@import|https?:", self.styles)


def run_in(folder: Path, name: str, arrays: list[np.ndarray], *, epochs=2, stop=None, **wanted):
    """The folder of a run as the shell makes it, on arrays."""
    config = settings(name, epochs=epochs, **wanted)
    config["config"]["image_shape"] = list(arrays[0].shape[1:])
    model = models.create(name, **config["config"])
    experiment = Experiment(config, model, arrays[:1], arrays[1:])
    callbacks = [Plates(experiment.samples), *([StopAt(stop)] if stop else [])]
    trainer = experiment.trainer(callbacks, show=False)
    trainer.write_to(Run.create(folder, config))
    if stop:
        with pytest.raises(Interrupted):
            trainer.train()
    else:
        trainer.train()
    return trainer


@pytest.fixture
def arrays(monkeypatch):
    """What runs find instead of the data they name: 48 images of 6 x 6 to fit, 8 to validate."""
    pixels = Random(5).integers(0, 255, (64, 6, 6, 1)).astype(np.uint8)
    splits = {"train": slice(0, 48), "valid": slice(48, 56), "test": slice(56, 64)}
    found = Dataset("fashion-mnist", pixels, np.arange(64) % 4, splits=splits)
    monkeypatch.setattr("tinygen.training.experiment.load_data", lambda *a, **k: found)
    return [found.train.floats(), found.valid.floats()]


@pytest.fixture
def no_pictures(monkeypatch):
    """Pages without pictures, which take longer to draw than all else of a page."""
    monkeypatch.setattr("tinygen.view.report.draw_figures", lambda subject: [])


def test_a_finished_run(tmp_path, arrays):
    trainer = run_in(tmp_path / "run", "stacked-ae", arrays, overrides={"codings": 5})
    path = write_report(tmp_path / "run")
    assert path == tmp_path / "run" / "report.html"
    page = Page(path)
    page.needs_nothing_else()
    assert page.tags[0] == ("html", {"lang": "en"})
    for row in trainer.rows:
        for name in ("loss", "valid_loss", "valid_rounded_accuracy"):
            assert f"{row[name]:.4f}" in page.text
    parameters = sum(p.size for p in trainer.model.parameters())
    for words in (
        "stacked-ae Dense layers down to the codings and, mirrored, up again",
        "Trained on fashion-mnist, 48 samples to fit and 8 to validate",
        f"parameters {parameters:,}",
        "encoder.layers.1 (Dense) (n, 100)",
        "This run is not that recipe: codings 5 instead of 30, epochs 2 instead of 10.",
        "learning_rate 1.5",
    ):
        assert words in page.text
    assert "can go on" not in page.text
    shown = page.pictures()
    assert list(shown) == ["Reconstructions", "Map of the codings"]
    for pixels, name in zip(shown.values(), ("reconstructions", "tsne"), strict=True):
        with Image.open(tmp_path / "run" / f"{name}.png") as picture:
            np.testing.assert_array_equal(pixels, np.asarray(picture.convert("RGB")))
    changed = [a for tag, a in page.tags if a.get("class") == "changed"]
    assert len(changed) == 2
    assert [a["data-default"] for _, a in page.tags if "data-default" in a] == ["30", "10"]
    assert len([a for tag, a in page.tags if tag == "svg"]) == 2


HEADINGS = {"tsne": "Map of the codings"}


@pytest.mark.parametrize("name", CHAPTER)
def test_the_page_of_every_model_has_the_figures_of_the_chapter(tmp_path, monkeypatch, name):
    found = labelled(60, 8, 8)
    monkeypatch.setattr("tinygen.training.experiment.load_data", lambda *a, **k: found)
    arrays = [found.train.floats(), found.valid.floats()]
    run_in(tmp_path / "run", name, arrays, epochs=1, data="fashion-mnist")
    wanted = [figure for figure in CHAPTER[name] if figure != "projection"]  # which is of points
    page = Page(write_report(tmp_path / "run"))
    assert list(page.pictures()) == [HEADINGS.get(f, f.capitalize()) for f in wanted]
    files = {path.stem for path in (tmp_path / "run").glob("*.png")}
    assert files == {*wanted, "curves"}
    assert found.labels is not None
    classes = {tuple(bytes.fromhex(color[1:])) for color in TEN[:3]}
    colours = set(map(tuple, page.pictures()["Map of the codings"].reshape(-1, 3).tolist()))
    assert classes <= colours


def test_without_scikit_learn_there_is_no_map_and_no_page(tmp_path, arrays, monkeypatch):
    run_in(tmp_path / "run", "stacked-ae", arrays)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ModuleNotFoundError, match='sklearn is missing: pip install "tinygen'):
        write_report(tmp_path / "run")
    assert not list((tmp_path / "run").glob("*.png"))


def test_what_was_published_stands_beside_what_was_measured(tmp_path, arrays, no_pictures):
    trainer = run_in(tmp_path / "run", "stacked-ae", arrays, preset="ed2")
    text = Page(write_report(tmp_path / "run")).text
    last = trainer.rows[-1]
    for name, words, level in (
        ("valid_loss", "validation loss", 0.284),
        ("valid_rounded_accuracy", "validation rounded accuracy", 0.936),
    ):
        change = 100 * (last[name] / level - 1)
        assert f"{words} {last[name]:.4f} {level} {change:+.1f} %" in text
    assert f"loss {last['loss']:.4f} {min(r['loss'] for r in trainer.rows):.4f}" in text


def test_other_data_is_not_held_against_the_published_figures(tmp_path, arrays, no_pictures):
    np.savez(tmp_path / "own.npz", images=np.zeros((9, 6, 6), np.uint8))
    run_in(tmp_path / "run", "stacked-ae", arrays, data=str(tmp_path / "own.npz"))
    text = Page(write_report(tmp_path / "run")).text
    assert "published" not in text.lower()
    assert "Trained on own.npz" in text


@pytest.mark.parametrize("stop", [1, 3])
def test_a_run_that_was_interrupted(tmp_path, arrays, stop):
    """It has two steps an epoch: stopped in the first one, or in the second."""
    run_in(tmp_path / "run", "stacked-ae", arrays, epochs=7, stop=stop)
    page = Page(write_report(tmp_path / "run"))
    page.needs_nothing_else()
    done = stop // 2
    assert f"Not finished: {done} of 7 epochs on fashion-mnist" in page.text
    assert f"It can go on: tinygen resume {tmp_path}/run" in page.text
    assert list(page.pictures()) == ["Reconstructions", "Map of the codings"] * done
    assert ("No epoch has been finished yet." in page.text) == (done == 0)
    assert "encoder.layers.1 (Dense)" in page.text


def test_a_run_without_any_checkpoint(tmp_path, arrays):
    config = settings("stacked-ae", epochs=3)
    Run.create(tmp_path / "run", config)
    page = Page(write_report(tmp_path / "run"))
    assert "Not finished" in page.text
    assert "learning_rate 1.5" in page.text
    assert not page.pictures()


def test_stages_of_greedy_training(tmp_path, arrays, no_pictures):
    run_in(tmp_path / "run", "stacked-ae", arrays, preset="greedy")
    page = Page(write_report(tmp_path / "run"))
    assert len([a for tag, a in page.tags if a.get("class") == "start"]) == 2 * 2
    assert "3 6 layer 2" in page.text
    assert "6 12 fine-tune" in page.text


def test_a_checkpoint_is_what_is_asked_for(tmp_path, arrays, no_pictures):
    run_in(tmp_path / "run", "stacked-ae", arrays)
    (checkpoint, *_) = sorted((tmp_path / "run" / "checkpoints").iterdir())
    path = write_report(checkpoint, tmp_path / "elsewhere" / "page.html")
    assert path == tmp_path / "elsewhere" / "page.html"
    assert "stacked-ae" in Page(path).text


def test_points(tmp_path):
    run_in(tmp_path / "run", "linear-ae", [noisy_plane()], epochs=3)
    page = Page(write_report(tmp_path / "run"))
    assert list(page.pictures()) == ["Projection"]
    assert "Trained on plane, 60 samples to fit" in page.text


def test_a_run_from_a_script(tmp_path):
    model = tinygen.models.create("stacked-ae", image_shape=(6, 6))
    fit(model, images(), epochs=2, verbose=False, out=tmp_path / "run")
    page = Page(write_report(tmp_path / "run"))
    assert "Trained" in page.words
    assert "samples 38" in page.text
    assert "encoder.layers.1 (Dense)" in page.text
    fit(nn.Dense(6, 6), images(), epochs=2, loss="mse", verbose=False, out=tmp_path / "plain")
    page = Page(write_report(tmp_path / "plain"))
    assert page.text.startswith("Dense: plain Dense Trained")


def test_hostile_names_are_shown_and_do_nothing(tmp_path, arrays):
    bad = "<img src=x onerror=alert(1)>\"'&amp;{{ 7 * 7 }}"
    source = tmp_path / f"{bad}.npz"
    np.savez(source, images=np.zeros((9, 6, 6), np.uint8))
    folder = tmp_path / f"run {bad}"
    run_in(folder, "stacked-ae", arrays, data=str(source), overrides={"codings": 3})
    run = Run.open(folder)
    rows = [{**row, f"valid_{bad}": 0.5, bad: 0.25} for row in run.rows()]
    run.keep_rows([{**row, "stage": bad} for row in rows])
    run.log(f"</pre>{bad}")
    environment = json.loads((folder / "environment.json").read_text())
    environment["command"] = ["tinygen", bad]
    environment["versions"][bad] = bad
    (folder / "environment.json").write_text(json.dumps(environment))
    page = Page(write_report(folder))
    page.needs_nothing_else()
    assert page.text.count(bad) >= 8
    assert "49" not in [word for word in page.words if bad in word]
    assert [tag for tag, _ in page.tags].count("img") == len(page.pictures()) == 2


def test_what_is_no_run(tmp_path):
    with pytest.raises(RunError, match="is not the folder of a run"):
        write_report(tmp_path)


def test_the_report_changes_nothing_of_the_run(tmp_path, arrays):
    run_in(tmp_path / "run", "stacked-ae", arrays, stop=3, epochs=5)
    before = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    write_report(tmp_path / "run")
    after = {p: p.read_bytes() for p in (tmp_path / "run").rglob("*") if p.is_file()}
    assert before.items() <= after.items()
    assert {p.name for p in after.keys() - before.keys()} == {
        *("report.html", "reconstructions.png", "tsne.png", "curves.png")
    }
    assert restore(tmp_path / "run")[0].model.name == "stacked-ae"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.04, "0.0 s"),
        (59.94, "59.9 s"),
        (60, "1 min 0 s"),
        (3599.9, "1 h 0 min"),
        (9000, "2 h 30 min"),
    ],
)
def test_durations(seconds, said):
    assert duration(seconds) == said
