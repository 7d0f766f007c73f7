"""Losses, their sums and gradients as CUDA kernels."""

import numpy as np
import pytest
from tinygen_kernels.reference.loss import LOSSES

from .equipment import CUDA, REFERENCE, distance, in_every_order, needs_compiler

pytestmark = needs_compiler
BOUNDS = {"float32": 4e-7, "float64": 4e-15}
SIZES = [(0,), (1,), (7, 3), (300, 1001)]  # the last has more elements than the grid has threads


def sample(name, shape, dtype):
    """Predictions, targets, cotangents and the loss's parameter."""
    rng = np.random.default_rng(0)
    p, t, g = (rng.normal(size=shape) for _ in range(3))
    if name.startswith("binary_cross_entropy"):
        p, t = 1 / (1 + np.exp(-p)), t > 0
    return p.astype(dtype), np.asarray(t).astype(dtype), g.astype(dtype), 0.01


@pytest.mark.parametrize("shape", SIZES, ids=str)
@pytest.mark.parametrize("dtype", BOUNDS)
@pytest.mark.parametrize("name", LOSSES)
def test_losses(name, dtype, shape):
    p, t, g, a = sample(name, shape, dtype)
    exact = [x.astype(float) for x in (p, t, g)]
    found = in_every_order(lambda: CUDA.loss(p, t, name, a))
    assert found.shape == shape
    assert distance(found, REFERENCE.loss(*exact[:2], name, a)) < BOUNDS[dtype]
    total = in_every_order(lambda: CUDA.loss_sum(p, t, name, a))
    assert (total.shape, total.dtype) == ((), np.dtype(float))
    assert distance(total, REFERENCE.loss_sum(*exact[:2], name, a)) < BOUNDS[dtype]
    found = in_every_order(lambda: CUDA.loss_grad(p, t, g, name, a, 0.3))
    assert found.dtype == dtype
    assert distance(found, REFERENCE.loss_grad(*exact, name, a, 0.3)) < BOUNDS[dtype]


def test_the_kernel_counts_losses_as_the_table_does():
    """A wrong order would pass above only if two losses were alike."""
    found = {
        name: float(CUDA.loss(np.full(1, 0.7), np.full(1, 0.2), name, 0.01)[0]) for name in LOSSES
    }
    assert len(set(found.values())) == len(LOSSES)


@pytest.mark.parametrize("g", [0.5, np.float32(0.5), np.asarray(0.5), np.asarray(0.5, "float32")])
def test_one_cotangent_for_all(g):
    p, t, _, a = sample("mse", (7, 3), "float32")
    found = CUDA.loss_grad(p, t, g, "mse", a, 0.3)
    np.testing.assert_array_equal(found, CUDA.loss_grad(p, t, np.full_like(p, 0.5), "mse", a, 0.3))


def test_operands_of_other_types_and_layouts():
    p, t, g, a = sample("huber", (7, 3), "float32")
    expected = CUDA.loss(p, t, "huber", a), CUDA.loss_grad(p, t, g, "huber", a, 0.3)
    p, t, g = p.copy("F"), t.astype("float64"), np.repeat(g, 2, 1)[:, ::2]
    np.testing.assert_array_equal(CUDA.loss(p, t, "huber", a), expected[0])
    np.testing.assert_array_equal(CUDA.loss_grad(p, t, g, "huber", a, 0.3), expected[1])


def test_a_cotangent_that_does_not_fit():
    p, t, _, a = sample("mse", (7, 3), "float32")
    with pytest.raises(ValueError, match=r"p has shape \(7, 3\), g \(3,\)"):
        CUDA.loss_grad(p, t, np.zeros(3, "float32"), "mse", a, 1.0)
