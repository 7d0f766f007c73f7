"""Training steps of steadied and conditional GANs in tinygen."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygen
from benchmarks.games import ConditionalGAN, SpectralGAN, WassersteinGAN
from benchmarks.peers.tinygen_generative import dcgan_networks, game
from benchmarks.subject import TrainingStep
from tinygen import nn, ops
from tinygen.backend import array_module


def wgan_gp(problem: WassersteinGAN, device: str = "cpu", captured: bool = False) -> TrainingStep:
    """The Wasserstein GAN with a gradient penalty."""
    generator, critic = (net.to(device) for net in dcgan_networks(problem))

    def judged(images: Any, first: Any, second: Any, t: Any) -> Any:
        with tinygen.no_grad():
            fakes = generator(first).data
        mixed = tinygen.Tensor(fakes + t * (images - fakes), requires_grad=True)
        (slope,) = tinygen.grad(ops.sum(critic(mixed)), mixed, create_graph=True)
        apart = ops.norm(ops.reshape(slope, (problem.batch, -1)), axis=1) - 1.0
        penalty = problem.weight * ops.mean(apart * apart)
        return ops.mean(critic(fakes)) - ops.mean(critic(images)) + penalty

    def generated(images: Any, first: Any, second: Any, t: Any) -> Any:
        return -ops.mean(critic(generator(second)))

    return game(generator, critic, problem, captured, judged, generated)


def sngan(problem: SpectralGAN, device: str = "cpu", captured: bool = False) -> TrainingStep:
    """The GAN with spectral normalisation and the hinge loss."""
    generator, discriminator = dcgan_networks(problem)
    nn.spectral_norm(discriminator)
    wrappers = [m for m in discriminator.modules() if isinstance(m, nn.SpectralNorm)]
    for wrapper, v in zip(wrappers, problem.vectors(), strict=True):
        wrapper.v.data[...] = v
    generator.to(device)
    discriminator.to(device)

    def judged(images: Any, first: Any, second: Any) -> Any:
        with tinygen.no_grad():
            fakes = generator(first)
        scores = discriminator(ops.concatenate([fakes, images]))
        fake, real = ops.split(scores, 2)
        return ops.mean(ops.relu(1.0 - real)) + ops.mean(ops.relu(1.0 + fake))

    def generated(images: Any, first: Any, second: Any) -> Any:
        return -ops.mean(discriminator(generator(second)))

    return game(generator, discriminator, problem, captured, judged, generated)


class WithLabels(nn.Module):
    """A network that sees a learned vector of the label beside its input."""

    def __init__(self, net: nn.Module, table: Any, *shape: int) -> None:
        self.net, self.table, self.shape = net, tinygen.Parameter(table), shape

    def forward(self, x: Any, label: Any) -> Any:
        """The output for inputs and their labels."""
        rows = ops.embedding(label, self.table)
        return self.net(ops.concatenate([x, ops.reshape(rows, (-1, *self.shape))], axis=-1))


def cgan(problem: ConditionalGAN, device: str = "cpu", captured: bool = False) -> TrainingStep:
    """The conditional GAN."""
    vectors, maps = problem.embeddings()
    generator, discriminator = dcgan_networks(problem)
    makes = WithLabels(generator, vectors, problem.units).to(device)
    judges = WithLabels(discriminator, maps, 28, 28, 1).to(device)
    both = tinygen.tensor(np.repeat(np.array([0, 1], np.float32), problem.batch)[:, None]).to(
        device
    )
    real = both[problem.batch :]

    def judged(images: Any, first: Any, second: Any, label: Any) -> Any:
        with tinygen.no_grad():
            fakes = makes(first, label)
        scores = judges(
            ops.concatenate([fakes, images]), array_module(label).concatenate([label] * 2)
        )
        return ops.binary_cross_entropy_with_logits(scores, both)

    def generated(images: Any, first: Any, second: Any, label: Any) -> Any:
        return ops.binary_cross_entropy_with_logits(judges(makes(second, label), label), real)

    return game(makes, judges, problem, captured, judged, generated)
