"""Train DCGAN's paper preset in PyTorch and draw samples: a process of its own.

    python -m benchmarks.peers.torch_samples REQUEST

REQUEST is JSON: `given`, an .npz with the training `images` (n, side, side) in [0, 1] and the
initial weights by tinygen's names; `steps`, `batch`, `rate`, `betas` and `epsilon` of Adam, the
`momentum` and `norm_epsilon` of batch norm, `slope` of the leaky ReLU, `seed`, `samples`, and the
file `out`: see benchmarks.peers.tinygen_samples. Only the initial weights are shared: shuffles and
latents are PyTorch's own. `benchmarks.samples` starts it.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

BATCH = 500  # samples at a time


def tensor(array: Any) -> Any:
    """A copy of an array."""
    return torch.from_numpy(np.array(array, np.float32))


def kernel(w: Any) -> Any:
    """(kh, kw, a, b) -> (b, a, kh, kw), where b is a convolution's out, a transposed one's in."""
    return nn.Parameter(tensor(w.transpose(3, 2, 0, 1)))


class Generator(nn.Module):  # type: ignore[misc]  # PyTorch need not be installed to check this
    """Dense layer and two transposed convolutions with stride 2, batch norm before each ReLU."""

    def __init__(self, weights: Mapping[str, Any], request: Mapping[str, Any]) -> None:
        super().__init__()
        name = "generator.body.layers"
        dense, enlarge, draw = (weights[f"{name}.{i}.weight"] for i in (0, 4, 7))
        self.few, self.many = enlarge.shape[2:]
        self.side = round((dense.shape[1] // self.many) ** 0.5)
        self.dense = nn.Parameter(tensor(dense))
        self.enlarge, self.draw = kernel(enlarge), kernel(draw)
        self.shift = nn.Parameter(tensor(weights[f"{name}.7.bias"]))
        self.first = norm(weights, f"{name}.2", request)
        self.second = norm(weights, f"{name}.5", request)

    def forward(self, z: Any) -> Any:
        """(n, latents) -> (n, 1, 4 side, 4 side) in [-1, 1]."""
        maps = (z @ self.dense).view(len(z), self.side, self.side, self.many)
        x = F.relu(self.first(maps.permute(0, 3, 1, 2)))
        x = F.relu(self.second(cropped(F.conv_transpose2d(x, self.enlarge, stride=2))))
        return torch.tanh(cropped(F.conv_transpose2d(x, self.draw, self.shift, stride=2)))


class Discriminator(nn.Module):  # type: ignore[misc]
    """Two convolutions with stride 2, batch norm in the second, and a dense layer."""

    def __init__(self, weights: Mapping[str, Any], request: Mapping[str, Any]) -> None:
        super().__init__()
        name, self.slope = "discriminator.body.layers", request["slope"]
        self.see, self.shrink = (kernel(weights[f"{name}.{i}.weight"]) for i in (0, 1))
        self.shift = nn.Parameter(tensor(weights[f"{name}.0.bias"]))
        self.norm = norm(weights, f"{name}.2", request)
        self.head = nn.Parameter(tensor(weights["discriminator.head.weight"]))
        self.bias = nn.Parameter(tensor(weights["discriminator.head.bias"]))

    def forward(self, x: Any) -> Any:
        """(n, 1, height, width) -> logits (n, 1)."""
        x = F.leaky_relu(F.conv2d(padded(x), self.see, self.shift, stride=2), self.slope)
        x = F.leaky_relu(self.norm(F.conv2d(padded(x), self.shrink, stride=2)), self.slope)
        return x.permute(0, 2, 3, 1).flatten(1) @ self.head + self.bias


def norm(weights: Mapping[str, Any], name: str, request: Mapping[str, Any]) -> Any:
    """Batch norm of maps, with its scale and shift."""
    scale, shift = (tensor(weights[f"{name}.{part}"]) for part in ("scale", "shift"))
    layer = nn.BatchNorm2d(len(scale), request["norm_epsilon"], 1 - request["momentum"])
    layer.weight, layer.bias = nn.Parameter(scale), nn.Parameter(shift)
    return layer


def padded(x: Any) -> Any:
    """What "same" adds to even sides for a kernel of 5 and a stride of 2: one before, two after."""
    return F.pad(x, (1, 2, 1, 2))


def cropped(x: Any) -> Any:
    """What it takes away again."""
    return x[:, :, 1:-2, 1:-2]


def networks(request: Mapping[str, Any]) -> tuple[Any, Any]:
    """Generator and discriminator with the initial weights of the file."""
    with np.load(request["given"]) as weights:
        return Generator(weights, request), Discriminator(weights, request)


def batches(images: Any, size: int, random: Any) -> Iterator[Any]:
    """Whole batches without end, shuffled anew in each epoch."""
    while True:
        order = torch.randperm(len(images), generator=random)
        for i in range(0, len(images) - size + 1, size):
            yield images[order[i : i + size]]


def train(generator: Any, discriminator: Any, request: Mapping[str, Any], random: Any) -> None:
    """Both phases, the non-saturating loss, as many steps as asked for."""
    n, ones = request["batch"], torch.ones(request["batch"], 1)
    judging, generating = (
        torch.optim.Adam(
            network.parameters(), request["rate"], tuple(request["betas"]), request["epsilon"]
        )
        for network in (discriminator, generator)
    )
    loss_of = F.binary_cross_entropy_with_logits
    with np.load(request["given"]) as given:
        images = 2 * tensor(given["images"])[:, None] - 1
    feed = batches(images, n, random)
    for _ in range(request["steps"]):
        with torch.no_grad():
            fakes = generator(latents(n, generator, random))
        discriminator.requires_grad_(True)
        judging.zero_grad()
        real, fake = discriminator(next(feed)), discriminator(fakes)
        (loss_of(real, ones) + loss_of(fake, 1 - ones)).backward()
        judging.step()
        discriminator.requires_grad_(False)
        generating.zero_grad()
        loss_of(discriminator(generator(latents(n, generator, random))), ones).backward()
        generating.step()


def latents(n: int, generator: Any, random: Any) -> Any:
    """Uniform from -1 to 1: (n, latents)."""
    return 2 * torch.rand(n, len(generator.dense), generator=random) - 1


def main(request: dict[str, Any]) -> None:
    """Train, draw samples in inference mode, write them."""
    random = torch.Generator().manual_seed(request["seed"])
    generator, discriminator = networks(request)
    start = time.perf_counter()
    train(generator, discriminator, request, random)
    seconds, n = time.perf_counter() - start, request["samples"]
    generator.eval()
    with torch.no_grad():
        parts = [
            (generator(latents(min(BATCH, n - i), generator, random))[:, 0] + 1) / 2
            for i in range(0, n, BATCH)
        ]
    np.savez(request["out"], samples=torch.cat(parts).numpy(), seconds=seconds)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
