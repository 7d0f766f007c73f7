"""MinibatchDiscrimination: the sums over a batch, and the scale that keeps it alive."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from tinygen import Random, Tensor, nn, ops
from tinygen.ops.check import gradcheck, gradgradcheck

X = np.random.default_rng(0).normal(0.3, 2.0, (8, 12))


def made(features=12, kernels=4, dims=3):
    return nn.MinibatchDiscrimination(features, kernels, dims, rng=Random(1)).to(dtype="float64")


def projections(layer, x):
    w = layer.weight.numpy()
    w = (w / np.sqrt((w * w).sum(axis=0))).reshape(-1, layer.kernels, layer.dims)
    return np.einsum("nf,fkd->nkd", x, w * np.exp(layer.log_scale.numpy()))


def written_out(layer, x):
    """Sample by sample, kernel by kernel."""
    m = projections(layer, x)
    o = np.zeros((len(x), layer.kernels))
    for i in range(len(x)):
        for j in range(len(x)):
            if j != i:
                o[i] += np.exp(-abs(m[i] - m[j]).sum(axis=1))
    return np.concatenate([x, o + layer.bias.numpy()], axis=1)


def nearest(layer, x):
    m = projections(layer, x)
    distances = abs(m[:, None] - m[None]).sum(axis=3)
    distances[range(len(x)), range(len(x))] = np.inf
    return distances.min(axis=1).mean(axis=0)


def test_the_features_are_what_the_definition_says():
    layer = made().eval()
    np.testing.assert_allclose(layer(X).numpy(), written_out(layer, X), rtol=1e-12, atol=1e-14)
    assert not layer.initialized.numpy()  # inference sets nothing
    layer.train()(X)
    for mode in (True, False):
        y = layer.train(mode)(X[:5] + 1).numpy()
        np.testing.assert_allclose(y, written_out(layer, X[:5] + 1), rtol=1e-12, atol=1e-14)


def test_the_first_batch_sets_the_scale_so_that_the_layer_is_alive():
    wide = np.random.default_rng(2).normal(0, 10, (16, 400)).astype(np.float32)
    layer = nn.MinibatchDiscrimination(400, rng=Random(0))
    plain = layer.eval()(wide).numpy()[:, 400:] - layer.bias.numpy()
    assert plain.max() < 1e-2  # dead, as it is published
    y = layer.train()(wide)
    np.testing.assert_allclose(nearest(layer, wide), np.full(100, 2), rtol=1e-4)
    o = y.numpy()[:, 400:] - layer.bias.numpy()
    assert 1e-2 < o.mean() < 15
    np.testing.assert_allclose(y.numpy()[:, 400:].mean(axis=0), np.zeros(100), atol=1e-5)
    ops.sum(y[:, 400:]).backward()
    assert abs(layer.weight.grad.numpy()).max() > 1e-3
    assert abs(layer.log_scale.grad.numpy()).max() > 1e-3
    state = layer.state_dict()
    layer(wide * 5)  # only the first
    for name, array in layer.state_dict().items():
        np.testing.assert_array_equal(array, state[name])


def test_batches_that_can_tell_nothing_leave_it_as_it_was():
    layer, fresh = made(), made().state_dict()
    for batch in (np.tile(X[:1], (5, 1)), X[:1], X[:0], np.full((3, 12), np.nan)):
        y = layer(batch)
        assert y.shape == (len(batch), 16)
        for name, array in layer.state_dict().items():
            np.testing.assert_array_equal(array, fresh[name])
    layer(X)
    assert layer.initialized.numpy()
    np.testing.assert_allclose(nearest(layer, X), np.full(4, 2), rtol=1e-12)


def test_a_batch_of_equal_samples_counts_the_others_and_order_does_not_matter():
    layer = made()
    layer(X)
    y = layer(np.tile(X[:1], (7, 1))).numpy()
    np.testing.assert_array_equal(y[:, :12], np.tile(X[:1], (7, 1)))
    np.testing.assert_allclose(y[:, 12:] - layer.bias.numpy(), np.full((7, 4), 6), rtol=1e-12)
    order = np.random.default_rng(1).permutation(8)
    np.testing.assert_allclose(layer(X[order]).numpy(), layer(X).numpy()[order], rtol=1e-12)
    np.testing.assert_allclose(layer(X[:1]).numpy()[0, 12:], layer.bias.numpy())


def test_gradients_of_both_orders():
    layer = made(5, 2, 2)
    layer.weight.data[...] *= 20
    layer(X[:4, :5])
    x = Tensor(X[:4, :5], requires_grad=True)
    assert gradcheck(lambda *_: layer(x), [x, *layer.parameters()])
    assert gradgradcheck(lambda *_: layer(x), [x, *layer.parameters()])


def test_the_first_batch_may_come_between_forward_and_backward():
    layer = made()
    y = layer(np.tile(X[:1], (5, 1))) * 2
    z = layer(X)
    (y.sum() + z.sum()).backward()
    assert np.isfinite(layer.weight.grad.numpy()).all()


def test_its_state_goes_on_exactly_and_columns_have_length_one():
    layer, again = made(), made()
    layer(X)
    again.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(again(X * 3).numpy(), layer(X * 3).numpy())
    other = copy.deepcopy(layer)
    other.weight.data[...] *= np.arange(1, 13)
    np.testing.assert_allclose(other(X).numpy(), layer(X).numpy(), rtol=1e-12)
    with pytest.raises(ValueError, match=r"takes \(samples, 12\), got \(2, 3, 4\)"):
        layer(np.ones((2, 3, 4)))
    assert repr(layer) == "MinibatchDiscrimination(12, kernels=4, dims=3)"


def test_minibatch_stddev_of_two_interleaved_groups_by_hand():
    x = np.zeros((8, 2, 2, 3))
    x[0::2] = np.array([1, 3, 5, 7]).reshape(4, 1, 1, 1)  # samples 0, 2, 4, 6 are a group
    x[1::2] = 4
    y = nn.MinibatchStdDev()(x).numpy()[..., 3]
    np.testing.assert_allclose(y[0::2], np.full((4, 2, 2), np.sqrt(5 + 1e-8)))  # biased: 20 / 4
    np.testing.assert_allclose(y[1::2], np.full((4, 2, 2), 1e-4))
