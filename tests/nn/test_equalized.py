"""Equalised layers, noise and mapping: PyTorch's writing, the start, one step of Adam."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.op_cases.case import torch
from tinygen import Random, Tensor, nn, ops, optim
from tinygen.ops.check import gradcheck, gradgradcheck

with_torch = pytest.mark.skipif(torch is None, reason="compares with PyTorch")
RNG = np.random.default_rng(0)
IMAGES, ROWS = RNG.standard_normal((2, 6, 4, 3)), RNG.standard_normal((5, 3))
LEAKY = ("leaky_relu", 0.2)


def double(layer):
    """In float64, with strengths and biases that are not 0."""
    layer = layer.to(dtype="float64")
    for i, p in enumerate(layer.parameters()):
        p.data[...] += 0.1 * Random(i).normal(p.shape, dtype=np.float64)
    return layer


def layers(**options):
    return {
        "dense": (nn.EqualizedDense(3, 4, rng=Random(1), **options), ROWS),
        **{
            f"conv-{side}-{way}": (
                nn.EqualizedConv2D(3, 4, side, resample=way, rng=Random(1), **options),
                IMAGES,
            )
            for side in (1, 3, 5)
            for way in (None, "up", "down")
        },
        **{
            f"blurred-{way}": (
                nn.EqualizedConv2D(3, 4, resample=way, blur=True, rng=Random(1), **options),
                IMAGES,
            )
            for way in ("up", "down")
        },
    }


def blurred(maps):
    """[1, 2, 1] across and down, each channel by itself, in PyTorch."""
    row = torch.tensor([0.25, 0.5, 0.25], dtype=maps.dtype)
    kernel = (row[:, None] * row).expand(maps.shape[1], 1, 3, 3)
    return torch.nn.functional.conv2d(maps, kernel, padding=1, groups=maps.shape[1])


def in_torch(layer, x):
    """The same from PyTorch's parts: a plain layer, nearest upsampling before, means after."""
    F = torch.nn.functional
    w, b = (torch.tensor(p.numpy(), requires_grad=True) for p in (layer.weight, layer.bias))
    given = torch.tensor(x, requires_grad=True)
    scale = layer.gain / math.sqrt(math.prod(w.shape[:-1])) * layer.multiplier
    if x.ndim == 2:
        y = given @ (w * scale) + b * layer.multiplier
    else:
        maps = given.permute(0, 3, 1, 2)
        if layer.blur and layer.resample == "down":
            maps = blurred(maps)
        if layer.resample == "up":
            maps = F.interpolate(maps, scale_factor=2, mode="nearest")
        kernel = (w * scale).permute(3, 2, 0, 1)
        y = F.conv2d(maps, kernel, padding=w.shape[0] // 2)
        if layer.blur and layer.resample == "up":
            y = blurred(y)
        if layer.resample == "down":
            y = F.avg_pool2d(y, 2)
        y = y.permute(0, 2, 3, 1) + b * layer.multiplier
    y = F.leaky_relu(y, 0.2)
    (y * torch.linspace(0, 1, y.numel(), dtype=y.dtype).view(y.shape)).sum().backward()
    return [v.detach().numpy() for v in (y, given.grad, w.grad, b.grad)]


@with_torch
@pytest.mark.parametrize("multiplier", [1.0, 0.01])
@pytest.mark.parametrize("name", layers())
def test_outputs_and_gradients_are_pytorchs(name, multiplier):
    layer, x = layers(activation=LEAKY, multiplier=multiplier)[name]
    layer, given = double(layer), Tensor(x, requires_grad=True)
    y = layer(given)
    ops.sum(y * np.linspace(0, 1, y.size).reshape(y.shape)).backward()
    ours = [y.numpy(), given.grad.numpy(), layer.weight.grad.numpy(), layer.bias.grad.numpy()]
    for a, b in zip(ours, in_torch(layer, x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", layers())
def test_second_derivatives(name):
    layer, x = layers(activation="tanh", multiplier=0.5)[name]
    layer, given = double(layer), Tensor(x[:1], requires_grad=True)
    fn = lambda x, *parameters: layer(x)  # noqa: E731
    assert gradcheck(fn, [given, *layer.parameters()])
    assert gradgradcheck(fn, [given, *layer.parameters()])


def test_a_multiplier_changes_how_fast_a_layer_learns_and_not_how_it_starts():
    """Adam's first step is the rate for each weight, whatever its gradient."""
    moved = []
    for multiplier in (1.0, 0.01):
        layer = nn.EqualizedDense(3, 4, multiplier=multiplier, bias_start=1.0, rng=Random(1))
        layer = layer.to(dtype="float64")
        before, bias = (t.numpy().copy() for t in layer.effective())
        if multiplier == 1.0:
            start = before
        np.testing.assert_allclose(before, start, rtol=1e-6)
        np.testing.assert_allclose(bias, 1.0, rtol=1e-6)
        ops.sum(layer(ROWS)).backward()
        optim.Adam(layer, learning_rate=1e-3, epsilon=1e-12).step()
        moved.append(abs(layer.effective()[0].numpy() - before))
    np.testing.assert_allclose(moved[1], 0.01 * moved[0], rtol=1e-6)
    np.testing.assert_allclose(moved[0], 1e-3 * math.sqrt(2 / 3), rtol=1e-6)


def test_outputs_start_with_a_variance_of_the_gain():
    x = RNG.standard_normal((4000, 512))
    for gain in (1.0, math.sqrt(2)):
        y = nn.EqualizedDense(512, 16, gain=gain, rng=Random(0))(x).numpy()
        assert y.std() == pytest.approx(gain, rel=0.02)


def test_noise_is_one_map_for_all_channels_and_changes_nothing_at_first():
    layer, x = nn.NoiseInjection(3).to(dtype="float64"), IMAGES
    np.testing.assert_array_equal(layer(x, rng=Random(0)).numpy(), x)
    layer.strength.data[...] = [0.5, -2.0, 0.0]
    added = layer(x, rng=Random(0)).numpy() - x
    np.testing.assert_allclose(added[..., 1], -4 * added[..., 0])
    np.testing.assert_array_equal(added[..., 2], 0)
    assert (layer(x, rng=Random(1)).numpy() != x + added).any()
    noise = RNG.standard_normal((1, 6, 4, 1))
    expected = x + noise * layer.strength.numpy()
    np.testing.assert_allclose(layer(x, noise).numpy(), expected)
    for wrong, message in ((x[..., :2], "maps are"), (x[0], "maps are")):
        with pytest.raises(ValueError, match=message):
            layer(wrong)
    with pytest.raises(ValueError, match=r"noise for maps of .* is \(n, 6, 4, 1\)"):
        layer(x, noise[:, :5])
    given = Tensor(x[:1], requires_grad=True)
    assert gradcheck(lambda x, n, s: layer(x, n), [given, Tensor(noise), layer.strength])


@with_torch
@pytest.mark.parametrize("classes", [0, 3])
def test_a_mapping_network_is_pytorchs(classes):
    net = double(nn.MappingNetwork(4, 6, 3, classes=classes, rng=Random(2)))
    z = Tensor(RNG.standard_normal((5, 4)), requires_grad=True)
    label = [np.array([0, 2, 1, 2, 0])] if classes else []
    w = net(z, *label)
    ops.sum(w * w).backward()
    parameters = {k: torch.tensor(p.numpy(), requires_grad=True) for k, p in net.named_parameters()}
    given = torch.tensor(z.numpy(), requires_grad=True)
    x = torch.cat([given, parameters["label.weight"][label[0]]], 1) if classes else given
    x = x * torch.rsqrt((x * x).mean(1, keepdim=True) + 1e-8)
    for i in range(3):
        weight, bias = (parameters[f"layers.{i}.{k}"] for k in ("weight", "bias"))
        scale = math.sqrt(2 / len(weight)) * 0.01
        x = torch.nn.functional.leaky_relu(x @ (weight * scale) + bias * 0.01, 0.2)
    (x * x).sum().backward()
    np.testing.assert_allclose(w.numpy(), x.detach().numpy(), rtol=1e-10)
    np.testing.assert_allclose(z.grad.numpy(), given.grad.numpy(), rtol=1e-9, atol=1e-14)
    for name, p in net.named_parameters():
        expected = parameters[name].grad.numpy()
        np.testing.assert_allclose(p.grad.numpy(), expected, rtol=1e-9, atol=1e-14, err_msg=name)


def test_a_mapping_network_does_not_know_how_long_latents_are():
    net = nn.MappingNetwork(4, rng=Random(0)).to(dtype="float64")
    z = RNG.standard_normal((3, 4))
    np.testing.assert_allclose(net(z).numpy(), net(5 * z).numpy(), rtol=1e-6)
    assert net(z).shape == (3, 4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.EqualizedDense(3, 4, gain=0), "EqualizedDense: gain must be positive"),
        (lambda: nn.EqualizedDense(3, 4, multiplier=-1), "EqualizedDense: multiplier must be"),
        (lambda: nn.EqualizedConv2D(3, 4, 2), "EqualizedConv2D: kernel must be odd, not 2"),
        (lambda: nn.EqualizedConv2D(3, 4, resample="left"), "resample is one of up, down, or None"),
        (lambda: nn.MappingNetwork(4)(np.zeros((2, 3))), r"latents are \(n, 4\), not \(2, 3\)"),
        (lambda: nn.MappingNetwork(4)(np.zeros((2, 4)), [0, 1]), "it was made for no labels"),
        (lambda: nn.MappingNetwork(4, classes=2)(np.zeros((2, 4))), "made for a label for each"),
    ],
)
def test_what_cannot_be_made_or_called(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_maps_that_are_not_resampled_cannot_be_blurred():
    with pytest.raises(ValueError, match="blur goes with resample"):
        nn.EqualizedConv2D(3, 4, blur=True)
