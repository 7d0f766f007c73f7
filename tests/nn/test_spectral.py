"""SpectralNorm: against singular values, against PyTorch, and what its state does when."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np
import pytest

import tinygen
from tests.op_cases.case import torch
from tinygen import Random, Tensor, nn, ops
from tinygen.ops.check import gradcheck, gradgradcheck

with_torch = pytest.mark.skipif(torch is None, reason="compares with PyTorch")
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 5, 4, 3))
LAYERS = {
    "dense": (lambda **o: nn.Dense(3, 4, **o), RNG.normal(size=(6, 3))),
    "conv": (lambda **o: nn.Conv2D(3, 4, 3, 2, activation="tanh", **o), IMAGES),
    "groups": (lambda **o: nn.Conv2D(3, 6, 3, groups=3, **o), IMAGES),
    "transposed": (lambda **o: nn.Conv2DTranspose(3, 4, (3, 2), 2, activation="tanh", **o), IMAGES),
    "embedding": (lambda **o: nn.Embedding(5, 4, **o), np.array([0, 4, 4, 1])),
}
every_layer = pytest.mark.parametrize("name", LAYERS)


def layer_and_input(name, **options):
    make, x = LAYERS[name]
    return nn.SpectralNorm(make(rng=Random(1)), **options).to(dtype="float64"), x


def matrix(layer, weight=None):
    """The weight as (outputs, all else), where the transposed kernel has its outputs third."""
    w = layer.layer.weight.numpy() if weight is None else weight
    axis = {nn.Conv2DTranspose: 2, nn.Embedding: 0}.get(type(layer.layer), -1)
    return np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1)


def norm(layer, weight=None):
    return np.linalg.svd(matrix(layer, weight), compute_uv=False)[0]


@every_layer
def test_a_new_layer_is_normalised_before_training(name):
    layer, x = layer_and_input(name)
    layer.eval()
    weight, sigma = layer.normalized_weight()
    assert norm(layer, weight.numpy()) == pytest.approx(1, rel=1e-3)
    assert sigma.item() == pytest.approx(norm(layer), rel=1e-3)
    plain = copy.deepcopy(layer.layer)
    plain.weight.data[...] = weight.data
    np.testing.assert_array_equal(layer(x).numpy(), plain(x).numpy())


@pytest.mark.parametrize("shape", [(64, 64), (784, 100), (100, 1), (30, 100), (100, 150)])
def test_new_layers_of_usual_sizes_are_within_a_hundredth_of_one(shape):
    for seed in range(3):
        layer = nn.SpectralNorm(nn.Dense(*shape, rng=Random(seed))).eval()
        assert norm(layer, layer.normalized_weight()[0].numpy()) == pytest.approx(1, abs=0.01)


@every_layer
def test_after_a_hundred_forwards_the_norm_is_the_largest_singular_value(name):
    layer, x = layer_and_input(name)
    layer.layer.weight.data[...] = np.random.default_rng(3).normal(size=layer.layer.weight.shape)
    for _ in range(100):
        layer(x)
    sigma = layer.eval().normalized_weight()[1].item()
    assert sigma == pytest.approx(norm(layer), rel=1e-6)
    left, _, right = np.linalg.svd(matrix(layer))
    assert abs(layer.u.numpy() @ left[:, 0]) == pytest.approx(1, rel=1e-6)
    assert abs(layer.v.numpy() @ right[0]) == pytest.approx(1, rel=1e-6)


def test_inference_never_iterates_and_training_does_once_a_forward():
    layer, x = layer_and_input("dense")
    layer.layer.weight.data[...] = np.random.default_rng(3).normal(size=(3, 4))
    w, u, v = layer.layer.weight.numpy(), layer.u.numpy().copy(), layer.v.numpy().copy()
    first = layer.eval()(x).numpy()
    np.testing.assert_array_equal(layer(x).numpy(), first)
    np.testing.assert_array_equal(layer.u.numpy(), u)
    arrays = layer.u.array, layer.v.array
    for _ in range(2):
        u = w.T @ v / np.linalg.norm(w.T @ v)
        v = w @ u / np.linalg.norm(w @ u)
        with tinygen.no_grad():  # like batch norm
            layer.train().freeze()(x)
        np.testing.assert_allclose(layer.u.numpy(), u, rtol=1e-12)
        np.testing.assert_allclose(layer.v.numpy(), v, rtol=1e-12)
    assert layer.u.array is arrays[0]  # in place, for a GPU
    assert layer.v.array is arrays[1]


@every_layer
def test_the_gradient_is_orthogonal_to_the_weight_and_the_output_has_no_scale(name):
    layer, x = layer_and_input(name)
    weight = layer.layer.weight
    ops.sum(ops.sin(layer(x))).backward()
    g = weight.grad.numpy()
    assert abs(g).max() > 1e-3
    assert abs((g * weight.numpy()).sum()) < 1e-10 * np.linalg.norm(g) * np.linalg.norm(weight.data)
    layer.eval()
    before = layer(x).numpy()
    weight.data[...] *= 7
    np.testing.assert_allclose(layer(x).numpy(), before, rtol=1e-10, atol=1e-12)


@every_layer
def test_gradients_of_both_orders_with_the_vectors_held(name):
    layer, x = layer_and_input(name)
    weight = layer.layer.weight
    weight.data[...] = np.random.default_rng(3).normal(size=weight.shape)
    for _ in range(3):
        layer(x)
    layer.eval()
    x = Tensor(x[:2], requires_grad=x.dtype.kind == "f")

    def run(*_):
        return layer(x if x.requires_grad else x.data)

    assert gradcheck(run, [x, *layer.parameters()])
    assert gradgradcheck(run, [x, *layer.parameters()])


def test_several_forwards_before_one_backward_keep_vectors_of_their_own():
    layer, x = layer_and_input("transposed")
    weight = layer.layer.weight
    weight.data[...] = np.random.default_rng(5).normal(size=weight.shape)
    apart = []
    twin = copy.deepcopy(layer)
    for batch in (x, -2 * x):
        ops.sum(ops.square(twin(batch))).backward()
        apart.append(twin.layer.weight.grad.numpy())
        twin.zero_grad()
    (ops.sum(ops.square(layer(x))) + ops.sum(ops.square(layer(-2 * x)))).backward()
    np.testing.assert_allclose(weight.grad.numpy(), sum(apart), rtol=1e-10)
    y = layer.eval()(Tensor(x, requires_grad=True))  # and one in inference, before one in training
    layer.train()(x)
    y.sum().backward()


@with_torch
@pytest.mark.parametrize("name", [name for name in LAYERS if name != "groups"])
def test_agrees_with_pytorch_step_by_step(name):
    layer, _ = layer_and_input(name)
    theirs, axes = {
        "dense": (lambda: torch.nn.Linear(3, 4), (1, 0)),
        "conv": (lambda: torch.nn.Conv2d(3, 4, 3), (3, 2, 0, 1)),
        "transposed": (lambda: torch.nn.ConvTranspose2d(3, 4, (3, 2)), (3, 2, 0, 1)),
        "embedding": (lambda: torch.nn.Embedding(5, 4), (0, 1)),
    }[name]
    theirs = theirs().double()
    w, target = np.random.default_rng(2).normal(size=(2, *layer.layer.weight.shape))
    layer.layer.weight.data[...] = w
    theirs.weight.data = torch.from_numpy(w.transpose(axes).copy())
    goal = torch.from_numpy(target.transpose(axes).copy())
    torch.nn.utils.parametrizations.spectral_norm(theirs)
    kept = theirs.parametrizations.weight[0]

    def in_our_order(v):
        """PyTorch lists (inputs, height, width), we (height, width, inputs)."""
        return v if w.ndim == 2 else v.reshape(3, *w.shape[:2]).transpose(1, 2, 0).ravel()

    layer.u.data[...], layer.v.data[...] = kept._u.numpy(), in_our_order(kept._v.numpy())
    for _ in range(3):
        weight, _ = layer.normalized_weight()
        layer.zero_grad()
        ops.sum(weight * weight * target).backward()
        t = theirs.weight
        theirs.zero_grad()
        (t * t * goal).sum().backward()
        found = [weight, layer.layer.weight.grad]
        expected = [t.detach(), theirs.parametrizations.weight.original.grad]
        for ours, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours.numpy().transpose(axes), other, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(layer.u.numpy(), kept._u, rtol=1e-10)
        np.testing.assert_allclose(layer.v.numpy(), in_our_order(kept._v.numpy()), rtol=1e-10)


def test_weights_of_zeros_stay_finite_and_come_back():
    layer, x = layer_and_input("dense")
    weight = layer.layer.weight
    good = weight.numpy().copy()
    weight.data[...] = 0
    y = layer(x)
    np.testing.assert_array_equal(y.numpy(), np.zeros((6, 4)))
    y.sum().backward()
    np.testing.assert_allclose(weight.grad.numpy(), np.repeat(x.sum(0)[:, None], 4, 1))
    weight.data[...] = np.nan
    assert np.isnan(layer(x).numpy()).all()
    assert np.isfinite(layer.u.numpy()).all()
    weight.data[...] = good
    for _ in range(50):
        layer(x)
    assert layer.normalized_weight()[1].item() == pytest.approx(norm(layer), rel=1e-6)


def test_its_state_goes_on_exactly():
    layer, x = layer_and_input("conv", iterations=2)
    layer.layer.weight.data[...] = np.random.default_rng(3).normal(size=layer.layer.weight.shape)
    layer(x)
    assert [*layer.state_dict()] == ["layer.weight", "layer.bias", "u", "v"]
    again = layer_and_input("conv", iterations=2)[0]
    again.load_state_dict(layer.state_dict())
    for one in (layer, again):
        one(x)
    np.testing.assert_array_equal(again(x).numpy(), layer(x).numpy())
    assert layer(x.astype("float32")).dtype == np.float64
    assert layer.to(dtype="float32")(x.astype("float32")).dtype == np.float32


class Pair(NamedTuple):
    """Layers in a named tuple."""

    last: nn.Module
    norm: nn.Module


class Net(nn.Module):
    """Layers in every place where a module can hold them."""

    def __init__(self):
        rng = Random(0)
        self.shared = nn.Dense(3, 3, rng=rng)
        self.parts = [nn.Sequential(nn.Flatten(), nn.Dense(3, 4, "relu", rng=rng)), self.shared]
        self.pair = Pair(nn.Dense(4, 1, rng=rng), nn.BatchNorm(4))
        self.two = (nn.Dense(4, 4, rng=rng), None)
        self.named = {"labels": nn.Embedding(5, 4, rng=rng)}
        self.done = nn.SpectralNorm(nn.Dense(4, 4, rng=rng))
        self.itself = self

    def forward(self, x, labels):
        h = self.parts[0](self.parts[1](self.shared(x)))
        h = self.done(h)
        return self.pair.last(self.two[0](h)) + ops.sum(
            h * self.named["labels"](labels), axis=1, keepdims=True
        )


def test_all_layers_of_a_network_are_wrapped_once():
    net = Net()
    parameters = {id(p) for p in net.parameters()}
    done = net.done
    assert nn.spectral_norm(net) is net
    assert net.parts[1] is net.shared
    assert net.done is done
    kinds = [type(m.layer).__name__ for m in net.modules() if isinstance(m, nn.SpectralNorm)]
    assert sorted(kinds) == ["Dense"] * 5 + ["Embedding"]
    assert {id(p) for p in net.parameters()} == parameters
    assert net(np.ones((2, 3), np.float32), [0, 4]).shape == (2, 1)
    alone = nn.spectral_norm(nn.Dense(3, 2), iterations=3)
    assert isinstance(alone, nn.SpectralNorm)
    assert repr(alone).startswith("SpectralNorm(iterations=3")


def test_wrong_vectors_are_refused():
    w = np.ones((3, 4))
    for u, v, axis, message in (
        (np.ones(3), np.ones(3), -1, r"needs u and v of shapes \(4,\) and \(3,\), got \(3,\)"),
        (np.ones(4), np.ones(3), 0, r"needs u and v of shapes \(3,\) and \(4,\)"),
        (np.ones(4), np.ones(3), 2, "has no axis 2"),
    ):
        with pytest.raises(ValueError, match=message):
            ops.spectral_normalize(w, u, v, axis)
