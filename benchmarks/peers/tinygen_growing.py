"""Training steps of progressive growing and StyleGAN in tinygen."""

from __future__ import annotations

from typing import Any

import tinygen
from benchmarks.growing import ProGAN, StyleGAN
from benchmarks.peers.tinygen_generative import game
from benchmarks.subject import TrainingStep
from tinygen import models, ops
from tinygen.models.penalties import r1


def networks(problem: ProGAN, **settings: Any) -> tuple[Any, Any]:
    """The generator and the discriminator of the library's model, with the problem's weights."""
    name = "stylegan" if isinstance(problem, StyleGAN) else "progan"
    model: Any = models.create(
        name,
        image_shape=(problem.side, problem.side, 3),
        latents=problem.latents,
        width=max(problem.channels),
        maps=problem.channels[-1] << len(problem.channels),
        average=0.0,
        **settings,
    )
    nets = model.generator, model.discriminator
    for net, weights in zip(nets, problem.weights(), strict=True):
        parameters = dict(net.named_parameters())
        for key, array in weights.items():
            p = parameters[key]
            if p.shape != array.shape:
                raise ValueError(f"{key} is {p.shape}, the problem has {array.shape}")
            multiplier = 0.01 if key.startswith("mapping") else 1.0
            p.data[...] = array / multiplier
    return nets


def progan(problem: ProGAN, device: str = "cpu", captured: bool = False) -> TrainingStep:
    """Progressive growing, with the gradient penalty and the drift."""
    generator, critic = (net.to(device) for net in networks(problem))

    def judged(images: Any, first: Any, second: Any, t: Any) -> Any:
        with tinygen.no_grad():
            fakes = generator(first).data
        mixed = tinygen.Tensor(images + t * (fakes - images), requires_grad=True)
        (slope,) = tinygen.grad(ops.sum(critic(mixed)), mixed, create_graph=True)
        apart = ops.norm(ops.reshape(slope, (problem.batch, -1)), axis=1) - 1.0
        penalty = problem.weight * ops.mean(apart * apart)
        real = critic(images)
        drift = problem.drift * ops.mean(ops.square(real))
        return ops.mean(critic(fakes)) - ops.mean(real) + drift + penalty

    def generated(images: Any, first: Any, second: Any, t: Any) -> Any:
        return -ops.mean(critic(generator(second)))

    return game(generator, critic, problem, captured, judged, generated)


def stylegan(problem: StyleGAN, device: str = "cpu", captured: bool = False) -> TrainingStep:
    """StyleGAN, with R1."""
    generator, discriminator = (net.to(device) for net in networks(problem))

    def made(numbers: Any) -> Any:
        noise, at = [], problem.latents
        for side in problem.noises:
            noise.append(numbers[:, at : at + side * side].reshape(-1, side, side, 1))
            at += side * side
        return generator.synthesis(generator.map(numbers[:, : problem.latents]), noise)

    def judged(images: Any, first: Any, second: Any) -> Any:
        with tinygen.no_grad():
            fakes = made(first)
        scores = []

        def score(x: Any) -> Any:
            scores.append(discriminator(x))
            return scores[-1]

        penalty = r1(score, images, problem.gamma)
        game_loss = ops.mean(ops.softplus(discriminator(fakes))) + ops.mean(
            ops.softplus(-scores[0])
        )
        return game_loss + penalty

    def generated(images: Any, first: Any, second: Any) -> Any:
        return ops.mean(ops.softplus(-discriminator(made(second))))

    return game(generator, discriminator, problem, captured, judged, generated)
