"""Maxout units against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from tinygen import Random, Tensor, nn, ops


def test_each_unit_is_the_largest_of_its_pieces() -> None:
    layer = nn.Maxout(4, 3, pieces=5, rng=Random(0))
    layer.linear.bias.array[:] = Random(1).normal((15,))
    x = Random(2).normal((2, 6, 4))
    weight, bias = layer.linear.weight.numpy(), layer.linear.bias.numpy()
    expected = np.empty((2, 6, 3))
    for place in np.ndindex(2, 6):
        for unit in range(3):
            pieces = [x[place] @ weight[:, k * 3 + unit] + bias[k * 3 + unit] for k in range(5)]
            expected[(*place, unit)] = max(pieces)
    np.testing.assert_allclose(layer(x).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_only_the_largest_piece_learns() -> None:
    layer = nn.Maxout(2, 1, pieces=3, rng=Random(0))
    x = Tensor(np.array([[1.0, -2.0]], np.float32))
    best = int((x.numpy() @ layer.linear.weight.numpy()).argmax())
    ops.sum(layer(x)).backward()
    grad = layer.linear.weight.grad.numpy()
    np.testing.assert_array_equal(grad[:, best], x.numpy()[0])
    assert not np.delete(grad, best, axis=1).any()


def test_one_piece_is_a_dense_layer() -> None:
    layer, x = nn.Maxout(3, 2, pieces=1, rng=Random(0)), Random(1).normal((4, 3))
    np.testing.assert_array_equal(layer(x).numpy(), layer.linear(x).numpy())


@pytest.mark.parametrize("sizes", [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_sizes_are_at_least_one(sizes: tuple[int, int, int]) -> None:
    with pytest.raises(ValueError, match="Maxout: "):
        nn.Maxout(*sizes)
