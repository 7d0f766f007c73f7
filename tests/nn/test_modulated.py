"""Modulated convolution: PyTorch's grouped writing, demodulation, what the style decides."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.op_cases.case import torch
from tinygen import Random, Tensor, nn, ops
from tinygen.ops.check import gradcheck, gradgradcheck

with_torch = pytest.mark.skipif(torch is None, reason="compares with PyTorch")
RNG = np.random.default_rng(0)
IMAGES, STYLES = RNG.standard_normal((2, 5, 4, 3)), RNG.standard_normal((2, 6))
LAYERS = {
    "plain": {},
    "1x1": {"kernel": 1},
    "no demodulation": {"demodulate": False, "gain": 0.5},
    "up": {"upsample": True, "gain": math.sqrt(2)},
}


def create(name):
    return nn.ModulatedConv2D(3, 4, 6, rng=Random(1), **LAYERS[name]).to(dtype="float64")


def in_torch(layer, x, styles):
    """Weights of each sample, one group each, as in the paper: output, gradients by x, w, style."""
    F = torch.nn.functional
    names = (layer.weight.numpy(), layer.style.weight.numpy(), layer.style.bias.numpy())
    w, a, b = (torch.tensor(v, requires_grad=True) for v in names)
    given, style = (torch.tensor(v, requires_grad=True) for v in (x, styles))
    n, (k, _, inputs, outputs) = len(x), w.shape
    s = style @ (a / math.sqrt(len(a))) + b
    own = (w / math.sqrt(k * k * inputs))[None] * s[:, None, None, :, None]
    if layer.demodulate:
        own = own / (own.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
    own = own * layer.gain
    maps = given.permute(0, 3, 1, 2)
    if layer.upsample:  # zeros between the pixels, then the convolution, then the filter
        zeros = torch.zeros(*maps.shape[:2], 2 * maps.shape[2] + 3, 2 * maps.shape[3] + 3).double()
        zeros[:, :, 2:-1:2, 2:-1:2] = maps
        maps, padding = zeros, 0
    else:
        padding = k // 2
    kernels = own.permute(0, 4, 3, 1, 2).reshape(n * outputs, inputs, k, k)
    y = F.conv2d(maps.reshape(1, n * inputs, *maps.shape[2:]), kernels, padding=padding, groups=n)
    y = y.reshape(n, outputs, *y.shape[2:])
    if layer.upsample:
        row = torch.tensor([1.0, 3, 3, 1], dtype=y.dtype) / 8
        smooth = (row[:, None] * row * 4).expand(outputs, 1, 4, 4)
        y = F.conv2d(y, smooth, padding=1, groups=outputs)
    y = y.permute(0, 2, 3, 1)
    (y * torch.linspace(0, 1, y.numel(), dtype=y.dtype).view(y.shape)).sum().backward()
    return [v.detach().numpy() for v in (y, given.grad, style.grad, w.grad, a.grad, b.grad)]


@with_torch
@pytest.mark.parametrize("name", LAYERS)
def test_outputs_and_gradients_are_pytorchs(name):
    layer = create(name)
    x, styles = Tensor(IMAGES, requires_grad=True), Tensor(STYLES, requires_grad=True)
    y = layer(x, styles)
    ops.sum(y * np.linspace(0, 1, y.size).reshape(y.shape)).backward()
    parameters = (layer.weight, layer.style.weight, layer.style.bias)
    ours = [y.numpy(), *(v.grad.numpy() for v in (x, styles, *parameters))]
    for a, b in zip(ours, in_torch(layer, IMAGES, STYLES), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", LAYERS)
def test_second_derivatives(name):
    layer = create(name)
    inputs = [Tensor(v[:1], requires_grad=True) for v in (IMAGES[:, :3], STYLES)]
    fn = lambda x, w, *parameters: layer(x, w)  # noqa: E731
    assert gradcheck(fn, [*inputs, *layer.parameters()])
    assert gradgradcheck(fn, [*inputs, *layer.parameters()])


@pytest.mark.parametrize("upsample", [False, True])
def test_outputs_have_the_same_deviation_whatever_the_style(upsample):
    layer = nn.ModulatedConv2D(64, 16, 8, upsample=upsample, gain=1.5, rng=Random(0))
    x = RNG.standard_normal((4, 32, 32, 64)).astype(np.float32)
    w = (RNG.standard_normal((4, 8)) * [[0.1], [1], [10], [100]]).astype(np.float32)
    inside = layer(x, w).numpy()[:, 2:-2, 2:-2]
    # three of four of the pixels that [1, 3, 3, 1] smooths were zeros
    expected = 1.5 * (10 / 16 if upsample else 1)
    np.testing.assert_allclose(inside.std(axis=(1, 2, 3)), expected, rtol=0.06)


def test_a_style_for_each_image_is_needed():
    with pytest.raises(ValueError, match="3 styles for 2 images"):
        create("plain")(IMAGES, np.zeros((3, 6)))
    with pytest.raises(ValueError, match="3 with upsample"):
        nn.ModulatedConv2D(3, 4, 6, 5, upsample=True)
