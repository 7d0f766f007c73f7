"""The stacked autoencoders once more, in PyTorch; images to train both on; batches of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygen import data
from tinygen.data import Loader
from tinygen.models import Model
from tinygen.ops.random import Random


def images(n: int) -> np.ndarray:
    """Fashion-MNIST if it is here, else faces: (n, 28, 28) float32 in [0, 1]."""
    name = "fashion-mnist" if data.is_here("fashion-mnist") else "faces"
    return data.load(name, size=28, channels=1, count=2 * n).train.floats()[:n]


def batches(x: np.ndarray, steps: int, size: int = 32) -> Iterator[np.ndarray]:
    """So many batches, epoch after epoch."""
    loader = Loader(x, batch_size=size, rng=Random(0), drop_remainder=True)
    for step in range(steps):
        epoch, start = divmod(step, len(loader))
        yield next(iter(loader.epoch(epoch, start)))[0]


class Twin:
    """The weights of a model with two layers down and two up, its arithmetic in PyTorch."""

    def __init__(self, model: Model, dtype: str) -> None:
        import torch

        self.torch, self.tied = torch, model.name == "tied-ae"
        self.parameters = {
            name: torch.nn.Parameter(torch.from_numpy(array.astype(dtype)))
            for name, array in model.state_dict().items()
        }

    def loss(self, x: np.ndarray) -> Any:
        """The cross-entropy of the reconstruction, clipped as ours is."""
        torch, p = self.torch, self.parameters
        x = torch.from_numpy(x).to(next(iter(p.values())).dtype)
        h = x.flatten(1)
        for i in (1, 2):
            h = torch.selu(h @ p[f"encoder.layers.{i}.weight"] + p[f"encoder.layers.{i}.bias"])
        for i, f in ((0, torch.selu), (1, torch.sigmoid)):
            own = f"decoder.layers.{i}.weight"
            w = p[f"encoder.layers.{2 - i}.weight"].T if self.tied else p[own]
            h = f(h @ w + p[f"decoder.layers.{i}.bias"])
        q = h.reshape(x.shape).clamp(1e-7, 1 - 1e-7)
        return -(x * q.log() + (1 - x) * (1 - q).log()).mean()

    def trainer(self, rate: float) -> Callable[[np.ndarray], float]:
        """A function that does a step of plain SGD and returns the loss before it."""
        optimizer = self.torch.optim.SGD(self.parameters.values(), lr=rate)

        def step(x: np.ndarray) -> float:
            optimizer.zero_grad()
            loss = self.loss(x)
            loss.backward()
            optimizer.step()
            return float(loss.detach())

        return step
