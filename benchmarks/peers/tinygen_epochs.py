"""Epochs of the text's recipes by tinygen's `fit`."""

from __future__ import annotations

import tinygen
from benchmarks.peers.epochs import Epochs, read


def load(name: str, threads: int, images: str) -> Epochs:
    """The model of that name."""
    tinygen.set_threads(threads)
    train, valid = read(images)
    model = tinygen.models.create(name)

    def epoch() -> float:
        history = tinygen.training.fit(model, train, epochs=1, validation_data=valid, verbose=False)
        return float(history["loss"][0])

    return Epochs(epoch)
