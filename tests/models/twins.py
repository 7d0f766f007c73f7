"""The autoencoders once more, in PyTorch; what to train both on; batches of it.

A twin has the weights of a model and its loss, written down anew from the chapter. Noise is not
PyTorch's: a twin draws it where the model does, from the same stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygen import data, ops
from tinygen.data import Loader
from tinygen.data.text import alphabet_of, one_hot
from tinygen.models import Model, Recipe
from tinygen.ops.random import Random


def images(n: int) -> np.ndarray:
    """Fashion-MNIST if it is here, else faces: (n, 28, 28) float32 in [0, 1]."""
    name = "fashion-mnist" if data.is_here("fashion-mnist") else "faces"
    return data.load(name, size=28, channels=1, count=2 * n).train.floats()[:n]


ALPHABET = alphabet_of([f"{i} squared is {i * i}\n" for i in range(50)])


def samples(preset: str, n: int) -> np.ndarray:
    """What a preset is for: images, series, or text (n, 24 steps, characters)."""
    if preset == "series":
        return data.load("series", count=n).images
    if preset == "characters":
        return one_hot([f"{i % 50} squared is {(i % 50) ** 2}\n" for i in range(n)], ALPHABET, 24)
    return images(n)


def batches(x: np.ndarray, steps: int, size: int = 32) -> Iterator[np.ndarray]:
    """So many batches, epoch after epoch."""
    loader = Loader(x, batch_size=size, rng=Random(0), drop_remainder=True)
    for step in range(steps):
        epoch, start = divmod(step, len(loader))
        yield next(iter(loader.epoch(epoch, start)))[0]


class Twin:
    """The weights of a model as PyTorch's parameters, and its loss; here the stacked one's.

    Attributes:
        shape: of a sample, as the twin takes it.
    """

    shape: tuple[int, ...] = (-1,)

    def __init__(self, model: Model, dtype: str) -> None:
        import torch

        self.torch, self.config = torch, model.config
        self.criterion = torch.nn.functional.mse_loss
        if self.config["loss"] == "binary_cross_entropy":
            self.criterion = self.cross_entropy
        names = {"selu": torch.selu, "relu": torch.relu, "sigmoid": torch.sigmoid}
        self.f = names.get(self.config.get("activation"))
        self.output = names.get(self.config["output"], lambda x: x)
        self.parameters = {
            name: torch.nn.Parameter(torch.from_numpy(array.astype(dtype)))
            for name, array in model.state_dict().items()
        }

    def cross_entropy(self, q: Any, x: Any) -> Any:
        """Clipped as ours is."""
        q = q.clamp(1e-7, 1 - 1e-7)
        return -(x * q.log() + (1 - x) * (1 - q).log()).mean()

    def dense(self, h: Any, name: str, f: Callable[[Any], Any]) -> Any:
        """A layer by its name."""
        return f(h @ self.parameters[f"{name}.weight"] + self.parameters[f"{name}.bias"])

    def encode(self, x: Any, rng: Random) -> Any:
        """Flat pixels to codings."""
        h = self.dense(x, "encoder.layers.1", self.f)
        return self.dense(h, "encoder.layers.2", self.f)

    def decode(self, z: Any) -> Any:
        """Codings to flat pixels."""
        h = self.dense(z, "decoder.layers.0", self.f)
        return self.dense(h, "decoder.layers.1", self.output)

    def loss(self, x: Any, rng: Random) -> Any:
        """What training lowers, for flat pixels."""
        return self.criterion(self.decode(self.encode(x, rng)), x)

    def noise(self, values: np.ndarray) -> Any:
        """Numbers of ours, in the type of the parameters."""
        return self.torch.from_numpy(values).to(next(iter(self.parameters.values())).dtype)

    def trainer(self, recipe: Recipe) -> Callable[[np.ndarray, Random], float]:
        """A function that does a step of the recipe's optimiser, and returns the loss before it."""
        o, p = self.torch.optim, self.parameters.values()
        optimizer = {
            "sgd": lambda: o.SGD(p, lr=recipe.options.get("learning_rate")),
            "rmsprop": lambda: o.RMSprop(p, lr=1e-3, alpha=0.9, eps=1e-7),
            "nadam": lambda: o.NAdam(p, lr=recipe.options.get("learning_rate", 1e-3), eps=1e-7),
        }[recipe.optimizer]()
        most = recipe.options.get("clip_norm")

        def step(x: np.ndarray, rng: Random) -> float:
            optimizer.zero_grad()
            loss = self.loss(self.noise(x.reshape(len(x), *self.shape)), rng)
            loss.backward()
            if most is not None:
                norm = self.torch.stack([w.grad.norm() for w in p]).norm()
                for w in p:
                    w.grad *= (most / norm).clamp(max=1)
            optimizer.step()
            return float(loss.detach())

        return step


class TiedTwin(Twin):
    """Decoder: act(z W^T + b')."""

    def decode(self, z):
        p = self.parameters
        h = self.f(z @ p["encoder.layers.2.weight"].T + p["decoder.layers.0.bias"])
        return self.output(h @ p["encoder.layers.1.weight"].T + p["decoder.layers.1.bias"])


class DenoisingTwin(Twin):
    """x + 0.2 eps, or half of the pixels and those doubled; the target is x."""

    def encode(self, x, rng):
        shape = tuple(x.shape)
        if self.config["noise"] == "gaussian":
            x = x + 0.2 * self.noise(rng.normal(shape))
        else:
            x = x * self.noise(2.0 * (ops.dropout(np.ones(shape), 0.5, rng=rng).numpy() > 0))
        h = self.dense(x, "encoder.layers.2", self.f)
        return self.dense(h, "encoder.layers.3", self.f)


class SparseTwin(Twin):
    """Sigmoid codings; the penalty divided by the batch size."""

    def encode(self, x, rng):
        h = self.dense(x, "encoder.layers.1", self.f)
        return self.dense(h, "encoder.layers.2", self.torch.sigmoid)

    def loss(self, x, rng):
        codings = self.encode(x, rng)
        if "l1" in self.config:
            penalty = self.config["l1"] * codings.abs().sum()
        else:
            p, q = self.torch.tensor(0.1, dtype=x.dtype), codings.mean(0)
            divergence = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
            penalty = self.config["weight"] * divergence.sum()
        return self.criterion(self.decode(codings), x) + penalty / len(x)


class HashingTwin(Twin):
    """Noise of standard deviation 15 before 16 sigmoid codings."""

    def encode(self, x, rng):
        h = self.dense(x, "encoder.layers.1", self.f)
        h = h + 15.0 * self.noise(rng.normal(tuple(h.shape)))
        return self.dense(h, "encoder.layers.3", self.torch.sigmoid)


class VariationalTwin(Twin):
    """mu + eps exp(gamma / 2); -1/2 sum(1 + gamma - e^gamma - mu^2), batch mean, over 784."""

    def posterior(self, x):
        h = self.dense(x, "encoder.layers.1", self.f)
        return self.heads(self.dense(h, "encoder.layers.2", self.f))

    def heads(self, h):
        return self.dense(h, "mean", lambda h: h), self.dense(h, "log_var", lambda h: h)

    def decode(self, z):
        for i, f in enumerate((self.f, self.f, self.output)):
            z = self.dense(z, f"decoder.layers.{i}", f)
        return z

    def loss(self, x, rng):
        mean, log_var = self.posterior(x)
        z = mean + self.noise(rng.normal(tuple(mean.shape))) * (log_var / 2).exp()
        latent = -0.5 * (1 + log_var - log_var.exp() - mean**2).sum(-1)
        return self.criterion(self.decode(z), x) + latent.mean() / 784


class ConvolutionalTwin(VariationalTwin):
    """3x3 convolutions with stride 2: 28 -> 14 -> 7 pixels and back, padded below and right."""

    def posterior(self, x):
        functional, p = self.torch.nn.functional, self.parameters
        h = x.reshape(-1, 1, 28, 28)
        for i in (1, 2):
            w = p[f"encoder.layers.{i}.weight"].permute(3, 2, 0, 1)
            h = functional.conv2d(
                functional.pad(h, (0, 1, 0, 1)), w, p[f"encoder.layers.{i}.bias"], stride=2
            )
            h = self.f(h)
        h = h.permute(0, 2, 3, 1).flatten(1)
        for i in (4, 5):
            h = self.dense(h, f"encoder.layers.{i}", self.f)
        return self.heads(h)

    def decode(self, z):
        functional, p = self.torch.nn.functional, self.parameters
        for i in range(3):
            z = self.dense(z, f"decoder.layers.{i}", self.f)
        h = z.reshape(len(z), 7, 7, -1).permute(0, 3, 1, 2)
        for i, f in ((4, self.f), (5, self.output)):
            w = p[f"decoder.layers.{i}.weight"].permute(3, 2, 0, 1)
            h = functional.conv_transpose2d(h, w, p[f"decoder.layers.{i}.bias"], stride=2)
            h = f(h[:, :, :-1, :-1])
        return h.flatten(1)


class PoolingTwin(Twin):
    """3x3 convolutions and pooling: 28 -> 14 -> 7 -> 3; transposed ones: 3 -> 7 -> 14 -> 28."""

    def convolution(self, h, name, f=None):
        w, b = self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"]
        return (f or self.f)(
            self.torch.nn.functional.conv2d(h, w.permute(3, 2, 0, 1), b, padding=1)
        )

    def encode(self, x, rng):
        h = x.reshape(-1, 1, 28, 28)
        for i in (1, 3, 5):
            h = self.convolution(h, f"encoder.layers.{i}")
            h = self.torch.nn.functional.max_pool2d(h, 2)
        if self.config["codings"]:
            return self.convolution(h, "encoder.layers.7").mean(dim=(2, 3))
        return h.permute(0, 2, 3, 1).flatten(1)

    def decode(self, z):
        first = 1  # transposed convolution
        if self.config["codings"]:
            z, first = self.dense(z, "decoder.layers.0", lambda h: h), 2
        h = z.reshape(len(z), 3, 3, -1).permute(0, 3, 1, 2)
        for i, side, f in ((0, 7, self.f), (1, 14, self.f), (2, 28, self.output)):
            name = f"decoder.layers.{first + i}"
            w, b = self.parameters[f"{name}.weight"], self.parameters[f"{name}.bias"]
            h = self.torch.nn.functional.conv_transpose2d(h, w.permute(3, 2, 0, 1), b, stride=2)
            h = f(h[:, :, :side, :side])
        return h.flatten(1)


class RecurrentTwin(Twin):
    """LSTMs 100, 30 and 100 step by step; where a sequence has ended, their states stay.

    c' = f c + i g  and  h' = o tanh(c'), gates in the order i, f, g, o.
    """

    def __init__(self, model, dtype):
        super().__init__(model, dtype)
        self.shape = (self.config["image_shape"][0], -1)

    def step(self, x, state, w, u, b):
        h, c = state
        i, f, g, o = (x @ w + h @ u + b).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c

    def layer(self, x, real, name):
        """The states h after every step: (n, steps, features) -> (n, steps, units)."""
        w, u, b = (self.parameters[f"{name}.{p}"] for p in ("weight", "recurrent_weight", "bias"))
        state = [x.new_zeros(len(x), u.shape[0])] * 2
        found = []
        for t in range(x.shape[1]):
            here = real[:, t, None]
            new = self.step(x[:, t], state, w, u, b)
            state = [self.torch.where(here, a, b) for a, b in zip(new, state, strict=True)]
            found.append(state[0])
        return self.torch.stack(found, dim=1)

    def loss(self, x, rng):
        real = ~x.isnan().any(dim=2)
        x = x.nan_to_num(0.0)
        h = self.layer(self.layer(x, real, "encoder.layers.0"), real, "encoder.layers.1")
        h = h[:, -1:].expand(-1, x.shape[1], -1)
        h = self.layer(h, real, "decoder.layers.1")
        y = self.dense(h, "decoder.layers.2.layer", self.output)
        if self.config["kind"] == "characters":
            losses = -(x * y.log_softmax(dim=2)).sum(dim=2)
        elif self.config["loss"] == "mse":
            losses = ((y - x) ** 2).mean(dim=2)
        else:
            y = y.clamp(1e-7, 1 - 1e-7)
            losses = -(x * y.log() + (1 - x) * (1 - y).log()).mean(dim=2)
        return ((losses * real).sum(dim=1) / real.sum(dim=1)).mean()


class GatedTwin(RecurrentTwin):
    """h' = z h + (1 - z) g  with  g = tanh(xg + r hg), gates in the order z, r, g."""

    def step(self, x, state, w, u, b):
        h, c = state
        xz, xr, xg = (x @ w + b[0]).chunk(3, dim=1)
        hz, hr, hg = (h @ u + b[1]).chunk(3, dim=1)
        z = (xz + hz).sigmoid()
        return z * h + (1 - z) * (xg + (xr + hr).sigmoid() * hg).tanh(), c
