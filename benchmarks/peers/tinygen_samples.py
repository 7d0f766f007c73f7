"""Train a GAN by its recipe in tinygen and draw samples: a process of its own.

    python -m benchmarks.peers.tinygen_samples REQUEST

REQUEST is JSON: `settings` (see tinygen.training.settings), `seed`, `samples`, and the file `out`,
an .npz that gets `samples` (n, height, width) in [0, 1], the `labels` that were asked for where the
model has any, and the `seconds` of training. `benchmarks.samples` starts it.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import numpy as np

from tinygen import Random
from tinygen.training.experiment import Experiment

BATCH = 500  # samples at a time


def main(request: dict[str, Any]) -> None:
    """Train, draw as many samples of each label, write them."""
    experiment = Experiment.build(request["settings"])
    start = time.perf_counter()
    experiment.trainer(show=False).train()
    seconds, model = time.perf_counter() - start, experiment.model.eval()
    rng, n = Random(request["seed"], "samples"), request["samples"]
    classes = getattr(model, "classes", 0)
    labels = np.arange(n) % classes if classes else None
    parts = []
    for i in range(0, n, BATCH):
        asked = None if labels is None else labels[i : i + BATCH]
        made = model.sample(min(BATCH, n - i), rng=rng, label=asked)  # type: ignore[attr-defined]
        parts.append(made.numpy())
    found: dict[str, Any] = {"samples": np.concatenate(parts), "seconds": seconds}
    np.savez(request["out"], **(found if labels is None else {**found, "labels": labels}))


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
