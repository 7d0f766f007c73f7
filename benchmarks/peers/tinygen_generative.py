"""Training steps of models that make new images in tinygen: a VAE and GANs."""

from __future__ import annotations

from typing import Any

import numpy as np

import tinygen
from benchmarks.peers.tinygen_autoencoders import dense_layers
from benchmarks.problems import (
    DCGAN,
    GAN,
    AdversarialProblem,
    RMSpropProblem,
    VariationalAutoencoder,
)
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


def vae(problem: VariationalAutoencoder) -> TrainingStep:
    """The variational autoencoder."""
    net = VAE(problem)
    optimizer = rmsprop(net, problem)

    def step(batch: Any) -> Any:
        optimizer.zero_grad()
        loss = net.loss(*batch)
        loss.backward()
        optimizer.step()
        return loss

    return TrainingStep(step, batches(problem))


def gan(problem: GAN) -> TrainingStep:
    """The dense GAN."""
    generator, discriminator = problem.weights()
    return adversarial(
        nn.Sequential(*dense_layers(generator, "sigmoid"), nn.Reshape(28, 28)),
        nn.Sequential(nn.Flatten(), *dense_layers(discriminator, None)),
        problem,
    )


def dcgan(problem: DCGAN) -> TrainingStep:
    """The convolutional GAN."""
    few, many = problem.channels
    leaky = "leaky_relu", 0.2
    generator = nn.Sequential(
        nn.Dense(problem.latents, 49 * many),
        nn.Reshape(7, 7, many),
        nn.BatchNorm(many),
        nn.Conv2DTranspose(many, few, 5, 2, activation="selu"),
        nn.BatchNorm(few),
        nn.Conv2DTranspose(few, 1, 5, 2, activation="tanh"),
    )
    discriminator = nn.Sequential(
        nn.Conv2D(1, few, 5, 2, activation=leaky),
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
    return adversarial(generator, discriminator, problem)


def adversarial(
    generator: nn.Module, discriminator: nn.Module, problem: AdversarialProblem
) -> TrainingStep:
    """Both phases in one step."""
    generating, judging = rmsprop(generator, problem), rmsprop(discriminator, problem)
    label = np.repeat(np.array([0, 1], np.float32), problem.batch)[:, None]
    both, real = tinygen.tensor(label), tinygen.tensor(label[problem.batch :])

    def step(batch: Any) -> Any:
        images, first, second = batch
        with tinygen.no_grad():
            fakes = generator.eval()(first)
        discriminator.unfreeze()
        judging.zero_grad()
        logits = discriminator(ops.concatenate([fakes, images]))
        judged = ops.binary_cross_entropy_with_logits(logits, both)
        judged.backward()
        judging.step()

        discriminator.freeze()
        generating.zero_grad()
        logits = discriminator(generator.train()(second))
        generated = ops.binary_cross_entropy_with_logits(logits, real)
        generated.backward()
        generating.step()
        return judged.detach() + generated.detach()

    return TrainingStep(step, batches(problem))


def rmsprop(net: nn.Module, problem: RMSpropProblem) -> optim.RMSprop:
    """The optimiser of the problem."""
    return optim.RMSprop(
        net, problem.learning_rate, problem.rho, problem.epsilon, convention="pytorch"
    )


def batches(problem: RMSpropProblem) -> list[Any]:
    """The pool, as tensors."""
    return [tuple(map(tinygen.tensor, batch)) for batch in problem.batches()]
