"""Normalisation layers and Embedding: what they add to their ops, and PyTorch's twins."""

import copy

import numpy as np
import pytest

import tinygen
from tests.op_cases.case import torch
from tinygen import Buffer, Random, Tensor, nn, ops
from tinygen.ops.check import gradcheck, gradgradcheck

with_torch = pytest.mark.skipif(torch is None, reason="compares with PyTorch")
IMAGES = np.random.default_rng(0).normal(2, 3, (8, 4, 4, 5)).astype(np.float32)


def close(found, expected, error=1e-5):
    arrays = [x.numpy() if isinstance(x, Tensor) else np.asarray(x) for x in (found, expected)]
    np.testing.assert_allclose(*arrays, rtol=error, atol=error)


def test_batch_norm_in_training_and_inference():
    layer = nn.BatchNorm(5)
    y = layer(IMAGES).numpy()
    close(y.mean((0, 1, 2)), np.zeros(5))
    close(y.var((0, 1, 2)), np.ones(5), 1e-3)
    mean, variance = IMAGES.mean((0, 1, 2)), IMAGES.var((0, 1, 2))  # of the population
    close(layer.running_mean, 0.01 * mean)
    close(layer.running_variance, 0.99 + 0.01 * variance)
    layer.eval()
    before = layer.state_dict()
    expected = (IMAGES - layer.running_mean.data) / np.sqrt(layer.running_variance.data + 1e-3)
    close(layer(IMAGES), expected)
    close(layer(IMAGES[:1]), expected[:1])
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


@with_torch
def test_batch_norm_against_pytorch_over_several_steps():
    ours = nn.BatchNorm(5, momentum=0.9, epsilon=1e-5)
    theirs = torch.nn.BatchNorm2d(5, momentum=0.1, eps=1e-5)
    rows, unbiased = IMAGES.size // 5, np.ones(5)
    for step in range(3):
        x = IMAGES * (step + 1) + step
        t = torch.from_numpy(x).movedim(-1, 1)
        close(ours(x), theirs(t).movedim(1, -1).detach(), 1e-4)
        unbiased = 0.9 * unbiased + 0.1 * x.var((0, 1, 2)) * rows / (rows - 1)
    close(ours.running_mean, theirs.running_mean)
    close(theirs.running_var, unbiased)  # PyTorch's convention, and how ours is different
    close((ours.running_variance.data - 0.9**3) * rows / (rows - 1) + 0.9**3, unbiased, 1e-4)


def test_batch_norm_updates_once_a_forward_whether_recorded_or_not():
    layer = nn.BatchNorm(5, momentum=0.5)
    x = Tensor(IMAGES, requires_grad=True)
    y = layer(x)
    once = layer.running_mean.data.copy()
    (gx,) = tinygen.grad((y * y * y).sum(), x, create_graph=True)
    (gx * gx).sum().backward()
    np.testing.assert_array_equal(layer.running_mean.data, once)
    with tinygen.no_grad():
        layer(x)
    close(layer.running_mean, once * 1.5)


def test_batch_norm_without_scale_or_shift():
    layer = nn.BatchNorm(5, scale=False, shift=False)
    assert layer.parameters() == []
    assert [name for name, _ in layer.named_buffers()] == ["running_mean", "running_variance"]
    assert isinstance(layer.running_mean, Buffer)
    close(layer(IMAGES), nn.BatchNorm(5)(IMAGES))


def test_batch_norm_of_nothing_and_of_one():
    layer = nn.BatchNorm(5)
    before = layer.state_dict()
    x = Tensor(np.zeros((0, 4, 4, 5), np.float32), requires_grad=True)
    y = layer(x)
    y.sum().backward()
    assert y.shape == x.grad.shape == x.shape
    assert not layer.scale.grad.numpy().any()
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    layer.shift.data[...] = range(5)
    close(layer(np.full((1, 5), 7, np.float32)), [range(5)])
    close(layer.running_mean, np.full(5, 0.07))
    close(layer.running_variance, np.full(5, 0.99))
    assert layer.eval()(x.data).shape == x.shape


def test_batch_norm_as_state():
    layer = nn.BatchNorm(5)
    layer(IMAGES)
    other = nn.BatchNorm(5)
    other.load_state_dict(layer.state_dict())
    close(other.eval()(IMAGES), layer.eval()(IMAGES))
    copied = copy.deepcopy(layer).train()
    copied(IMAGES + 1)
    close(other.running_mean, layer.running_mean)  # what the copy did is its own
    double = layer.to(dtype="float64")
    assert double(IMAGES.astype("float64")).dtype == double.running_mean.dtype == np.float64


def test_batch_norm_notices_moments_that_changed_before_backward():
    layer = nn.BatchNorm(5).eval()
    y = layer(Tensor(IMAGES, requires_grad=True))
    layer.train()(IMAGES)
    with pytest.raises(RuntimeError, match="batch_norm saved a tensor that was changed"):
        y.sum().backward()


def test_frozen_batch_norm_passes_gradients_on():
    layer = nn.BatchNorm(5).freeze()
    for mode in (True, False):
        x = Tensor(IMAGES, requires_grad=True)
        (layer.train(mode)(x) * IMAGES).sum().backward()
        assert x.grad.shape == x.shape
    assert all(p.grad is None for p in layer.parameters())


LAYERS = {
    "instance": (nn.InstanceNorm(5), lambda x: ops.instance_norm(x)),
    "layer": (nn.LayerNorm(5), lambda x: ops.layer_norm(x)),
    "whole images": (nn.LayerNorm((4, 4, 5)), lambda x: ops.layer_norm(x, axes=3)),
    "bare": (nn.LayerNorm(5, scale=False, shift=False), lambda x: ops.layer_norm(x)),
    "pixel": (nn.PixelNorm(), ops.pixel_norm),
    "minibatch": (nn.MinibatchStdDev(), ops.minibatch_stddev),
    "pairs": (nn.MinibatchStdDev(2), lambda x: ops.minibatch_stddev(x, 2)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_start_as_their_op(name):
    layer, op = LAYERS[name]
    close(layer(IMAGES), op(IMAGES))
    close(layer.eval()(IMAGES), op(IMAGES))


@pytest.mark.parametrize("layer", [nn.InstanceNorm(5), nn.LayerNorm(5)], ids=["instance", "layer"])
def test_scale_and_shift_are_trained(layer):
    bare = layer(IMAGES).numpy()
    layer.scale.data[...], layer.shift.data[...] = range(5), range(5, 10)
    y = layer(IMAGES)
    close(y, bare * np.arange(5) + np.arange(5, 10))
    y.sum().backward()
    close(layer.scale.grad, bare.sum((0, 1, 2)), 1e-3)
    close(layer.shift.grad, np.full(5, 128))


def test_adain_gives_images_the_style_of_their_latents():
    layer = nn.AdaIN(3, 5, rng=Random(0))
    latents = np.random.default_rng(1).normal(size=(8, 3)).astype(np.float32)
    y = layer(IMAGES, latents).numpy()
    style = latents @ layer.style.weight.data
    close(y.mean((1, 2)), style[:, 5:], 1e-4)
    close(y.std((1, 2)), abs(1 + style[:, :5]), 1e-4)
    close(layer(IMAGES, 0 * latents), ops.instance_norm(IMAGES, epsilon=1e-8), 1e-4)
    assert [p.shape for p in layer.parameters()] == [(3, 10), (10,)]


def test_minibatch_stddev_tells_equal_samples_from_different_ones():
    same = np.repeat(IMAGES[:1], 4, axis=0)
    close(nn.MinibatchStdDev()(same).numpy()[..., -1], np.full((4, 4, 4), 1e-4))
    alone = nn.MinibatchStdDev()(IMAGES[:7]).numpy()  # 7 is prime: groups of one
    close(alone[..., -1], np.full((7, 4, 4), 1e-4))
    y = nn.MinibatchStdDev()(IMAGES).numpy()
    np.testing.assert_array_equal(y[..., :5], IMAGES)
    expected = [IMAGES[i::2].std(axis=0).mean() for i in (0, 1)]  # the groups are interleaved
    close(y[:, 0, 0, -1], expected * 4, 1e-4)


def test_embedding():
    table = nn.Embedding(7, 3, rng=Random(0))
    assert abs(table.weight.data).max() <= 0.05
    indices = np.array([[1, 1, 6], [0, 1, 2]])
    y = table(indices)
    np.testing.assert_array_equal(y.numpy(), table.weight.data[indices])
    y.sum().backward()
    close(table.weight.grad.numpy()[:, 0], [1, 3, 1, 0, 0, 0, 1])
    assert table(np.zeros((0, 2), int)).shape == (0, 2, 3)
    np.testing.assert_array_equal(nn.Embedding(2, 3, initializer="ones").weight.data, 1)
    assert "7, 3" in repr(table)


def test_in_a_network():
    net = nn.Sequential(nn.Dense(6, 5), nn.BatchNorm(5), nn.ReLU(), nn.LayerNorm(5), nn.Dense(5, 1))
    before = net.state_dict()
    net.summary((6,))
    for name, array in net.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert "5, momentum=0.99, epsilon=0.001" in repr(net)
    assert "layers.1.running_mean" in before


@pytest.mark.parametrize("training", [True, False])
def test_gradient_penalty_through_a_network_of_norms(training):
    """The penalty takes second derivatives, and its own gradient check the third."""
    layers = [nn.Dense(4, 6, rng=Random(0)), nn.BatchNorm(6), nn.Tanh(), nn.LayerNorm(6)]
    layers += [nn.MinibatchStdDev(), nn.Dense(7, 4, rng=Random(1)), nn.PixelNorm()]
    net = nn.Sequential(*layers).to(dtype="float64").train(training)
    x = Tensor(np.random.default_rng(0).normal(size=(8, 4)), requires_grad=True)

    def penalty(x):
        (gx,) = tinygen.grad((net(x) ** 3).sum(), x, create_graph=True)
        return (gx * gx).sum()

    assert gradcheck(penalty, x)
    assert gradgradcheck(penalty, x, epsilon=1e-4)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: nn.BatchNorm(0),
            "BatchNorm: features must be a whole number of at least 1, not 0",
        ),
        (
            lambda: nn.BatchNorm(3, momentum=1.5),
            "momentum must be at least 0 and at most 1, not 1.5",
        ),
        (lambda: nn.LayerNorm(()), "LayerNorm: features must not be empty"),
        (lambda: nn.InstanceNorm(3, epsilon=-1), "InstanceNorm: epsilon must not be negative"),
        (lambda: nn.PixelNorm(-1), "PixelNorm: epsilon must not be negative"),
        (
            lambda: nn.MinibatchStdDev(0),
            "MinibatchStdDev: group_size must be a whole number of at least 1",
        ),
        (
            lambda: nn.Embedding(3, 0),
            "Embedding: features must be a whole number of at least 1, not 0",
        ),
        (lambda: nn.BatchNorm(3)(IMAGES), r"BatchNorm: takes inputs of \(..., 3\), got \(8, 4"),
        (lambda: nn.LayerNorm((4, 3))(IMAGES), r"LayerNorm: takes inputs of \(..., 4, 3\)"),
        (lambda: nn.Embedding(3, 2)([0, 3]), "from 0 to 2, got some from 0 to 3"),
        (lambda: nn.Embedding(3, 2)([-1]), "from 0 to 2, got some from -1 to -1"),
        (lambda: nn.Embedding(3, 2)([0.5]), "indices must be integers, not float32"),
        (lambda: ops.embedding([0], np.zeros(3)), "the table must be"),
        (lambda: ops.batch_norm(np.zeros(3)), "batch_norm: needs at least 2 axes"),
        (lambda: ops.batch_norm(IMAGES, np.zeros(3)), r"scale must have shape \(5,\), not \(3,\)"),
        (lambda: ops.batch_norm(IMAGES, mean=np.zeros(5)), "both mean and variance"),
        (lambda: ops.instance_norm(np.zeros((2, 3))), "instance_norm: needs at least 3 axes"),
        (lambda: ops.adain(IMAGES, np.zeros(5), np.zeros(5)), r"scale must have shape \(8, 5\)"),
        (lambda: ops.layer_norm(IMAGES, axes=5), "layer_norm: 5 axes of an x of shape"),
        (lambda: ops.pixel_norm(np.float32(1)), "pixel_norm: needs at least one axis"),
        (lambda: ops.minibatch_stddev(IMAGES[0, 0, 0]), "needs samples and features"),
        (
            lambda: ops.minibatch_stddev(IMAGES, 0),
            "group_size must be a whole number of at least 1, not 0",
        ),
    ],
)
def test_mistakes_are_told(make, message):
    with pytest.raises(ValueError, match=message):
        make()
