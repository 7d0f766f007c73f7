"""Training steps of progressive growing and StyleGAN in PyTorch, as the papers' layers are plain:
nearest upsampling before a convolution, means of 2 x 2 after one.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.growing import START, ProGAN, StyleGAN
from benchmarks.peers.torch_generative import game
from benchmarks.peers.torch_updates import Candidates, in_both_layouts, tensors

GAIN = math.sqrt(2.0)


class Layer(nn.Module):  # type: ignore[misc]  # PyTorch need not be installed to check this
    """A dense layer or a convolution with an equalised learning rate."""

    def __init__(
        self, weights: Any, name: str, gain: float = GAIN, multiplier: float = 1.0
    ) -> None:
        super().__init__()
        w = torch.from_numpy(weights[f"{name}.weight"])
        self.scale = gain / math.sqrt(math.prod(w.shape[:-1])) * multiplier
        w = w.permute(3, 2, 0, 1).contiguous() if w.ndim == 4 else w.T.contiguous()
        self.weight = nn.Parameter(w / multiplier)
        self.bias: Any = None
        self.multiplier = multiplier
        if f"{name}.bias" in weights:
            self.bias = nn.Parameter(torch.from_numpy(weights[f"{name}.bias"].copy()) / multiplier)

    def forward(self, x: Any) -> Any:
        """The product, and the bias."""
        w, b = self.weight * self.scale, self.bias
        if b is not None and self.multiplier != 1.0:
            b = b * self.multiplier
        if w.ndim == 4:
            return F.conv2d(x, w, b, padding=w.shape[-1] // 2)
        return F.linear(x, w, b)


def pixel_norm(x: Any) -> Any:
    """Each place of mean square 1 over its channels."""
    return x * torch.rsqrt(x.square().mean(1, keepdim=True) + 1e-8)


def active(x: Any) -> Any:
    """LeakyReLU 0.2."""
    return F.leaky_relu(x, 0.2)


def as_maps(x: Any, layout: Any) -> Any:
    """Vectors whose order is rows, columns, channels -> images."""
    maps = x.view(len(x), START, START, -1).permute(0, 3, 1, 2)
    return maps.contiguous(memory_format=layout)


def blurred(x: Any, kernel: Any) -> Any:
    """[1, 2, 1] down and across, each channel by itself."""
    return F.conv2d(x, kernel.expand(x.shape[1], 1, 3, 3), padding=1, groups=x.shape[1])


class Generator(nn.Module):  # type: ignore[misc]  # as above
    """The generator of progressive growing."""

    def __init__(self, problem: ProGAN, layout: Any) -> None:
        super().__init__()
        weights, self.layout, last = problem.weights()[0], layout, len(problem.channels) - 1
        self.dense = Layer(weights, "dense", GAIN / 4)
        names = ["body.0.0"] + [f"body.{k}.{i}" for k in range(1, last + 1) for i in (0, 1)]
        self.body = nn.ModuleList(Layer(weights, name) for name in names)
        self.rgb = Layer(weights, f"to_rgb.{last}", 1.0)

    def forward(self, z: Any) -> Any:
        """Latents -> images."""
        x = pixel_norm(active(self.dense(pixel_norm(z))).view(len(z), START, START, -1)
                       .permute(0, 3, 1, 2).contiguous(memory_format=self.layout))  # fmt: skip
        for i, layer in enumerate(self.body):
            if i % 2:
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = pixel_norm(active(layer(x)))
        return self.rgb(x)


class Discriminator(nn.Module):  # type: ignore[misc]  # as above
    """The discriminator of both, blurred for StyleGAN."""

    def __init__(self, problem: ProGAN, layout: Any) -> None:
        super().__init__()
        weights, last = problem.weights()[1], len(problem.channels) - 1
        self.rgb = Layer(weights, f"from_rgb.{last}")
        names = [f"body.{level}.{i}" for level in reversed(range(last)) for i in (0, 1)]
        self.body = nn.ModuleList(Layer(weights, name) for name in names)
        self.last, self.dense = Layer(weights, "last"), Layer(weights, "dense")
        self.head = Layer(weights, "head", 1.0)
        self.blur = isinstance(problem, StyleGAN)
        row = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("kernel", (row[:, None] * row)[None, None])

    def forward(self, x: Any) -> Any:
        """Images -> scores."""
        x = active(self.rgb(x))
        for i, layer in enumerate(self.body):
            if i % 2:
                x = blurred(x, self.kernel) if self.blur else x
                x = active(F.avg_pool2d(layer(x), 2))
            else:
                x = active(layer(x))
        n, c, h, w = x.shape
        apart = x.reshape(4, n // 4, c, h, w)
        apart = (apart - apart.mean(0)).square().mean(0).add(1e-8).sqrt().mean((1, 2, 3))
        x = torch.cat([x, apart.repeat(4).view(n, 1, 1, 1).expand(n, 1, h, w)], 1)
        x = active(self.last(x)).permute(0, 2, 3, 1).flatten(1)
        return self.head(active(self.dense(x)))


class StyledLayer(nn.Module):  # type: ignore[misc]  # as above
    """Convolution, blur, noise, bias, activation, instance norm, style."""

    def __init__(self, weights: Any, name: str) -> None:
        super().__init__()
        conv = {f"{name}.conv.weight": weights.get(f"{name}.conv.weight")}
        self.conv = Layer(conv, f"{name}.conv") if conv[f"{name}.conv.weight"] is not None else None
        own = {
            k: torch.from_numpy(weights[f"{name}.{k}"].copy()) for k in ("bias", "noise.strength")
        }
        self.bias = nn.Parameter(own["bias"].view(1, -1, 1, 1))
        self.strength = nn.Parameter(own["noise.strength"].view(1, -1, 1, 1))
        self.style = Layer(weights, f"{name}.style", 1.0)

    def forward(self, x: Any, w: Any, noise: Any, kernel: Any) -> Any:
        """With a kernel to blur with twice as many pixels."""
        if kernel is not None:
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        if self.conv is not None:
            x = self.conv(x)
        if kernel is not None:
            x = blurred(x, kernel)
        x = active(x + noise * self.strength + self.bias)
        scale, shift = self.style(w)[:, :, None, None].chunk(2, 1)
        mean = x.mean((2, 3), keepdim=True)
        centred = x - mean
        norm = centred * torch.rsqrt(centred.square().mean((2, 3), keepdim=True) + 1e-8)
        return norm * (1 + scale) + shift


class StyleGenerator(nn.Module):  # type: ignore[misc]  # as above
    """The generator of StyleGAN."""

    def __init__(self, problem: StyleGAN, layout: Any) -> None:
        super().__init__()
        weights, self.problem, last = problem.weights()[0], problem, len(problem.channels) - 1
        self.mapping = nn.ModuleList(
            Layer(weights, f"mapping.layers.{i}", multiplier=0.01) for i in range(8)
        )
        constant = torch.from_numpy(weights["constant"].copy()).permute(2, 0, 1)[None]
        self.constant = nn.Parameter(constant.contiguous(memory_format=layout))
        names = [f"body.{level}.{i}" for level in range(last + 1) for i in (0, 1)]
        self.body = nn.ModuleList(StyledLayer(weights, name) for name in names)
        self.rgb = Layer(weights, f"to_rgb.{last}", 1.0)
        row = torch.tensor([0.25, 0.5, 0.25])
        self.register_buffer("kernel", (row[:, None] * row)[None, None])

    def forward(self, numbers: Any) -> Any:
        """Latents, and the noise of all layers behind them -> images."""
        sides = self.problem.noises
        w, *maps = numbers.split([self.problem.latents, *(side * side for side in sides)], 1)
        w = pixel_norm(w)
        for layer in self.mapping:
            w = active(layer(w))
        x = self.constant.expand(len(w), -1, -1, -1)
        for i, (layer, noise, side) in enumerate(zip(self.body, maps, sides, strict=True)):
            kernel = self.kernel if i and i % 2 == 0 else None
            x = layer(x, w, noise.reshape(-1, 1, side, side), kernel)
        return self.rgb(x)


def _ways(
    problem: ProGAN, generator: Any, compiled: bool, judged: Any, generated: Any
) -> Candidates:
    """In both memory formats, and every way to update."""

    def ways(layout: Any) -> Candidates:
        def networks() -> tuple[Any, Any]:
            nets = generator(problem, layout), Discriminator(problem, layout)
            return tuple(net.to(memory_format=layout) for net in nets)

        batches = [
            (images.permute(0, 3, 1, 2).contiguous(memory_format=layout), *rest)
            for images, *rest in tensors(problem.batches())
        ]
        return game(networks, problem, batches, compiled, judged, generated, double=True)

    return in_both_layouts(ways)


def _slope(net: Any, x: Any, compiled: bool) -> Any:
    """The gradient of the scores by images, and the scores."""
    if compiled:  # a gradient inside a function that is compiled as a whole
        return torch.func.grad(lambda v: (lambda s: (s.sum(), s))(net(v)), has_aux=True)(x)
    x = x.detach().requires_grad_(True)
    scores = net(x)
    (slope,) = torch.autograd.grad(scores.sum(), x, create_graph=True)
    return slope, scores


def progan(problem: ProGAN, compiled: bool) -> Candidates:
    """Progressive growing, with the gradient penalty and the drift."""

    def judged(critic: Any, fakes: Any, images: Any, t: Any) -> Any:
        slope, _ = _slope(critic, images + t * (fakes - images), compiled)
        penalty = problem.weight * (slope.flatten(1).norm(dim=1) - 1).square().mean()
        real = critic(images)
        drift = problem.drift * real.square().mean()
        return critic(fakes).mean() - real.mean() + drift + penalty

    def generated(critic: Any, fakes: Any, t: Any) -> Any:
        return -critic(fakes).mean()

    return _ways(problem, Generator, compiled, judged, generated)


def stylegan(problem: StyleGAN, compiled: bool) -> Candidates:
    """StyleGAN, with R1 from the scores of the loss."""

    def judged(discriminator: Any, fakes: Any, images: Any) -> Any:
        slope, real = _slope(discriminator, images, compiled)
        penalty = problem.gamma / 2 * slope.square().sum() / problem.batch
        fake = discriminator(fakes)
        return F.softplus(fake).mean() + F.softplus(-real).mean() + penalty

    def generated(discriminator: Any, fakes: Any) -> Any:
        return F.softplus(-discriminator(fakes)).mean()

    return _ways(problem, StyleGenerator, compiled, judged, generated)
