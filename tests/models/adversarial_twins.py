"""The adversarial networks once more, in PyTorch: the same weights, noise, masks and batches.

The networks are run by PyTorch's functions, layer after layer, and differentiated by its autograd;
losses, penalties and the order of a step are written down anew from the papers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygen import nn, ops
from tinygen.backend import pair, resolve_padding
from tinygen.models.adversarial import Adversarial
from tinygen.ops.random import Random


class Twin:
    """The networks of a model with PyTorch's tensors, and the training step.

    Args:
        torch: the package.
        model: whose weights are copied; only its structure is looked at later.
        optimizer: "rmsprop" or "adam".
        options: of the optimiser.
    """

    def __init__(
        self, torch: Any, model: Adversarial, optimizer: str, options: dict[str, Any]
    ) -> None:
        self.torch, self.f, self.model = torch, torch.nn.functional, model
        self.names = {id(module): name for name, module in model.named_modules()}
        self.tensors = {
            name: torch.from_numpy(array.copy()) for name, array in model.state_dict().items()
        }
        self.networks = {
            network: [
                self.tensors[name].requires_grad_()
                for name, _ in model.named_parameters()
                if name.startswith(f"{network}.")
            ]
            for network in ("generator", "discriminator")
        }
        kinds = {
            "rmsprop": lambda p: torch.optim.RMSprop(
                p,
                lr=options.get("learning_rate", 1e-3),
                alpha=options.get("rho", 0.9),
                eps=options.get("epsilon", 1e-7),
            ),
            "adam": lambda p: torch.optim.Adam(
                p,
                lr=options["learning_rate"],
                betas=(options["beta1"], options.get("beta2", 0.999)),
                eps=1e-7,
            ),
        }
        self.optimizers = {name: kinds[optimizer](p) for name, p in self.networks.items()}

    # The layers

    def of(self, module: Any, name: str) -> Any:
        """A tensor of a layer."""
        return self.tensors.get(f"{self.names[id(module)]}.{name}")

    def run(self, module: Any, x: Any, rng: Random, batch: bool = True) -> Any:
        """A network's output; `batch` for batch norm with the moments of the batch."""
        if isinstance(module, nn.Sequential):
            for layer in module:
                x = self.run(layer, x, rng, batch)
            return x
        if isinstance(module, nn.SpectralNorm):
            return self.linear(module.layer, x, self.normalised(module))
        if isinstance(module, (nn.Dense, nn.Conv2D, nn.Conv2DTranspose, nn.Embedding)):
            return self.linear(module, x, self.of(module, "weight"))
        if isinstance(module, nn.BatchNorm):
            return self.batch_norm(module, x, batch)
        if isinstance(module, nn.Dropout):
            mask = ops.dropout(np.ones(tuple(x.shape)), module.rate, rng=rng).numpy()
            return x * self.torch.from_numpy(mask).to(x.dtype)
        if isinstance(module, nn.Flatten):
            return x.reshape(len(x), -1)
        if isinstance(module, nn.Reshape):
            return x.reshape(len(x), *module.shape)
        return self.activate(x, module.activation)

    def linear(self, layer: Any, x: Any, w: Any) -> Any:
        """A layer with that weight."""
        if isinstance(layer, nn.Embedding):
            return w[self.torch.as_tensor(x)]
        bias = self.of(layer, "bias")
        if isinstance(layer, nn.Dense):
            return self.activate(x @ w if bias is None else x @ w + bias, layer.activation)
        x, stride = x.permute(0, 3, 1, 2), pair(layer.options["stride"])
        size, padding = w.shape[:2], layer.options["padding"]
        if isinstance(layer, nn.Conv2D):
            (top, bottom), (left, right) = resolve_padding(
                padding, x.shape[2:], size, stride, (1, 1)
            )
            padded = self.f.pad(x, (left, right, top, bottom))
            y = self.f.conv2d(padded, w.permute(3, 2, 0, 1), bias, stride)
        else:
            (top, bottom), (left, right) = padding
            y = self.f.conv_transpose2d(x, w.permute(3, 2, 0, 1), bias, stride)
            y = y[:, :, top : y.shape[2] - bottom, left : y.shape[3] - right]
        return self.activate(y.permute(0, 2, 3, 1), layer.options["activation"])

    def activate(self, x: Any, activation: Any) -> Any:
        name, *slope = activation if isinstance(activation, (tuple, list)) else (activation,)
        return {
            None: lambda: x,
            "identity": lambda: x,
            "selu": lambda: self.torch.selu(x),
            "relu": lambda: self.torch.relu(x),
            "tanh": lambda: self.torch.tanh(x),
            "sigmoid": lambda: self.torch.sigmoid(x),
            "leaky_relu": lambda: self.f.leaky_relu(x, *slope),
        }[name]()

    def batch_norm(self, layer: Any, x: Any, batch: bool) -> Any:
        """By its definition; the running moments move where those of the batch are used."""
        mean, variance = self.of(layer, "running_mean"), self.of(layer, "running_variance")
        if batch:
            axes = tuple(range(x.ndim - 1))
            of_batch = x.mean(axes), x.var(axes, unbiased=False)
            for running, new in zip((mean, variance), of_batch, strict=True):
                running.mul_(layer.momentum).add_(new.detach(), alpha=1 - layer.momentum)
            mean, variance = of_batch
        normal = (x - mean) / self.torch.sqrt(variance + layer.epsilon)
        return normal * self.of(layer, "scale") + self.of(layer, "shift")

    def normalised(self, module: Any) -> Any:
        """A weight by its largest singular value, after one power iteration."""
        w = self.of(module.layer, "weight")
        assert isinstance(module.layer, (nn.Dense, nn.Conv2D, nn.Embedding))  # outputs are last
        matrix, u, v = w.reshape(-1, w.shape[-1]), self.of(module, "u"), self.of(module, "v")
        if isinstance(module.layer, nn.Embedding):
            matrix = w.T
        with self.torch.no_grad():
            u.copy_(self.f.normalize(v @ matrix, dim=0))
            v.copy_(self.f.normalize(matrix @ u, dim=0))
        return w / (v.clone() @ matrix @ u.clone())

    # The networks

    def generate(self, label: Any, n: int, rng: Random, batch: bool) -> Any:
        """n fakes."""
        network, dtype = self.model.generator, self.model.dtype
        shape = (n, self.model.latents)
        if self.model.noise == "normal":
            z = rng.normal(shape, dtype=dtype)
        else:
            z = rng.uniform(shape, -1.0, 1.0, dtype=dtype)
        z = self.torch.from_numpy(z)
        if network.label is not None:
            z = self.torch.cat([z, self.run(network.label, label, rng)], 1)
        return self.run(network.body, z, rng, batch)

    def judge(self, x: Any, label: Any, rng: Random, batch: bool = True) -> Any:
        """The scores of samples."""
        d = self.model.discriminator
        x = x.reshape(len(x), *d.shape)
        if d.map is not None:
            maps = self.run(d.map, label, rng)
            x = self.torch.cat([x, maps.reshape(len(x), *d.shape[:-1], 1)], -1)
        if d.pack_size > 1:
            x = self.torch.cat([x[i :: d.pack_size] for i in range(d.pack_size)], -1)
        h = self.run(d.body, x, rng, batch).reshape(len(x), -1)
        score = self.run(d.head, h, rng, batch)
        if d.label is not None:
            score = score + (self.run(d.label, label, rng) * h).sum(1, keepdim=True)
        return score

    # The step

    def losses(self, real: Any, fake: Any) -> tuple[Any, Any]:
        """Those of the discriminator and of the generator, by the model's loss."""
        softplus = self.f.softplus
        return {
            "non_saturating": lambda: (
                softplus(-real).mean() + softplus(fake).mean(),
                softplus(-fake).mean(),
            ),
            "wasserstein": lambda: (fake.mean() - real.mean(), -fake.mean()),
            "hinge": lambda: (
                self.torch.relu(1 - real).mean() + self.torch.relu(1 + fake).mean(),
                -fake.mean(),
            ),
            "relativistic": lambda: (
                softplus(fake - real).mean(),
                softplus(real - fake).mean(),
            ),
        }[self.model.switches.loss]()

    def step(self, number: int, streams: dict[str, Random], x: Any, *label: Any) -> list[float]:
        """One step; returns the losses of its phases."""
        switches, given = self.model.switches, label[0] if label else None
        x = self.torch.from_numpy(x)
        x = x * 2 - 1 if self.model.signed else x

        rng = streams["discriminator"].at(number)
        if switches.clip is not None:
            with self.torch.no_grad():
                for p in self.networks["discriminator"]:
                    p.clamp_(-switches.clip, switches.clip)
        with self.torch.no_grad():
            fake = self.generate(given, len(x), rng, switches.generator_statistics == "batch")
        if switches.together:
            both = np.concatenate([given, given]) if label else None
            fake_score, real_score = self.judge(self.torch.cat([fake, x]), both, rng).chunk(2)
            loss = self.losses(real_score, fake_score)[0] / 2
        else:
            real_score, fake_score = self.judge(x, given, rng), self.judge(fake, given, rng)
            loss = self.losses(real_score, fake_score)[0]
        if switches.gradient_penalty:
            t = rng.uniform((len(x), *[1] * (x.ndim - 1)), dtype=self.model.dtype)
            mixed = (x + self.torch.from_numpy(t) * (fake - x)).requires_grad_()
            norm = self.slope(mixed, given, rng).reshape(len(x), -1).norm(dim=1)
            loss = loss + switches.gradient_penalty * ((norm - 1) ** 2).mean()
        for gamma, of in ((switches.r1, x), (switches.r2, fake)):
            if gamma:
                slope = self.slope(of.clone().requires_grad_(), given, rng)
                loss = loss + gamma / 2 * (slope**2).sum() / len(x)
        found = [self.update("discriminator", loss)]

        if (number + 1) % switches.critic_steps == 0:
            rng = streams["generator"].at(number)
            fake = self.generate(given, len(x), rng, True)
            batch = switches.discriminator_statistics == "batch"
            score = self.judge(fake, given, rng, batch)
            real_score = self.judge(x, given, rng, batch) if switches.loss == "relativistic" else x
            found.append(self.update("generator", self.losses(real_score, score)[1]))
        return found

    def slope(self, x: Any, label: Any, rng: Random) -> Any:
        """The gradient of each sample's score."""
        score = self.judge(x, label, rng).sum()
        return self.torch.autograd.grad(score, x, create_graph=True)[0]

    def update(self, network: str, loss: Any) -> float:
        optimizer = self.optimizers[network]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return float(loss.detach())
