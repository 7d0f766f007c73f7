"""A game of two small networks, as the loop plays it, and written out as plain NumPy."""

from __future__ import annotations

import numpy as np

import tinygen
from tests.training.toys import trainer
from tinygen import nn, ops
from tinygen.core import Buffer
from tinygen.data import Loader
from tinygen.models import Phase, Stage
from tinygen.ops.random import Random
from tinygen.optim import EMA
from tinygen.training import Trainer

SAMPLES, BATCH, EPOCHS, SEED = 22, 4, 2, 3  # six batches an epoch, the last of two samples
EVERY, GAMMA, DECAY = 4, 3.0, 0.8
MOMENTUM, RHO, EPSILON, RATE = 0.5, 0.8, 1e-3, 0.02


def rate(images: int) -> float:
    """The discriminator's learning rate, which changes with the images seen."""
    return RATE / (1 + images / 10)


def spread(images: int) -> float:
    """The strength of the noise on what the discriminator sees."""
    return max(0.0, 0.5 - images / 50)


def reals() -> np.ndarray:
    return Random(7).normal((SAMPLES, 3), dtype="float64")


class Generator(nn.Module):
    """A plane in space; it also keeps a moving mean of its noise, as StyleGAN does of its codes."""

    def __init__(self) -> None:
        self.plane = nn.Dense(2, 3, rng=Random(0))
        self.mean = Buffer(np.zeros(2))

    def forward(self, z):
        if self.training:
            self.mean.data[...] = 0.9 * self.mean.data + 0.1 * z.mean(axis=0)  # in place, for a GPU
        return self.plane(z)


class Game(nn.Module):
    """GAN with instance noise that fades, and a gradient penalty every few steps."""

    def __init__(self) -> None:
        self.generator, self.average = Generator(), Generator()
        self.discriminator = nn.Sequential(
            nn.Dense(3, 4, "tanh", rng=Random(1)), nn.Dense(4, 1, rng=Random(2))
        )
        self.spread = Buffer(np.zeros(()))
        self.average.load_state_dict(self.generator.state_dict())

    def judge(self, x, *, rng):
        """The discriminator's loss, and what it thinks of reals."""
        fake = self.generator(noise(rng, len(x)))
        blur = self.spread * rng.normal(fake.shape, dtype="float64")
        real, fake = self.discriminator(x), self.discriminator(fake + blur)
        return ops.mean(ops.softplus(fake) + ops.softplus(-real)), {"score": ops.mean(real)}

    def penalty(self, x, *, rng):
        """GAMMA / 2 mean |dD/dx|^2."""
        x = tinygen.tensor(x, requires_grad=True)
        (slope,) = tinygen.grad(self.discriminator(x).sum(), x, create_graph=True)
        return ops.mean(ops.sum(slope * slope, axis=1)) * (GAMMA / 2)

    def make(self, x, *, rng):
        """The generator's loss."""
        return ops.mean(ops.softplus(-self.discriminator(self.generator(noise(rng, len(x))))))

    def stage(self) -> Stage:
        return Stage(
            "play",
            [
                Phase("judge", self.discriminator, self.judge),
                Phase("penalty", self.discriminator, self.penalty, every=EVERY),
                Phase("make", self.generator, self.make),
            ],
            epochs=EPOCHS,
            schedules={"judge.learning_rate": rate, "spread": spread},
            averages=[EMA(self.generator, DECAY, self.average)],
        )


def noise(rng: Random, n: int) -> np.ndarray:
    return rng.normal((n, 2), dtype="float64")


def play(accumulate: int = 1, callbacks=(), device: str = "cpu", **options) -> Trainer:
    """A trainer of the game that has not begun."""
    model = Game().to(device=device, dtype="float64")
    return trainer(
        model,
        model.stage(),
        arrays=[reals()],
        valid=[],
        callbacks=callbacks,
        batch_size=BATCH,
        seed=SEED,
        accumulate=accumulate,
        options={},
        optimizers={
            "judge": {"optimizer": "rmsprop", "rho": RHO, "epsilon": EPSILON},
            "make": {"momentum": MOMENTUM, "learning_rate": RATE},
        },
        **options,
    )


def written_out(accumulate: int) -> tuple[dict[str, np.ndarray], list[dict[str, float]]]:
    """The same in plain NumPy: the weights at the end, and the mean losses of each epoch."""
    game, x = Game(), reals()
    (g, c), (a, b), (v, d) = (
        [p.numpy().astype("float64") for p in layer.parameters()]
        for layer in (game.generator.plane, *game.discriminator)
    )
    g_average, c_average, mean = g.copy(), c.copy(), np.zeros(2)
    squares, speeds = [np.zeros_like(p) for p in (a, b, v, d)], [np.zeros((2, 3)), np.zeros(3)]
    streams = {n: Random(SEED, "training").stream(n) for n in ("judge", "penalty", "make")}
    loader = Loader(x, batch_size=BATCH, rng=Random(SEED))
    step, images, rows = 0, 0, []

    def softplus(t):
        return np.log1p(np.exp(-abs(t))) + np.maximum(t, 0)

    def sigmoid(t):
        return 1 / (1 + np.exp(-t))

    def generate(z, mean):
        return z @ g + c, 0.9 * mean + 0.1 * z.mean(axis=0)

    def score(x):
        h = np.tanh(x @ a + b)
        return h, h @ v + d

    def of_scores(x, h, gradient):
        """Gradients of a, b, v, d and x, from that of the scores."""
        inner = gradient @ v.T * (1 - h * h)
        return x.T @ inner, inner.sum(0), h.T @ gradient, gradient.sum(0), inner @ a.T

    def update_discriminator(gradients):
        for p, s, grad in zip((a, b, v, d), squares, gradients, strict=False):
            s[...] = RHO * s + (1 - RHO) * grad**2
            p -= rate(images) * grad / np.sqrt(s + EPSILON)

    for epoch in range(EPOCHS):
        batches = list(loader.epoch(epoch))
        sums: dict[str, list[float]] = {
            n: [0.0, 0.0] for n in ("judge", "penalty", "make", "score")
        }

        def note(name, value, n, sums=sums):
            sums[name][0] += value * n
            sums[name][1] += n

        for first in range(0, len(batches), accumulate):
            group = [batch for (batch,) in batches[first : first + accumulate]]
            total = sum(map(len, group))
            draws = range(step * accumulate, step * accumulate + len(group))

            sum_of = [np.zeros_like(p) for p in (a, b, v, d)]
            for real, draw in zip(group, draws, strict=True):
                rng, n = streams["judge"].at(draw), len(real)
                fake, mean = generate(noise(rng, n), mean)
                fake = fake + spread(images) * rng.normal(fake.shape, dtype="float64")
                (h_real, of_real), (h_fake, of_fake) = score(real), score(fake)
                note("judge", np.mean(softplus(of_fake) + softplus(-of_real)), n)
                note("score", of_real.mean(), n)
                for x_, h, gradient in (
                    (fake, h_fake, sigmoid(of_fake)),
                    (real, h_real, -sigmoid(-of_real)),
                ):
                    for grad, part in zip(sum_of, of_scores(x_, h, gradient / n), strict=False):
                        grad += part * n / total
            update_discriminator(sum_of)

            if (step + 1) % EVERY == 0:  # d has no gradient here, so it is left alone
                sum_of = [np.zeros_like(p) for p in (a, b, v)]
                for real in group:
                    h, n = score(real)[0], len(real)
                    s = 1 - h * h
                    slope = (s * v.T) @ a.T
                    note("penalty", GAMMA / 2 * np.mean((slope**2).sum(1)), n)
                    outer = GAMMA * slope / n  # of the slope
                    inner = outer @ a  # of s v
                    before = -2 * h * inner * v.T * s  # of what goes into tanh
                    parts = (
                        outer.T @ (s * v.T) + real.T @ before,
                        before.sum(0),
                        (inner * s).sum(0)[:, None],
                    )
                    for grad, part in zip(sum_of, parts, strict=True):
                        grad += part * n / total
                update_discriminator(sum_of)

            sum_g, sum_c = np.zeros_like(g), np.zeros_like(c)
            for real, draw in zip(group, draws, strict=True):
                n = len(real)
                z = noise(streams["make"].at(draw), n)
                fake, mean = generate(z, mean)
                h, of_fake = score(fake)
                note("make", softplus(-of_fake).mean(), n)
                inner = of_scores(fake, h, -sigmoid(-of_fake) / n)[-1]
                sum_g += z.T @ inner * n / total
                sum_c += inner.sum(0) * n / total
            for p, speed, grad in zip((g, c), speeds, (sum_g, sum_c), strict=True):
                speed[...] = MOMENTUM * speed - RATE * grad
                p += speed

            for average, p in ((g_average, g), (c_average, c)):
                average[...] = DECAY * average + (1 - DECAY) * p
            step, images = step + 1, images + total
        rows.append({name: value / n for name, (value, n) in sums.items() if n})
    ends = {
        "generator.plane.weight": g,
        "generator.plane.bias": c,
        "generator.mean": mean,
        "average.plane.weight": g_average,
        "average.plane.bias": c_average,
        "average.mean": mean,
        "discriminator.layers.0.weight": a,
        "discriminator.layers.0.bias": b,
        "discriminator.layers.1.weight": v,
        "discriminator.layers.1.bias": d,
    }
    return ends, rows
