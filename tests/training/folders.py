"""Finished runs as the shell makes them, and what is in them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from tinygen.ops.random import Random
from tinygen.training import Callback, Run, Trainer
from tinygen.training.experiment import Experiment, reopen
from tinygen.training.settings import settings

WHOLE = ("model.safetensors", "metrics.jsonl", "config.toml", "environment.json", "checkpoints/*")


def digests(folder: Path) -> dict[str, str]:
    """What a run has made, by name; log and times aside."""
    paths = [path for pattern in WHOLE for path in folder.glob(pattern) if path.is_file()]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def save_images(folder: Path, seed: int = 0) -> str:
    path = folder / "images.npz"
    np.savez(path, images=Random(seed).integers(0, 255, (60, 6, 6)).astype(np.uint8))
    return str(path)


def shell_run(folder: Path, epochs: int = 2) -> Path:
    """A finished run as the shell makes it."""
    experiment = Experiment.build(
        settings(
            "stacked-ae",
            data=save_images(folder),
            epochs=epochs,
            overrides={"size": 6, "codings": 4},
        )
    )
    made = experiment.trainer(show=False)
    made.write_to(Run.create(folder / "run", experiment.settings))
    made.train()
    return folder / "run"


def go_on(source: Path, epochs: int | None = None, *callbacks: Callback) -> Trainer:
    """What `tinygen resume` does, without pictures."""
    with reopen(source, epochs) as (run, checkpoint):
        experiment = Experiment.build(run.config)
        again = experiment.trainer(callbacks, show=False)
        again.write_to(run)
        again.resume(checkpoint)
        again.train()
    return again
