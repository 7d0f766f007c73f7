"""Sums and their kin over axes."""

import numpy as np

from tests.op_cases.case import Case, distinct, grid, normal, torch
from tinygen import ops

AXES = grid(axis=[None, 0, -1, (0, 1)], keepdims=[False, True])
ALL = grid(axis=[None], keepdims=[False, True])
LAST = grid(axis=[-1, 1], keepdims=[False, True])


def mean(x, axis, keepdims):
    return x.sum(axis, keepdims=keepdims) / count(x, axis)


def var(x, axis, keepdims, correction=0):
    squares = (x - mean(x, axis, True)) ** 2
    return squares.sum(axis, keepdims=keepdims) / (count(x, axis) - correction)


def count(x, axis):
    return np.ones(x.shape).sum(axis).max(initial=0)


def norm(x, axis, keepdims):
    return np.sqrt((x**2).sum(axis, keepdims=keepdims))


def logsumexp(x, axis, keepdims):
    return np.log(np.exp(x).sum(axis, keepdims=keepdims))


def every(x, axis):
    """PyTorch's way to say all axes."""
    return tuple(range(x.ndim)) if axis is None else axis


def torch_var(x, axis, keepdims, correction=0):
    return torch.var(x, every(x, axis), correction=correction, keepdim=keepdims)


def torch_norm(x, axis, keepdims):
    return torch.linalg.vector_norm(x, 2, axis, keepdims)


SUM = {"reference": np.sum, "torch": lambda x, axis, keepdims: x.sum(every(x, axis), keepdims)}
MEAN = {"reference": mean, "torch": lambda x, axis, keepdims: x.mean(every(x, axis), keepdims)}
VAR = {"reference": var, "torch": torch_var, "tolerance": 4}
MAX = {"reference": np.max, "torch": lambda x, axis, keepdims: x.amax(every(x, axis), keepdims)}
MIN = {"reference": np.min, "torch": lambda x, axis, keepdims: x.amin(every(x, axis), keepdims)}
NORM = {"reference": norm, "torch": torch_norm}
LOGSUMEXP = {
    "reference": logsumexp,
    "torch": lambda x, axis, keepdims: torch.logsumexp(x, every(x, axis), keepdims),
}

CASES = [
    Case("sum", ops.sum, [normal(2, 3, 4)], options=AXES, shapes=[((0, 3),)], **SUM),
    Case("sum", ops.sum, [normal()], options=ALL, label="of one", **SUM),
    Case("mean", ops.mean, [normal(2, 3, 4)], options=AXES, shapes=[((0, 3),)], **MEAN),
    Case("mean", ops.mean, [normal()], options=ALL, label="of one", **MEAN),
    Case("var", ops.var, [normal(2, 3, 4)], options=AXES, shapes=[((0, 3),)], **VAR),
    Case("var", ops.var, [normal(2, 3)], label="unbiased",
         options=grid(axis=[None, 0, 1], keepdims=[False], correction=[1]), **VAR),
    Case("max", ops.max, [distinct(2, 3, 4)], options=AXES, **MAX),
    Case("max", ops.max, [distinct(0, 3)], options=LAST, label="empty", **MAX),
    Case("max", ops.max, [normal()], options=ALL, label="of one", **MAX),
    Case("min", ops.min, [distinct(2, 3, 4)], options=AXES, **MIN),
    Case("min", ops.min, [distinct(0, 3)], options=LAST, label="empty", **MIN),
    Case("min", ops.min, [normal()], options=ALL, label="of one", **MIN),
    Case("norm", ops.norm, [normal(2, 3, 4)], options=AXES, shapes=[((0, 3),)], **NORM),
    Case("logsumexp", ops.logsumexp, [normal(2, 3, 4)], options=AXES, **LOGSUMEXP),
    Case("logsumexp", ops.logsumexp, [normal(0, 3)], options=LAST, label="empty", **LOGSUMEXP),
    Case("logsumexp", ops.logsumexp, [normal()], options=ALL, label="of one", **LOGSUMEXP),
    Case("broadcast_to", ops.broadcast_to, [normal(2, 1)], options=grid(shape=[(3, 2, 4), (2, 1)]),
         shapes=[((),), ((1, 1),)],
         reference=np.broadcast_to, torch=lambda x, shape: x.expand(shape)),
    Case("broadcast_to", ops.broadcast_to, [normal(1, 3)], options=grid(shape=[(0, 3), (2, 0, 3)]),
         label="empty", reference=np.broadcast_to, torch=lambda x, shape: x.expand(shape)),
    Case("sum_to", ops.sum_to, [normal(3, 2, 4)], options=grid(shape=[(2, 1), (), (3, 2, 4)]),
         shapes=[((3, 2, 4),)],
         reference=lambda x, shape: {
             (2, 1): x.sum((0, 2))[..., None], (): x.sum(), (3, 2, 4): x}[shape],
         torch=lambda x, shape: x.sum_to_size(shape)),
    Case("sum_to", ops.sum_to, [normal(0, 3)], options=grid(shape=[(1, 3), (3,)]), label="empty",
         reference=lambda x, shape: np.zeros(shape), torch=lambda x, shape: x.sum_to_size(shape)),
]
