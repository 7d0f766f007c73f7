"""Normalisation, written out from the definitions, and the look-up in a table."""

import numpy as np

from tests.op_cases.case import Case, grid, labels, normal, positive, torch
from tinygen import ops
from tinygen.core import data_of


def mean(x, axes):
    return np.sum(x, axes, keepdims=True) / max(np.prod([x.shape[a] for a in axes]), 1)


def standard(x, axes, epsilon):
    n = x - mean(x, axes)
    return n / np.sqrt(mean(n * n, axes) + epsilon)


def batch_norm(x, scale=1.0, shift=0.0, epsilon=1e-3):
    return standard(x, tuple(range(x.ndim - 1)), epsilon) * scale + shift


def fixed_batch_norm(x, scale, shift, mean, variance, epsilon=1e-3):
    return (x - mean) / np.sqrt(variance + epsilon) * scale + shift


def instance_norm(x, scale=1.0, shift=0.0, epsilon=1e-3):
    return standard(x, tuple(range(1, x.ndim - 1)), epsilon) * scale + shift


def adain(x, scale, shift, epsilon=1e-8):
    places = (len(x), *[1] * (x.ndim - 2), x.shape[-1])
    scale, shift = scale.reshape(places), shift.reshape(places)
    return standard(x, tuple(range(1, x.ndim - 1)), epsilon) * scale + shift


def layer_norm(x, scale=1.0, shift=0.0, epsilon=1e-3, axes=1):
    return standard(x, tuple(range(-axes, 0)), epsilon) * scale + shift


def pixel_norm(x, epsilon=1e-8):
    return x / np.sqrt(mean(x * x, (-1,)) + epsilon)


def minibatch_stddev(x, group_size=4):
    """Sample by sample: the group of sample i is all samples that are i modulo their number."""
    size = max((k for k in range(1, group_size + 1) if len(x) % k == 0 and k <= len(x)), default=1)
    feature = np.zeros((*x.shape[:-1], 1))
    for i in range(len(x)):
        group = x[i % (len(x) // size) :: len(x) // size]
        feature[i] = np.sqrt(group.var(axis=0) + 1e-8).mean()
    return np.concatenate([x, feature], axis=-1)


def singular(shape, axis, like=np):
    """Vectors for a weight whose outputs are on `axis`, not quite singular ones: (u, v)."""
    outputs = shape[axis]
    rest = int(np.prod(np.delete(shape, axis % len(shape))))
    u, v = (np.linspace(0.2, 1.0, n) for n in (outputs, rest))
    return (u, v) if like is np else (torch.from_numpy(u), torch.from_numpy(v))


def spectral_normalize(w, axis=-1):
    u, v = singular(w.shape, axis)
    s = v @ np.moveaxis(w, axis, -1).reshape(len(v), len(u)) @ u
    return w / (s or 1.0), s or 1.0


def torch_spectral_normalize(w, axis=-1):
    u, v = singular(w.shape, axis, torch)
    s = v @ w.movedim(axis, -1).reshape(len(v), len(u)) @ u
    s = torch.where(s == 0, 1.0, s)
    return w / s, s


def first(x):
    """PyTorch's layout: channels second."""
    return x.movedim(-1, 1)


def torch_batch_norm(x, scale=None, shift=None, epsilon=1e-3):
    y = torch.nn.functional.batch_norm(first(x), None, None, scale, shift, True, eps=epsilon)
    return y.movedim(1, -1)


def torch_fixed_batch_norm(x, scale, shift, mean, variance, epsilon=1e-3):
    return (x - mean) / torch.sqrt(variance + epsilon) * scale + shift  # theirs takes constants


def torch_instance_norm(x, scale=None, shift=None, epsilon=1e-3):
    y = torch.nn.functional.instance_norm(first(x), None, None, scale, shift, eps=epsilon)
    return y.movedim(1, -1)


def torch_adain(x, scale, shift, epsilon=1e-8):
    y = torch.nn.functional.instance_norm(first(x), eps=epsilon)
    places = (*scale.shape, *[1] * (x.ndim - 2))
    return (y * scale.reshape(places) + shift.reshape(places)).movedim(1, -1)


def torch_layer_norm(x, scale=None, shift=None, epsilon=1e-3, axes=1):
    return torch.nn.functional.layer_norm(x, x.shape[x.ndim - axes :], scale, shift, epsilon)


def torch_minibatch_stddev(x, group_size=4):
    size = max(k for k in range(1, group_size + 1) if len(x) % k == 0)
    groups = x.reshape(size, len(x) // size, -1)
    deviation = torch.sqrt(groups.var(0, correction=0) + 1e-8).mean(1)
    feature = deviation.repeat(size).reshape(-1, *[1] * (x.ndim - 1))
    return torch.cat([x, feature.expand(*x.shape[:-1], 1)], -1)


BATCH = {"reference": batch_norm, "torch": torch_batch_norm, "tolerance": 10}
INSTANCE = {"reference": instance_norm, "torch": torch_instance_norm, "tolerance": 10}
LAYER = {"reference": layer_norm, "torch": torch_layer_norm, "tolerance": 10}
STDDEV = {"reference": minibatch_stddev, "torch": torch_minibatch_stddev, "tolerance": 10}
EPSILONS = grid(epsilon=[1e-3, 1.0])

CASES = [
    Case(
        "batch_norm",
        ops.batch_norm,
        [normal(3, 4, 2, 5), normal(5), normal(5)],
        options=EPSILONS,
        shapes=[((7, 1), (1,), (1,)), ((6, 3), (3,), (3,)), ((2, 2, 70), (70,), (70,))],
        **BATCH,
    ),
    Case(
        "batch_norm",
        ops.batch_norm,
        [normal(1, 3), normal(3), normal(3)],
        label="of one row",
        empty=[((0, 3), (3,), (3,)), ((2, 0, 4, 3), (3,), (3,)), ((2, 0), (0,), (0,))],
        reference=batch_norm,
        torch="PyTorch refuses to normalise a batch of a single row, or of none",
    ),
    Case(
        "batch_norm", ops.batch_norm, [normal(3, 2, 2, 5)], label="without scale and shift", **BATCH
    ),
    Case(
        "batch_norm",
        ops.batch_norm,
        [normal(3, 4, 2, 5), normal(5), normal(5), normal(5), positive(5)],
        label="inference",
        options=EPSILONS,
        shapes=[((1, 3), (3,), (3,), (3,), (3,))],
        empty=[((0, 2, 3), (3,), (3,), (3,), (3,))],
        reference=fixed_batch_norm,
        torch=torch_fixed_batch_norm,
        tolerance=10,
    ),
    Case(
        "instance_norm",
        ops.instance_norm,
        [normal(3, 4, 2, 5), normal(5), normal(5)],
        options=EPSILONS,
        shapes=[((2, 7, 1), (1,), (1,)), ((2, 3, 3, 70), (70,), (70,))],
        **INSTANCE,
    ),
    Case(
        "instance_norm",
        ops.instance_norm,
        [normal(2, 1, 1, 3), normal(3), normal(3)],
        shapes=[((1, 3, 70), (70,), (70,))],
        label="of one row or sample",
        empty=[((0, 2, 3), (3,), (3,)), ((2, 0, 4, 3), (3,), (3,)), ((2, 2, 0), (0,), (0,))],
        reference=instance_norm,
        torch="PyTorch refuses to normalise a single pixel, and errs in a single sample's gradient",
    ),
    Case(
        "instance_norm",
        ops.instance_norm,
        [normal(3, 2, 2, 5)],
        label="without scale and shift",
        **INSTANCE,
    ),
    Case(
        "adain",
        ops.adain,
        [normal(3, 4, 2, 5), normal(3, 5), normal(3, 5)],
        options=grid(epsilon=[1e-8, 1e-3]),
        shapes=[((2, 7, 1), (2, 1), (2, 1)), ((2, 3, 3, 70), (2, 70), (2, 70))],
        reference=adain,
        torch=torch_adain,
        tolerance=10,
    ),
    Case(
        "adain",
        ops.adain,
        [normal(2, 1, 3), normal(2, 3), normal(2, 3)],
        options=EPSILONS,
        shapes=[((1, 3, 70), (1, 70), (1, 70))],
        label="of one row or sample",
        empty=[((0, 2, 3), (0, 3), (0, 3)), ((2, 0, 4, 3), (2, 3), (2, 3))],
        reference=adain,
        torch="PyTorch refuses to normalise a single pixel, and errs in a single sample's gradient",
    ),
    Case(
        "layer_norm",
        ops.layer_norm,
        [normal(3, 4, 5), normal(5), normal(5)],
        options=EPSILONS,
        shapes=[((2, 70), (70,), (70,)), ((3, 1), (1,), (1,)), ((4,), (4,), (4,))],
        empty=[((0, 3), (3,), (3,)), ((2, 0, 3), (3,), (3,))],
        **LAYER,
    ),
    Case(
        "layer_norm",
        ops.layer_norm,
        [normal(3, 2, 2, 3), normal(2, 3), normal(2, 3)],
        options=grid(axes=[2]),
        label="of two axes",
        empty=[((3, 0, 2, 3), (2, 3), (2, 3))],
        **LAYER,
    ),
    Case(
        "layer_norm",
        ops.layer_norm,
        [normal(3, 2, 2, 3)],
        options=grid(axes=[1, 3, 4], epsilon=[0.1]),
        label="without scale and shift",
        **LAYER,
    ),
    Case(
        "pixel_norm",
        ops.pixel_norm,
        [normal(2, 3, 5)],
        options=grid(epsilon=[1e-8, 0.1]),
        shapes=[((3, 70),), ((4,),), ((2, 3, 2, 4),)],
        empty=[((0, 3),), ((2, 0, 4, 3),), ((3, 0),)],
        reference=pixel_norm,
        torch=lambda x, epsilon: x * torch.rsqrt((x * x).mean(-1, keepdim=True) + epsilon),
        tolerance=10,
    ),
    Case(
        "minibatch_stddev",
        ops.minibatch_stddev,
        [normal(8, 2, 3, 5)],
        options=grid(group_size=[4, 8]),
        shapes=[((4, 1, 1, 3),), ((6, 2),)],
        **STDDEV,
    ),
    Case(
        "minibatch_stddev",
        ops.minibatch_stddev,
        [normal(9, 2, 2)],
        shapes=[((7, 3),)],
        label="with a remainder",
        empty=[((0, 2, 2, 3),)],
        reference=minibatch_stddev,
        torch="the rows above compare with it, and it cannot have no samples",
    ),
    Case(
        "spectral_normalize",
        lambda w, axis=-1: ops.spectral_normalize(w, *singular(data_of(w).shape, axis), axis),
        [positive(2, 3, 4, 5)],
        options=grid(axis=[-1, -2, 0]),
        shapes=[((5, 3),), ((1, 4),)],
        empty=[((0, 3),), ((3, 0),), ((2, 0, 3),)],
        reference=spectral_normalize,
        torch=torch_spectral_normalize,
    ),
    Case(
        "embedding",
        lambda table, indices: ops.embedding(indices, table),
        [normal(5, 3), labels(5, 2, 4)],
        shapes=[((5, 1), (7,)), ((6, 2), ())],
        empty=[((5, 3), (0, 2)), ((0, 3), (0,)), ((5, 0), (2,))],
        reference=lambda table, indices: table[indices],
        torch=lambda table, indices: torch.nn.functional.embedding(indices, table),
    ),
]
