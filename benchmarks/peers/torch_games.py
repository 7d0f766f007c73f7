"""Training steps of steadied and conditional GANs in PyTorch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from benchmarks.games import ConditionalGAN, SpectralGAN, WassersteinGAN
from benchmarks.peers.torch_generative import dcgan_batches, dcgan_networks, game, places
from benchmarks.peers.torch_updates import Candidates, in_both_layouts


def wgan_gp(problem: WassersteinGAN, compiled: bool) -> Candidates:
    """The Wasserstein GAN with a gradient penalty."""

    def judged(critic: Any, fakes: Any, images: Any, t: Any) -> Any:
        mixed = fakes + t * (images - fakes)
        if compiled:  # a gradient inside a function that is compiled as a whole
            slope = torch.func.grad(lambda x: critic(x).sum())(mixed)
        else:
            mixed.requires_grad_(True)
            (slope,) = torch.autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
        apart = slope.flatten(1).norm(dim=1) - 1
        penalty = problem.weight * apart.square().mean()
        return critic(fakes).mean() - critic(images).mean() + penalty

    def generated(critic: Any, fakes: Any, t: Any) -> Any:
        return -critic(fakes).mean()

    def ways(layout: Any) -> Candidates:
        networks = lambda: dcgan_networks(problem, layout)  # noqa: E731
        batches = dcgan_batches(problem, layout)
        return game(networks, problem, batches, compiled, judged, generated, double=True)

    return in_both_layouts(ways)


def sngan(problem: SpectralGAN, compiled: bool) -> Candidates:
    """The GAN with spectral normalisation and the hinge loss."""

    def judged(discriminator: Any, fakes: Any, images: Any) -> Any:
        fake, real = discriminator(torch.cat([fakes, images])).chunk(2)
        return F.relu(1 - real).mean() + F.relu(1 + fake).mean()

    def generated(discriminator: Any, fakes: Any) -> Any:
        return -discriminator(fakes).mean()

    def ways(layout: Any) -> Candidates:
        def networks() -> tuple[Any, Any]:
            generator, discriminator = dcgan_networks(problem, layout)
            layers = [m for m in discriminator if isinstance(m, (nn.Conv2d, nn.Linear))]
            for layer, v in zip(layers, problem.vectors(), strict=True):
                if isinstance(layer, nn.Linear):
                    own = places(v[:, None], layout)[:, 0]
                else:  # mirrored, and channels first, as its weights are
                    own = v.reshape(5, 5, -1)[::-1, ::-1].transpose(2, 0, 1).ravel()
                spectral_norm(layer)
                layer.parametrizations.weight[0]._v.copy_(torch.from_numpy(own.copy()))
            return generator, discriminator

        batches = dcgan_batches(problem, layout)
        return game(networks, problem, batches, compiled, judged, generated)

    return in_both_layouts(ways)


class WithLabels(nn.Module):  # type: ignore[misc]  # PyTorch need not be installed to check this
    """A network that sees a learned vector of the label beside its input."""

    def __init__(self, net: Any, table: Any, *shape: int) -> None:
        super().__init__()
        self.net, self.shape = net, shape
        self.table = nn.Parameter(torch.from_numpy(table.copy()))

    def forward(self, x: Any, label: Any) -> Any:
        """The output for inputs and their labels."""
        rows = F.embedding(label, self.table).view(-1, *self.shape)
        return self.net(torch.cat([x, rows], dim=1))


def cgan(problem: ConditionalGAN, compiled: bool) -> Candidates:
    """The conditional GAN."""
    both = torch.arange(2.0).repeat_interleave(problem.batch)[:, None]
    real = both[problem.batch :]

    def judged(discriminator: Any, fakes: Any, images: Any, label: Any) -> Any:
        scores = discriminator(torch.cat([fakes, images]), torch.cat([label, label]))
        return F.binary_cross_entropy_with_logits(scores, both)

    def generated(discriminator: Any, fakes: Any, label: Any) -> Any:
        return F.binary_cross_entropy_with_logits(discriminator(fakes, label), real)

    def ways(layout: Any) -> Candidates:
        def networks() -> tuple[Any, Any]:
            vectors, maps = problem.embeddings()
            mirrored = maps.reshape(-1, 28, 28)[:, ::-1, ::-1].reshape(maps.shape)
            generator, discriminator = dcgan_networks(problem, layout)
            return (
                WithLabels(generator, vectors, problem.units),
                WithLabels(discriminator, mirrored, 1, 28, 28),
            )

        batches = dcgan_batches(problem, layout)
        return game(networks, problem, batches, compiled, judged, generated)

    return in_both_layouts(ways)
