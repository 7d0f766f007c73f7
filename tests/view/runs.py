"""Short runs to draw figures of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tinygen import models
from tinygen.data import Dataset
from tinygen.ops.random import Random
from tinygen.training import Run, Trainer
from tinygen.training.experiment import Experiment
from tinygen.view import Plates, Subject

NAMES = ("red", "green", "blue")


def images(n: int, *shape: int) -> np.ndarray:
    return Random(0).uniform((n, *shape))


def labelled(n: int, *shape: int, labels: bool = True) -> Dataset:
    """Random images, of which every fourth is to validate."""
    pixels = Random(1).integers(0, 255, (n, *shape)).astype(np.uint8)
    pixels = pixels if len(shape) == 3 else pixels[..., np.newaxis]
    parts = {"train": slice(0, 3 * n // 4), "valid": slice(3 * n // 4, n), "test": slice(n, n)}
    kinds = np.arange(n) % len(NAMES) if labels else None
    return Dataset("toys", pixels, kinds, class_names=NAMES if labels else (), splits=parts)


def subject_of(model: Any, data: Any, folder: Path, rows: Any = ()) -> Subject:
    """A subject of arrays, which are shown and were trained on, or of a data set."""
    dataset = data if isinstance(data, Dataset) else None
    train, valid = (
        ([data], []) if dataset is None else ([data.train.floats()], [data.valid.floats()])
    )
    settings = {"data": {"source": "toys"}}
    return Subject(Experiment(settings, model, train, valid, dataset), folder, rows)


def trained(
    folder: Path, name: str, data: Any, epochs: int = 3, preset: str | None = None, **config: Any
) -> Subject:
    """A short run of a model on arrays or a data set, with its plates."""
    x = data.train.floats() if isinstance(data, Dataset) else data
    model = models.create(name, image_shape=x.shape[1:], preset=preset, **config)
    options = model.recipe(preset).training(epochs=epochs, batch_size=32)
    shown = subject_of(model, data, folder).samples
    stages = model.stages(options)
    trainer = Trainer(model, stages, [x], options, valid=[shown], callbacks=[Plates(shown)])
    trainer.write_to(Run.create(folder, {}))
    trainer.train()
    return subject_of(model, data, folder, trainer.rows)


def opened(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.std() > 0, f"{path} is blank"
    return pixels
