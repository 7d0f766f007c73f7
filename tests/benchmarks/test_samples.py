"""The bench of samples: its twin, its figures and bars, and that it goes on where it was."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import libraries, samples
from benchmarks.samples import PAIRED, Judge, Task
from tinygen import Random, metrics, models
from tinygen.data import Dataset
from tinygen.models import TrainingOptions
from tinygen.training import Trainer
from tinygen.training.feature_network import FeatureNetwork

SMALL: dict[str, Any] = {"widths": (6, 8), "latents": 5}
CHANCE = FeatureNetwork("brightness", "", ("dark", "light"), None, lambda x: _seen(x))


def _seen(images: Any) -> tuple[Any, Any]:
    """The means of both halves, and whether the image is light rather than dark."""
    rows = images.reshape(len(images), 2, -1).mean(axis=2)
    light = rows.mean(axis=1) > 0.5
    return rows, np.stack([~light, light], axis=1).astype(np.float64)


@pytest.fixture
def overrides(tmp_path: Path) -> dict[str, Any]:
    """Settings of two steps on images of 8 x 8 pixels."""
    images = Random(0).integers(0, 255, (60, 8, 8)).astype(np.uint8)
    np.savez(tmp_path / "images.npz", images=images, labels=np.arange(60) % 3)
    return {
        **SMALL, "data.source": str(tmp_path / "images.npz"), "size": 8, "batch_size": 16,
        "max_steps": 2,
    }  # fmt: skip


@pytest.fixture
def judge() -> Judge:
    images = Random(0).integers(0, 255, (40, 4, 4, 1)).astype(np.uint8)
    images[::2] //= 3
    splits = {"train": slice(0, 20), "valid": slice(20, 20), "test": slice(20, 40)}
    labels = (np.arange(40) % 2).astype(np.int64)
    return Judge(Dataset("halves", images, labels, splits=splits), CHANCE)


def run(library: str, seed: int, recipe: str = PAIRED, **figures: Any) -> dict[str, Any]:
    key = {"recipe": recipe, "library": library, "seed": seed, "epochs": 2}
    return {**key, "seconds": 1.0, "frechet": 4.0, "classes": [6, 4], **figures}


def test_steps_of_the_twin_are_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overrides: dict[str, Any]
) -> None:
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    from benchmarks.peers import torch_samples

    task = Task(PAIRED, 3, 4, overrides={**overrides, "max_steps": 4})
    request = samples.request(task, "torch", tmp_path)
    assert request["steps"] == 4
    images = Random(1).uniform((16, 8, 8), dtype=np.float32)
    z = Random(2).uniform((16, 5), -1.0, 1.0, dtype=np.float32)
    model = models.create("dcgan", preset="paper", image_shape=(8, 8), seed=3, **SMALL)
    with np.load(request["given"]) as given:
        weights = {name: given[name] for name in given.files}
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, weights[name])
    np.savez(request["given"], **{**weights, "images": images})

    recipe = model.recipe("paper")
    options: TrainingOptions = recipe.training(batch_size=16, epochs=4)
    monkeypatch.setattr(type(model), "draw_latents", lambda self, n, rng: z)
    monkeypatch.setattr(torch_samples, "latents", lambda *_: torch.from_numpy(z))
    Trainer(model, model.stages(options), [images], options).train()
    generator, discriminator = torch_samples.networks(request)
    torch_samples.train(generator, discriminator, request, torch.Generator())
    model.eval()
    with torch.no_grad():
        theirs = generator.eval()(torch.from_numpy(z))
        scores = discriminator.eval()(theirs)
    ours = model.generate(z)  # type: ignore[attr-defined]
    np.testing.assert_allclose(2 * ours.numpy() - 1, theirs[:, 0].numpy(), atol=2e-4)
    judged = model.discriminator(2 * ours - 1)  # type: ignore[attr-defined]
    np.testing.assert_allclose(judged.numpy(), scores.numpy(), atol=2e-3)


@pytest.mark.parametrize(
    ("recipe", "library"),
    [(PAIRED, "torch"), ("cgan:paper", "tinygen")],
)
def test_samples_come_from_a_process(recipe: str, library: str, overrides: dict[str, Any]) -> None:
    if library == "torch":
        pytest.importorskip("torch", reason="trains in PyTorch, which is not installed")
    made = samples.drawn(Task(recipe, 0, 1, 31, overrides), library, 1, sys.executable)
    assert made["samples"].shape == (31, 8, 8)
    assert 0 <= made["samples"].min() <= made["samples"].max() <= 1
    assert np.ptp(made["samples"], axis=0).max() > 0
    if recipe == PAIRED:
        assert "labels" not in made
    else:
        np.testing.assert_array_equal(made["labels"], np.arange(31) % 3)


def test_what_a_process_says_is_told(overrides: dict[str, Any]) -> None:
    Path(overrides["data.source"]).write_bytes(b"no archive")
    task = Task(PAIRED, 0, 1, 8, overrides)
    with pytest.raises(RuntimeError, match="tinygen, dcgan:paper, seed 0: "):
        samples.drawn(task, "tinygen", 1, sys.executable)


def test_figures_are_distance_classes_and_agreement(judge: Judge) -> None:
    images = judge.dataset.test.floats()
    labels = judge.network.probabilities(images).argmax(axis=1)
    labels[:5] = 1 - labels[:5]
    found = judge.figures(images, labels)
    assert found["frechet"] == pytest.approx(0, abs=1e-6)
    assert found["agreement"] == 15 / 20
    assert sum(found["classes"]) == 20
    other = judge.figures(images[::-1] / 2)
    expected = metrics.frechet_distance(judge.real, judge.network.features(images / 2))
    assert other["frechet"] == pytest.approx(expected, rel=1e-4)
    assert other["classes"] == [20, 0]
    assert "agreement" not in other
    broken = judge.figures(np.full((3, 4, 4), np.nan, np.float32), np.zeros(3, np.int64))
    assert broken == {"frechet": math.inf, "classes": [0, 0], "agreement": 0.0}


def test_limits_are_real_images_and_noise(judge: Judge) -> None:
    found = judge.limits(20)
    assert found["floor"]["frechet"] < found["ceiling"]["frechet"]
    test = judge.dataset.test
    right = judge.network.probabilities(test.floats()).argmax(axis=1) == test.labels
    assert found["floor"]["agreement"] == pytest.approx(right.mean())
    assert sum(found["floor"]["classes"]) == sum(found["ceiling"]["classes"]) == 20


def test_the_interval_is_of_log_ratios_seed_by_seed() -> None:
    logs = [0.1, -0.2, 0.3, 0.05, -0.1]
    runs = [run("tinygen", s, frechet=10 * math.exp(v)) for s, v in enumerate(logs)]
    runs += [run("torch", s, frechet=10.0) for s in range(5)]
    assert samples.log_ratios(runs[::-1]) == pytest.approx(logs)
    *_, (text, holds) = samples.bars(runs)
    half = 2.7764451 * np.std(logs, ddof=1) / math.sqrt(5)  # Student's quantile of 4 degrees
    middle = np.mean(logs)
    low, mean, high = (math.exp(v) for v in (middle - half, middle, middle + half))
    assert f"{mean:.3f} ({low:.3f} - {high:.3f}), 5 seeds" in text
    assert holds
    worse = [{**r, "frechet": 30.0 + r["seed"]} if r["library"] == "tinygen" else r for r in runs]
    assert not samples.bars(worse)[-1][1]
    assert not any("PyTorch" in text for text, _ in samples.bars(runs[1:]))  # four are too few


def test_bars_of_classes_and_labels() -> None:
    runs = [
        run("tinygen", 0, classes=[98, 2]), run("tinygen", 1, classes=[985, 15]),
        run("torch", 0, classes=[100, 0]), run("tinygen", 0, "cgan:paper", agreement=0.8),
        run("tinygen", 0, "cgan:projection", agreement=0.79),
    ]  # fmt: skip
    assert [holds for _, holds in samples.bars(runs)] == [True, False, True, False]


def test_a_run_that_was_done_is_not_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
    judge: Judge,
) -> None:  # fmt: skip
    trained: list[tuple[str, str, int, int]] = []

    def drawn(task: Task, library: str, threads: int, python: str) -> dict[str, Any]:
        trained.append((task.recipe, library, task.seed, task.epochs))
        if len(trained) == 4:
            raise KeyboardInterrupt
        made = {"samples": 0.9 * judge.dataset.test.floats(), "seconds": np.array(2.0)}
        return made if task.recipe == PAIRED else {**made, "labels": judge.dataset.test.labels}

    monkeypatch.setattr(samples, "drawn", drawn)
    monkeypatch.setattr(samples, "load_data", lambda name: judge.dataset)
    monkeypatch.setattr(samples, "Judge", lambda dataset: judge)
    monkeypatch.setattr(libraries, "interpreter", lambda *_: sys.executable)
    path, plates = tmp_path / "runs.json", tmp_path / "plates"
    asked = [PAIRED, "cgan:paper", "--seeds", "2", "--epochs", "3", "--json", str(path)]
    with pytest.raises(KeyboardInterrupt):
        samples.main([*asked, "--plates", str(plates)])
    assert len(json.loads(path.read_text("utf-8"))["runs"]) == 3
    assert len(list(plates.glob("*.png"))) == 3
    samples.main(asked)
    kinds = [(PAIRED, "tinygen"), (PAIRED, "torch"), ("cgan:paper", "tinygen")]
    expected = [(*kind, seed, 3) for seed in (0, 1) for kind in kinds]
    assert trained == [*expected[:4], *expected[3:]]
    shown = capsys.readouterr().out
    assert "| cgan:paper, tinygen | 3 | 2 |" in shown
    assert "| floor |" in shown
    samples.main(asked)
    assert len(trained) == 7


@pytest.mark.parametrize(
    "wrong", [["nothing"], ["--seeds", "0"], ["--epochs", "0"], ["--threads", "-1"]]
)
def test_wrong_arguments_are_told(wrong: list[str]) -> None:
    with pytest.raises(SystemExit):
        samples.main(wrong)
