"""Training steps of models that make new images in tinygen: a VAE and GANs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygen
from benchmarks.games import DCGAN, GAN, AdversarialProblem
from benchmarks.peers.tinygen_autoencoders import dense_layers
from benchmarks.peers.tinygen_phases import Phase, training_step
from benchmarks.problem import RMSpropProblem
from benchmarks.problems import StyleBlock as StyleProblem
from benchmarks.problems import VariationalAutoencoder
from benchmarks.subject import TrainingStep
from tinygen import nn, ops, optim


class VAE(nn.Module):
    """The variational autoencoder."""

    def __init__(self, problem: VariationalAutoencoder) -> None:
        weights, depth = problem.weights(), len(problem.sizes) - 1
        self.encoder = nn.Sequential(nn.Flatten(), *dense_layers(weights[:depth], "selu"))
        (self.mean,), (self.log_var,) = (
            dense_layers([w], None) for w in weights[depth : depth + 2]
        )
        decoder = dense_layers(weights[depth + 2 :], "sigmoid")
        self.decoder = nn.Sequential(*decoder, nn.Reshape(28, 28))

    def loss(self, x: Any, noise: Any) -> Any:
        """Of the reconstruction and of the codings, in all."""
        h = self.encoder(x)
        mean, log_var = self.mean(h), self.log_var(h)
        codings = mean + ops.exp(log_var / 2) * noise
        reconstruction = ops.binary_cross_entropy(self.decoder(codings), x)
        return reconstruction + ops.gaussian_kl(mean, log_var).mean() / 784


def vae(
    problem: VariationalAutoencoder, device: str = "cpu", captured: bool = False
) -> TrainingStep:
    """The variational autoencoder."""
    net = VAE(problem).to(device)
    return training_step([Phase(net.loss, rmsprop(net, problem), [net])], problem, captured)


def gan(problem: GAN, device: str = "cpu", captured: bool = False) -> TrainingStep:
    """The dense GAN."""
    generator, discriminator = problem.weights()
    return adversarial(
        nn.Sequential(*dense_layers(generator, "sigmoid"), nn.Reshape(28, 28)).to(device),
        nn.Sequential(nn.Flatten(), *dense_layers(discriminator, None)).to(device),
        problem,
        captured,
    )


def dcgan(problem: DCGAN, device: str = "cpu", captured: bool = False) -> TrainingStep:
    """The convolutional GAN."""
    generator, discriminator = dcgan_networks(problem)
    return adversarial(generator.to(device), discriminator.to(device), problem, captured)


def dcgan_networks(problem: DCGAN) -> tuple[nn.Sequential, nn.Sequential]:
    """Its generator and its discriminator, with the problem's weights."""
    few, many = problem.channels
    leaky = "leaky_relu", 0.2
    generator = nn.Sequential(
        nn.Dense(problem.inputs, 49 * many),
        nn.Reshape(7, 7, many),
        nn.BatchNorm(many),
        nn.Conv2DTranspose(many, few, 5, 2, activation="selu"),
        nn.BatchNorm(few),
        nn.Conv2DTranspose(few, 1, 5, 2, activation="tanh"),
    )
    discriminator = nn.Sequential(
        nn.Conv2D(problem.seen, few, 5, 2, activation=leaky),
        nn.Conv2D(few, many, 5, 2, activation=leaky),
        nn.Flatten(),
        nn.Dense(49 * many, 1),
    )
    for net, weights in zip((generator, discriminator), problem.weights(), strict=True):
        layers = [
            layer for layer in net if isinstance(layer, (nn.Dense, nn.Conv2D, nn.Conv2DTranspose))
        ]
        for layer, (w, b) in zip(layers, weights, strict=True):
            layer.load_state_dict({"weight": w, "bias": b})
    return generator, discriminator


class StyleBlock(nn.Module):
    """A block of StyleGAN's generator."""

    def __init__(self, problem: StyleProblem) -> None:
        self.weights = [[tinygen.Parameter(part) for part in layer] for layer in problem.weights()]

    def images(self, x: Any, style: Any) -> Any:
        """Images of twice as many pixels."""
        (w1, b1, s1, c1), (w2, b2, s2, c2) = self.weights
        x = ops.blur2d(ops.conv2d(ops.upsample2d(x), w1)) + b1
        x = styled(x, ops.dense(style, s1, c1))
        return styled(ops.conv2d(x, w2) + b2, ops.dense(style, s2, c2))


def styled(x: Any, style: Any) -> Any:
    """LeakyReLU, then instance norm with the style's scale and shift."""
    channels = x.shape[-1]
    return ops.adain(ops.leaky_relu(x, 0.2), 1 + style[:, :channels], style[:, channels:])


def style_block(problem: StyleProblem, device: str = "cpu", captured: bool = False) -> TrainingStep:
    """The block, trained for itself."""
    net = StyleBlock(problem).to(device)

    def loss(x: Any, style: Any, target: Any) -> Any:
        return ops.mse(net.images(x, style), target)

    phase = Phase(loss, optim.SGD(net, problem.learning_rate), [net])
    return training_step([phase], problem, captured)


def adversarial(
    generator: nn.Module, discriminator: nn.Module, problem: AdversarialProblem, captured: bool
) -> TrainingStep:
    """Both phases in one step."""
    label = np.repeat(np.array([0, 1], np.float32), problem.batch)[:, None]
    both = tinygen.tensor(label).to(generator.device)
    real = both[problem.batch :]

    def judged(images: Any, first: Any, second: Any) -> Any:
        with tinygen.no_grad():
            fakes = generator(first)
        logits = discriminator(ops.concatenate([fakes, images]))
        return ops.binary_cross_entropy_with_logits(logits, both)

    def generated(images: Any, first: Any, second: Any) -> Any:
        logits = discriminator(generator(second))
        return ops.binary_cross_entropy_with_logits(logits, real)

    return game(generator, discriminator, problem, captured, judged, generated)


def game(
    generator: nn.Module,
    discriminator: nn.Module,
    problem: AdversarialProblem,
    captured: bool,
    judged: Callable[..., Any],
    generated: Callable[..., Any],
) -> TrainingStep:
    """Both phases, with a loss each of the parts of a batch; the other network is frozen."""

    def judging() -> None:
        generator.eval()
        discriminator.unfreeze()

    def generating() -> None:
        generator.train()
        discriminator.freeze()

    nets = generator, discriminator
    phases = [
        Phase(judged, rmsprop(discriminator, problem), nets, judging),
        Phase(generated, rmsprop(generator, problem), nets, generating),
    ]
    return training_step(phases, problem, captured)


def rmsprop(net: nn.Module, problem: RMSpropProblem) -> optim.RMSprop:
    """The optimiser of the problem."""
    return optim.RMSprop(
        net, problem.learning_rate, problem.rho, problem.epsilon, convention="pytorch"
    )
